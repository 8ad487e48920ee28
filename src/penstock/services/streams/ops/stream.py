"""Streams: create, delete, describe, list."""

from typing import Any, Literal

import msgspec

from penstock.core import limits
from penstock.core.arn import stream_arn
from penstock.core.context import Caller
from penstock.core.errors import Error
from penstock.core.ids import Millis, StreamName, stream_uid
from penstock.services.streams.directory import StreamView
from penstock.services.streams.ops.naming import StreamRequest
from penstock.services.streams.ops.paging import page_token, read_page_token
from penstock.services.streams.ops.shard import ShardDescription, describe_shard
from penstock.services.streams.ops.tag import check_tags
from penstock.services.streams.ops.warm import (
    WarmThroughput,
    check_warm_throughput,
    describe_warm_throughput,
    warm_shards,
)
from penstock.services.streams.service import Streams
from penstock.services.streams.state import Distribution, Mode, Shard, Status, Stream
from penstock.services.streams.topology import uniform
from penstock.wire.operation import Input, Output


class StreamModeDetails(Input):
    """The capacity mode."""

    stream_mode: Mode


class CreateStreamRequest(Input):
    """CreateStream."""

    stream_name: str
    shard_count: int | None = None
    stream_mode_details: StreamModeDetails | None = None
    tags: dict[str, str] = msgspec.field(default_factory=dict)
    max_record_size_in_kib: int | None = None
    warm_throughput_mibps: int | None = None
    record_distribution_strategy: Distribution = "USER_PARTITION_KEY"


async def create_stream(streams: Streams, caller: Caller, request: CreateStreamRequest) -> None:
    """Begin a stream: of ShardCount shards, or of 4 on demand.

    Raises STREAM_EXISTS, SHARD_LIMIT, ON_DEMAND_LIMIT and the refusals of its members.
    """
    mode: Mode = request.stream_mode_details.stream_mode if request.stream_mode_details is not None else "PROVISIONED"
    if request.warm_throughput_mibps is not None:
        check_warm_throughput(streams, caller, mode, request.warm_throughput_mibps)
    count = _shard_count(mode, request)
    check_tags(request.tags, request.tags, request.stream_name)
    if streams.directory.find(caller.account, caller.region, request.stream_name) is not None:
        raise Error.STREAM_EXISTS(stream=request.stream_name, account=caller.account)
    check_shard_limit(streams, caller, count)
    if mode == "ON_DEMAND":
        check_on_demand_limit(streams, caller)
    _check_transitions(streams, caller)
    now_ms = streams.clock.now_ms()
    stream = Stream(
        account=caller.account,
        region=caller.region,
        name=StreamName(request.stream_name),
        uid=stream_uid(streams.entropy.bytes(24)),
        created_ms=now_ms,
        status="CREATING",
        mode=mode,
        distribution=request.record_distribution_strategy,
        max_record_kib=request.max_record_size_in_kib or limits.RECORD_DEFAULT_MAX_KIB,
        tags=request.tags,
        warm_throughput_mibps=request.warm_throughput_mibps,
    )
    await streams.lifecycle.create(stream, _first_shards(stream, count, now_ms))


def _shard_count(mode: Mode, request: CreateStreamRequest) -> int:
    if mode == "ON_DEMAND":
        if request.shard_count is not None:
            raise Error.SHARD_COUNT_ON_DEMAND()
        return warm_shards(request.warm_throughput_mibps)
    if request.record_distribution_strategy == "AUTO":
        raise Error.AUTO_NEEDS_ON_DEMAND()
    if request.shard_count is None:
        raise Error.SHARD_COUNT_MISSING()
    return request.shard_count


def check_shard_limit(streams: Streams, caller: Caller, added: int) -> None:
    """Raise SHARD_LIMIT if the account has no room for `added` open shards more; a negative number always fits."""
    current, limit = _usage(streams, caller).open_shard_count, streams.allowance.account_shards
    if added > 0 and current + added > limit:
        raise Error.SHARD_LIMIT(
            account=caller.account,
            region=caller.region,
            current=current,
            limit=limit,
            requested=added,
        )


