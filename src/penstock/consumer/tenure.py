"""Tenures: the leases that a worker holds, from taking to letting go.

Theory.  A tenure is good for the failover time from the moment *before* its last renewal was sent; after that the holder starts nothing
more until a renewal has come through, because another worker may have taken the lease.  If the store was away for everybody, the
renewal comes through and work goes on; if somebody took it, the renewal is refused and the tenure is over.
Rules of this file:
  1. All writes to a lease that is held go through `write`, one at a time.
  2. A refused write is looked into: the lease may still be ours (a renewal that was not answered, or somebody asks for it).
  3. Whoever starts to process asks `good` and starts without an await between.
"""

import asyncio
from collections.abc import Callable
from enum import Enum, auto
from typing import Final

from msgspec.structs import replace

from penstock.consumer.lease import Lease, still_held
from penstock.consumer.store import LeaseStore
from penstock.core.ports import Clock

REFUSALS_MAX: Final = 5  # of one write, each of which showed the lease still ours


class Ending(Enum):
    """Why a tenure ends."""

    ASKED = auto()  # another worker is to have it
    STOPPING = auto()  # this worker stops
    LOST = auto()  # somebody else has it, or it is gone
    LEFT = auto()  # we let go of it
    OVER = auto()  # the shard was read to its end


FINAL: Final = (Ending.LOST, Ending.LEFT, Ending.OVER)  # after these nothing is written, and none follows another


class LeaseLost(Exception):
    """The lease is another worker's; nothing was written."""


class Tenure:
    """One lease that this worker holds."""

    def __init__(self, lease: Lease, worker: str, store: LeaseStore, clock: Clock, failover_ms: int) -> None:
        self.lease = lease
        self.ending: Ending | None = None
        self.good_until_ms: int = clock.now_ms()  # nothing may start before the first renewal
        self._worker = worker
        self._store = store
        self._clock = clock
        self._failover_ms = failover_ms
        self._lock = asyncio.Lock()
        self._changed: asyncio.Future[None] | None = None
        self.on_change: Callable[[], None] = lambda: None

    @property
    def good(self) -> bool:
        """Whether something may be started now."""
        return self.ending not in FINAL and self._clock.now_ms() < self.good_until_ms

    def end(self, ending: Ending) -> None:
        """Note that it ends, and why; the first final reason stands, and before it the first."""
        if self.ending is None or (ending in FINAL and self.ending not in FINAL):
            self.ending = ending
            self._wake()

    async def until_good(self) -> bool:
        """Wait until something may be started; False once it is too late for ever."""
        while not self.good:
            if self.ending in FINAL:
                return False
            if self._changed is None:
                self._changed = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._changed)
        return True

    async def renew(self, kbps: float) -> None:
        """Raise the counter, and say what the shard carries.  Raises StoreUnavailable, LeaseLost."""
        await self.write(lambda lease: replace(lease.renewed(), throughput_kbps=kbps))

    async def write(self, change: Callable[[Lease], Lease]) -> None:
        """Change the stored lease, and ours after it.  Raises StoreUnavailable; LeaseLost once it is not ours."""
        async with self._lock:
            for _ in range(REFUSALS_MAX):
                if self.ending in FINAL:
                    raise LeaseLost(self.lease.key)
                sent_ms = self._clock.now_ms()
                new = change(self.lease)
                if await self._store.swap(self.lease, new):
                    self._written(new, sent_ms)
                    return
                self._learn(await self._store.get(self.lease.key))
            raise LeaseLost(self.lease.key)

    def _written(self, new: Lease, sent_ms: int) -> None:
        renewed = new.counter != self.lease.counter
        self.lease = new
        if renewed and new.holder == self._worker:
            self.good_until_ms = max(self.good_until_ms, sent_ms + self._failover_ms)
            self._wake()

    def _learn(self, stored: Lease | None) -> None:
        """Take in what the store has instead of what was expected."""
        if stored is None or not still_held(self.lease, stored, self._worker):
            self.end(Ending.LOST)
            return
        self.lease = stored
        if stored.checkpoint_owner == self._worker:
            self.end(Ending.ASKED)

    def saw(self, listed: Lease | None) -> bool:
        """Compare with a listing, which may be older than our last write; whether a renewal now would tell more."""
        if listed is None:
            return True
        if listed.counter < self.lease.counter:
            return False
        return listed.counter > self.lease.counter or listed.holder != self._worker or listed.owner != self.lease.owner

    def _wake(self) -> None:
        if self._changed is not None and not self._changed.done():
            self._changed.set_result(None)
        self._changed = None
        self.on_change()
