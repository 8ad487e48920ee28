"""What a function's answer says of the batch that it was given: all done, done up to a record, or failed.

Theory.  Without ReportBatchItemFailures and without a tumbling window the answer is not looked at.  With the former it may name records,
of which the lowest counts: those before it are done, it and those after it are to be given again.  With the latter it must hold `state`.
Rules of this file: pure; whatever bytes a function answers, the outcome is one of three; nothing is raised.
Source: developer guide, "Reporting batch item failures"; recorded answers where marked [S].
"""

from bisect import bisect_left
from typing import Any, Final, NamedTuple

import msgspec

from penstock.services.functions.mapping.rows import NUMBER_SHIFT, Rows, number_of

STATE_MAX_BYTES: Final = 1024 * 1024  # of a window, per shard
_DIGITS_MAX: Final = 60


class Done(NamedTuple):
    """Every record was taken."""

    state: bytes | None = None  # of the window


class FailedFrom(NamedTuple):
    """The records before one were taken."""

    first: int  # that was not: 0 .. records-1
    state: bytes | None = None


class Failed(NamedTuple):
    """Nothing was taken."""

    why: str


Outcome = Done | FailedFrom | Failed


class _Reply(msgspec.Struct):
    batchItemFailures: Any = None  # noqa: N815 - as functions write it
    state: msgspec.Raw = msgspec.Raw()  # empty: absent


def read_answer(payload: bytes, rows: Rows, number_base: int, *, reports: bool, windowed: bool) -> Outcome:
    """What an answer without error means."""
    if not reports and not windowed:
        return Done()
    reply = _reply(payload)
    if reply is None:
        return Failed("the function returned no JSON")
    state = bytes(reply.state) or None
    if windowed and state is None:
        return Failed("the function returned no state of the window")
    return _reported(reply.batchItemFailures, rows, number_base, state) if reports else Done(state)


def _reply(payload: bytes) -> _Reply | None:
    """The reply, empty where it is no object: null and "" mean success [S]; None where it is not JSON."""
    try:
        value = msgspec.json.decode(payload) if payload else None
        return msgspec.json.decode(payload, type=_Reply) if isinstance(value, dict) else _Reply()
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _reported(items: object, rows: Rows, number_base: int, state: bytes | None) -> Outcome:
    if items is None or items == []:
        return Done(state)
    if not isinstance(items, list):  # UNVERIFIED: batchItemFailures that is no list
        return Failed("batchItemFailures is not a list")
    found = [_index_of(item, rows, number_base) for item in items]
    known = [index for index in found if index is not None]
    if len(known) != len(found):
        return Failed("batchItemFailures names what is not in the batch")
    return FailedFrom(min(known), state)


def _index_of(item: object, rows: Rows, number_base: int) -> int | None:
    """Which record an item names: None for "", null, another key, and numbers that are not in the batch [S]."""
    text = item.get("itemIdentifier") if isinstance(item, dict) else None
    if not isinstance(text, str) or not 0 < len(text) <= _DIGITS_MAX or not (text.isascii() and text.isdigit()):
        return None
    place = (int(text) - number_base >> NUMBER_SHIFT) - 1
    index = bisect_left(rows.places, place)
    if index == rows.records or rows.places[index] != place:
        return None
    return index if str(number_of(number_base, place, rows.arrivals_ms[index])) == text else None
