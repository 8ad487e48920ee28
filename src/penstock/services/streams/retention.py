"""Retention: telling the engine which records have expired, so that it can free their space.

Readers never depend on this: expiry is decided at each read (reader.py).  This only gives memory and disk back.
"""

import logging
from itertools import pairwise

from penstock.core.errors import ServiceError
from penstock.core.limits import HOUR_MS, MINUTE_MS
from penstock.core.ports import Clock
from penstock.engines.api import AppendError, Conflict, MetaUnavailable, NoSuchLog, RecordLog
from penstock.services.streams.directory import Directory, ShardView, StreamView
from penstock.services.streams.meter import Meter
from penstock.services.streams.reader import Reader, horizon_ms

logger = logging.getLogger(__name__)

SWEEP_MS = MINUTE_MS
KEY_SLACK_MS = (
    HOUR_MS  # between the choice of a data key and the arrival of a record that it seals; clocks may step, too
)


class Retention:
    """Trims logs by age."""

    def __init__(self, log: RecordLog, directory: Directory, reader: Reader, meter: Meter, clock: Clock) -> None:
        self._log = log
        self._directory = directory
        self._reader = reader
        self._meter = meter
        self._clock = clock

    async def run(self) -> None:
        """Sweep every stream, for ever."""
        while True:
            await self._clock.sleep(SWEEP_MS)
            for view in self._directory.all():
                try:
                    await self.trim(view)
                except (
                    AppendError,
                    Conflict,
                    MetaUnavailable,
                ) as error:  # the disk is full or away; readers do not depend on this
                    logger.warning("expired records of %s stay on the disk for now: %s", view.stream.name, error)

    async def trim(self, view: StreamView) -> None:
        """Give up what has expired of a stream by now.  It stays gone if the retention period is increased later."""
        for held in list(view.shards.values()):
            try:
                await self._log.trim(held.log, await self._reader.trim_horizon(view, held))
            except (NoSuchLog, ServiceError):  # deleted while this ran
                return
            await self._forget_closed(view, held)
        await self._forget_keys(view)

    async def _forget_keys(self, view: StreamView) -> None:
        """A data key goes with the last record that it sealed: no record is sealed with it once there is a newer one."""
        horizon = horizon_ms(view, self._clock.now_ms()) - KEY_SLACK_MS
        held = [view.data_keys[number] for number in sorted(view.data_keys)]
        gone = [older for older, newer in pairwise(held) if newer.data_key.created_ms < horizon]
        if gone:
            await self._directory.remove_data_keys(gone)

    async def _forget_closed(self, view: StreamView, held: ShardView) -> None:
        """A closed shard vanishes with its last record."""
        closed_ms = held.shard.closed_ms
        if closed_ms is None or closed_ms >= horizon_ms(view, self._clock.now_ms()):
            return
        bounds = await self._log.bounds(held.log)
        if bounds.start == bounds.end:
            await self._directory.remove_shard(held)
            await self._log.drop([held.log])
            self._meter.forget(held)
