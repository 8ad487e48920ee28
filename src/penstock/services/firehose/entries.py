"""Entries: records on their way through a delivery stream, and what becomes of those that cannot go on.

Theory.  A lane is one ordered source: a shard of a data stream, or the log of a delivery stream's direct puts.  An entry knows its place
in its lane; a lane's checkpoint is the place before which every entry is accounted for: delivered, failed into the error prefix, or
dropped by a transformation that said so.
Rules of this file: pure; an entry never changes, steps make others with msgspec.structs.replace; `place` is kept by whatever is made of
an entry, also by several that come out of one.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal

import msgspec

NO_KEYS: Final[Mapping[str, str]] = MappingProxyType({})
PartitionKey = tuple[tuple[str, str], ...]  # values by "partitionKeyFromQuery:name"; empty where nothing is partitioned
NO_FACTS: Final[Mapping[str, object]] = MappingProxyType({})


class Origin(msgspec.Struct, frozen=True, gc=False):
    """The record of a data stream that an entry was read from."""

    shard_id: str
    partition_key: str
    sequence_number: str
    subsequence_number: int  # within an aggregate of KPL's; 0 for a record by itself
    arrival_ms: int


class Route(msgspec.Struct, frozen=True, gc=False):
    """Where a record goes in a destination of tables (Iceberg), as a query or a function has said."""

    database: str
    table: str
    operation: Literal["insert", "update", "delete"] = "insert"


class Entry(msgspec.Struct, frozen=True):
    """A record on its way."""

    data: bytes
    arrival_ms: int
    record_id: str  # unique and stable: the same after a crash
    place: int  # order in its lane
    origin: Origin | None = None  # None: put directly
    partition_keys: Mapping[str, str] = NO_KEYS  # from the query: !{partitionKeyFromQuery:...}
    lambda_keys: Mapping[str, str] = NO_KEYS  # from the function: !{partitionKeyFromLambda:...}
    route: Route | None = None


class Failure(msgspec.Struct, frozen=True):
    """An entry that goes to the error prefix, and why."""

    entry: Entry  # as it was before the step that it failed in
    kind: str  # the error-output-type: "processing-failed", "format-conversion-failed", "http-endpoint-failed", ...
    code: str  # "Lambda.FunctionError", ...
    message: str
    attempts: int = 1
    lambda_arn: str | None = None
    facts: Mapping[str, object] = NO_FACTS  # further members of the error object, by their names
