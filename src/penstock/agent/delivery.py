"""How the batches of a flow reach its stream.

Theory.  `Sender` sends each batch until every record of it was taken: of a request that took some, the others go again, in a request
of their own, after the flow's back-off.  Nothing is given up; what cannot be sent stays in memory, and `Room` holds up the reading.
Order: batches are under way together, and refused records go again behind later ones.  With maxSendingThreads 1 a flow sends one
batch at a time, each to its end, so that only the refused records of a request may fall behind others of that request.
Rules of this file:
  1. A batch is done when each record was acknowledged, and not before.
  2. One line of log for a trouble that goes on, not one for each attempt.
"""

import asyncio
import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from penstock.agent.backoff import Backoff
from penstock.agent.buffers import Batch, Ledger
from penstock.agent.meter import Meter
from penstock.agent.requests import Outcome
from penstock.core.ports import Clock, Entropy, Tasks

logger = logging.getLogger(__name__)

RANDOM_KEY_BYTES: Final = 8  # 16 hexadecimal digits
TROUBLE_EVERY_MS: Final = 60_000  # a trouble that goes on is told so often


class PutFailed(Exception):
    """A request failed as a whole; the text says why."""


class Destination(Protocol):
    """A stream."""

    async def put(self, records: Sequence[bytes], keys: Sequence[str]) -> Outcome:
        """Send one request.  Raises PutFailed."""
        ...


class Room:
    """Memory for what is read and not sent yet, shared by all flows."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._used_bytes = 0
        self._open = True
        self._given_up = False
        self._freed = asyncio.Condition()

    async def take(self, count: int, ready: Callable[[], bool]) -> None:
        """Return when there is room and `ready` agrees; at once for whoever is alone, and for everybody once it is unbound."""
        async with self._freed:
            await self._freed.wait_for(lambda: not self._open or (self._fits(count) and ready()))
            self._used_bytes += count

    async def give(self, count: int) -> None:
        """Give room back."""
        async with self._freed:
            self._used_bytes -= count
            self._freed.notify_all()

    async def unbind(self) -> None:
        """Let everybody in from now on: the end is near."""
        async with self._freed:
            self._open = False
            self._freed.notify_all()

    async def emptied(self) -> bool:
        """Wait until everything was given back, or given up; whether it was given back."""
        async with self._freed:
            await self._freed.wait_for(lambda: not self._used_bytes or self._given_up)
            return not self._used_bytes

    async def give_up(self) -> None:
        """Nobody waits any longer."""
        async with self._freed:
            self._given_up = True
            self._freed.notify_all()

    def _fits(self, count: int) -> bool:
        return not self._used_bytes or self._used_bytes + count <= self._limit_bytes


@dataclass(frozen=True, slots=True)
class Shared:
    """What the flows of an agent have together."""

    clock: Clock
    entropy: Entropy
    tasks: Tasks
    room: Room
    slots: asyncio.Semaphore  # requests under way at once


class Sender:
    """The batches of one flow on their way."""

    def __init__(
        self, name: str, destination: Destination, ledger: Ledger, shared: Shared, meter: Meter, backoff: Backoff,
        *, queue_batches: int, at_once: int, deterministic_keys: bool
    ) -> None:  # fmt: skip
        self._name = name
        self._destination = destination
        self._ledger = ledger
        self._shared = shared
        self._meter = meter
        self._backoff = backoff
        self._queue_batches = queue_batches
        self._turns = asyncio.Semaphore(at_once)
        self._deterministic_keys = deterministic_keys
        self._trouble_ms: int | None = None  # when it was told last

    @property
    def unsent_records(self) -> int:
        """Records of batches that are not delivered yet, whole batches counted."""
        return self._ledger.records

    async def put(self, batch: Batch) -> None:
        """Send a batch in the background; returns when there is room for the next."""
        self._ledger.begin(batch)
        if not batch.records:
            return
        size = batch.bytes
        await self._shared.room.take(size, lambda: len(self._ledger) <= self._queue_batches)
        self._shared.tasks.spawn(self._deliver(batch, size), f"agent {self._name}")

    async def _deliver(self, batch: Batch, size: int) -> None:
        try:
            async with self._turns:
                await self._send(batch.records, self._keys(batch.records))
            self._ledger.done(batch)
        finally:
            await self._shared.room.give(size)

    async def _send(self, records: list[bytes], keys: list[str]) -> None:
        while records:
            wait_ms = self._backoff.wait_ms(self._shared.entropy.fraction())
            if wait_ms:
                await self._shared.clock.sleep(wait_ms)
            async with self._shared.slots:
                refused = await self._attempt(records, keys)
            records = [records[index] for index in refused]
            keys = [keys[index] for index in refused]

    async def _attempt(self, records: list[bytes], keys: list[str]) -> Sequence[int]:
        """Send once; the indices of what was not taken."""
        begun, begun_ms = self._backoff.begin(), self._shared.clock.now_ms()
        try:
            outcome = await self._destination.put(records, keys)
        except PutFailed as error:
            self._backoff.failed(begun)
            self._meter.failed(len(records))
            self._trouble(str(error))
            return range(len(records))
        self._meter.answered(records, outcome.refused, self._shared.clock.now_ms() - begun_ms)
        if outcome.refused:
            self._backoff.failed(begun)
            self._trouble(f"{len(outcome.refused)} of {len(records)} records were refused: {outcome.why}")
        else:
            self._backoff.succeeded()
            self._well()
        return outcome.refused

    def _trouble(self, text: str) -> None:
        now_ms = self._shared.clock.now_ms()
        if self._trouble_ms is None or now_ms - self._trouble_ms >= TROUBLE_EVERY_MS:
            self._trouble_ms = now_ms
            logger.warning("%s: %s; they go again", self._name, text)

    def _well(self) -> None:
        if self._trouble_ms is not None:
            self._trouble_ms = None
            logger.info("%s: records are taken again", self._name)

    def _keys(self, records: Sequence[bytes]) -> list[str]:
        """UNVERIFIED: what AWS's agent takes for keys; ours are random, or the MD5 of the data."""
        if self._deterministic_keys:
            return [hashlib.md5(data, usedforsecurity=False).hexdigest() for data in records]
        digits = self._shared.entropy.bytes(RANDOM_KEY_BYTES * len(records)).hex()
        width = 2 * RANDOM_KEY_BYTES
        return [digits[begin : begin + width] for begin in range(0, len(digits), width)]


def key_bytes(*, kinesis: bool, deterministic: bool) -> int:
    """What a request counts for a record's key."""
    if not kinesis:
        return 0
    return 2 * hashlib.md5(usedforsecurity=False).digest_size if deterministic else 2 * RANDOM_KEY_BYTES
