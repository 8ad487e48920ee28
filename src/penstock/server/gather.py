"""Gathering: small calls of one kind that arrive together are carried out as one request, and answered each.

Theory.  Most of what a small call costs is its way through head, route, door and gate, and a coroutine of its own that waits for a
commit.  A call about which nothing is unusual is read by the native part in one go, and put on a pile.  A pile is taken up at the end of
a turn of the loop or, where lots of the one before are under way, at their end; who makes its calls and whether they may is found out then,
once for all that claim the same.
Rules of this file:
  1. It only ever shortens the way.  What is not plainly fine - at the door, or when it was to be written - goes the long way through
     the exchange, and is answered or refused there; so nothing here words an error.
  2. Nothing is remembered beyond a pile: a key that was taken back, or a stream that was deleted, is so for the next one.
  3. Signatures are looked at one by one.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final, NamedTuple, Protocol

from penstock.core.limits import KIB, MIB, PUT_RECORDS_MAX_COUNT
from penstock.server.eager import Begun, start
from penstock.server.exchange import ID_DRAWN_BYTES, Answer, Headers

logger = logging.getLogger(__name__)

REQUEST_MAX_BYTES: Final = 16 * KIB  # of head and body; larger ones gain little, and are cut on their way
PILE_MAX_CALLS: Final = PUT_RECORDS_MAX_COUNT  # taken up at once; what is over waits for the next
PILE_MAX_BYTES: Final = MIB


class Call(Protocol):
    """A call that was read."""

    @property
    def request(self) -> bytes:
        """As it came."""
        ...


class Ready(Protocol):
    """The answer of a call that was carried out."""

    def whole(self, lines: str) -> bytes:
        """All of it, as HTTP/1.1 writes it where the connection stays; `lines`: those that every answer of a second has."""
        ...

    @property
    def parts(self) -> tuple[Headers, bytes]:
        """The headers of its own, and the body."""
        ...


class Lot(Protocol):
    """Calls that are carried out together."""

    async def carry_out(self, drawn: bytes) -> Sequence[Ready | None]:
        """Their answers, in their order; None of a call that was not carried out.  `drawn`: for ids, ID_DRAWN_BYTES each."""
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

    def lots(self, calls: Sequence[Any]) -> Sequence[tuple[Lot, Sequence[int]]]:
        """Lots of calls that are proven and allowed, with their places; those that are in none go the long way."""
        ...


class Client(Protocol):
    """A connection whose call was taken."""

    def answer(self, answer: Answer) -> None:
        """Send the answer."""
        ...

    def answer_ready(self, ready: Ready) -> None:
        """Send the answer of a call that was carried out."""
        ...

    def fail(self, error: Exception) -> None:
        """The call was begun, and nobody knows what came of it."""
        ...

    def go_the_long_way(self, request: bytes) -> None:
        """Handle the request as if it had just arrived."""
        ...


class Observer(Protocol):
    """Who counts calls."""

    def observe_all(self, operation: str, outcome: str, seconds: Sequence[float]) -> None:
        """Count calls of one operation that ended alike, and how long each took."""
        ...


class _Waiting(NamedTuple):
    """Who waits for a call."""

    client: Client
    call: Call
    arrived_s: float


class _Gathered:
    """A lot, and who waits for it."""

    __slots__ = ("operation", "under_way", "waiting")

    def __init__(self, operation: str, waiting: Sequence[_Waiting]) -> None:
        self.operation = operation
        self.waiting = waiting
        self.under_way: Begun[Sequence[Ready | None]] | None = None  # kept, so that it is not collected


class Gatherer:
    """Gathers the calls of one kind."""

    def __init__(
        self,
        kind: Callable[[], Kind | None],
        draw: Callable[[int], bytes],
        observer: Observer,
        monotonic_s: Callable[[], float],
        loop: asyncio.AbstractEventLoop,
        request_max_bytes: int = REQUEST_MAX_BYTES,
    ) -> None:
        self._kind = kind
        self._draw = draw
        self._observer = observer
        self._monotonic_s = monotonic_s
        self._loop = loop
        self._request_max_bytes = request_max_bytes
        self._pile: list[_Waiting] = []
        self._begun: set[_Gathered] = set()

    def take(self, request: bytes, client: Client) -> bool:
        """Whether a call was taken; its client hears of it later, never before this returns."""
        if len(request) > self._request_max_bytes:
            return False
        kind = self._kind()
        call = None if kind is None else kind.read(request)
        if call is None:
            return False
        if not self._pile and not self._begun:
            self._loop.call_soon(self._take_up)
        self._pile.append(_Waiting(client, call, self._monotonic_s()))
        return True

    def _take_up(self) -> None:
        """Begin what was piled up."""
        if self._begun or not self._pile:
            return
        pile, self._pile = _cut(self._pile)
        left = dict(enumerate(pile))
        kind = self._kind()
        if kind is not None:
            self._begin(
                [
                    (lot, _Gathered(kind.operation, [left.pop(place) for place in places]))
                    for lot, places in _lots(kind, pile)
                ]
            )
        if self._pile and not self._begun:
            self._loop.call_soon(self._take_up)
        for each in left.values():
            each.client.go_the_long_way(each.call.request)

    def _begin(self, lots: list[tuple[Lot, _Gathered]]) -> None:
        self._begun.update(gathered for _, gathered in lots)  # all before the first, which may end at once
        for lot, gathered in lots:
            carried_out = lot.carry_out(self._draw(ID_DRAWN_BYTES * len(gathered.waiting)))
            done, failed = partial(self._done, gathered), partial(self._failed, gathered)
            gathered.under_way = start(carried_out, done, failed, self._loop)

    def _end(self, gathered: _Gathered) -> None:
        """A lot is done; after the last the next are begun, so that they are written while this one is answered."""
        self._begun.discard(gathered)
        gathered.under_way = None  # which refers to it: together they would keep the requests until the collector comes
        self._take_up()

    def _done(self, gathered: _Gathered, answers: Sequence[Ready | None]) -> None:
        self._end(gathered)
        self._loop.call_soon(self._answer, gathered, answers)

    def _answer(self, gathered: _Gathered, answers: Sequence[Ready | None]) -> None:
        now_s = self._monotonic_s()
        took_s = []
        for (client, call, arrived_s), ready in zip(gathered.waiting, answers, strict=True):
            if ready is None:
                client.go_the_long_way(call.request)
            else:
                took_s.append(now_s - arrived_s)
                client.answer_ready(ready)
        self._observer.observe_all(gathered.operation, "ok", took_s)

    def _failed(self, gathered: _Gathered, error: Exception) -> None:
        self._end(gathered)
        logger.error("%s failed", gathered.operation, exc_info=error)
        for each in gathered.waiting:
            each.client.fail(error)


def _lots(kind: Kind, pile: list[_Waiting]) -> Sequence[tuple[Lot, Sequence[int]]]:
    """The lots of a pile; none where looking at it failed: on the long way each call fails, or does not, by itself."""
    try:
        return kind.lots([each.call for each in pile])
    except Exception:
        logger.exception("calls of %s could not be looked at together", kind.operation)
        return []


def _cut(pile: list[_Waiting]) -> tuple[list[_Waiting], list[_Waiting]]:
    """What is taken up of a pile, and the rest."""
    size_bytes = 0
    for count, each in enumerate(pile):
        size_bytes += len(each.call.request)
        if count == PILE_MAX_CALLS or (count and size_bytes > PILE_MAX_BYTES):
            return pile[:count], pile[count:]
    return pile, []
