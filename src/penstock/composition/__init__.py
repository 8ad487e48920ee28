"""The services put together on one engine, each behind the gates that the settings ask for.

With `--auth enforced` a gate of policies stands before every operation, the rates of `--limits aws` behind it, and keys are guarded by
their policies too; with `--auth open` there are only the rates.  Streams and metrics are open from the start, the others as room.py and
table.py tell.
"""

import shutil
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from penstock.composition.latekeys import LateKeys
from penstock.composition.room import Room, close_anyway
from penstock.composition.table import ROWS, Row, module_of, service_of
from penstock.core.ports import Clock, Entropy
from penstock.core.settings import SettingError, Settings
from penstock.engine import Engine
from penstock.engines.api import KEY_END
from penstock.host.clock import SystemClock
from penstock.server.door import Door
from penstock.services.metrics.own import OwnMetrics
from penstock.services.metrics.registry import StreamMetrics
from penstock.services.metrics.service import Metrics, open_metrics
from penstock.services.streams.quota import ShardRates
from penstock.services.streams.service import Allowance, Streams, open_streams
from penstock.wire.operation import Service
from penstock.wire.route import Entry, Router

if TYPE_CHECKING:
    from penstock.services.firehose.service import Firehose
    from penstock.services.iam.service import Iam


class Services(Struct):
    """What a reset replaces."""

    room: Room
    streams: Streams
    metrics: Metrics
    router: Router
    door: Door

    async def iam(self) -> "Iam":
        """The core of IAM, opened if it was not."""
        from penstock.composition.identities import open_identities

        return await self.room.open(open_identities)

    async def firehose(self) -> "Firehose":
        """The core of Firehose, opened if it was not."""
        from penstock.composition.firehose import open_core

        return await self.room.open(open_core)

    async def code(self, token: str) -> bytes | None:
        """The zip of a function that a link is to; None for one that is over."""
        from penstock.composition.functions import linked_code

        return await linked_code(self.room, token)

    async def stop(self) -> None:
        """End the background work, and close what is open."""
        await self.room.end()
        await self.room.tasks.stop()
        await close_anyway(self.metrics.close)
        await self.room.close()

    async def clear(self) -> None:
        """End the background work, and forget everything that any service keeps."""
        for row in ROWS:
            if row.state:
                await _plug_where_kept(self.room, row, (row.state,))
        await self.room.end()
        await self.room.tasks.stop()
        await self.streams.clear()
        await self.room.clear()
        await self.metrics.clear()
        await self.room.close()


async def open_services(
    settings: Settings, engine: Engine, data_dir: Path, clock: Clock, entropy: Entropy, metrics: StreamMetrics
) -> Services:
    """Open every service that has something to do.  Raises SettingError for what cannot be used; the engine is closed then."""
    room = Room(settings, engine, data_dir, clock, entropy)
    try:
        return await _open(room, metrics)
    except SettingError:
        await room.tasks.stop()
        await room.close()
        await engine.close()
        raise


async def _open(room: Room, metrics: StreamMetrics) -> Services:
    settings, clock = room.settings, room.clock
    if settings.functions == "sandbox" and shutil.which("bwrap") is None:
        raise SettingError("--functions sandbox needs bubblewrap: apt-get install bubblewrap")
    if settings.auth == "enforced":
        room.door = await _enforce(room)
    keys = LateKeys(room)
    if settings.kms_endpoint or settings.master_key_file:  # what is named is looked at now
        await keys.open()
    room.metrics = await open_metrics(
        room.engine.meta, clock=clock, tasks=room.tasks, series_max=settings.metric_series
    )
    room.streams = await open_streams(
        room.engine.log,
        room.engine.meta,
        clock=clock,
        entropy=room.entropy,
        tasks=room.tasks,
        metrics=metrics,
        enforce_limits=settings.limits == "aws",
        transition_ms=settings.transition_ms,
        allowance=_allowance(settings),
        keys=keys,
        judged=settings.auth == "enforced",
        sink=OwnMetrics(room.metrics.store, "AWS/Kinesis"),
    )
    for row in ROWS:
        await _plug_where_kept(room, row, row.acting)
    router = Router(Entry(row.address, partial(_service, room, row)) for row in ROWS)
    return Services(room, room.streams, room.metrics, router, room.door)


async def _service(room: Room, row: Row) -> Service:
    return service_of(row, await module_of(row).plug(room))


async def _plug_where_kept(room: Room, row: Row, prefixes: tuple[str, ...]) -> None:
    """Open a service if there is state under one of these prefixes."""
    for prefix in prefixes:
        if await room.engine.meta.page(prefix, prefix + KEY_END, 1):
            await module_of(row).plug(room)
            return


async def _enforce(room: Room) -> Door:
    """The door that tells who signed, and the room's authoriser."""
    from penstock.composition.identities import open_identities
    from penstock.services.iam.authentication import SignedDoor
    from penstock.services.iam.authorisation import Authoriser

    identities = (await room.open(open_identities)).identities
    room.authoriser = Authoriser(identities, room.clock)
    return SignedDoor(identities, room.clock, SystemClock(), room.settings.account_id)


def _allowance(settings: Settings) -> Allowance:
    rates = ShardRates(
        write_bytes=settings.shard_write or None,
        write_records=settings.shard_write_records or None,
        read_bytes=settings.shard_read or None,
        read_calls=settings.shard_read_calls or None,
    )
    return Allowance(settings.account_shards, settings.account_on_demand_streams, rates)
