"""Registration: how a fan-out consumer comes to be and goes, step by step.

Theory.  As with streams (lifecycle.py): the first state (CREATING, DELETING) is committed before the answer, a task carries on after
`transition_ms`, and a start resumes what a crash left in between.
"""

import asyncio
import logging
from contextlib import suppress

from msgspec.structs import replace

from penstock.core.errors import Error
from penstock.core.ports import Clock, Tasks
from penstock.engines.api import Conflict, MetaUnavailable
from penstock.services.streams.directory import Directory, StreamView
from penstock.services.streams.state import Consumer

logger = logging.getLogger(__name__)

RETRY_MS = 1000


class Registration:
    """Moves consumers from state to state."""

    def __init__(self, directory: Directory, clock: Clock, tasks: Tasks, transition_ms: int) -> None:
        self._directory = directory
        self._clock = clock
        self._tasks = tasks
        self._transition_ms = transition_ms

    async def resume(self) -> None:
        """Carry on with consumers that are between two states."""
        for view in self._directory.all():
            for held in list(view.consumers.values()):
                await self._carry_on(view, held.consumer)

    async def register(self, view: StreamView, consumer: Consumer) -> None:
        """Begin a consumer in CREATING; it becomes ACTIVE.  Raises CONSUMER_EXISTS."""
        assert consumer.status == "CREATING"
        try:
            await self._directory.register(consumer)
        except Conflict:
            stream = view.stream
            raise Error.CONSUMER_EXISTS(consumer=consumer.name, stream=stream.name, account=stream.account) from None
        await self._carry_on(view, consumer)

    async def deregister(self, view: StreamView, consumer: Consumer) -> None:
        """Put a consumer in DELETING; it vanishes.  One that is on its way already is left to go."""
        while (found := self._find(view, consumer)) is not None and found.status != "DELETING":
            with suppress(Conflict):  # a tag was added meanwhile: again, on top of it
                held = view.consumers[consumer.name]
                await self._directory.replace_consumer(held, replace(held.consumer, status="DELETING"))
                await self._carry_on(view, replace(consumer, status="DELETING"))
                return
            await self._clock.sleep(0)

    async def _carry_on(self, view: StreamView, consumer: Consumer) -> None:
        """Take a consumer on from where it is; with a transition of 0 ms, return when it is there (or could not get there yet)."""
        if consumer.status != "ACTIVE":
            tried = asyncio.Event()
            self._tasks.spawn(self._proceed(view, consumer, tried), f"{consumer.status} {consumer.key}")
            if not self._transition_ms:
                await tried.wait()

    async def _proceed(self, view: StreamView, consumer: Consumer, tried: asyncio.Event) -> None:
        await self._clock.sleep(self._transition_ms)
        while True:
            try:
                await self._step(view, consumer)
            except MetaUnavailable as error:
                logger.error("consumer %s stays %s for now: %s", consumer.name, consumer.status, error)
            else:
                return
            finally:
                tried.set()
            await self._clock.sleep(RETRY_MS)

    async def _step(self, view: StreamView, consumer: Consumer) -> None:
        """Out of a consumer's state into the next, unless something else took it out of there."""
        while (found := self._find(view, consumer)) is not None and found.status == consumer.status:
            with suppress(Conflict):
                after = replace(found, status="ACTIVE") if found.status == "CREATING" else None
                await self._directory.replace_consumer(view.consumers[found.name], after)
            await self._clock.sleep(0)

    def _find(self, view: StreamView, consumer: Consumer) -> Consumer | None:
        """The consumer as it is now; None if it is gone, or another has its name, or the stream is gone."""
        held = view.consumers.get(consumer.name)
        if self._directory.find_uid(view.stream.uid) is not view or held is None:
            return None
        return held.consumer if held.consumer.created_ms == consumer.created_ms else None
