"""Checkpoints: how far mappings have come, kept durably.

Theory.  What a shard's run tells is remembered, and one task writes all that changed in one commit; while it waits or writes, later
checkpoints of a shard take the place of earlier ones.  So a thousand mappings make one commit every WRITE_MS, and a mapping that rests
makes none.  A crash repeats what was finished since the last commit, and what was not finished.
Rules of this file:
  1. The memory is ahead of the store, never behind it.
  2. A checkpoint is written only over the one that was read or written before: a mapping that was deleted gets none.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

from penstock.core.limits import SECOND_MS
from penstock.core.ports import Clock, Tasks
from penstock.engines.api import Change, Conflict, MetaStore, MetaUnavailable, Versioned, Write
from penstock.services.functions.mapping.state import PLACES, ShardPlace, decode_place, encode

logger = logging.getLogger(__name__)

WRITE_MS: Final = 20  # between two commits
RETRY_MS: Final = SECOND_MS


class Checkpoints:
    """The checkpoints of every mapping."""

    def __init__(self, meta: MetaStore, clock: Clock, tasks: Tasks) -> None:
        self._meta = meta
        self._clock = clock
        self._tasks = tasks
        self._held: dict[str, dict[str, ShardPlace]] = {}  # by mapping and key
        self._versions: dict[str, int] = {}
        self._dirty: dict[str, ShardPlace | None] = {}
        self._writing = False
        self._commit = asyncio.Lock()  # one at a time
        self._unwatch = meta.watch(PLACES, self._watched)

    def take(self, entries: Sequence[tuple[str, Versioned]]) -> None:
        """What the store held at the start."""
        for key, held in entries:
            place = decode_place(held.value)
            self._versions[key] = held.version
            self._held.setdefault(place.uuid, {})[key] = place

    def close(self) -> None:
        """Follow the store no more."""
        self._unwatch()

    def of(self, uuid: str) -> list[ShardPlace]:
        """The checkpoints of a mapping."""
        return list(self._held.get(uuid, {}).values())

    def begin(self, places: Sequence[ShardPlace]) -> None:
        """Checkpoints that were stored with their mapping."""
        for place in places:
            self._held.setdefault(place.uuid, {})[place.key] = place

    def save(self, place: ShardPlace) -> None:
        """Keep a checkpoint; it is durable soon."""
        self._held.setdefault(place.uuid, {})[place.key] = place
        self._mark(place.key, place)

    def forget(self, place: ShardPlace) -> None:
        """Keep one no more."""
        self._held.get(place.uuid, {}).pop(place.key, None)
        self._mark(place.key, None)

    def removal(self, uuid: str) -> list[Write]:
        """What takes a mapping's checkpoints out of the store, with the mapping itself."""
        keys = [key for key in self._versions if key.startswith(f"{PLACES}{uuid}/")]
        return [Write(key, None, self._versions[key]) for key in keys]

    async def drop(self, uuid: str) -> None:
        """Write nothing more of a mapping; when this returns, nothing of it is being written."""
        self._held.pop(uuid, None)
        for key in [key for key in self._dirty if key.startswith(f"{PLACES}{uuid}/")]:
            del self._dirty[key]
        async with self._commit:
            pass

    async def flush(self) -> None:
        """Return when everything is durable.  Raises MetaUnavailable."""
        while self._dirty or self._commit.locked():
            await self._write()

    def _mark(self, key: str, place: ShardPlace | None) -> None:
        self._dirty[key] = place
        if not self._writing:
            self._writing = True
            self._tasks.spawn(self._run(), "checkpoints of mappings")

    async def _run(self) -> None:
        try:
            while self._dirty:
                try:
                    await self._write()
                    await self._clock.sleep(WRITE_MS)
                except MetaUnavailable as error:
                    logger.warning("checkpoints of mappings are not durable for now: %s", error)
                    await self._clock.sleep(RETRY_MS)
        finally:
            self._writing = False

    async def _write(self) -> None:
        async with self._commit:
            await self._write_dirty()

    async def _write_dirty(self) -> None:
        taken, self._dirty = self._dirty, {}
        writes = [
            Write(key, None if place is None else encode(place), self._versions.get(key, 0))
            for key, place in taken.items()
            if place is not None or key in self._versions
        ]
        try:
            if writes:
                await self._meta.commit(writes)
        except Conflict as conflict:
            taken.pop(conflict.key, None)
            self._again(taken)
        except BaseException:
            self._again(taken)
            raise

    def _again(self, taken: dict[str, ShardPlace | None]) -> None:
        self._dirty = {**taken, **self._dirty}

    def _watched(self, changes: Sequence[Change]) -> None:
        for key, now in changes:
            if now is None:
                self._versions.pop(key, None)
            else:
                self._versions[key] = now.version
