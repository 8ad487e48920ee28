"""Reading large PutRecords beside the loop, by threads of the native part."""

import asyncio
import os

from penstock.wire.native import NATIVE
from penstock.wire.nativeparts import Format, Readers, Rows


class BodyReaders:
    """The threads, as many as there are cores; made when they are needed."""

    def __init__(self) -> None:
        self._readers: Readers | None = None
        self._waiting: dict[int, asyncio.Future[tuple[tuple[str, Rows] | None, str | None]]] = {}
        self._tickets = 0

    async def read(self, form: Format, body: bytes, *, hashed: bool) -> tuple[tuple[str, Rows] | None, str | None]:
        """The stream's name and the records of a PutRecords, and the SHA-256 of its body where that is asked for.

        None in place of a request where Python shall look: always, without the native part.
        """
        if NATIVE is None:
            return None, None
        loop = asyncio.get_running_loop()
        if self._readers is None:
            self._readers = NATIVE.Readers(os.cpu_count() or 1)
            loop.add_reader(self._readers.fileno(), self._take)
        self._tickets += 1
        done = self._waiting[self._tickets] = loop.create_future()
        self._readers.submit(self._tickets, form, body, hashed)
        found, digest = await done
        return found, digest

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
