"""Wards: processes that are not trusted, started through the keeper and held on a leash (keeper.py tells how).

Rules of this file:
  1. A ward that is let go of is killed with everything that it started; `gone` says when nothing of it is left.
  2. The keeper is started with the first ward, and again should it have died; its wards do not die with it.
"""

import asyncio
import json
import logging
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

import msgspec

from penstock.host.keeper import descendants
from penstock.host.processes import ModuleProcess

logger = logging.getLogger(__name__)

OUTPUT_PIECE_BYTES: Final = 16 * 1024
LEFT_OUTPUT_MAX_BYTES: Final = 4 << 20  # of output that is still read when its writer is waited for
_LINE_MAX_BYTES: Final = 4096


class Order(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a process shall be."""

    command: Sequence[str]  # the first is the path of a program
    environment: Mapping[str, str]  # all of it
    directory: str
    limits: Mapping[str, int] = {}  # by name of RLIMIT_*
    uid: int | None = None  # who it runs as; None: as we do
    owner: int | None = None  # of whom every process is killed with it
    temporary: str | None = None  # a folder of its own, deleted with it
    paths: Sequence[str] = ()  # what it must be able to reach, under `uid`
    hidden: Sequence[str] = ()  # folders that it must not see, under `uid`


class Output:
    """What a ward writes, handed over as it comes, in pieces."""

    def __init__(self, take: Callable[[bytes], None]) -> None:
        self._take = take
        self._reading, self.writing = os.pipe2(os.O_CLOEXEC) if hasattr(os, "pipe2") else os.pipe()
        os.set_blocking(self._reading, False)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._reading, self._read)
        self._open = True

    def drain(self) -> None:
        """Hand over what has been written so far."""
        left = LEFT_OUTPUT_MAX_BYTES
        while self._open and left > 0 and (count := self._read()):
            left -= count

    def close(self) -> None:
        """Read no more."""
        if self._open:
            self._open = False
            self._loop.remove_reader(self._reading)
            os.close(self._reading)

    def _read(self) -> int:
        try:
            piece = os.read(self._reading, OUTPUT_PIECE_BYTES)
        except BlockingIOError:
            return 0
        if not piece:
            self.close()
            return 0
        self._take(piece)
        return len(piece)


class Ward:
    """One such process."""

    def __init__(self, leash: socket.socket, output: Output) -> None:
        loop = asyncio.get_running_loop()
        self.output = output
        self.pid = 0
        self.started: asyncio.Future[None] = loop.create_future()
        self.ended: asyncio.Future[int | None] = loop.create_future()  # its exit code, of a signal -N; None: unknown
        self.gone: asyncio.Future[None] = loop.create_future()
        self._leash = leash
        self._loop = loop
        self._heard = b""
        self._memory_bytes = 0
        self._status: int | None = None  # /proc/PID/status
        loop.add_reader(leash.fileno(), self._hear)

    def let_go(self) -> None:
        """Kill it, and all that it started."""
        with suppress(OSError):
            self._leash.shutdown(socket.SHUT_WR)

    def memory_bytes(self) -> int:
        """The most memory that it has had, as far as this system tells; of one that has ended, when it was last looked at."""
        if self.gone.done():
            return self._memory_bytes
        if self._status is None:
            self._status = _open_status(self.pid)
        try:  # on the way of every call: it is opened once
            text = os.pread(self._status, 4096, 0) if self._status is not None else b""
            self._memory_bytes = int(text.partition(b"VmHWM:")[2].split(None, 1)[0]) * 1024
        except (OSError, IndexError, ValueError):
            pass
        return self._memory_bytes

    def follow(self) -> None:
        """Look at the innermost process from now on: what wraps it has done its work."""
        inner = descendants(self.pid)
        self.pid = inner[-1] if inner else self.pid

    def _hear(self) -> None:
        try:
            piece = self._leash.recv(_LINE_MAX_BYTES)
        except BlockingIOError:
            return
        except OSError:
            piece = b""
        if not piece:
            self._end()
            return
        *lines, self._heard = (self._heard + piece).split(b"\n")
        for line in lines:
            self._told(json.loads(line))

    def _told(self, what: dict[str, Any]) -> None:
        if "pid" in what:
            self.pid = int(what["pid"])
            self.started.set_result(None)
        elif not self.ended.done():
            self.ended.set_result(int(what["exit"]))

    def _end(self) -> None:
        self._loop.remove_reader(self._leash.fileno())
        self._leash.close()
        if self._status is not None:
            os.close(self._status)
            self._status = None
        for future in (self.started, self.gone):
            if not future.done():
                future.set_result(None)
        if not self.ended.done():
            self.ended.set_result(None)


def _open_status(pid: int) -> int | None:
    try:
        return os.open(f"/proc/{pid}/status", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None


class Wards:
    """All of one server.  `folder` names what is deleted when the server has ended, however it ended."""

    def __init__(self, folder: Callable[[], str]) -> None:
        self._folder = folder
        self._keeper: ModuleProcess | None = None
        self._requests: socket.socket | None = None
        self._living: dict[Ward, None] = {}

    def start(self, order: Order, take: Callable[[bytes], None], kept: int | None = None) -> Ward:
        """Begin to start a process; `take` is given what it writes, and `kept` stays open in it as descriptor 3."""
        near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        near.setblocking(False)
        output = Output(take)
        descriptors = [far.fileno(), output.writing, *([] if kept is None else [kept])]
        try:
            self._ask(descriptors)
        finally:
            far.close()
            os.close(output.writing)
        ward = Ward(near, output)
        near.setblocking(True)  # an order may be larger than what the socket takes at once; the warden reads it at once
        near.sendall(msgspec.json.encode(order) + b"\n")
        near.setblocking(False)
        self._living[ward] = None
        ward.gone.add_done_callback(lambda _: self._living.pop(ward, None))
        return ward

    @property
    def keeper_pid(self) -> int | None:
        """The keeper, if it was started."""
        return None if self._keeper is None else self._keeper.pid

    async def close(self) -> None:
        """Kill them all; return when nothing of them is left."""
        for ward in list(self._living):
            ward.let_go()
        for ward in list(self._living):
            await ward.gone
        if self._requests is not None and self._keeper is not None:
            self._requests.close()
            await self._keeper.ended(5.0)
            self._requests = self._keeper = None

    def _ask(self, descriptors: list[int]) -> None:
        if self._requests is not None:
            try:
                socket.send_fds(self._requests, [b"+"], descriptors)
            except OSError:
                logger.warning("the keeper of functions' processes is gone; another one is started")
                self._requests.close()
                if self._keeper is not None:
                    self._keeper.bury()
            else:
                return
        self._requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self._keeper = ModuleProcess("penstock.host.keeper", f"{theirs.fileno()}:{self._folder()}", [theirs.fileno()])
        theirs.close()
        socket.send_fds(self._requests, [b"+"], descriptors)
