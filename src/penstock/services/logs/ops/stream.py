"""Log streams: made, described and deleted."""

from bisect import insort
from typing import Final, Literal

import msgspec
import pybase64

from penstock.core.context import Caller
from penstock.core.ids import Millis
from penstock.core.log_errors import LogError
from penstock.services.logs.ops.shapes import Input, Output
from penstock.services.logs.service import Logs
from penstock.services.logs.state import Group, LogStream

LIST_MAX: Final = 50


class StreamRequest(Input):
    """CreateLogStream, DeleteLogStream."""

    log_group_name: str
    log_stream_name: str


async def create_log_stream(logs: Logs, caller: Caller, request: StreamRequest) -> None:
    """Make a stream.  Raises NO_GROUP, STREAM_EXISTS."""
    group, _ = await logs.group(caller, request.log_group_name)
    await logs.records.add_stream(logs.new_stream(group, request.log_stream_name))


async def delete_log_stream(logs: Logs, caller: Caller, request: StreamRequest) -> None:
    """Delete a stream with its events.  Raises NO_GROUP, NO_STREAM."""
    group, _ = await logs.group(caller, request.log_group_name)
    stream = await logs.stream(group, request.log_stream_name)
    await logs.records.remove(stream.key, stream.uid)
    logs.purge_soon()


class DescribeLogStreamsRequest(Input):
    """DescribeLogStreams."""

    log_group_name: str | None = None
    log_group_identifier: str | None = None
    log_stream_name_prefix: str | None = None
    order_by: Literal["LogStreamName", "LastEventTime"] = "LogStreamName"
    descending: bool = False
    next_token: str | None = None
    limit: int = LIST_MAX


class StreamOutput(Output):
    """A stream as it is described."""

    log_stream_name: str
    creation_time: Millis
    arn: str
    stored_bytes: int
    upload_sequence_token: str
    first_event_timestamp: Millis | None = None
    last_event_timestamp: Millis | None = None
    last_ingestion_time: Millis | None = None


class StreamsAnswer(Output):
    """A page of streams."""

    log_streams: list[StreamOutput]
    next_token: str | None = None


_Rank = tuple[
    int, str
]  # of a stream, in the order that was asked for: the time of its last event where that counts, and its name
_TOKEN: Final = msgspec.msgpack.Decoder(tuple[int, str])


async def describe_log_streams(logs: Logs, caller: Caller, request: DescribeLogStreamsRequest) -> StreamsAnswer:
    """Describe streams, by name or by their last event.  Raises NO_GROUP, PREFIX_AND_TIME, TOKEN.

    Cost: every record of the group's streams is read, unless they are wanted by ascending name.
    """
    if request.order_by == "LastEventTime" and request.log_stream_name_prefix is not None:
        raise LogError.PREFIX_AND_TIME()
    group, _ = await logs.group(caller, request.log_group_name, request.log_group_identifier)
    after = _read(request.next_token) if request.next_token is not None else None
    page = await _page(logs, group, request, after)
    shown = page[: request.limit]
    return StreamsAnswer(
        log_streams=[_described(group, stream) for _, stream in shown],
        next_token=_written(shown[-1][0]) if len(page) > len(shown) else None,
    )


async def _page(
    logs: Logs, group: Group, request: DescribeLogStreamsRequest, after: _Rank | None
) -> list[tuple[_Rank, LogStream]]:
    """The first streams behind `after`, and one more where there is one."""
    by_name = request.order_by == "LogStreamName"
    straight = by_name and not request.descending
    page: list[tuple[_Rank, LogStream]] = []
    beginning = after[1] if straight and after is not None else ""
    async for stream in logs.records.streams(group, request.log_stream_name_prefix or "", beginning):
        rank = (0 if by_name else stream.last_ms or 0, stream.name)
        if after is None or (rank < after if request.descending else rank > after):
            insort(page, (rank, stream), key=_rank)
            if len(page) > request.limit + 1:
                page.pop(0 if request.descending else -1)
            if straight and len(page) > request.limit:
                break
    return page[::-1] if request.descending else page


def _rank(entry: tuple[_Rank, LogStream]) -> _Rank:
    return entry[0]


def _described(group: Group, stream: LogStream) -> StreamOutput:
    return StreamOutput(
        log_stream_name=stream.name,
        creation_time=stream.created_ms,
        arn=f"{group.arn}:log-stream:{stream.name}",
        stored_bytes=0,  # AWS tells no more
        upload_sequence_token=upload_token(stream),
        first_event_timestamp=stream.first_ms,
        last_event_timestamp=stream.last_ms,
        last_ingestion_time=stream.ingested_ms,
    )


def upload_token(stream: LogStream) -> str:
    """A sequence token; any is taken."""
    return f"{int(stream.uid, 16):020d}{stream.next_sequence:036d}"


def _written(rank: _Rank) -> str:
    return pybase64.b64encode_as_string(msgspec.msgpack.encode(rank))


def _read(token: str) -> _Rank:
    try:
        return _TOKEN.decode(pybase64.b64decode(token, validate=True))
    except (ValueError, msgspec.MsgspecError):
        raise LogError.TOKEN() from None
