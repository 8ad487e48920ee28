"""The services behind the port, a row each.

Theory.  A row tells a service's requests from others' without its model, and names the module that binds it; module, model and state are
loaded by the first request.  A service whose state acts by itself (expires, rotates, delivers) is opened at start if there is such state;
a reset opens every service that has any.
A module has OPERATIONS (the modules whose functions are its operations), CODECS, and `plug`, which opens what they are bound to.
Rule of this file: rows are data; a test holds each address against the service's model.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from importlib import import_module
from types import ModuleType
from typing import Final, NamedTuple, Protocol, cast

from penstock.composition.room import Plug, Room
from penstock.host.apimodels import load_model
from penstock.services.binding import bind
from penstock.wire.operation import Codec, Service
from penstock.wire.rest import DATED
from penstock.wire.route import Address


class Row(NamedTuple):
    """A service."""

    model: str  # botocore's folder of it
    module: str  # of this package
    title: str  # in docs/parity.md
    address: Address
    state: str = ""  # what the keys of its state in the MetaStore begin with
    acting: tuple[str, ...] = ()  # and those of state that acts by itself; few keys each, they are read at start


ROWS: Final = (
    Row("kinesis", "streams", "Kinesis Data Streams", Address("Kinesis_20131202")),
    Row("iam", "iam", "IAM", Address(version="2010-05-08"), "iam/"),
    Row("sts", "sts", "STS", Address(version="2011-06-15")),
    Row("kms", "kms", "KMS", Address("TrentService"), "kms/", ("kms/",)),
    Row("cloudwatch", "metrics", "CloudWatch", Address("GraniteServiceVersion20100801", rpc=True, version="2010-08-01")),
    Row("glue", "catalog", "Data catalog (Glue)", Address("AWSGlue"), "catalog/"),
    Row("firehose", "firehose", "Firehose", Address("Firehose_20150804"), "firehose/", ("firehose/stream/",)),
    Row("lambda", "functions", "Lambda", Address(paths=DATED), "functions/", ("functions/event/", "functions/mapping/")),
    Row("logs", "logs", "CloudWatch Logs", Address("Logs_20140328"), "logs/", ("logs/group/", "logs/gone/")),
    Row("sqs", "queues", "SQS", Address("AmazonSQS", version="2012-11-05"), "queues/", ("queues/queue/", "queues/gone/")),
    Row("sns", "topics", "SNS", Address(version="2010-03-31"), "topics/"),
    Row(
        "dynamodb", "leases", "Leases (DynamoDB)", Address("DynamoDB_20120810"),
        "leases/", ("leases/table/", "leases/token/"),
    ),
)  # fmt: skip


class Module(Protocol):
    """What a module of this package has."""

    OPERATIONS: Sequence[ModuleType]
    CODECS: Mapping[str, Codec]
    plug: Callable[[Room], Awaitable[Plug]]


def module_of(row: Row) -> Module:
    """The module of a row, imported now."""
    return cast("Module", import_module(f"penstock.composition.{row.module}"))


def service_of(row: Row, plug: Plug) -> Service:
    """The operations of a row, bound."""
    module = module_of(row)
    return bind(load_model(row.model), module.OPERATIONS, plug.core, module.CODECS, plug.admit, plug.others)


def unbound(row: Row) -> Service:
    """The operations of a row, to be looked at but not called."""
    return service_of(row, Plug(None))
