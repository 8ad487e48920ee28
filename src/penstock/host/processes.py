"""Processes of our own."""

import asyncio
import subprocess
import sys
from collections.abc import Sequence


class ModuleProcess:
    """A module of this package, run by this interpreter in a process that keeps some of our descriptors open."""

    def __init__(self, module: str, argument: str, descriptors: Sequence[int]) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-m", module, argument], pass_fds=descriptors, stdin=subprocess.DEVNULL
        )
        self.pid = self._process.pid

    async def ended(self, patience_s: float) -> int:
        """Its exit status; it is killed if it has not ended in time."""
        return await asyncio.get_running_loop().run_in_executor(None, self._wait, patience_s)

    def bury(self) -> None:
        """See it ended, now."""
        self._process.kill()
        self._process.wait()

    def _wait(self, patience_s: float) -> int:
        try:
            return self._process.wait(patience_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()
