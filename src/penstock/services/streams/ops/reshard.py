"""Resharding: SplitShard, MergeShards, UpdateShardCount.

Each names a target tiling of the hash space; lifecycle.py takes the stream there.
"""

from collections.abc import Iterable
from typing import Literal

from msgspec.structs import replace

from penstock.core import limits
from penstock.core.arn import stream_arn
from penstock.core.context import Caller
from penstock.core.errors import Error
from penstock.core.ids import Millis, shard_id
from penstock.services.streams.directory import StreamView
from penstock.services.streams.ops.naming import StreamRequest
from penstock.services.streams.ops.stream import check_shard_limit
from penstock.services.streams.service import Streams
from penstock.services.streams.state import Shard
from penstock.services.streams.topology import uniform_target
from penstock.wire.operation import Output


class SplitShardRequest(StreamRequest, kw_only=True):
    """SplitShard."""

    shard_to_split: str
    new_starting_hash_key: str


async def split_shard(streams: Streams, caller: Caller, request: SplitShardRequest) -> None:
    """Cut an open shard in two, the second child starting at NewStartingHashKey; each child owns at least two keys.

    Raises RESHARD_ON_DEMAND, SHARD_CLOSED, SPLIT_KEY_OUTSIDE, SHARD_LIMIT, STREAM_NOT_ACTIVE.
    """
    view = _provisioned(streams, caller, request)
    parent = _open_shard(streams, caller, view, request.shard_to_split)
    held, cut = parent.hash_range, int(request.new_starting_hash_key)
    if not held.start + 1 < cut < held.end:
        raise Error.SPLIT_KEY_OUTSIDE(
            key=request.new_starting_hash_key,
            shard=shard_id(parent.no),
            stream=view.stream.name,
            account=caller.account,
            start=parent.hash_start,
            end=parent.hash_end,
        )
    streams.lifecycle.check_active(view)
    check_shard_limit(streams, caller, 1)
    await streams.lifecycle.reshard(view, view.stream, sorted([*_starts(view), cut]))


class MergeShardsRequest(StreamRequest, kw_only=True):
    """MergeShards."""

    shard_to_merge: str
    adjacent_shard_to_merge: str


async def merge_shards(streams: Streams, caller: Caller, request: MergeShardsRequest) -> None:
    """Make one shard of two open neighbours.

    Raises RESHARD_ON_DEMAND, SHARD_CLOSED, SHARDS_NOT_ADJACENT, STREAM_NOT_ACTIVE.
    """
    view = _provisioned(streams, caller, request)
    shards = [
        _open_shard(streams, caller, view, text) for text in (request.shard_to_merge, request.adjacent_shard_to_merge)
    ]
    lower, upper = sorted(shard.hash_range for shard in shards)
    if lower.end + 1 != upper.start:
        raise Error.SHARDS_NOT_ADJACENT(
            first=shard_id(shards[0].no), second=shard_id(shards[1].no), stream=view.stream.name, account=caller.account
        )
    streams.lifecycle.check_active(view)
    await streams.lifecycle.reshard(view, view.stream, [start for start in _starts(view) if start != upper.start])


class UpdateShardCountRequest(StreamRequest, kw_only=True):
    """UpdateShardCount."""

    target_shard_count: int
    scaling_type: Literal["UNIFORM_SCALING"]


class UpdateShardCountOutput(Output):
    """How many shards there were, and are to be."""

    stream_name: str
    stream_arn: str
    current_shard_count: int
    target_shard_count: int


async def update_shard_count(
    streams: Streams, caller: Caller, request: UpdateShardCountRequest
) -> UpdateShardCountOutput:
    """Take a stream to TargetShardCount even shards by splits and merges.

    Raises RESHARD_ON_DEMAND, STREAM_NOT_ACTIVE, TARGET_TOO_MANY, TARGET_OVER_DOUBLE, TARGET_UNDER_HALF, SHARD_LIMIT, and RESCALED_TOO_OFTEN
    under `--limits aws`.
    """
    view = _provisioned(streams, caller, request)
    streams.lifecycle.check_active(view)
    stream, target = view.stream, request.target_shard_count
    current = len(view.open_shards())
    _check_target(current, target)
    check_shard_limit(streams, caller, target - current)
    now_ms = streams.clock.now_ms()
    recent = [at for at in stream.rescaled_ms if now_ms - at < limits.DAY_MS]
    if streams.meter.enforcing and len(recent) >= limits.UPDATE_SHARD_COUNT_PER_DAY:
        raise Error.RESCALED_TOO_OFTEN(limit=limits.UPDATE_SHARD_COUNT_PER_DAY, stream=stream.name)
    recent = [*recent[1 - limits.UPDATE_SHARD_COUNT_PER_DAY :], Millis(now_ms)]
    starts = uniform_target(target, [held.shard.hash_range for held in view.open_shards()])
    await streams.lifecycle.reshard(view, replace(stream, rescaled_ms=tuple(recent)), starts)
    return UpdateShardCountOutput(
        stream_name=stream.name,
        stream_arn=stream_arn(stream.region, stream.account, stream.name),
        current_shard_count=current,
        target_shard_count=target,
    )


def _check_target(current: int, target: int) -> None:
    blanks = {"current": current, "target": target}
    if target > limits.UPDATE_SHARD_COUNT_MAX:
        raise Error.TARGET_TOO_MANY(limit=limits.UPDATE_SHARD_COUNT_MAX, **blanks)
    if target > current * 2:
        raise Error.TARGET_OVER_DOUBLE(**blanks)
    if target * 2 < current:
        raise Error.TARGET_UNDER_HALF(**blanks)


def _provisioned(streams: Streams, caller: Caller, request: StreamRequest) -> StreamView:
    view = streams.find(caller, request)
    if view.stream.mode == "ON_DEMAND":
        raise Error.RESHARD_ON_DEMAND(stream=view.stream.name, account=caller.account)
    return view


def _open_shard(streams: Streams, caller: Caller, view: StreamView, text: str) -> Shard:
    shard = streams.find_shard(caller, view, text).shard
    if shard.closed_ms is not None:
        raise Error.SHARD_CLOSED(shard=shard_id(shard.no), stream=view.stream.name, account=caller.account)
    return shard


def _starts(view: StreamView) -> Iterable[int]:
    return sorted(held.shard.hash_range.start for held in view.open_shards())
