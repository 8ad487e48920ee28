"""The meter: the quota of each shard while `--limits aws` is in force, and nothing at all while it is off.

Buckets are of this process and begin full: a restart forgives.
"""

from penstock.services.streams.directory import ShardView
from penstock.services.streams.quota import ShardQuota


class Meter:
    """Admits reads and writes of shards."""

    def __init__(self, enforcing: bool) -> None:
        self.enforcing = enforcing
        self._quotas: dict[str, ShardQuota] = {}  # by log id

    def admit_write(self, held: ShardView, size_bytes: int, now_ms: int) -> bool:
        """Whether a record of `size_bytes` may be written now."""
        return not self.enforcing or self._quota(held, now_ms).take_write(size_bytes, now_ms)

    def admit_read(self, held: ShardView, now_ms: int) -> bool:
        """Whether GetRecords may read now."""
        return not self.enforcing or self._quota(held, now_ms).take_read(now_ms)

    def count_read(self, held: ShardView, size_bytes: int, now_ms: int) -> None:
        """Account for what an admitted read returned."""
        if self.enforcing:
            self._quota(held, now_ms).took_read(size_bytes)

    def admit_iterator(self, held: ShardView, now_ms: int) -> bool:
        """Whether GetShardIterator may answer now."""
        return not self.enforcing or self._quota(held, now_ms).take_iterator(now_ms)

    def forget(self, held: ShardView) -> None:
        """Drop the buckets of a shard that is gone."""
        self._quotas.pop(held.log, None)

    def _quota(self, held: ShardView, now_ms: int) -> ShardQuota:
        quota = self._quotas.get(held.log)
        if quota is None:
            quota = self._quotas[held.log] = ShardQuota(now_ms)
        return quota
