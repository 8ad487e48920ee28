"""Reading large PutRecords beside the loop, by threads of the native part.

Theory.  A body takes a thread most of a millisecond, and bodies come many at a time, as soon as a commit is answered.  Threads that read
them would then hold every core, and the loop, which all others wait for, would wait too; so they step back for it.
"""

import asyncio
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import ClassVar, Final

from penstock.wire.native import NATIVE
from penstock.wire.nativeparts import Format, Readers, Rows

NICENESS: Final = 10  # with less the loop still waits; with 19, one that never rests would starve them (docs/adr/0012)

Read = tuple[tuple[str, Rows] | None, str | None]


class _Told(asyncio.Future[Read]):
    """What was read; the request that waits for it needs no task to go on (server/eager.py)."""

    taskless: ClassVar[bool] = True


class BodyReaders:
    """The threads, as many as there are cores; made when they are needed."""

    def __init__(self) -> None:
        self._readers: Readers | None = None
        self._waiting: dict[int, _Told] = {}
        self._tickets = 0

    async def read(self, form: Format, body: bytes, *, hashed: bool) -> Read:
        """The stream's name and the records of a PutRecords, and the SHA-256 of its body where that is asked for.

        None in place of a request where Python shall look: always, without the native part.
        """
        if NATIVE is None:
            return None, None
        loop = asyncio.get_running_loop()
        if self._readers is None:
            with ThreadPoolExecutor(1, initializer=_step_back) as begun:  # whose niceness theirs will be
                self._readers = begun.submit(NATIVE.Readers, os.cpu_count() or 1).result()
            loop.add_reader(self._readers.fileno(), self._take)
        self._tickets += 1
        done = self._waiting[self._tickets] = _Told(loop=loop)
        self._readers.submit(self._tickets, form, body, hashed)
        return await done

    def close(self) -> None:
        """End them."""
        if self._readers is not None:
            asyncio.get_running_loop().remove_reader(self._readers.fileno())
            self._readers.close()

    def _take(self) -> None:
        assert self._readers is not None
        for ticket, found, digest in self._readers.take():
            done = self._waiting.pop(ticket)
            if not done.done():
                done.set_result((found, digest))


def _step_back() -> None:
    """Let this thread, and those it begins, be less urgent than the others.  Only Linux can: elsewhere it would be the whole process."""
    if sys.platform == "linux":
        with suppress(OSError):  # a sandbox may forbid it
            os.nice(NICENESS)
