"""Starting positions: where in a shard a reader begins, in the five ways that GetShardIterator and SubscribeToShard know."""

from typing import Literal, NamedTuple

from penstock.core.context import Caller
from penstock.core.errors import Error
from penstock.core.ids import Millis, shard_id
from penstock.core.ports import Clock
from penstock.engines.api import Position
from penstock.services.streams import sequence
from penstock.services.streams.directory import ShardView, StreamView
from penstock.services.streams.reader import Reader

StartType = Literal["AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER", "TRIM_HORIZON", "LATEST", "AT_TIMESTAMP"]


class Start(NamedTuple):
    """Where to begin, as it was asked."""

    type: StartType
    sequence_number: str | None
    at_ms: Millis | None


async def find_start(
    reader: Reader, clock: Clock, caller: Caller, view: StreamView, held: ShardView, start: Start
) -> Position:
    """The place that is meant.

    Raises TIMESTAMP_NEEDED, TIMESTAMP_IN_FUTURE, SEQUENCE_NUMBER_NEEDED, SEQUENCE_NUMBER_UNWANTED and the refusals of sequence
    numbers.
    """
    kind, number, at_ms = start
    if (at_ms is not None) != (kind == "AT_TIMESTAMP"):
        raise Error.TIMESTAMP_NEEDED()
    by_number = kind in ("AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER")
    if by_number and number is None:
        raise Error.SEQUENCE_NUMBER_NEEDED(type=kind)
    if number is not None and not by_number:
        raise Error.SEQUENCE_NUMBER_UNWANTED(type=kind)
    now_ms = clock.now_ms()
    if at_ms is not None:
        if at_ms > now_ms:
            raise Error.TIMESTAMP_IN_FUTURE(given_ms=at_ms, now_ms=now_ms)
        return await reader.find_time(view, held, at_ms)
    if number is not None:
        after = kind == "AFTER_SEQUENCE_NUMBER"
        return await _numbered(reader, caller, view, held, number, after=after)
    return Position(0, 0) if kind == "TRIM_HORIZON" else await reader.tip(view, held)


async def _numbered(
    reader: Reader, caller: Caller, view: StreamView, held: ShardView, text: str, *, after: bool
) -> Position:
    """The place of a sequence number in a shard, or just after it.

    The shard's own starting and ending numbers are places too, and so are the marks that subscriptions are told.
    """
    decoded = sequence.decode(text)
    blanks = {
        "operation": caller.operation.rpartition(":")[2],
        "shard": shard_id(held.shard.no),
        "stream": view.stream.name,
        "account": caller.account,
    }
    if decoded is None:
        raise Error.SEQUENCE_NUMBER_INVALID(number=sequence.normalise(int(text)), **blanks)
    if decoded.shard_no != held.shard.no:
        raise Error.SEQUENCE_NUMBER_OTHER_SHARD(encoded=shard_id(decoded.shard_no), shard=blanks["shard"])
    if decoded.version != sequence.VERSION or decoded.created_s != held.shard.created_s:
        raise Error.SEQUENCE_NUMBER_OTHER_STREAM(number=decoded.number, **blanks)
    tip = await reader.tip(view, held)
    if decoded.index_in_shard == sequence.INDEX_MAX and held.shard.closed_ms is not None:
        return tip
    if sequence.place_of(decoded, after=True) > tip:  # not issued yet
        raise Error.SEQUENCE_NUMBER_INVALID(number=decoded.number, **blanks)
    return sequence.place_of(decoded, after=after)
