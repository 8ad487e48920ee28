"""Background tasks of a simulation: owned, in the order of their start, and none fails unseen."""

import asyncio
from collections.abc import Coroutine
from typing import Any


class SimTasks:
    """Tasks on the running loop.  What fails is kept in `failures` for the simulation to judge."""

    def __init__(self) -> None:
        self.failures: list[tuple[str, BaseException]] = []
        self._running: dict[asyncio.Task[None], None] = {}

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Start `work`."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._running[task] = None
        task.add_done_callback(self._ended)

    async def stop(self) -> None:
        """Cancel what still runs, one after the other, and wait for each; and for what is started meanwhile."""
        while self._running:
            for task in list(self._running):
                task.cancel()
                await asyncio.wait([task])

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._running[task]
        if not task.cancelled() and (error := task.exception()) is not None:
            self.failures.append((task.get_name(), error))
