"""Gathering: small calls of one kind that arrive together are carried out as one request, and answered each.

Theory.  Most of what a small call costs is its way through head, route, door and gate, and a coroutine of its own that waits for a
commit.  A call about which nothing is unusual is read by the native part in one go; who makes it and whether they may is found out once
a turn of the loop for all that claim the same; and while what was gathered before is being written, more gathers.
Rules of this file:
  1. It only ever shortens the way.  What is not plainly fine - at the door, or when it was to be written - goes the long way through
     the exchange, and is answered or refused there; so nothing here words an error.
  2. Nothing is remembered beyond a turn of the loop: a key that was taken back, or a stream that was deleted, is so for the next one.
  3. Signatures are looked at one by one.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final, NamedTuple, Protocol

from penstock.core.limits import KIB
from penstock.server.eager import Begun, start
from penstock.server.exchange import Answer, Observer

logger = logging.getLogger(__name__)

REQUEST_MAX_BYTES: Final = 16 * KIB  # of head and body; larger ones gain little, and are cut on their way


class Call(Protocol):
    """A call that was read."""

    @property
    def origin(self) -> bytes:
        """What it has in common with others: who makes it and what it is about."""
        ...


class Standing(Protocol):
    """What is known, for a turn, of calls of one origin."""

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """Of their answers."""
        ...

    def proves(self, call: Any) -> bool:
        """Whether a call is theirs who claim to make it."""
        ...


class Lot(Protocol):
    """Calls that are carried out together."""

    def add(self, call: Any, standing: Any) -> bool:
        """Take one more in; false if there are too many."""
        ...

    async def carry_out(self) -> Sequence[bytes | None]:
        """The bodies of their answers, in their order; None of a call that was not carried out."""
        ...


class Kind(Protocol):
    """The calls of one operation; what it makes is given to nobody but itself."""

    @property
    def operation(self) -> str:
        """Its name."""
        ...

    def read(self, request: bytes) -> Call | None:
        """A call from a whole request; None where it is another, or unusual."""
        ...

    def stand(self, call: Any) -> Standing | None:
        """Who makes it, if they may; None where that is not plain."""
        ...

    def place(self, standing: Any) -> object:
        """Calls of one place may be carried out together."""
        ...

    def lot(self, standing: Any) -> Lot:
        """An empty lot of a place."""
        ...


class Client(Protocol):
    """A connection whose call was taken."""

    def answer(self, answer: Answer) -> None:
        """Send the answer."""
        ...

    def fail(self, error: Exception) -> None:
        """The call was begun, and nobody knows what came of it."""
        ...

    def go_the_long_way(self, request: bytes) -> None:
        """Handle the request as if it had just arrived."""
        ...


class _Waiting(NamedTuple):
    """A call in a lot."""

    client: Client
    request: bytes
    headers: tuple[tuple[str, str], ...]
    arrived_s: float


class _Gathered:
    """A lot, and who waits for it."""

    __slots__ = ("lot", "operation", "under_way", "waiting")

    def __init__(self, operation: str, lot: Lot) -> None:
        self.operation = operation
        self.lot = lot
        self.waiting: list[_Waiting] = []
        self.under_way: Begun[Sequence[bytes | None]] | None = None  # kept, so that it is not collected


class Gatherer:
    """Gathers the calls of one kind."""

    def __init__(
        self,
        kind: Callable[[], Kind | None],
        draw_ids: Callable[[], tuple[str, str]],
        observer: Observer,
        monotonic_s: Callable[[], float],
        loop: asyncio.AbstractEventLoop,
        request_max_bytes: int = REQUEST_MAX_BYTES,
    ) -> None:
        self._kind = kind
        self._draw_ids = draw_ids
        self._observer = observer
        self._monotonic_s = monotonic_s
        self._loop = loop
        self._request_max_bytes = request_max_bytes
        self._standings: dict[bytes, Standing] = {}  # of this turn
        self._open: dict[object, _Gathered] = {}  # by place
        self._begun: dict[object, _Gathered] = {}

    def take(self, request: bytes, client: Client) -> bool:
        """Whether a call was taken; its client hears of it later, never before this returns."""
        if len(request) > self._request_max_bytes:
            return False
        kind = self._kind()
        call = None if kind is None else kind.read(request)
        if kind is None or call is None:
            return False
        origin = call.origin
        standing = self._standings.get(origin) or kind.stand(call)
        if standing is None or not standing.proves(call):
            return False
        if not self._standings:
            self._loop.call_soon(self._end_turn)
        self._standings[origin] = standing
        place = kind.place(standing)
        gathered = self._open.get(place)
        if gathered is None:
            gathered = self._open[place] = _Gathered(kind.operation, kind.lot(standing))
        if not gathered.lot.add(call, standing):
            return False
        gathered.waiting.append(_Waiting(client, request, standing.headers, self._monotonic_s()))
        return True

    def _end_turn(self) -> None:
        self._standings.clear()
        for place in self._open.keys() - self._begun.keys():
            self._begin(place)

    def _begin(self, place: object) -> None:
        gathered = self._begun[place] = self._open.pop(place)
        done, failed = partial(self._done, place), partial(self._failed, place)
        gathered.under_way = start(gathered.lot.carry_out(), done, failed, self._loop)

    def _end(self, place: object) -> _Gathered:
        """A lot is done; the next one is begun, so that it is written while this one is answered."""
        gathered = self._begun.pop(place)
        if place in self._open:
            self._begin(place)
        return gathered

    def _done(self, place: object, bodies: Sequence[bytes | None]) -> None:
        self._loop.call_soon(self._answer, self._end(place), bodies)

    def _answer(self, gathered: _Gathered, bodies: Sequence[bytes | None]) -> None:
        now_s, operation = self._monotonic_s(), gathered.operation
        for (client, request, headers, arrived_s), body in zip(gathered.waiting, bodies, strict=True):
            if body is None:
                client.go_the_long_way(request)
                continue
            request_id, extended_id = self._draw_ids()
            identity = ("x-amzn-RequestId", request_id), ("x-amz-id-2", extended_id)
            self._observer.observe(operation, "ok", now_s - arrived_s)
            client.answer(Answer(200, [*headers, *identity], body))

    def _failed(self, place: object, error: Exception) -> None:
        gathered = self._end(place)
        logger.error("%s failed", gathered.operation, exc_info=error)
        for each in gathered.waiting:
            each.client.fail(error)
