"""The autoscaler: looks at the traffic of each full minute, remembers its peaks, and reshards the streams that scale by themselves.

Theory.  Every clock minute is judged once, just after its end: autoscale.py decides, lifecycle.py carries out.  A stream that is busy
with another change is left alone; the next minute decides anew.  What is decided rests on this process's counts and on peaks.py.
Rules of this file: a stream without traffic and without a policy costs a glance a minute; nothing is merged within an hour after a start,
because quiet times of the last hour before it may not have been written.
"""

import logging
from collections.abc import Mapping, Sequence

from penstock.core.errors import ServiceError
from penstock.core.ids import StreamUid
from penstock.core.limits import HOUR_MS, MINUTE_MS
from penstock.core.ports import Clock
from penstock.engines.api import AppendError, Conflict, MetaUnavailable
from penstock.services.streams.autoscale import BadTags, Policy, ShardLoad, decide, needed, policy_of
from penstock.services.streams.directory import Directory, ShardView, StreamView
from penstock.services.streams.lifecycle import Lifecycle
from penstock.services.streams.meter import Meter
from penstock.services.streams.peaks import Peaks
from penstock.services.streams.traffic import NOTHING, SHARDS_A_TURN, SPANS, Counts, Traffic, lots, total

logger = logging.getLogger(__name__)


class Autoscaler:
    """Keeps streams at the size that their policies ask for."""

    def __init__(
        self,
        directory: Directory,
        lifecycle: Lifecycle,
        traffic: Traffic,
        peaks: Peaks,
        meter: Meter,
        clock: Clock,
        account_shards: int,
    ) -> None:
        self._directory = directory
        self._lifecycle = lifecycle
        self._traffic = traffic
        self._peaks = peaks
        self._meter = meter
        self._clock = clock
        self._account_shards = account_shards
        self._started_ms = clock.now_ms()
        self._next = self._started_ms // MINUTE_MS  # the first minute that was not judged
        self._looked_at = 0  # shards, since others could run
        self._refused: dict[StreamUid, str] = {}  # what is wrong with a stream's tags, as it was logged

    async def run(self) -> None:
        """Look at every stream after each minute, for ever."""
        while True:
            await self._clock.sleep(MINUTE_MS - self._clock.now_ms() % MINUTE_MS)
            await self.look()

    async def look(self) -> None:
        """Judge the minutes that ended since the last look."""
        now_ms = self._clock.now_ms()
        current = now_ms // MINUTE_MS
        minutes = range(max(self._next, current - SPANS), current)
        self._next = current
        if not minutes:  # woken early, or the clock stepped back
            return
        busiest = await self._count(minutes, now_ms)
        for view in self._directory.all():
            policy = self._policy(view)
            if policy is not None:
                await self._adjust(view, policy, busiest, now_ms)
        await self._forget(now_ms)
        try:
            await self._peaks.save(now_ms, self._directory.find_uid)
        except (Conflict, MetaUnavailable) as error:
            logger.warning("peaks of traffic are not stored for now: %s", error)

    async def _count(self, minutes: Sequence[int], now_ms: int) -> dict[str, Counts]:
        """Note the peaks of streams; answer the highest figures of each shard that had traffic, by log."""
        busiest: dict[str, Counts] = {}
        for uid, shards in self._traffic.by_stream().items():
            parts: dict[int, list[Counts]] = {minute: [] for minute in minutes}
            for lot in lots(shards):
                for minute in minutes:
                    rates = [shard.minute(minute, now_ms) for shard in lot]
                    parts[minute].append(total(rates))
                    for shard, rate in zip(lot, rates, strict=True):
                        busiest[shard.log] = rate.highest(busiest[shard.log]) if shard.log in busiest else rate
                await self._walked(len(lot))
            for minute, figures in parts.items():
                self._peaks.note(uid, total(figures), minute * MINUTE_MS)
        return busiest

    async def _walked(self, shards: int) -> None:
        """Let others run after every SHARDS_A_TURN shards that were looked at."""
        self._looked_at += shards
        if self._looked_at >= SHARDS_A_TURN:
            self._looked_at = 0
            await self._clock.sleep(0)

    def _policy(self, view: StreamView) -> Policy | None:
        """A stream's policy; tags that mean none are told once."""
        stream = view.stream
        try:
            policy = policy_of(stream)
        except BadTags as error:
            if self._refused.get(stream.uid) != str(error):
                self._refused[stream.uid] = str(error)
                logger.warning("stream %s is not scaled: %s", stream.name, error)
            return None
        self._refused.pop(stream.uid, None)
        return policy

    async def _adjust(self, view: StreamView, policy: Policy, busiest: Mapping[str, Counts], now_ms: int) -> None:
        stream, before = view.stream, len(view.open_shards())
        starts = await self._decide(view, policy, busiest, now_ms) if stream.status == "ACTIVE" else None
        if starts is None or view.stream is not stream:  # it may have changed meanwhile
            return
        try:
            await self._lifecycle.reshard(view, stream, starts)
            logger.info("stream %s is scaled from %d to %d shards", stream.name, before, len(starts))
        except (ServiceError, AppendError, Conflict, MetaUnavailable) as error:
            logger.info("stream %s is not scaled for now: %s", stream.name, error)

    async def _decide(
        self, view: StreamView, policy: Policy, busiest: Mapping[str, Counts], now_ms: int
    ) -> list[int] | None:
        held, capacity = view.open_shards(), self._meter.capacity(view)
        peak_load = self._peaks.peak(view.stream.uid, now_ms, policy.window_days).write_load(capacity)
        if len(held) == needed(peak_load, policy) and not any(shard.log in busiest for shard in held):
            return None  # idle and of its size, as most are: no need to look closer
        shards: list[ShardLoad] = []
        for shard in held:
            load = busiest.get(shard.log, NOTHING).write_load(capacity)
            shards.append(self._shard_load(shard, policy, load, now_ms))
            await self._walked(1)
        starts = decide(shards, peak_load, policy)
        if starts is None or len(starts) < len(held):
            return starts
        room = max(len(held), self._account_shards - self._open_shards_beside(view))
        return decide(shards, peak_load, policy._replace(ceiling=min(policy.ceiling, room)))

    def _shard_load(self, held: ShardView, policy: Policy, load: float, now_ms: int) -> ShardLoad:
        shard = held.shard
        if load > policy.quiet:
            self._peaks.note_busy(shard.uid, shard.no, now_ms)
        since_ms = max(shard.created_ms, self._peaks.busy_ms(shard.uid, shard.no))
        known = now_ms - self._started_ms >= HOUR_MS
        return ShardLoad(shard.hash_range, load, max(0, now_ms - since_ms) if known else 0)

    def _open_shards_beside(self, view: StreamView) -> int:
        """The open shards of the other streams of its account and region."""
        others = self._directory.of(view.stream.account, view.stream.region)
        return sum(len(other.open_shards()) for other in others if other is not view)

    async def _forget(self, now_ms: int) -> None:
        """Drop the counts of shards that are gone or were idle for an hour, and what was told of streams that are gone."""
        for uid, shards in self._traffic.by_stream().items():
            for lot in lots(shards):
                view = self._directory.find_uid(uid)
                gone = [shard for shard in lot if view is None or shard.no not in view.shards or shard.idle(now_ms)]
                if gone:
                    self._traffic.forget(gone)
                await self._walked(len(lot))
        for uid in [uid for uid in self._refused if self._directory.find_uid(uid) is None]:
            del self._refused[uid]
