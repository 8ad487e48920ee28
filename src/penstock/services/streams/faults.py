"""Faults on demand: what a test may ask the streams service to suffer.

Rule of this file: without a fault set, `FaultPlan.quiet` is true and no path looks further.
"""

from penstock.core.ports import Entropy


def delivery_fault(name: str) -> str:
    """The name of a delivery stream among those of streams."""
    return f"firehose:{name}"


class FaultPlan:
    """The faults in force."""

    def __init__(self, entropy: Entropy) -> None:
        self._entropy = entropy
        self._throttled: set[tuple[str, int | None]] = set()
        self._failing: dict[str, float] = {}

    @property
    def quiet(self) -> bool:
        """Whether no fault is set."""
        return not self._throttled and not self._failing

    def throttle(self, stream: str, shard_no: int | None = None) -> None:
        """Refuse every read and write of a shard (or of all shards) of the streams of that name, as if over its quota."""
        self._throttled.add((stream, shard_no))

    def fail_puts(self, stream: str, share: float) -> None:
        """Answer InternalFailure for a share (0 .. 1) of the entries of PutRecords, and of PutRecord calls; they are not written."""
        assert 0 <= share <= 1
        self._failing[stream] = share

    def clear(self) -> None:
        """End every fault."""
        self._throttled.clear()
        self._failing.clear()

    def throttles(self, stream: str, shard_no: int) -> bool:
        """Whether a shard is to be refused."""
        return (stream, shard_no) in self._throttled or (stream, None) in self._throttled

    def fails(self, stream: str) -> bool:
        """Whether the next record is to fail."""
        share = self._failing.get(stream, 0.0)
        return share > 0 and self._entropy.fraction() < share
