"""Background tasks, owned by whoever started them."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

logger = logging.getLogger(__name__)


class LoopTasks:
    """Tasks on the running event loop, ended in the order of their start."""

    def __init__(self) -> None:
        self._running: dict[asyncio.Task[None], None] = {}  # a dict keeps the order, a set does not

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Start `work`; an exception that leaves it is logged under `name`."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._running[task] = None
        task.add_done_callback(self._ended)

    async def stop(self) -> None:
        """Cancel what still runs and wait for it; and for what is started meanwhile."""
        while self._running:
            for task in list(self._running):
                task.cancel()
                await asyncio.wait([task])

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._running[task]
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("background task %s failed", task.get_name(), exc_info=error)
