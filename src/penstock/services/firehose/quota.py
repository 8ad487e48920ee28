"""Quotas of direct puts under `--limits aws`: bytes, records and calls a second, of each delivery stream.

Theory.  Each of the three is a bucket that holds one second's worth and fills steadily.  A call takes from all of them; of a batch the
records that still fit are taken, the rest is told to slow down.
Rules of this file: pure; time comes as an argument.
"""

from collections.abc import Sequence

from penstock.core.limits import DIRECT_BYTES_PER_S, DIRECT_CALLS_PER_S, DIRECT_RECORDS_PER_S, SECOND_MS


class _Rate:
    """One bucket."""

    __slots__ = ("at_ms", "held", "per_s")

    def __init__(self, per_s: int, now_ms: int) -> None:
        self.per_s = per_s
        self.held = float(per_s)
        self.at_ms = now_ms

    def fill(self, now_ms: int) -> None:
        passed_ms = max(now_ms - self.at_ms, 0)
        self.held = min(self.held + passed_ms * self.per_s / SECOND_MS, self.per_s)
        self.at_ms = now_ms


class _Quota:
    """The three of one delivery stream."""

    __slots__ = ("calls", "records", "size")

    def __init__(self, now_ms: int) -> None:
        self.size = _Rate(DIRECT_BYTES_PER_S, now_ms)
        self.records = _Rate(DIRECT_RECORDS_PER_S, now_ms)
        self.calls = _Rate(DIRECT_CALLS_PER_S, now_ms)


class Quotas:
    """Those of all delivery streams."""

    def __init__(self) -> None:
        self._held: dict[str, _Quota] = {}

    def over(self, uid: str, data: Sequence[bytes], now_ms: int) -> int:
        """How many records at the end of a call are over the quota; the others are counted."""
        quota = self._held.get(uid)
        if quota is None:
            quota = self._held[uid] = _Quota(now_ms)
        for rate in (quota.size, quota.records, quota.calls):
            rate.fill(now_ms)
        if quota.calls.held < 1:
            return len(data)
        quota.calls.held -= 1
        taken = 0
        for blob in data:
            # what is in the bucket may be overdrawn by one record, or one larger than a second's worth would never pass
            if quota.size.held <= 0 or quota.records.held < 1:
                break
            quota.size.held -= len(blob)
            quota.records.held -= 1
            taken += 1
        return len(data) - taken

    def forget(self, uid: str) -> None:
        """It was deleted."""
        self._held.pop(uid, None)
