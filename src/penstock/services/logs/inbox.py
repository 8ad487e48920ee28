"""Inbox: log events of the server's own services, on their way into streams.

Theory.  `put` appends to a queue in memory; FLUSH_MS later one task writes all that is there, each stream's events as one batch.  A crash
loses what was put since; an orderly stop loses nothing.
Rules of this file:
  1. `put` neither waits nor raises.
  2. Bounded: of more than PENDING_MAX_BYTES the oldest are dropped, and counted.
  3. The task lives while there is something to write; what cannot be written is kept and tried again.
"""

import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple

from penstock.core.errors import ServiceError
from penstock.core.limits import SECOND_MS
from penstock.core.ports import Clock, Tasks
from penstock.engines.api import MetaUnavailable
from penstock.services.logs.events import Told
from penstock.services.logs.state import EVENT_OVERHEAD_BYTES, event_bytes

logger = logging.getLogger(__name__)

FLUSH_MS: Final = SECOND_MS // 2
PENDING_MAX_BYTES: Final = 8 << 20
MESSAGE_MAX_BYTES: Final = (1 << 20) - EVENT_OVERHEAD_BYTES  # longer ones are cut


class Target(NamedTuple):
    """The stream of an event."""

    account: str
    region: str
    group: str
    stream: str


Write = Callable[[Target, Sequence[Told]], Awaitable[None]]  # raises MetaUnavailable: later; ServiceError: never


class Inbox:
    """Events that wait to be written by `write`."""

    def __init__(self, write: Write, clock: Clock, tasks: Tasks) -> None:
        self._write = write
        self._clock = clock
        self._tasks = tasks
        self._waiting: deque[tuple[Target, Told]] = deque()
        self._waiting_bytes = 0
        self._running = False
        self.dropped = 0  # since the start

    def put(self, target: Target, at_ms: int, message: str) -> None:
        """Take an event in."""
        message = _storable(message)
        self._waiting.append((target, (max(0, at_ms), message)))
        self._waiting_bytes += event_bytes(message)
        while self._waiting_bytes > PENDING_MAX_BYTES and self._waiting:
            self._waiting_bytes -= event_bytes(self._waiting.popleft()[1][1])
            self.dropped += 1
        if not self._running:
            self._running = True
            self._tasks.spawn(self._run(), "log events")

    async def _run(self) -> None:
        try:
            while self._waiting:
                await self._clock.sleep(FLUSH_MS)
                try:
                    await self.flush()
                except MetaUnavailable as error:
                    logger.warning("log events are not written for now: %s", error)
        finally:
            self._running = False

    async def flush(self) -> None:
        """Write what waits.  Raises MetaUnavailable; what was not written is kept."""
        while self._waiting:
            batches: dict[Target, list[Told]] = {}
            for target, told in self._waiting:
                batches.setdefault(target, []).append(told)
            self._waiting.clear()
            try:
                for target in list(batches):
                    await self._write_one(target, sorted(batches[target], key=_moment))
                    self._waiting_bytes -= sum(event_bytes(message) for _, message in batches.pop(target))
            finally:
                kept = [(target, told) for target, batch in batches.items() for told in batch]
                self._waiting.extendleft(reversed(kept))

    async def _write_one(self, target: Target, batch: Sequence[Told]) -> None:
        try:
            await self._write(target, batch)
        except ServiceError as refused:
            logger.warning("%d events of log stream %s are lost: %s", len(batch), target.stream, refused.message)


def _moment(told: Told) -> int:
    return told[0]


def _storable(message: str) -> str:
    """A message that can be written: of UTF-8, and not too long."""
    return message.encode(errors="replace")[:MESSAGE_MAX_BYTES].decode(errors="ignore")
