"""Lifecycle: how a delivery stream comes to be, changes its encryption and goes, step by step.

Theory.  As that of streams: an operation commits the first state before it answers, a task carries on after `transition_ms`, a server that
stopped in between resumes.  With a transition of 0 ms the operation itself waits for the end.
Rules of this file: a step may be repeated after a crash, so each is harmless when it was already done.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from msgspec.structs import replace

from penstock.core.errors import ServiceError
from penstock.core.ports import Clock, Tasks
from penstock.engines.api import AppendError, Conflict, MetaUnavailable
from penstock.services.firehose.directory import DeliveryView, Directory
from penstock.services.firehose.inlet import Inlets
from penstock.services.firehose.state import DeliveryStream, Encryption

logger = logging.getLogger(__name__)

RETRY_MS: Final = 1000


class Lifecycle:
    """Moves delivery streams from state to state."""

    def __init__(
        self,
        directory: Directory,
        inlets: Inlets,
        clock: Clock,
        tasks: Tasks,
        transition_ms: int,
        stopped: Callable[[DeliveryView], Awaitable[None]],
    ) -> None:
        self._directory = directory
        self._inlets = inlets
        self._clock = clock
        self._tasks = tasks
        self._transition_ms = transition_ms
        self._stopped = stopped  # returns when nothing delivers from it any more

    async def resume(self) -> None:
        """Carry on what a stop left between two states."""
        for view in self._directory.all():
            await self.carry_on(view)

    async def carry_on(self, view: DeliveryView) -> None:
        """Take a delivery stream on from where it is; with a transition of 0 ms, return when it is there (or could not get there yet)."""
        step = self._step(view.stream)
        if step is None:
            return
        tried = asyncio.Event()
        self._tasks.spawn(self._proceed(view, step, tried), f"{view.stream.status} {view.stream.key}")
        if not self._transition_ms:
            await tried.wait()

    def _step(self, stream: DeliveryStream) -> Callable[[DeliveryView], Awaitable[None]] | None:
        if stream.status in ("DELETING", "DELETING_FAILED"):
            return self.forget
        if stream.status == "CREATING":
            return self._activate
        if stream.encryption.status in ("ENABLING", "DISABLING"):
            return self._settle_encryption
        return None

    async def _proceed(
        self, view: DeliveryView, step: Callable[[DeliveryView], Awaitable[None]], tried: asyncio.Event
    ) -> None:
        await self._clock.sleep(self._transition_ms)
        while True:
            try:
                await step(view)
            except (AppendError, MetaUnavailable, ServiceError) as error:
                logger.error("delivery stream %s stays as it is for now: %s", view.stream.name, error)
            else:
                return
            finally:
                tried.set()
            await self._clock.sleep(RETRY_MS)

    async def _activate(self, view: DeliveryView) -> None:
        if view.stream.type == "DirectPut":
            await self._inlets.make(view.stream)
        await self._change(view, lambda held: replace(held, status="ACTIVE", encryption=_settled(held.encryption)))

    async def _settle_encryption(self, view: DeliveryView) -> None:
        await self._inlets.encrypt(view.stream)
        await self._change(view, lambda held: replace(held, encryption=_settled(held.encryption)))

    async def _change(self, view: DeliveryView, changed: Callable[[DeliveryStream], DeliveryStream]) -> None:
        while self._is_known(view):
            with suppress(Conflict):  # a tag was added meanwhile: again, on top of it
                await self._directory.replace(view, changed(view.stream))
                return
            await self._clock.sleep(0)

    def _is_known(self, view: DeliveryView) -> bool:
        stream = view.stream
        return self._directory.find(stream.account, stream.region, stream.name) is view

    async def forget(self, view: DeliveryView) -> None:
        """Stop delivering, drop what was not delivered, then the delivery stream."""
        await self._stopped(view)
        await self._inlets.drop(view.stream)
        while self._is_known(view):
            with suppress(Conflict):
                await self._directory.remove(view)
            await self._clock.sleep(0)


def _settled(encryption: Encryption) -> Encryption:
    match encryption.status:
        case "ENABLING":
            return replace(encryption, status="ENABLED")
        case "DISABLING":
            return Encryption()
        case _:
            return encryption
