"""Warm throughput: the write throughput that an on-demand stream is kept ready for, in MiB a second; one shard takes 1.

Only accounts with MinimumThroughputBillingCommitment may ask for it.
"""

from penstock.core import limits
from penstock.core.context import Caller
from penstock.core.errors import Error
from penstock.services.streams.directory import StreamView
from penstock.services.streams.service import Streams
from penstock.services.streams.state import Mode
from penstock.wire.operation import Output


class WarmThroughput(Output):
    """What a stream is being scaled to, and what it is scaled to."""

    current_mibps: int
    target_mibps: int | None = None


def check_warm_throughput(streams: Streams, caller: Caller, mode: Mode, mibps: int) -> None:
    """Raise WARM_THROUGHPUT_UNSUPPORTED or WARM_THROUGHPUT_TOO_HIGH unless a stream of that mode may be kept ready for `mibps`."""
    if mode != "ON_DEMAND" or not streams.accounts.is_committed(caller.account, caller.region, streams.clock.now_ms()):
        raise Error.WARM_THROUGHPUT_UNSUPPORTED()
    if mibps > limits.WARM_THROUGHPUT_MAX_MIBPS:
        raise Error.WARM_THROUGHPUT_TOO_HIGH(target=mibps, limit=limits.WARM_THROUGHPUT_MAX_MIBPS)


def warm_shards(mibps: int | None) -> int:
    """How many shards an on-demand stream has at least."""
    return max(limits.ON_DEMAND_SHARDS, mibps or 0)


def describe_warm_throughput(streams: Streams, view: StreamView) -> WarmThroughput | None:
    """What a description tells of it; nothing where it can not be asked for.

    # UNVERIFIED: CurrentMiBps is what the open shards take; TargetMiBps is left out where none was ever asked for
    """
    stream = view.stream
    if stream.mode != "ON_DEMAND":
        return None
    if not streams.accounts.is_committed(stream.account, stream.region, streams.clock.now_ms()):
        return None
    shards = 0 if stream.status == "CREATING" else len(view.open_shards())
    return WarmThroughput(target_mibps=stream.warm_throughput_mibps, current_mibps=shards)
