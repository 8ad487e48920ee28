"""The meter: the quota of each shard where one is in force, and nothing at all where none is.

Quotas come from `--limits aws`, from the server's own settings, and from the tags of a stream (quota.py).  Buckets are of this process
and begin full: a restart forgives, and so does a change of a stream's rates.
"""

from penstock.services.streams.directory import ShardView, StreamView
from penstock.services.streams.quota import AWS_RATES, UNLIMITED, ShardQuota, ShardRates


class Meter:
    """Admits reads and writes of shards."""

    def __init__(self, enforcing: bool, rates: ShardRates = UNLIMITED) -> None:
        self.enforcing = enforcing  # `--limits aws`
        self._rates = rates.over(AWS_RATES if enforcing else UNLIMITED)
        self._limited = self._rates != UNLIMITED
        self._quotas: dict[str, tuple[ShardRates | None, ShardQuota]] = {}  # by log id, with the stream's own rates

    @property
    def meters_all(self) -> bool:
        """Whether a quota is in force for the shards of every stream."""
        return self._limited

    def meters(self, view: StreamView) -> bool:
        """Whether any quota is in force for a stream's shards.  Cost: 0.1 us, once a request."""
        return self._limited or view.own_rates is not None

    def admit_write(self, view: StreamView, held: ShardView, size_bytes: int, now_ms: int) -> bool:
        """Whether a record of `size_bytes` may be written now."""
        return not self.meters(view) or self._quota(view, held, now_ms).take_write(size_bytes, now_ms)

    def admit_read(self, view: StreamView, held: ShardView, now_ms: int) -> bool:
        """Whether GetRecords may read now."""
        return not self.meters(view) or self._quota(view, held, now_ms).take_read(now_ms)

    def count_read(self, view: StreamView, held: ShardView, size_bytes: int, now_ms: int) -> None:
        """Account for what an admitted read returned."""
        if self.meters(view):
            self._quota(view, held, now_ms).took_read(size_bytes)

    def admit_iterator(self, view: StreamView, held: ShardView, now_ms: int) -> bool:
        """Whether GetShardIterator may answer now."""
        return not self.meters(view) or self._quota(view, held, now_ms).take_iterator(now_ms)

    def capacity(self, view: StreamView) -> ShardRates:
        """What a shard of a stream is taken to be able to do: the quotas in force, and AWS's where there are none."""
        own = self._rates if view.own_rates is None else view.own_rates.over(self._rates)
        return own.over(AWS_RATES)

    def forget(self, held: ShardView) -> None:
        """Drop the buckets of a shard that is gone."""
        self._quotas.pop(held.log, None)

    def _quota(self, view: StreamView, held: ShardView, now_ms: int) -> ShardQuota:
        own = view.own_rates
        known = self._quotas.get(held.log)
        if known is not None and known[0] == own:
            return known[1]
        quota = ShardQuota(now_ms, self._rates if own is None else own.over(self._rates))
        self._quotas[held.log] = own, quota
        return quota
