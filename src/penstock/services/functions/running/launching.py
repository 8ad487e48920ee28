"""Launching: from a version of a function to a process that asks for invocations, kept apart from the server.

Theory.  A launcher says how strictly.  `process`: a process with a cleared environment, limits, no descriptor of ours, a session and a
folder of its own, and where we are root a user id of its own.  `sandbox` (sandbox.py): the same behind bubblewrap.
Rules of this file:
  1. A user id is one slot's while it lives, and hardly ever another server's.
  2. What cannot be started is a refusal that says what to do.
"""

import asyncio
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Final, NamedTuple, Protocol

from msgspec.structs import replace

from penstock.core.invoke_errors import InvokeError
from penstock.core.limits import MIB
from penstock.core.ports import Entropy
from penstock.host.loopback import Address, comes_from, open_port
from penstock.host.wards import Order, Ward, Wards
from penstock.host.workplace import Machine, Workplace
from penstock.services.deadlines import Deadlines
from penstock.services.functions.invoking import FunctionVersion
from penstock.services.functions.running.connection import Connection
from penstock.services.functions.running.environment import Credentials, Place, command, variables
from penstock.services.functions.running.lines import Lines
from penstock.services.functions.running.slot import Slot

UID_BASE: Final = 1 << 30
UIDS_PER_SERVER: Final = 1 << 12
UID_BLOCKS: Final = 1 << 17
SPARE_MEMORY_BYTES: Final = 256 * MIB  # for the runtime itself, beside what the function was given
FILE_MAX_BYTES: Final = 512 * MIB  # as much as /tmp has on Lambda
DESCRIPTORS_MAX: Final = 1024
PROCESSES_MAX: Final = 1024


class Launched(NamedTuple):
    """A process, and what belongs to it."""

    slot: Slot
    ward: Ward
    lines: Lines
    until_ms: int | None  # its credentials end then


class Start(NamedTuple):
    """What is to be started."""

    version: FunctionVersion
    folder: str
    lines: Lines
    stream: str  # of the log
    credentials: Credentials
    deadlines: Deadlines
    watch: Callable[[Slot], None]


class Seen(NamedTuple):
    """What of the server concerns a function."""

    endpoint: Callable[[], str]  # where it is; known when it listens
    data_dir: str  # what must not be seen


class Uids:
    """User ids that nobody has; one for each process at a time."""

    def __init__(self, machine: Machine, entropy: Entropy) -> None:
        block = int.from_bytes(entropy.bytes(4), "big") % UID_BLOCKS
        first = UID_BASE + block * UIDS_PER_SERVER
        self._free = list(range(first + UIDS_PER_SERVER - 1, first - 1, -1))
        self._changes = machine.can_change_user
        self._ours = machine.uid

    def take(self) -> int:
        """One that is free; our own where we cannot change it.  Raises CANNOT_RUN: what has none of its own never runs as us."""
        if not self._changes:
            return self._ours
        if not self._free:
            raise InvokeError.CANNOT_RUN(why="no user id is left for another process")
        return self._free.pop()

    @contextmanager
    def lent(self) -> Iterator[int]:
        """One that is taken, and given back at once if what it was taken for fails."""
        uid = self.take()
        try:
            yield uid
        except BaseException:
            self.give_back(uid)
            raise

    def give_back(self, uid: int) -> None:
        """Nobody has it any more."""
        if uid != self._ours:
            self._free.append(uid)


class Launcher(Protocol):
    """Starts processes."""

    async def launch(self, start: Start) -> Launched:
        """Start one.  Raises RUNTIME, CANNOT_RUN."""
        ...


class ProcessLauncher:
    """Launches plain processes."""

    def __init__(self, wards: Wards, place: Workplace, machine: Machine, uids: Uids, seen: Seen) -> None:
        self._wards = wards
        self._place = place
        self._machine = machine
        self._uids = uids
        self._seen = seen

    async def launch(self, start: Start) -> Launched:
        """Start a process.  Raises RUNTIME, CANNOT_RUN."""
        run = command(start.version, self._machine, start.folder)
        with self._uids.lent() as uid:
            ward, listening = self._start(start, run, uid)
            ward.gone.add_done_callback(lambda _: self._uids.give_back(uid))
        slot = Slot(ward, start.deadlines, start.watch)
        await serve(slot, ward, listening, partial(comes_from, uid))
        return Launched(slot, ward, start.lines, start.credentials.until_ms)

    def _start(self, start: Start, run: Sequence[str], uid: int) -> tuple[Ward, socket.socket]:
        version, folder = start.version, start.folder
        listening = open_port()
        temporary = self._place.new_temporary()
        address = f"127.0.0.1:{listening.getsockname()[1]}"
        inside = Place(folder, temporary, address, self._seen.endpoint(), start.stream)
        order = Order(
            command=run,
            environment=variables(version, inside, start.credentials),
            directory=folder,
            limits=limits(version, own_uid=uid != self._machine.uid),
            temporary=temporary,
        )
        if uid != self._machine.uid:
            paths = (*self._machine.paths, folder, self._place.path)
            order = replace(order, uid=uid, owner=uid, paths=paths, hidden=(self._seen.data_dir,))
        return self._wards.start(order, start.lines.take), listening


async def serve(slot: Slot, ward: Ward, listening: socket.socket, admits: Callable[[Address, Address], bool]) -> None:
    """Let a process speak to its slot until it is gone."""
    server = await asyncio.get_running_loop().create_server(lambda: Connection(slot, admits), sock=listening)
    ward.gone.add_done_callback(lambda _: server.close())


def limits(version: FunctionVersion, *, own_uid: bool) -> dict[str, int]:
    """The limits of a process, by the names that the system has for them."""
    bounds = {
        "DATA": version.memory_mb * MIB + SPARE_MEMORY_BYTES,
        "FSIZE": FILE_MAX_BYTES,
        "NOFILE": DESCRIPTORS_MAX,
        "CORE": 0,
    }
    if own_uid:  # it counts all processes of a user
        bounds["NPROC"] = PROCESSES_MAX
    return bounds
