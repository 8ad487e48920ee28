"""Slots: one execution environment each, and the invocation that it is busy with.

Theory.  A slot is a process that asks for an invocation, answers it and asks again.  Its phases:

    STARTING --next--> IDLE --begin--> BUSY --response, error--> ANSWERED --next--> IDLE
    any of them --the process ends, a deadline passes, end()--> ENDED

Rules of this file:
  1. One invocation is in flight.  An answer counts once, and only under the id that was handed out: whatever else is said is refused, as
     Lambda's supervisor refuses it.
  2. An invocation always gets an outcome: an answer, the deadline's, or the exit's.
  3. A process that is not well - late, dead, or done without asking for more - is never used again, and nothing of it is left.
"""

import asyncio
from collections.abc import Callable, Mapping
from enum import Enum, auto
from typing import Final, NamedTuple, Protocol

import msgspec

from penstock.services.deadlines import Deadline, Deadlines
from penstock.services.functions.running import outcome
from penstock.services.functions.running.connection import CONNECTIONS_MAX, Connection
from penstock.services.functions.running.messages import RESPONSE_MAX_BYTES, Message, reply
from penstock.services.functions.running.outcome import Outcome

PREFIX: Final = "/2018-06-01/runtime/"
INIT_MS: Final = 10_000  # from the start to the first request for an invocation
NOT_STARTED: Final = 125  # the exit code of a process whose program could not be run
_ERROR_TYPE: Final = b"lambda-runtime-function-error-type"
_ACCEPTED: Final = reply(202, "Accepted", b'{"status":"OK"}\n')


class Phase(Enum):
    """What a slot is doing."""

    STARTING = auto()
    IDLE = auto()
    BUSY = auto()
    ANSWERED = auto()
    ENDED = auto()


class Call(NamedTuple):
    """One invocation, as it is handed to the process."""

    request_id: str
    payload: bytes
    headers: Mapping[str, str]
    timeout_ms: int
    clock: Callable[[], str]  # the time as the log has it


class Process(Protocol):
    """The process of a slot."""

    @property
    def ended(self) -> "asyncio.Future[int | None]":
        """Its exit code."""
        ...

    @property
    def gone(self) -> "asyncio.Future[None]":
        """Nothing that it started is left either."""
        ...

    def let_go(self) -> None:
        """Kill it."""
        ...


