"""A front: a process that speaks HTTP and TLS with clients, and asks the server behind it.

Theory.  What takes most of a small request's time is not the request but its connection.  A front is a listener like any other; only its
handlers are elsewhere, behind a link.  It knows no service, no caller and no data, and decides nothing but what concerns the connection.
Rules of this file:
  1. A front ends with its link: without the server there is nothing to say.
  2. It heeds no signal; the server tells it when to stop.

Started by crew.py: `python -m penstock.server.front <config>`, with its sockets open.
"""

import asyncio
import gc
import logging
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import msgspec

from penstock.core.errors import ServiceError
from penstock.host.clock import monotonic_s
from penstock.host.entropy import SystemEntropy
from penstock.server.door import OpenDoor
from penstock.server.exchange import Answer, Exchange
from penstock.server.gather import REQUEST_MAX_BYTES, Client
from penstock.server.link import Frame, Kind, Link, ask_payload, read_answer
from penstock.server.listener import Listener
from penstock.server.tls import TlsFiles
from penstock.server.traffic import Bounds, Handlers, Patience
from penstock.wire.native import NATIVE
from penstock.wire.route import Head, Router

LOG_FORMAT: Final = "%(asctime)s %(levelname)s worker %(process)d %(name)s: %(message)s"
GC_THRESHOLDS: Final = (50_000, 20, 100)  # as the server's own


class Door(msgspec.Struct, frozen=True):
    """A listening socket, and the files of its TLS."""

    fd: int
    certificate: str | None = None
    key: str | None = None
    client_ca: str | None = None


class Config(msgspec.Struct, frozen=True):
    """What a front is told as it starts."""

    link_fd: int
    doors: list[Door]
    patience: Patience
    bounds: Bounds
    log_level: int
    gathers: bool = False  # the server takes small calls together


class LinkLost(Exception):
    """The server behind this front is gone."""


class _RemoteStream:
    """A body that the server makes piece by piece; one is asked for when the client can take it."""

    def __init__(self, behind: "Behind", number: int) -> None:
        self._behind = behind
        self._number = number
        self._piece: asyncio.Future[bytes | None] | None = None
        self._ended = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self._ended:
            raise StopAsyncIteration
        self._piece = asyncio.get_running_loop().create_future()
        self._behind.say(Kind.WANT, self._number)
        piece = await self._piece
        if piece is None:
            raise StopAsyncIteration
        return piece

    async def aclose(self) -> None:
        if not self._ended:
            self._ended = True
            self._behind.leave(self._number)

    def take(self, frame: Frame) -> None:
        """A piece, or the end."""
        self._ended = frame.kind is not Kind.PIECE
        if self._piece is None or self._piece.done():
            return
        if frame.kind is Kind.CUT:
            self._piece.set_exception(LinkLost())
        else:
            self._piece.set_result(None if self._ended else frame.payload.tobytes())


class Behind:
    """The server, as a front knows it."""

    def __init__(self, *, gathers: bool = False) -> None:
        self.lost = asyncio.Event()
        self.stopping = asyncio.Event()
        self.listener: Listener | None = None
        self._asked: dict[int, asyncio.Future[Answer]] = {}
        self._streams: dict[int, _RemoteStream] = {}
        self._called: dict[int, tuple[Client, bytes]] = {}
        self._gathers = gathers
        self._count = 0
        self._loop = asyncio.get_running_loop()
        self._refusals = Exchange(Router(()), SystemEntropy(), self, monotonic_s, OpenDoor(""))
        self.link = Link(self._hear, self._lose)
        self.say = self.link.say

    @property
    def handlers(self) -> Handlers:
        """For a listener."""
        return Handlers(self.handle, self.refuse, self.reject, self.gather if self._gathers else None)

    async def handle(self, head: Head, body: bytes) -> Answer:
        """Have a request answered."""
        self._count += 1
        number = self._count
        answer: asyncio.Future[Answer] = self._loop.create_future()
        self._asked[number] = answer
        self.say(Kind.ASK, number, *ask_payload(head, body))
        return await answer

    def gather(self, request: bytes, client: Client) -> bool:
        """Have a call taken with others, if it looks like one that may be: the server decides."""
        if NATIVE is None or len(request) > REQUEST_MAX_BYTES or NATIVE.PutCall.read(request) is None:
            return False
        self._count += 1
        self._called[self._count] = client, request
        self.say(Kind.CALL, self._count, request)
        return True

    def refuse(self, head: Head, error: ServiceError) -> Answer:
        """The answer for a request that was refused before it was read."""
        return self._refusals.refuse(head, error)

    def reject(self, status: int) -> Answer:
        """The answer for what could not be read as a request."""
        return self._refusals.reject(status)

    def observe(self, operation: str, outcome: str, seconds: float) -> None:
        """Have a refusal of our own counted."""
        self.say(Kind.REFUSED, 0, outcome.encode())

    def leave(self, number: int) -> None:
        """Nobody takes a stream any more."""
        if self._streams.pop(number, None) is not None:
            self.say(Kind.LEAVE, number)

    def _hear(self, frame: Frame) -> None:
        match frame.kind:
            case Kind.ANSWER if frame.number in self._called:
                client, _ = self._called.pop(frame.number)
                client.answer(read_answer(frame.payload))
            case Kind.ANSWER:
                self._asked.pop(frame.number).set_result(read_answer(frame.payload))
            case Kind.BACK:
                client, request = self._called.pop(frame.number)
                client.go_the_long_way(request)
            case Kind.OPEN:
                stream = self._streams[frame.number] = _RemoteStream(self, frame.number)
                self._asked.pop(frame.number).set_result(read_answer(frame.payload)._replace(body=stream))
            case Kind.PIECE | Kind.END | Kind.CUT:
                ended = frame.kind is not Kind.PIECE
                stream_or_none = self._streams.pop(frame.number, None) if ended else self._streams.get(frame.number)
                if stream_or_none is not None:
                    stream_or_none.take(frame)
            case Kind.RELOAD:
                if self.listener is not None:
                    self.listener.reload_tls()
            case Kind.STOP:
                self.stopping.set()
            case _:
                raise AssertionError(frame.kind)

    def _lose(self) -> None:
        self.lost.set()
        self.stopping.set()


async def serve(config: Config) -> None:
    """Serve until the server says stop, or is gone."""
    loop = asyncio.get_running_loop()
    behind = Behind(gathers=config.gathers)
    await loop.create_connection(lambda: behind.link, sock=socket.socket(fileno=config.link_fd))
    listener = behind.listener = Listener(behind.handlers, config.patience, config.bounds)
    for door in config.doors:
        await listener.serve(socket.socket(fileno=door.fd), _tls(door))
    behind.say(Kind.READY)
    await behind.stopping.wait()
    if not behind.lost.is_set():
        await listener.stop()
        behind.link.close()


def _tls(door: Door) -> TlsFiles | None:
    if door.certificate is None or door.key is None:
        return None
    return TlsFiles(Path(door.certificate), Path(door.key), Path(door.client_ca) if door.client_ca else None)


def main() -> None:
    """Be a front, as crew.py asks for it."""
    config = msgspec.json.decode(sys.argv[1], type=Config)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    logging.basicConfig(level=config.log_level, stream=sys.stderr, format=LOG_FORMAT)
    gc.set_threshold(*GC_THRESHOLDS)
    gc.freeze()
    try:
        import uvloop

        runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
    except ImportError:
        runner = asyncio.Runner()
    with runner:
        runner.run(serve(config))


if __name__ == "__main__":
    main()
