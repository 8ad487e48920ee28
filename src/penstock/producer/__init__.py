"""The Kinesis Producer Library in Python: many small records, few large requests, and a result for each record.

`AsyncProducer` is for programs on asyncio, `Producer` for those with threads; `ProducerConfig` holds KPL's configuration keys.  What is
named in `__all__` is a versioned API.

The inside, from the outside in: `asynchronous` and `blocking` (the two faces), `core` (a producer put together), `driver` (time and
calls), `pipeline` (what happens to a record; pure, like all that follows), `reducers` (records wait for company), `limiter` (for their
shard's rate), `shardmap` (where they will go), `records` (what they are), `config` and `measures` (the two tables).
"""

from penstock.producer.asynchronous import AsyncProducer
from penstock.producer.blocking import Producer
from penstock.producer.config import ConfigError, ProducerConfig
from penstock.producer.records import Attempt, ProducerClosed, UserRecord, UserRecordFailed, UserRecordResult

__all__ = [
    "AsyncProducer",
    "Attempt",
    "ConfigError",
    "Producer",
    "ProducerClosed",
    "ProducerConfig",
    "UserRecord",
    "UserRecordFailed",
    "UserRecordResult",
]
