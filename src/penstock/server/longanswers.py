"""Long answers: written by threads while they are sent, straight into the client's socket (native/src/sending.rs).

Theory.  The loop only asks for it, and is told what the client did not take at once; the transport sends that, and whatever holds for slow
clients holds for it.  In between nobody writes to the transport, since one request is answered at a time.
Rule of this file: a socket is handed over while the transport lives, and only if nothing waits in it: what was written first is sent first.
"""

import asyncio
import socket
from collections.abc import Callable
from functools import partial
from typing import Final

from penstock.host.threads import WorkThreads
from penstock.wire.native import NATIVE
from penstock.wire.nativeoutlets import Handover, Outlet
from penstock.wire.operation import LongBody

THREADS: Final = 8  # more than cores, since they wait for clients: for 2 ms at a time, and 100 ms of an answer


class LongAnswers:
    """The threads; made when they are needed."""

    def __init__(self) -> None:
        self._threads = WorkThreads("penstock-send", THREADS)
        self._handover: tuple[Handover, socket.socket] | None = None

    async def send(self, body: LongBody, head_of: Callable[[int], bytes], transport: asyncio.Transport) -> bytes:
        """Send an answer whose head is made of its body's size; what is left of it for the transport.  Raises OSError.

        Where this is cancelled nothing is begun any more.
        """
        outlet = self._outlet(transport)
        try:
            return await self._threads.run(partial(body.send, head_of, outlet))
        finally:
            if outlet is not None:
                outlet.close()

    def _outlet(self, transport: asyncio.Transport) -> Outlet | None:
        plain = transport.get_extra_info("ssl_object") is None and transport.get_extra_info("socket")
        if not plain or transport.is_closing() or transport.get_write_buffer_size() or NATIVE is None:
            return None
        try:
            if self._handover is None:
                handover, descriptor = NATIVE.Handover.open()
                self._handover = handover, socket.socket(fileno=descriptor)
            here, there = self._handover
            socket.send_fds(there, [b"."], [plain.fileno()])
            return here.take()
        except OSError:  # no descriptor is left: the transport has one
            self._close_handover()
            return None

    def close(self) -> None:
        """End them."""
        self._threads.close()
        self._close_handover()

    def _close_handover(self) -> None:
        if self._handover is not None:
            self._handover[1].close()
            self._handover = None
