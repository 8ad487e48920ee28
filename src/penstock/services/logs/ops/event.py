"""Log events: put, read and searched for."""

import re
from collections.abc import AsyncIterator, Callable, Sequence
from itertools import pairwise
from typing import Final, Literal, NamedTuple

from penstock.core.context import Caller
from penstock.core.limits import DAY_MS, HOUR_MS
from penstock.core.log_errors import LogError
from penstock.services.logs.ops.shapes import Input, Output
from penstock.services.logs.ops.stream import upload_token
from penstock.services.logs.pattern import BadPattern, Matches, compile_pattern
from penstock.services.logs.search import PAGE_MAX_BYTES, Cursor, Found, read_cursor, search, write_cursor
from penstock.services.logs.service import Logs
from penstock.services.logs.state import Event, Group, LogStream, Place, event_bytes

BATCH_MAX_BYTES: Final = 1 << 20
SPAN_MAX_MS: Final = DAY_MS
PAST_MAX_MS: Final = 14 * DAY_MS
FUTURE_MAX_MS: Final = 2 * HOUR_MS
EVENTS_MAX: Final = 10_000
END_MS: Final = 10**14 - 1  # later than any event


class InputLogEvent(Input):
    """An event as it is put."""

    timestamp: int
    message: str


class Entity(Input):
    """What the events are about: accepted, and not kept."""

    key_attributes: dict[str, str] | None = None
    attributes: dict[str, str] | None = None


class PutLogEventsRequest(Input):
    """PutLogEvents."""

    log_group_name: str
    log_stream_name: str
    log_events: list[InputLogEvent]
    sequence_token: str | None = None
    entity: Entity | None = None


class RejectedLogEventsInfo(Output):
    """Which events were not taken, by their places in the batch."""

    too_new_log_event_start_index: int | None = None
    too_old_log_event_end_index: int | None = None
    expired_log_event_end_index: int | None = None


class PutAnswer(Output):
    """PutLogEvents'."""

    next_sequence_token: str
    rejected_log_events_info: RejectedLogEventsInfo | None = None


async def put_log_events(logs: Logs, caller: Caller, request: PutLogEventsRequest) -> PutAnswer:
    """Keep events.  Sequence tokens are not looked at.  Raises UPLOAD, UNORDERED, SPAN, NO_GROUP, NO_STREAM."""
    told = [(event.timestamp, event.message) for event in request.log_events]
    _check_batch(told)
    group, _ = await logs.group(caller, request.log_group_name)
    stream = await logs.stream(group, request.log_stream_name)
    rejected, first, end = _rejected(group, told, logs.clock.now_ms())
    if first < end:
        await logs.events.append(stream.key, told[first:end], logs.clock.now_ms())
    return PutAnswer(next_sequence_token=upload_token(stream), rejected_log_events_info=rejected)


def _check_batch(told: Sequence[tuple[int, str]]) -> None:
    size_bytes = sum(event_bytes(message) for _, message in told)
    if size_bytes > BATCH_MAX_BYTES:
        raise LogError.UPLOAD(given=size_bytes, limit=BATCH_MAX_BYTES)
    if any(earlier[0] > later[0] for earlier, later in pairwise(told)):
        raise LogError.UNORDERED()
    if told[-1][0] - told[0][0] > SPAN_MAX_MS:
        raise LogError.SPAN()


def _rejected(
    group: Group, told: Sequence[tuple[int, str]], now_ms: int
) -> tuple[RejectedLogEventsInfo | None, int, int]:
    """What is told of events that are too old or too new, and the bounds of those that are taken."""
    old = sum(at_ms < now_ms - PAST_MAX_MS for at_ms, _ in told)
    expired = sum(at_ms < group.horizon_ms(now_ms) for at_ms, _ in told)
    new = sum(at_ms > now_ms + FUTURE_MAX_MS for at_ms, _ in told)
    first, end = max(old, expired), len(told) - new
    if not (first or new):
        return None, first, end
    return (
        RejectedLogEventsInfo(
            too_new_log_event_start_index=end if new else None,
            too_old_log_event_end_index=old or None,
            expired_log_event_end_index=expired or None,
        ),
        first,
        end,
    )


class GetLogEventsRequest(Input):
    """GetLogEvents."""

    log_stream_name: str
    log_group_name: str | None = None
    log_group_identifier: str | None = None
    start_time: int = 0
    end_time: int = END_MS
    next_token: str | None = None
    limit: int = EVENTS_MAX
    start_from_head: bool = False
    unmask: bool = False


class OutputLogEvent(Output):
    """An event as it is read."""

    timestamp: int
    message: str
    ingestion_time: int


class EventsAnswer(Output):
    """A page of one stream's events, and the tokens of the pages around it."""

    events: list[OutputLogEvent]
    next_forward_token: str
    next_backward_token: str


async def get_log_events(logs: Logs, caller: Caller, request: GetLogEventsRequest) -> EventsAnswer:
    """The events of a stream from a token on, or the last or first of a range.  Raises NO_GROUP, NO_STREAM, TOKEN.

    A token is a place and a direction; where there is nothing more, its page has the same token again.
    """
    group, _ = await logs.group(caller, request.log_group_name, request.log_group_identifier)
    stream = await logs.stream(group, request.log_stream_name)
    start_ms = max(request.start_time, group.horizon_ms(logs.clock.now_ms()))
    end_ms = min(request.end_time, END_MS)
    token = _read_token(request, start_ms, end_ms)
    found = await _read(logs, stream, token, (start_ms, end_ms), request.limit)
    first, after = (found[0].place, _behind(found[-1])) if found else (token.place, token.place)
    return EventsAnswer(
        events=[OutputLogEvent(timestamp=e.at_ms, message=e.message, ingestion_time=e.ingested_ms) for e in found],
        next_forward_token=_token(stream, "f", after),
        next_backward_token=_token(stream, "b", first),
    )