class Slot:
    """One of them.  `watch` is told whenever it becomes idle, and when it has ended."""

    def __init__(self, process: Process, deadlines: Deadlines, watch: Callable[["Slot"], None]) -> None:
        loop = asyncio.get_running_loop()
        self.phase = Phase.STARTING
        self.ready: asyncio.Future[bool] = loop.create_future()  # whether it can be used at all
        self.failure: Callable[[str], Outcome] = lambda request_id: outcome.exited(request_id, None)
        self.used = False  # it has been handed out
        self.idle_since_ms = 0
        self._loop = loop
        self._process = process
        self._doomed = False  # it is being killed
        self._deadlines = deadlines
        self._watch = watch
        self._connections: set[Connection] = set()
        self._asking: Connection | None = None  # who waits for an invocation
        self._call: Call | None = None
        self._told: asyncio.Future[Outcome] = loop.create_future()
        self._deadline: Deadline = deadlines.after(INIT_MS, self._never_started)
        process.gone.add_done_callback(lambda _: self._settle())

    def begin(self, call: Call) -> "asyncio.Future[Outcome]":
        """Hand an invocation to the process, which is idle."""
        assert self.phase is Phase.IDLE
        assert self._asking is not None
        self.phase, self._call, self._told = Phase.BUSY, call, self._loop.create_future()
        self._deadline = self._deadlines.after(call.timeout_ms, self._too_late)
        asking, self._asking = self._asking, None
        asking.answer(reply(200, "OK", call.payload, call.headers))
        return self._told

    def end(self) -> None:
        """Kill the process; its connections end with it, and not before, or it would complain."""
        self._doomed = True
        self._process.let_go()
        if self.phase is Phase.IDLE:
            self._close()

    # What the process says

    def opened(self, connection: Connection) -> bool:
        """Whether a connection is taken."""
        if len(self._connections) >= CONNECTIONS_MAX or self.phase is Phase.ENDED:
            return False
        self._connections.add(connection)
        return True

    def lost(self, connection: Connection) -> None:
        """A connection is closed."""
        self._connections.discard(connection)
        if self._asking is connection:
            self._asking = None
            if self.phase is Phase.IDLE:  # it would not hear of an invocation
                self.end()
        if self._process.gone.done():
            self._settle()

    def handle(self, connection: Connection, message: Message) -> None:
        """Answer a request."""
        path = message.path.removeprefix(PREFIX)
        if message.method == "GET" and path == "invocation/next":
            self._next(connection)
        elif message.method == "POST" and path == "init/error":
            self._init_error(connection, message)
        elif message.method == "POST" and path.startswith("invocation/"):
            self._answered(connection, message, *path.removeprefix("invocation/").rpartition("/")[::2])
        else:
            connection.answer(_refusal(404, "Not Found", "NotFound", "No such resource of the Runtime API."))

    def _next(self, connection: Connection) -> None:
        if self._doomed or self.phase not in (Phase.STARTING, Phase.ANSWERED):
            connection.answer(_not_now("RuntimeReady"))
            return
        self._deadline.cancel()
        self._asking, self.phase = connection, Phase.IDLE
        if not self.ready.done():
            self.ready.set_result(True)
        self._watch(self)

    def _init_error(self, connection: Connection, message: Message) -> None:
        if self.phase is not Phase.STARTING or self.ready.done():
            connection.answer(_not_now("InitError"))
            return
        body, kind = message.body, message.headers.get(_ERROR_TYPE, b"")
        self._give_up(lambda _: outcome.failed_to_start(body, kind))
        connection.answer(_ACCEPTED)

    def _answered(self, connection: Connection, message: Message, request_id: str, what: str) -> None:
        if self._call is None or self.phase is not Phase.BUSY:
            connection.answer(_not_now("RuntimeResponseSent"))
        elif request_id != self._call.request_id:
            connection.answer(_refusal(400, "Bad Request", "InvalidRequestID", "Invalid request ID"))
        elif what == "error":
            connection.answer(_ACCEPTED)
            self._finish(outcome.raised(message.body, message.headers.get(_ERROR_TYPE, b"")))
        elif what != "response":
            connection.answer(_refusal(404, "Not Found", "NotFound", "No such resource of the Runtime API."))
        elif message.size_bytes > RESPONSE_MAX_BYTES:
            text = f"Exceeded maximum allowed payload size ({RESPONSE_MAX_BYTES} bytes)."
            connection.answer(_refusal(413, "Payload Too Large", "RequestEntityTooLarge", text))
            self._finish(outcome.too_large())
        else:
            connection.answer(_ACCEPTED)
            self._finish(outcome.returned(message.body))

    # What becomes of it

    def _finish(self, how: Outcome) -> None:
        self.phase, self._call = Phase.ANSWERED, None
        if not self._told.done():
            self._told.set_result(how)

    def _too_late(self) -> None:
        call = self._call
        if call is not None:
            self._finish(outcome.timed_out(call.request_id, call.timeout_ms / 1000, call.clock()))
        self.end()

    def _never_started(self) -> None:
        self._give_up(lambda request_id: outcome.timed_out(request_id, INIT_MS / 1000, ""))
        self.end()

    def _give_up(self, failure: Callable[[str], Outcome]) -> None:
        if not self.ready.done():
            self.failure = failure
            self.ready.set_result(False)

    def _settle(self) -> None:
        """The process is dead: what it still said has been heard when its connections are closed."""
        if self._connections:
            return
        code = self._process.ended.result() if self._process.ended.done() else None
        if code == NOT_STARTED:
            self._give_up(outcome.no_entry)
        self._give_up(lambda request_id: outcome.exited(request_id, code))
        if self._call is not None:
            self._finish(outcome.exited(self._call.request_id, code))
        self._close()

    def _close(self) -> None:
        if self.phase is not Phase.ENDED:
            self.phase = Phase.ENDED
            self._deadline.cancel()
            self._watch(self)


def _refusal(status: int, reason: str, kind: str, message: str) -> bytes:
    return reply(status, reason, msgspec.json.encode({"errorMessage": message, "errorType": kind}))


def _not_now(what: str) -> bytes:
    return _refusal(
        403, "Forbidden", "InvalidStateTransition", f"Transition to {what} is not allowed for this runtime."
    )
