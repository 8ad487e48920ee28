"""A consumer of Kinesis streams that does what KCL does, in Python: workers that share the shards of a stream between them.

Theory.  Workers of one application meet in a lease store: each shard's lease says who may process it and how far it was processed.  All
decisions are pure (`lease`, `lineage`, `taking`, `position`); `worker` carries them out, `tenure` keeps what is held, `shardrun` works
on one shard, and feeds (`polling`, `fanout`) fetch.
Rules of this package:
  1. At least once: a checkpoint never passes what was not processed.
  2. One at a time: nothing is given to a processor after its worker's time on the lease is over.
"""

from penstock.clients.aws import Connection
from penstock.clients.metric_sinks import CloudWatch, Prometheus
from penstock.consumer.consumer import Consumer, open_store
from penstock.consumer.feed import Record
from penstock.consumer.polling import Pace
from penstock.consumer.position import Begin, Checkpoint
from penstock.consumer.processor import BadCheckpoint, Batch, Checkpointer, RecordProcessor
from penstock.consumer.retry import Retry
from penstock.consumer.store import StoreRefused, StoreUnavailable
from penstock.consumer.stores.dynamodb import DynamoDBStore
from penstock.consumer.stores.postgres import PostgresStore
from penstock.consumer.stores.sqlite import SqliteStore
from penstock.consumer.taking import Rhythm
from penstock.consumer.tenure import LeaseLost

__all__ = [
    "BadCheckpoint",
    "Batch",
    "Begin",
    "Checkpoint",
    "Checkpointer",
    "CloudWatch",
    "Connection",
    "Consumer",
    "DynamoDBStore",
    "LeaseLost",
    "Pace",
    "PostgresStore",
    "Prometheus",
    "Record",
    "RecordProcessor",
    "Retry",
    "Rhythm",
    "SqliteStore",
    "StoreRefused",
    "StoreUnavailable",
    "open_store",
]
