"""Code: the folder that a function runs in.

Theory.  An archive is unpacked once for each sum of its bytes, whichever functions have it; a directory is used as it is, and looked at for
changes before an invocation, though not more often than every LOOK_MS.
Rule of this file: what cannot be unpacked is a refusal, and is tried again by the next invocation.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple, Protocol

from penstock.core.invoke_errors import InvokeError
from penstock.core.ports import Clock, Threads
from penstock.engines.api import BlobsUnavailable, NoSuchBlob
from penstock.host.workplace import CannotUnpack, Workplace, fingerprint
from penstock.services.functions.invoking import CodeRef

LOOK_MS: Final = 300


class Archives(Protocol):
    """Who keeps archives."""

    async def get(self, name: str) -> bytes:
        """One of them.  Raises NoSuchBlob, BlobsUnavailable."""
        ...


class Code(NamedTuple):
    """Where it is, and what changes when it does."""

    path: str
    mark: str


class CodeStore:
    """Knows the folders."""

    def __init__(self, archives: Archives, place: Workplace, threads: Threads, clock: Clock) -> None:
        self._archives = archives
        self._place = place
        self._threads = threads
        self._clock = clock
        self._unpacked: dict[str, str] = {}
        self._unpacking: dict[str, asyncio.Lock] = {}
        self._looked: dict[str, tuple[int, Code]] = {}  # at directories, and when

    async def folder(self, code: CodeRef) -> Code:
        """The folder of a function's code.  Raises CODE_LOST."""
        if code.directory is not None:
            return await self._look(code.directory)
        found = self._unpacked.get(code.sha256)
        if found is None:
            async with self._unpacking.setdefault(code.sha256, asyncio.Lock()):
                found = self._unpacked.get(code.sha256) or await self._unpack(code)
                self._unpacked[code.sha256] = found
        return Code(found, code.sha256)

    async def sweep(self, is_used: Callable[[str], bool]) -> None:
        """Delete the folders of archives that nothing runs in; who needs one again has it unpacked again."""
        for sha256, folder in list(self._unpacked.items()):
            async with self._unpacking[sha256]:
                if not is_used(folder):
                    del self._unpacked[sha256]
                    await self._threads.run(partial(self._place.delete, folder))

    async def _look(self, directory: str) -> Code:
        at_ms, known = self._looked.get(directory, (0, None))
        now_ms = self._clock.now_ms()
        if known is not None and 0 <= now_ms - at_ms < LOOK_MS:
            return known
        mark = await self._threads.run(lambda: fingerprint(directory))
        if mark is None:
            raise InvokeError.CODE_LOST(why=f"there is no directory {directory}")
        known = Code(directory, mark)
        self._looked[directory] = now_ms, known
        return known

    async def _unpack(self, code: CodeRef) -> str:
        try:
            archive = await self._archives.get(code.blob or "")
            return await self._threads.run(lambda: self._place.unpack(code.sha256, archive))
        except (NoSuchBlob, BlobsUnavailable, CannotUnpack, OSError, ValueError) as problem:
            raise InvokeError.CODE_LOST(why=str(problem) or type(problem).__name__) from None
