"""The crew: the fronts of a server, and their links (`--workers N`).

Theory.  With fronts this process listens on nothing itself.  It binds every port once for each front, hands each the sockets that are
its own, and answers what they ask; the kernel deals the connections out.  Every decision stays here: a front only carries.
Rules of this file:
  1. A front that ends is started again, on the sockets that it had; connections that waited there are accepted then.
  2. What a client that is gone had asked for is still done; a stream is let go of, since it only reads.
  3. The ports are ours alone, though each is bound several times: they are tried first as one.
"""

import asyncio
import logging
import socket
from contextlib import suppress
from functools import partial
from typing import Final, NamedTuple

import msgspec

from penstock.core.ports import Clock, Tasks
from penstock.host.processes import ModuleProcess
from penstock.server.eager import start
from penstock.server.exchange import Answer, Observer, Stream
from penstock.server.front import Config, Door
from penstock.server.gather import Ready
from penstock.server.link import Frame, Kind, Link, answer_payload, read_ask
from penstock.server.listener import CannotListen, bind
from penstock.server.tls import PortTls, TlsFiles, UnusableFiles
from penstock.server.traffic import Bounds, Handlers, Patience

logger = logging.getLogger(__name__)

RESTART_MS: Final = 500  # so that a front that cannot live does not take the machine with it
READY_S: Final = 30.0
STOP_SLACK_S: Final = 2.0  # beyond what clients get to finish


class Crew:
    """All fronts of one server."""

    def __init__(
        self,
        count: int,
        handlers: Handlers,
        observer: Observer,
        clock: Clock,
        tasks: Tasks,
        patience: Patience,
        bounds: Bounds,
    ) -> None:
        self._handlers = handlers
        self._observer = observer
        self._clock = clock
        self._tasks = tasks
        self._patience = patience
        self._bounds = share_of(bounds, count)
        self._sockets: list[list[socket.socket]] = [[] for _ in range(count)]  # by front
        self._tls: list[TlsFiles | None] = []  # by port
        self._fronts: list[Front] = []
        self._stopping = False

    async def listen(self, host: str, port: int, tls: TlsFiles | None) -> int:
        """Bind a port for every front, for 0 any free one, and answer which.  Raises CannotListen."""
        if tls is not None:
            try:
                PortTls(tls)
            except UnusableFiles as error:
                raise CannotListen(str(error)) from None
        trial = bind(host, port)
        number = int(trial.getsockname()[1])
        trial.close()
        for sockets in self._sockets:
            sockets.append(bind(host, number, shared=True))
        self._tls.append(tls)
        return number

    async def open(self) -> None:
        """Start the fronts; return when all accept connections.  Raises CannotListen."""
        self._fronts = [Front(sockets, self._tls, self) for sockets in self._sockets]
        for front in self._fronts:
            front.launch()
        for front in self._fronts:
            try:
                async with asyncio.timeout(READY_S):
                    await front.ready.wait()
            except TimeoutError:
                raise CannotListen("a worker did not start: see what it wrote above") from None

    def reload_tls(self) -> bool:
        """Have certificates taken up whose files have changed."""
        for front in self._fronts:
            front.link.say(Kind.RELOAD)
        return True

    async def stop(self) -> None:
        """Close the ports and their connections; requests under way are answered first, streams are ended."""
        self._stopping = True
        for front in self._fronts:
            front.link.say(Kind.STOP)
        for front in self._fronts:
            await front.end(self._patience.stop_s + STOP_SLACK_S)
        for sockets in self._sockets:
            for held in sockets:
                held.close()

    def configuration(self, link_fd: int, sockets: list[socket.socket]) -> Config:
        """What a front is told."""
        doors = [_door(held.fileno(), tls) for held, tls in zip(sockets, self._tls, strict=True)]
        log_level = logging.getLogger().getEffectiveLevel()
        return Config(
            link_fd, doors, self._patience, self._bounds, log_level, gathers=self._handlers.gather is not None
        )

    def refused(self, code: str) -> None:
        """A front has refused a request by itself."""
        self._observer.observe("unknown", code, 0.0)

    def lost(self, front: "Front") -> None:
        """A front is gone."""
        if not self._stopping:
            logger.error("worker %d has ended; another is started", front.pid)
            self._tasks.spawn(self._restart(front), "worker")

    async def _restart(self, front: "Front") -> None:
        await front.end(0)
        await self._clock.sleep(RESTART_MS)
        if not self._stopping:
            front.launch()

    def answer(self, front: "Front", frame: Frame) -> None:
        """Have a request answered."""
        head, body = read_ask(frame.payload)
        loop = asyncio.get_running_loop()
        start(
            self._handlers.handle(head, body),
            partial(front.answer, front.link, frame.number),
            partial(front.fail, front.link, frame.number, self._handlers),
            loop,
        )

    def gather(self, front: "Front", frame: Frame) -> None:
        """Have a call taken with others, or give it back."""
        caller = _Caller(front, front.link, frame.number, self._handlers)
        request = frame.payload.tobytes()
        if self._handlers.gather is None or not self._handlers.gather(request, caller):
            caller.go_the_long_way(request)


