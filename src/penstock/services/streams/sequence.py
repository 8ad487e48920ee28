"""Sequence numbers: AWS's 186-bit numbers, made from where a record lies and when it arrived.

Theory.  A sequence number is the decimal text of 47 hex digits:

    2 | shard created, s (9) | low digit of shard number (1) | index in shard (16) | 00 | arrived, s (9) | shard number (8) | 2

The index decides the order within a shard; creation times decide it between a shard and its children, which are created in a
later second.  Our index is `incarnation << 48 | offset + 1`, so a shard's starting number (index 0) lies below all its records,
and its ending number (the highest index) above them.  Nothing is stored: the number is computed at the write and at each read.
A number with `01` for the two zeros is no record's: it marks the place behind the record with its index, and so tells how far a
reader has come even where no record is yet.
Rules of this file: pure; `decode` accepts exactly what AWS's layouts allow, and whether the number fits a shard is the caller's
question.  Source: numbers recorded from AWS; KCL checks bit length, version digit and shard number.
"""

from typing import Final, NamedTuple

from penstock.engines.api import Position

_OFFSET_BITS: Final = 48
_INDEX_SHIFT: Final = 80
_ARRIVED_SHIFT: Final = 36
_SHARD_SHIFT: Final = 4
_BETWEEN: Final = 1 << 72
_LOW_DIGIT_SHIFT: Final = 144
_CREATED_SHIFT: Final = 148
_LEAD: Final = 2 << 184
VERSION: Final = 2
INDEX_MAX: Final = 2**63 - 1  # AWS's index is a signed 64-bit number
_SHARD_MAX: Final = 2**31 - 1
_OLD_LEAD: Final = 2**124  # added to numbers of the oldest layout, which came without it
_OLD_BITS: Final = 125
_SECONDS_MAX: Final = 16_025_175_000  # the latest date that AWS takes


class ShardOrigin(NamedTuple):
    """What of a shard goes into its sequence numbers."""

    shard_no: int
    created_s: int  # a child's is above its parents'


class Decoded(NamedTuple):
    """What a sequence number says."""

    number: int  # as AWS reads it back in messages
    version: int  # 2 today; 0 and 1 are AWS's older layouts, which no shard of ours ever issued
    created_s: int
    shard_no: int
    index_in_shard: int
    arrived_s: int
    between: bool = False  # it is no record's number, but marks the place after the one with this index


def base(origin: ShardOrigin) -> int:
    """The shard's part of its sequence numbers; `base + tail(...)` is one of them."""
    return (
        _LEAD
        + (origin.created_s << _CREATED_SHIFT)
        + ((origin.shard_no & 0xF) << _LOW_DIGIT_SHIFT)
        + (origin.shard_no << _SHARD_SHIFT)
        + VERSION
    )


def tail(position: Position, arrival_ms: int) -> int:
    """The record's part of its sequence number.  Cost: with `str`, 0.4 us."""
    index = (position.incarnation << _OFFSET_BITS) + position.offset + 1
    return (index << _INDEX_SHIFT) + arrived(arrival_ms)


def arrived(arrival_ms: int) -> int:
    """The part of a sequence number that tells when its record arrived."""
    return arrival_ms // 1000 << _ARRIVED_SHIFT


NUMBER_BYTES: Final = 24  # as the native part is given a number: 186 bits and zeros
NEXT_RECORD: Final = 1 << _INDEX_SHIFT  # between the numbers of two records that arrived in the same second


def starting(origin: ShardOrigin) -> str:
    """The StartingSequenceNumber of a shard: below all of its records."""
    return str(base(origin) + (origin.created_s << _ARRIVED_SHIFT))


def ending(origin: ShardOrigin, closed_ms: int) -> str:
    """The EndingSequenceNumber of a closed shard: above all of its records.  Source: recorded answers (the highest index)."""
    return str(base(origin) + (INDEX_MAX << _INDEX_SHIFT) + (closed_ms // 1000 << _ARRIVED_SHIFT))


def between(position: Position, now_ms: int) -> int:
    """The part of a number that marks a place: above the number of every record before `position`, below all from it on."""
    index = (position.incarnation << _OFFSET_BITS) + position.offset
    return (index << _INDEX_SHIFT) + _BETWEEN + arrived(now_ms)


def place_of(decoded: Decoded, *, after: bool) -> Position:
    """The place that a number means: its record, or with `after` what follows it.

    A mark always means what follows, and the starting number of a shard its beginning.
    """
    if decoded.between:
        return Position(*divmod(decoded.index_in_shard, 1 << _OFFSET_BITS))
    if decoded.index_in_shard == 0:  # the shard's starting number
        return Position(0, 0)
    position = position_of(decoded.index_in_shard)
    return Position(position.incarnation, position.offset + after)


def position_of(index: int) -> Position:
    """Where the record with an index lies; index 0 is the start of the shard."""
    if index == 0:
        return Position(0, 0)
    return Position(*divmod(index - 1, 1 << _OFFSET_BITS))


def decode(text: str) -> Decoded | None:
    """Read a decimal sequence number; None where it has no valid layout."""
    number = normalise(int(text))
    if number.bit_length() <= _OLD_BITS:
        return _decode_old(number)
    if number >> 184 != 2:
        return None
    index, shard_no = (number >> _INDEX_SHIFT) & (2**64 - 1), (number >> _SHARD_SHIFT) & (2**32 - 1)
    decoded = Decoded(
        number=number,
        version=number & 0xF,
        created_s=(number >> _CREATED_SHIFT) & (2**36 - 1),
        shard_no=shard_no,
        index_in_shard=index,
        arrived_s=(number >> _ARRIVED_SHIFT) & (2**36 - 1),
        between=(number >> 72) & 0xFF == 1,
    )
    sound = decoded.version in (1, 2) and index <= INDEX_MAX and shard_no <= _SHARD_MAX
    return decoded if sound else None


def normalise(number: int) -> int:
    """A number as AWS reads it, and tells it back in messages."""
    return number + _OLD_LEAD if number < _OLD_LEAD else number


def _decode_old(number: int) -> Decoded | None:
    """The layout of 32 hex digits: lead 1, created (9), ..., shard number (4).  Source: recorded refusals."""
    created_s = (number >> 88) & (2**36 - 1)
    if number >> 124 != 1 or created_s >= _SECONDS_MAX:
        return None
    return Decoded(number, 0, created_s, number & 0xFFFF, 0, 0)