def check_on_demand_limit(streams: Streams, caller: Caller) -> None:
    """Raise ON_DEMAND_LIMIT if the account has no room for one on-demand stream more."""
    limit = streams.allowance.on_demand_streams
    if _usage(streams, caller).on_demand_stream_count >= limit:
        raise Error.ON_DEMAND_LIMIT(account=caller.account, region=caller.region, limit=limit)


def _check_transitions(streams: Streams, caller: Caller) -> None:
    """Under `--limits aws`, raise TRANSITION_LIMIT if as many streams as may be are coming or going."""
    if streams.meter.enforcing:
        views = streams.directory.of(caller.account, caller.region)
        if sum(view.stream.status in ("CREATING", "DELETING") for view in views) >= limits.IN_TRANSITION_MAX:
            raise Error.TRANSITION_LIMIT(account=caller.account, limit=limits.IN_TRANSITION_MAX)


def _first_shards(stream: Stream, count: int, now_ms: Millis) -> list[Shard]:
    return [
        Shard(
            uid=stream.uid,
            no=number,
            hash_start=str(held.start),
            hash_end=str(held.end),
            created_ms=now_ms,
            created_s=now_ms // 1000,
        )
        for number, held in enumerate(uniform(count))
    ]


class DeleteStreamRequest(StreamRequest, kw_only=True):
    """DeleteStream."""

    enforce_consumer_deletion: bool = False


async def delete_stream(streams: Streams, caller: Caller, request: DeleteStreamRequest) -> None:
    """Begin to delete a stream and all its records.  Raises CONSUMERS_REGISTERED, unless its consumers are to go with it."""
    view = streams.find_active(caller, request)
    if view.consumers and not request.enforce_consumer_deletion:
        raise Error.CONSUMERS_REGISTERED(stream=view.stream.name, account=caller.account)
    await streams.lifecycle.delete(view)


class EnhancedMonitoring(Output):
    """Shard-level metrics that are on."""

    shard_level_metrics: list[str]


class ModeDetails(Output):
    """The capacity mode, in answers."""

    stream_mode: Mode


class _Described(Output):
    """What both descriptions of a stream tell."""

    stream_name: str
    stream_arn: str
    stream_status: Status
    stream_mode_details: ModeDetails
    retention_period_hours: int
    stream_creation_timestamp: Millis
    enhanced_monitoring: list[EnhancedMonitoring]
    encryption_type: Literal["NONE", "KMS"]
    key_id: str | None = None


class StreamDescription(_Described, kw_only=True):
    """A stream with a page of its shards."""

    shards: list[ShardDescription]
    has_more_shards: bool


class DescribeStreamRequest(StreamRequest, kw_only=True):
    """DescribeStream."""

    limit: int = limits.DESCRIBE_STREAM_PAGE
    exclusive_start_shard_id: str | None = None


class DescribeStreamOutput(Output):
    """DescribeStream's answer."""

    stream_description: StreamDescription


async def describe_stream(streams: Streams, caller: Caller, request: DescribeStreamRequest) -> DescribeStreamOutput:
    """Describe a stream and its shards, at most 100 at a time.  While it is CREATING no shard is shown."""
    view = streams.find(caller, request)
    held = [] if view.stream.status == "CREATING" else list(view.shards.values())
    if request.exclusive_start_shard_id is not None:
        after = streams.find_shard(caller, view, request.exclusive_start_shard_id).shard.no
        held = [shard for shard in held if shard.shard.no > after]
    most = min(request.limit, limits.DESCRIBE_STREAM_PAGE)
    return DescribeStreamOutput(
        stream_description=StreamDescription(
            **_described(view),
            shards=[describe_shard(shard.shard) for shard in held[:most]],
            has_more_shards=len(held) > most,
        )
    )


class StreamDescriptionSummary(_Described, kw_only=True):
    """A stream with the count of its shards."""

    stream_id: str
    open_shard_count: int
    consumer_count: int
    max_record_size_in_kib: int
    record_distribution_strategy: Distribution | None = None
    warm_throughput: WarmThroughput | None = None


class DescribeStreamSummaryOutput(Output):
    """DescribeStreamSummary's answer."""

    stream_description_summary: StreamDescriptionSummary


class DescribeStreamSummaryRequest(StreamRequest, kw_only=True):
    """DescribeStreamSummary."""


