"""Capacity: the mode of a stream, its warm throughput, and how its records are spread over the shards."""

from msgspec.structs import replace

from penstock.core import limits
from penstock.core.arn import stream_arn
from penstock.core.context import Caller
from penstock.core.errors import Error
from penstock.core.ids import Millis
from penstock.services.streams.directory import StreamView
from penstock.services.streams.ops.naming import StreamArnRequest, StreamRequest
from penstock.services.streams.ops.stream import StreamModeDetails, check_on_demand_limit, check_shard_limit
from penstock.services.streams.ops.warm import WarmThroughput, check_warm_throughput, warm_shards
from penstock.services.streams.service import Streams
from penstock.services.streams.state import Distribution, Stream
from penstock.services.streams.topology import uniform_target
from penstock.wire.operation import Output


class UpdateStreamModeRequest(StreamArnRequest, kw_only=True):
    """UpdateStreamMode."""

    stream_mode_details: StreamModeDetails
    warm_throughput_mibps: int | None = None


async def update_stream_mode(streams: Streams, caller: Caller, request: UpdateStreamModeRequest) -> None:
    """Change the capacity mode.  The shards stay, unless the warm throughput needs more.

    Raises STREAM_NOT_ACTIVE, ON_DEMAND_LIMIT, WARM_THROUGHPUT_UNSUPPORTED, WARM_THROUGHPUT_TOO_HIGH, SHARD_LIMIT, and
    MODE_CHANGED_TOO_OFTEN under `--limits aws`.
    """
    view = streams.find_active(caller, request)
    mode, mibps = request.stream_mode_details.stream_mode, request.warm_throughput_mibps
    if mibps is not None:
        check_warm_throughput(streams, caller, mode, mibps)
    if mode == view.stream.mode:  # UNVERIFIED: the present mode is accepted, and is no change that counts
        if mibps is not None:
            await _warm(streams, caller, view, view.stream, mibps)
        return
    changed = replace(view.stream, mode=mode, mode_changed_ms=_counted(streams, caller, view))
    if mode == "PROVISIONED":  # UNVERIFIED: what only an on-demand stream has ends with that mode
        changed = replace(changed, distribution="USER_PARTITION_KEY", warm_throughput_mibps=None)
        await streams.lifecycle.change(view, changed)
        return
    check_on_demand_limit(streams, caller)
    if mibps is None:
        await streams.lifecycle.change(view, changed)
    else:
        await _warm(streams, caller, view, changed, mibps, least=len(view.open_shards()))


def _counted(streams: Streams, caller: Caller, view: StreamView) -> tuple[Millis, ...]:
    """The changes of mode of the last 24 hours with this one.  Raises MODE_CHANGED_TOO_OFTEN."""
    now_ms = streams.clock.now_ms()
    recent = tuple(at for at in view.stream.mode_changed_ms if now_ms - at < limits.DAY_MS)
    if streams.meter.enforcing and len(recent) >= limits.MODE_CHANGES_PER_DAY:
        raise Error.MODE_CHANGED_TOO_OFTEN(
            stream=view.stream.name, account=caller.account, limit=limits.MODE_CHANGES_PER_DAY
        )
    return (*recent[1 - limits.MODE_CHANGES_PER_DAY :], now_ms)


class UpdateStreamWarmThroughputRequest(StreamRequest, kw_only=True):
    """UpdateStreamWarmThroughput."""

    warm_throughput_mibps: int


class UpdateStreamWarmThroughputOutput(Output):
    """The stream, and what it is being scaled to."""

    stream_arn: str
    stream_name: str
    warm_throughput: WarmThroughput


async def update_stream_warm_throughput(
    streams: Streams, caller: Caller, request: UpdateStreamWarmThroughputRequest
) -> UpdateStreamWarmThroughputOutput:
    """Keep an on-demand stream ready for a write throughput: it is given a shard for each MiB/s, and 4 at least.

    Raises STREAM_NOT_ACTIVE, WARM_THROUGHPUT_UNSUPPORTED, WARM_THROUGHPUT_TOO_HIGH, SHARD_LIMIT.
    """
    view = streams.find_active(caller, request)
    stream, mibps = view.stream, request.warm_throughput_mibps
    check_warm_throughput(streams, caller, stream.mode, mibps)
    before = len(view.open_shards())
    await _warm(streams, caller, view, stream, mibps)
    return UpdateStreamWarmThroughputOutput(
        stream_arn=stream_arn(stream.region, stream.account, stream.name),
        stream_name=stream.name,
        warm_throughput=WarmThroughput(target_mibps=mibps, current_mibps=before),
    )


async def _warm(
    streams: Streams, caller: Caller, view: StreamView, changed: Stream, mibps: int, *, least: int = 0
) -> None:
    """Take a stream to the shards that a warm throughput needs, and `least` of them, together with what else is changed."""
    held = [one.shard.hash_range for one in view.open_shards()]
    wanted = max(warm_shards(mibps), least)
    check_shard_limit(streams, caller, wanted - len(held))
    changed = replace(changed, warm_throughput_mibps=mibps)
    if wanted == len(held):
        await streams.lifecycle.change(view, changed)
    else:
        await streams.lifecycle.reshard(view, changed, uniform_target(wanted, held))


class UpdateStreamRecordDistributionStrategyRequest(StreamArnRequest, kw_only=True):
    """UpdateStreamRecordDistributionStrategy."""

    record_distribution_strategy: Distribution


async def update_stream_record_distribution_strategy(
    streams: Streams, caller: Caller, request: UpdateStreamRecordDistributionStrategyRequest
) -> None:
    """Spread records by their partition keys, or (on demand only) evenly; at once, and without UPDATING.

    Raises STREAM_NOT_ACTIVE, AUTO_NEEDS_ON_DEMAND.
    """
    view = streams.find_active(caller, request)
    strategy = request.record_distribution_strategy
    if strategy == "AUTO" and view.stream.mode != "ON_DEMAND":
        raise Error.AUTO_NEEDS_ON_DEMAND()
    await streams.directory.update(view, replace(view.stream, distribution=strategy))
