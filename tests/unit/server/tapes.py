"""A transport that records: what the server writes, and whether it reads."""

import asyncio
from collections.abc import Iterable
from typing import Any

from penstock.core.errors import ServiceError
from penstock.server.connection import Connection
from penstock.server.exchange import Answer
from penstock.server.traffic import Bounds, Handlers, Patience, Traffic
from penstock.wire.route import Head


class Tape(asyncio.Transport):
    """The way to a client, kept in memory.  `full` makes it hold back what is written."""

    def __init__(self, protocol: asyncio.Protocol | None = None) -> None:
        super().__init__()
        self.written = b""
        self.reading = True
        self.closed = False
        self.ended = False
        self.buffered_bytes = 0
        self._protocol: asyncio.BaseProtocol | None = protocol

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def write(self, data: Any) -> None:
        assert not self.ended, "nothing is written behind the end"
        if not self.closed:
            self.written += bytes(data)

    def writelines(self, list_of_data: Iterable[Any]) -> None:
        self.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.ended = True

    def get_write_buffer_size(self) -> int:
        return self.buffered_bytes

    def pause_reading(self) -> None:
        assert self.reading
        self.reading = False

    def resume_reading(self) -> None:
        assert not self.reading
        self.reading = True

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            asyncio.get_running_loop().call_soon(self._tell_end)

    def _tell_end(self) -> None:
        assert self._protocol is not None
        self._protocol.connection_lost(None)

    def abort(self) -> None:
        self.close()


class Client:
    """A connection whose other end is a test; it lives on the running loop."""

    def __init__(
        self,
        handlers: Handlers | None = None,
        patience: Patience | None = None,
        full: bool = False,
        bounds: Bounds | None = None,
    ) -> None:
        self.seen: list[tuple[str, str, bytes]] = []
        self.refusals: list[int] = []
        own = Handlers(self._echo, self._refuse, self._reject)
        self.traffic = Traffic(handlers or own, patience or Patience(), bounds)
        self.taken_over: bytes | None = None
        self.connection = Connection(self.traffic, self._take_over)
        self.tape = Tape(self.connection)
        self.connection.connection_made(self.tape)

    async def _echo(self, head: Head, body: bytes) -> Answer:
        self.seen.append((head.method, head.path, body))
        return Answer(200, [("x-path", head.path)], body)

    def _refuse(self, _: Head, error: ServiceError) -> Answer:
        self.refusals.append(error.status)
        return Answer(error.status, [], b"refused")

    def _reject(self, status: int) -> Answer:
        self.refusals.append(status)
        return Answer(status, [], b"")

    def _take_over(self, _: asyncio.Transport, data: bytes) -> None:
        self.taken_over = data

    async def send(self, *pieces: bytes) -> None:
        """Send pieces, each when the server reads."""
        for piece in pieces:
            for _ in range(100_000):
                if self.tape.reading or self.tape.closed:
                    break
                await turn()
            if not self.tape.closed and piece:
                if self.taken_over is not None:
                    self.taken_over += piece
                else:
                    self.connection.data_received(piece)
        for _ in range(3 + b"".join(pieces).count(b"HTTP/1.")):
            await turn()

    async def end(self) -> None:
        """Send no more."""
        if not self.tape.closed and not self.connection.eof_received():
            self.tape.close()
        await turn()

    def reads(self) -> bool:
        """Whether the server would read more."""
        return self.tape.reading

    @property
    def statuses(self) -> list[int]:
        """Of the answers so far."""
        return [int(part[:3]) for part in self.tape.written.split(b"HTTP/1.1 ")[1:]]


async def turn() -> None:
    """One turn of the loop."""
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    loop.call_soon(done.set_result, None)
    await done