class _Caller(NamedTuple):
    """Whose call was taken, behind a front."""

    front: "Front"
    link: Link
    number: int
    handlers: Handlers

    def answer(self, answer: Answer) -> None:
        """Send the answer."""
        self.front.answer(self.link, self.number, answer)

    def answer_ready(self, ready: Ready) -> None:
        """Send the answer of a call that was carried out."""
        self.answer(Answer(200, *ready.parts))

    def fail(self, error: Exception) -> None:
        """Nobody knows what came of it."""
        self.front.fail(self.link, self.number, self.handlers, error)

    def go_the_long_way(self, request: bytes) -> None:
        """Give it back; the front has kept it."""
        self.link.say(Kind.BACK, self.number)


class Front:
    """One front, as the server sees it."""

    def __init__(self, sockets: list[socket.socket], tls: list[TlsFiles | None], crew: Crew) -> None:
        self._sockets = sockets
        self._crew = crew
        self._streams: dict[int, _Outgoing] = {}
        self._process: ModuleProcess | None = None
        self._connecting: asyncio.Task[object] | None = None
        self.ready = asyncio.Event()
        self.link = Link(self._hear, self._lose)

    @property
    def pid(self) -> int:
        """Of its process."""
        assert self._process is not None
        return self._process.pid

    def launch(self) -> None:
        """Start its process."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        ours.setblocking(False)
        config = self._crew.configuration(theirs.fileno(), self._sockets)
        descriptors = [theirs.fileno(), *(held.fileno() for held in self._sockets)]
        self._process = ModuleProcess("penstock.server.front", msgspec.json.encode(config).decode(), descriptors)
        theirs.close()
        self.ready.clear()
        self.link = Link(self._hear, self._lose)
        loop = asyncio.get_running_loop()
        self._connecting = loop.create_task(loop.create_connection(lambda: self.link, sock=ours))

    async def end(self, patience_s: float) -> None:
        """Return when its process has ended."""
        if self._process is not None:
            await self._process.ended(patience_s)

    def answer(self, link: Link, number: int, answer: Answer) -> None:
        """Say an answer on the link that the request came by: a front that has taken another's place counts from 1 again."""
        if isinstance(answer.body, bytes):
            link.say(Kind.ANSWER, number, *answer_payload(answer.status, answer.headers, answer.body))
            return
        assert answer.stream is not None, "no head that travels takes a long body"
        stream = self._streams[number] = _Outgoing(number, answer.stream, link, self._streams)
        link.say(Kind.OPEN, number, *answer_payload(answer.status, answer.headers, b""))
        if not link.is_up:
            stream.end()

    def fail(self, link: Link, number: int, handlers: Handlers, error: Exception) -> None:
        """Say that a handler has failed, which it should never."""
        logger.error("a request could not be answered", exc_info=error)
        self.answer(link, number, handlers.reject(500))

    def _hear(self, frame: Frame) -> None:
        match frame.kind:
            case Kind.ASK:
                self._crew.answer(self, frame)
            case Kind.CALL:
                self._crew.gather(self, frame)
            case Kind.WANT:
                if (wanted := self._streams.get(frame.number)) is not None:
                    wanted.go_on()
            case Kind.LEAVE:
                if (left := self._streams.get(frame.number)) is not None:
                    left.end()
            case Kind.REFUSED:
                self._crew.refused(frame.payload.tobytes().decode())
            case Kind.READY:
                self.ready.set()
            case _:
                raise AssertionError(frame.kind)

    def _lose(self) -> None:
        for stream in list(self._streams.values()):
            stream.end()
        self._crew.lost(self)


class _Outgoing:
    """A streamed answer on its way to a front, a piece whenever it is asked for."""

    def __init__(self, number: int, stream: Stream, link: Link, held: dict[int, "_Outgoing"]) -> None:
        self._number = number
        self._stream = stream
        self._pieces = aiter(stream)
        self._link = link
        self._held = held
        self._loop = asyncio.get_running_loop()
        self._step: asyncio.Task[None] | None = None

    def go_on(self) -> None:
        """Make the next piece."""
        self._step = self._loop.create_task(self._next())

    def end(self) -> None:
        """Nobody takes it any more."""
        if self._held.pop(self._number, None) is not None:  # else it ends by itself
            self._step = self._loop.create_task(self._let_go(self._step))

    async def _let_go(self, step: "asyncio.Task[None] | None") -> None:
        """Close it behind the step under way; one that is cancelled before it began would close nothing."""
        if step is not None:
            step.cancel()
            with suppress(asyncio.CancelledError):
                await step
        await self._close()

    async def _next(self) -> None:
        try:
            piece = await anext(self._pieces)
        except StopAsyncIteration:
            await self._finish(Kind.END)
        except Exception:
            logger.exception("a streamed answer failed")
            await self._finish(Kind.CUT)
        else:
            self._link.say(Kind.PIECE, self._number, piece)

    async def _finish(self, kind: Kind) -> None:
        self._held.pop(self._number, None)
        self._link.say(kind, self._number)
        await self._close()

    async def _close(self) -> None:
        try:
            await self._stream.aclose()
        except Exception:
            logger.exception("a streamed answer could not be closed")


def share_of(bounds: Bounds, count: int) -> Bounds:
    """What one of `count` fronts may let in; a body of the largest size always fits."""
    return bounds._replace(
        connections_max=-(-bounds.connections_max // count),
        bodies_max_bytes=max(bounds.bodies_max_bytes // count, bounds.body_max_bytes),
    )


def _door(fd: int, tls: TlsFiles | None) -> Door:
    if tls is None:
        return Door(fd)
    return Door(fd, str(tls.certificate), str(tls.key), str(tls.client_ca) if tls.client_ca else None)