async def describe_stream_summary(
    streams: Streams, caller: Caller, request: DescribeStreamSummaryRequest
) -> DescribeStreamSummaryOutput:
    """Describe a stream without its shards."""
    view = streams.find(caller, request)
    return DescribeStreamSummaryOutput(
        stream_description_summary=StreamDescriptionSummary(
            **_described(view),
            stream_id=view.stream.uid,
            open_shard_count=0 if view.stream.status == "CREATING" else len(view.open_shards()),
            consumer_count=len(view.consumers),
            max_record_size_in_kib=view.stream.max_record_kib,
            record_distribution_strategy=view.stream.distribution if view.stream.mode == "ON_DEMAND" else None,
            warm_throughput=describe_warm_throughput(streams, view),
        )
    )


def _described(view: StreamView) -> dict[str, Any]:
    stream = view.stream
    return {
        "stream_name": stream.name,
        "stream_arn": stream_arn(stream.region, stream.account, stream.name),
        "stream_status": stream.status,
        "stream_mode_details": ModeDetails(stream_mode=stream.mode),
        "retention_period_hours": stream.retention_hours,
        "stream_creation_timestamp": stream.created_ms,
        "enhanced_monitoring": [EnhancedMonitoring(shard_level_metrics=list(stream.shard_level_metrics))],
        "encryption_type": "NONE" if stream.key_id is None else "KMS",
        "key_id": stream.key_id,
    }


class ListStreamsRequest(Input):
    """ListStreams."""

    limit: int = limits.LIST_STREAMS_PAGE
    exclusive_start_stream_name: str | None = None
    next_token: str | None = None


class StreamSummary(Output):
    """One stream of the list."""

    stream_name: str
    stream_arn: str
    stream_status: Status
    stream_mode_details: ModeDetails
    stream_creation_timestamp: Millis


class ListStreamsOutput(Output):
    """A page of streams."""

    stream_names: list[str]
    has_more_streams: bool
    stream_summaries: list[StreamSummary]
    next_token: str | None = None


async def list_streams(streams: Streams, caller: Caller, request: ListStreamsRequest) -> ListStreamsOutput:
    """List the streams of the account and region by name, at most 100 at a time."""
    after = request.exclusive_start_stream_name or ""
    if request.next_token is not None:
        if request.exclusive_start_stream_name is not None:
            raise Error.NEXT_TOKEN_AND_OTHER(member="ExclusiveStartStreamName")
        after = read_page_token(streams, caller, "ListStreams", request.next_token).after
    views = [view for view in streams.directory.of(caller.account, caller.region) if view.stream.name > after]
    page = views[: min(request.limit, limits.LIST_STREAMS_PAGE)]
    more = len(views) > len(page)
    return ListStreamsOutput(
        stream_names=[view.stream.name for view in page],
        has_more_streams=more,
        stream_summaries=[
            StreamSummary(
                stream_name=view.stream.name,
                stream_arn=stream_arn(view.stream.region, view.stream.account, view.stream.name),
                stream_status=view.stream.status,
                stream_mode_details=ModeDetails(stream_mode=view.stream.mode),
                stream_creation_timestamp=view.stream.created_ms,
            )
            for view in page
        ],
        next_token=page_token(streams, caller, "ListStreams", page[-1].stream.name) if more else None,
    )


class DescribeLimitsRequest(Input):
    """DescribeLimits."""


class DescribeLimitsOutput(Output):
    """The account's limits in a region, and what is used of them."""

    shard_limit: int
    open_shard_count: int
    on_demand_stream_count: int
    on_demand_stream_count_limit: int


async def describe_limits(streams: Streams, caller: Caller, request: DescribeLimitsRequest) -> DescribeLimitsOutput:
    """Tell the account's limits and usage."""
    return _usage(streams, caller)


def _usage(streams: Streams, caller: Caller) -> DescribeLimitsOutput:
    views = streams.directory.of(caller.account, caller.region)
    return DescribeLimitsOutput(
        shard_limit=streams.allowance.account_shards,
        open_shard_count=sum(len(view.open_shards()) for view in views),
        on_demand_stream_count=sum(view.stream.mode == "ON_DEMAND" for view in views),
        on_demand_stream_count_limit=streams.allowance.on_demand_streams,
    )