class _Token(NamedTuple):
    """Where a page is: behind or before a place."""

    direction: Literal["f", "b"]
    place: Place


_TOKEN: Final = re.compile(r"([fb])/(\d{14})(\d{20})(\d{22})/s", re.ASCII)


def _read_token(request: GetLogEventsRequest, start_ms: int, end_ms: int) -> _Token:
    if request.next_token is None:
        return _Token("f", Place(start_ms, 0)) if request.start_from_head else _Token("b", Place(end_ms, 0))
    match = _TOKEN.fullmatch(request.next_token)
    if match is None:
        raise LogError.TOKEN()
    return _Token("f" if match[1] == "f" else "b", Place(int(match[2]), int(match[4][-15:])))


def _token(stream: LogStream, direction: str, place: Place) -> str:
    return f"{direction}/{_id(stream.uid, place)}/s"


def _id(uid: str, place: Place) -> str:
    """The id of an event, and what tokens name places by: 56 digits, in the order of events."""
    return f"{place.at_ms:014d}{int(uid, 16):020d}{place.sequence:022d}"


def _behind(event: Event) -> Place:
    return Place(event.at_ms, event.sequence + 1)


async def _read(logs: Logs, stream: LogStream, token: _Token, bounds: tuple[int, int], limit: int) -> list[Event]:
    """The events of a page, in order."""
    start_ms, end_ms = bounds
    if token.direction == "f":
        forward = logs.events.forward(stream, max(token.place, Place(start_ms, 0)))
        return await _page(forward, lambda event: event.at_ms < end_ms, limit)
    backward = logs.events.backward(stream, min(token.place, Place(end_ms, 0)))
    return (await _page(backward, lambda event: event.at_ms >= start_ms, limit))[::-1]


async def _page(events: AsyncIterator[Event], is_within: Callable[[Event], bool], limit: int) -> list[Event]:
    """Events until there are enough, or one lies beyond."""
    found: list[Event] = []
    size_bytes = 0
    async for event in events:
        size_bytes += event.size_bytes
        if not is_within(event) or len(found) == limit or (size_bytes > PAGE_MAX_BYTES and found):
            break
        found.append(event)
    return found


class FilterLogEventsRequest(Input):
    """FilterLogEvents."""

    log_group_name: str | None = None
    log_group_identifier: str | None = None
    log_stream_names: list[str] | None = None
    log_stream_name_prefix: str | None = None
    start_time: int = 0
    end_time: int = END_MS
    filter_pattern: str = ""
    next_token: str | None = None
    limit: int = EVENTS_MAX
    start_from_head: bool = True
    interleaved: bool = True
    unmask: bool = False


class FilteredLogEvent(Output):
    """An event that matches."""

    log_stream_name: str
    timestamp: int
    message: str
    ingestion_time: int
    event_id: str


class SearchedLogStream(Output):
    """How far a stream was searched."""

    log_stream_name: str
    searched_completely: bool


class FoundAnswer(Output):
    """A page of matching events."""

    events: list[FilteredLogEvent]
    searched_log_streams: list[SearchedLogStream]  # AWS tells of none any more
    next_token: str | None = None


async def filter_log_events(logs: Logs, caller: Caller, request: FilterLogEventsRequest) -> FoundAnswer:
    """The events of a group's streams that a pattern means.  Raises NO_GROUP, NO_STREAM, STREAMS_NAMED_TWICE, PATTERN, TOKEN.

    A page may hold less than there is, or nothing, and a token all the same.
    """
    group, _ = await logs.group(caller, request.log_group_name, request.log_group_identifier)
    if request.log_stream_names is not None and request.log_stream_name_prefix is not None:
        raise LogError.STREAMS_NAMED_TWICE()
    matches = _compiled(request.filter_pattern)
    start = Cursor(request.start_time) if request.next_token is None else read_cursor(request.next_token)
    horizon_ms = group.horizon_ms(logs.clock.now_ms())
    start = start if start.at_ms >= horizon_ms else Cursor(horizon_ms)
    named = [await logs.stream(group, name) for name in request.log_stream_names or ()]

    async def streams() -> AsyncIterator[LogStream]:
        if request.log_stream_names is not None:
            for stream in named:
                yield stream
            return
        async for stream in logs.records.streams(group, request.log_stream_name_prefix or ""):
            yield stream

    end_ms = min(request.end_time + 1, END_MS)
    result = await search(logs.events, streams, start, end_ms, matches, request.limit)
    token = write_cursor(result.next) if result.next is not None else None
    return FoundAnswer(events=[_filtered(each) for each in result.found], searched_log_streams=[], next_token=token)


def _compiled(pattern: str) -> Matches:
    try:
        return compile_pattern(pattern)
    except BadPattern as bad:
        raise LogError.PATTERN(problem=bad) from None


def _filtered(found: Found) -> FilteredLogEvent:
    event, stream = found
    return FilteredLogEvent(
        log_stream_name=stream.name,
        timestamp=event.at_ms,
        message=event.message,
        ingestion_time=event.ingested_ms,
        event_id=_id(stream.uid, event.place),
    )
