"""Launching in a sandbox: a process that sees its code, the system's programs and two ports, and nothing else of this machine.

Rule of this file: a sandbox that cannot be made is a refusal in bubblewrap's own words; nothing ever runs without it instead.
"""

from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from penstock.core.invoke_errors import InvokeError
from penstock.core.limits import MIB
from penstock.host.doorway import API_PORT, ENDPOINT_PORT
from penstock.host.relay import Relay
from penstock.host.sandbox import TASK_ROOT, TEMPORARY, Door, arguments
from penstock.host.wards import Order, Ward, Wards
from penstock.host.workplace import Machine
from penstock.services.functions.running.environment import Place, command, variables
from penstock.services.functions.running.launching import Launched, Start, Uids, limits, serve
from penstock.services.functions.running.slot import Slot

TEMPORARY_BYTES: Final = 512 * MIB
WORDS_MAX_BYTES: Final = 500  # of what a sandbox says that cannot be made


class SandboxLauncher:
    """Launches processes in sandboxes."""

    def __init__(self, wards: Wards, machine: Machine, uids: Uids, endpoint: Callable[[], str]) -> None:
        self._wards = wards
        self._machine = machine
        self._uids = uids
        self._endpoint = endpoint

    async def launch(self, start: Start) -> Launched:
        """Start a process.  Raises RUNTIME, CANNOT_RUN."""
        version, machine = start.version, self._machine
        if machine.bubblewrap is None:
            raise InvokeError.CANNOT_RUN(why="there is no bubblewrap on this machine: apt-get install bubblewrap")
        run = command(version, machine, TASK_ROOT)
        api, endpoint = f"127.0.0.1:{API_PORT}", f"http://127.0.0.1:{ENDPOINT_PORT}"
        inside = Place(TASK_ROOT, TEMPORARY, api, endpoint, start.stream)
        words = _Words(start.lines.take)
        with self._uids.lent() as uid:
            door = Door()
            ward = self._start(start, uid, door, words)
            ward.gone.add_done_callback(lambda _: self._uids.give_back(uid))
        owner = uid if uid != machine.uid else None
        door.order(owner, run, variables(version, inside, start.credentials))
        await self._enter(ward, door, words, slot := Slot(ward, start.deadlines, start.watch))
        return Launched(slot, ward, start.lines, start.credentials.until_ms)

    def _start(self, start: Start, uid: int, door: Door, words: "_Words") -> Ward:
        machine, other = self._machine, uid != self._machine.uid
        order = Order(
            arguments(machine, start.folder, TEMPORARY_BYTES),
            {},
            "/",
            limits(start.version, own_uid=other),
            owner=uid if other else None,
        )
        return self._wards.start(order, words.take, door.far.fileno())

    async def _enter(self, ward: Ward, door: Door, words: "_Words", slot: Slot) -> None:
        """Wait for the sockets, and serve on them.  Raises CANNOT_RUN."""
        sockets = await door.sockets()
        if len(sockets) < 2:
            ward.let_go()
            await ward.gone
            ward.output.drain()
            why = words.said.decode("utf-8", "replace").strip() or "it says nothing"
            raise InvokeError.CANNOT_RUN(why=f"bubblewrap can make no sandbox here: {why}")
        ward.follow()
        words.over = True
        where = urlsplit(self._endpoint())
        relay = Relay(where.hostname or "127.0.0.1", where.port or 80)
        await relay.listen(sockets[1])
        ward.gone.add_done_callback(lambda _: relay.close())
        await serve(slot, ward, sockets[0], lambda *_: True)  # nobody else is in that network


class _Words:
    """What is written, and its beginning while the sandbox is not yet made."""

    def __init__(self, take: Callable[[bytes], None]) -> None:
        self._take = take
        self.said = b""
        self.over = False

    def take(self, piece: bytes) -> None:
        """Pass a piece on."""
        if not self.over:
            self.said = (self.said + piece)[:WORDS_MAX_BYTES]
        self._take(piece)
