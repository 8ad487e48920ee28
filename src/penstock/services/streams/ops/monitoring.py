"""Enhanced monitoring: which metrics a stream's shards have of their own."""

from collections.abc import Iterable
from typing import Final, Literal

from msgspec.structs import replace

from penstock.core.arn import stream_arn
from penstock.core.context import Caller
from penstock.services.streams.directory import StreamView
from penstock.services.streams.ops.naming import StreamRequest
from penstock.services.streams.service import Streams
from penstock.wire.operation import Output

Metric = Literal[
    "IncomingBytes",
    "IncomingRecords",
    "OutgoingBytes",
    "OutgoingRecords",
    "WriteProvisionedThroughputExceeded",
    "ReadProvisionedThroughputExceeded",
    "IteratorAgeMilliseconds",
    "ALL",
]

METRICS: Final = (  # what ALL means
    "IncomingBytes",
    "IncomingRecords",
    "IteratorAgeMilliseconds",
    "OutgoingBytes",
    "OutgoingRecords",
    "ReadProvisionedThroughputExceeded",
    "WriteProvisionedThroughputExceeded",
)


class EnhancedMonitoringRequest(StreamRequest, kw_only=True):
    """EnableEnhancedMonitoring and DisableEnhancedMonitoring."""

    shard_level_metrics: list[Metric]


class EnhancedMonitoringOutput(Output):
    """The metrics that were on before, and those that are after."""

    stream_name: str
    current_shard_level_metrics: list[str]
    desired_shard_level_metrics: list[str]
    stream_arn: str


async def enable_enhanced_monitoring(
    streams: Streams, caller: Caller, request: EnhancedMonitoringRequest
) -> EnhancedMonitoringOutput:
    """Turn shard-level metrics on; those that are on stay on.  Raises STREAM_NOT_ACTIVE."""
    view = streams.find_active(caller, request)
    return await _settle(streams, view, {*view.stream.shard_level_metrics, *_expanded(request.shard_level_metrics)})


async def disable_enhanced_monitoring(
    streams: Streams, caller: Caller, request: EnhancedMonitoringRequest
) -> EnhancedMonitoringOutput:
    """Turn shard-level metrics off; those that are off stay off.  Raises STREAM_NOT_ACTIVE."""
    view = streams.find_active(caller, request)
    return await _settle(streams, view, {*view.stream.shard_level_metrics} - _expanded(request.shard_level_metrics))


def _expanded(metrics: Iterable[str]) -> set[str]:
    return {*METRICS} if "ALL" in metrics else {*metrics}


async def _settle(streams: Streams, view: StreamView, desired: set[str]) -> EnhancedMonitoringOutput:
    stream = view.stream
    wanted = tuple(sorted(desired))
    if wanted != stream.shard_level_metrics:
        await streams.lifecycle.change(view, replace(stream, shard_level_metrics=wanted))
    return EnhancedMonitoringOutput(
        stream_name=stream.name,
        current_shard_level_metrics=list(stream.shard_level_metrics),
        desired_shard_level_metrics=list(wanted),
        stream_arn=stream_arn(stream.region, stream.account, stream.name),
    )
