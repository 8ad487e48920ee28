"""Threads for work beside the loop."""

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Result = TypeVar("Result")


class WorkThreads:
    """As many threads as there are cores, made when they are needed."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(os.cpu_count() or 1, "penstock-work")

    async def run(self, work: Callable[[], Result]) -> Result:
        """What `work` returns or raises."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def close(self) -> None:
        """End them, when what is under way is done."""
        self._pool.shutdown()
