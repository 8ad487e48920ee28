"""Which leases a worker takes, and which it asks for.

Theory.  There is no chief.  Every worker looks at all leases about once a tenth of the failover time and notes since when each counter
stands still, by its own clock and from the moment at which the answer had come: the holder counts from before it sent its renewal, so
its time is over first, however slow the store is.  A lease is free when nobody owns it or its counter stood still for the failover time.
Free ones go to whoever has fewer than a fair share; what is free for longer goes to whoever sees it.  When nothing is free, a worker
that has two leases fewer than another asks it for some, a quarter of the difference at a time, because others may ask too.
In a fleet that a KCL leader balances, only free leases are taken here: the leader asks.
Rules of this file:
  1. Pure: what was seen and the time in, moves out.
  2. A move is a wish.  The store decides whether it comes true.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from penstock.consumer.lease import Lease
from penstock.consumer.lineage import may_start

RENEWALS_IN_FAILOVER: Final = 3
SCANS_IN_FAILOVER: Final = 10
SCAN_MIN_MS: Final = 50
KCL_HANDOFF_MS: Final = 30_000  # KCL's default; a holder of KCL's that lets go does not renew meanwhile
OVERDUE_SCANS: Final = 2  # a free lease that nobody with room took in so many scans is anybody's


class Rhythm(Struct, frozen=True):
    """How often a worker does what.  All workers of an application must agree on the failover time."""

    failover_ms: int = 10_000  # a counter that stands still for so long is a worker that is gone
    handoff_ms: int = 30_000  # what a processor has to finish when its lease is asked for, or its worker stops
    silent_handoff_ms: int = 0  # for which a hand-over may go on without a sign of life
    leases_max: int = 1 << 30  # what this worker takes at most

    def beside_kcl(self) -> "Rhythm":
        """As it is where a leader of KCL's is alive."""
        return replace(self, silent_handoff_ms=KCL_HANDOFF_MS)

    @property
    def renew_ms(self) -> int:
        """Between two renewals of a lease."""
        return max(1, self.failover_ms // RENEWALS_IN_FAILOVER)

    @property
    def scan_ms(self) -> int:
        """Between two looks at all leases."""
        return max(SCAN_MIN_MS, self.failover_ms // SCANS_IN_FAILOVER)


class Sighting(Struct, frozen=True):
    """A lease as it was last seen."""

    lease: Lease
    since_ms: int  # when its counter was first seen to stand where it stands

    def is_free(self, now_ms: int, rhythm: Rhythm) -> bool:
        """Whether nobody works on it."""
        return self.free_since_ms(rhythm) <= now_ms

    def free_since_ms(self, rhythm: Rhythm) -> int:
        """When it became, or will become, free."""
        if self.lease.owner is None and self.lease.checkpoint_owner is None:
            return self.since_ms
        if self.lease.checkpoint_owner is not None:
            return self.since_ms + max(rhythm.failover_ms, rhythm.silent_handoff_ms)
        return self.since_ms + rhythm.failover_ms


Sightings = Mapping[str, Sighting]
Thing = TypeVar("Thing")


def look(before: Sightings, leases: Iterable[Lease], now_ms: int) -> dict[str, Sighting]:
    """What is known after another look; `now_ms` is when the answer had come."""
    seen = {}
    for lease in leases:
        known = before.get(lease.key)
        stands = known is not None and known.lease.counter == lease.counter and _owned(known.lease) == _owned(lease)
        seen[lease.key] = Sighting(lease, known.since_ms if known is not None and stands else now_ms)
    return seen


def _owned(lease: Lease) -> bool:
    return lease.holder is not None


class Take(Struct, frozen=True):
    """Take a lease that is free, or was given to us."""

    lease: Lease


class Ask(Struct, frozen=True):
    """Ask for a lease whose holder is alive and has more of them."""

    lease: Lease


Move = Take | Ask


class Standing(Struct, frozen=True):
    """What a worker knows when it decides."""

    worker: str
    held: frozenset[str]  # keys of the leases that it holds
    led: bool = False  # whether a KCL leader balances


def decide(
    seen: Sightings, standing: Standing, now_ms: int, rhythm: Rhythm, draw: Callable[[], float]
) -> list[Move]:  # fmt: skip
    """The moves of one worker; `draw` gives numbers in [0, 1), so that workers do not all reach for the same lease."""
    leases = {key: sighting.lease for key, sighting in seen.items()}
    open_to = {key: sighting for key, sighting in seen.items() if may_start(sighting.lease, leases)}
    given = [
        sighting.lease
        for key, sighting in open_to.items()
        if key not in standing.held and _is_given(sighting, standing)
    ]
    free = [
        sighting
        for key, sighting in open_to.items()
        if key not in standing.held and not _is_given(sighting, standing) and sighting.is_free(now_ms, rhythm)
    ]
    at_work = [sighting.lease for sighting in open_to.values() if sighting not in free]
    counts = Counter(lease.owner for lease in at_work if lease.owner is not None)
    counts[standing.worker] += 0
    moves: list[Move] = [Take(lease) for lease in given]
    if free:
        return moves + _takes(free, counts, len(open_to), standing, now_ms, rhythm, draw)
    if standing.led or given:
        return moves
    return moves + _asks(at_work, counts, standing, rhythm, draw)


def _is_given(sighting: Sighting, standing: Standing) -> bool:
    return sighting.lease.owner == standing.worker and sighting.lease.checkpoint_owner is None


def _takes(
    free: list[Sighting],
    counts: Counter[str],
    total: int,
    standing: Standing,
    now_ms: int,
    rhythm: Rhythm,
    draw: Callable[[], float],
) -> list[Move]:
    mine = counts[standing.worker]
    share = -(-total // len(counts))
    room = max(0, min(share, rhythm.leases_max) - mine)
    most = max(0, rhythm.leases_max - mine)
    patience_ms = OVERDUE_SCANS * rhythm.scan_ms
    shuffled = _shuffled(free, draw)
    overdue = [sighting for sighting in shuffled if now_ms - sighting.free_since_ms(rhythm) >= patience_ms]
    fresh = [sighting for sighting in shuffled if sighting not in overdue]
    chosen = overdue[:most]
    chosen += fresh[: max(0, room - len(chosen))]
    return [Take(sighting.lease) for sighting in chosen]


def _asks(
    at_work: list[Lease], counts: Counter[str], standing: Standing, rhythm: Rhythm, draw: Callable[[], float]
) -> list[Move]:
    mine = counts[standing.worker]
    room = min(-(-sum(counts.values()) // len(counts)), rhythm.leases_max) - mine
    allowed = max(1, room // 4) if room > 0 else (1 if mine < rhythm.leases_max else 0)
    mine_counts = dict(counts)
    asks: list[Move] = []
    for lease in _shuffled(at_work, draw):
        owner = lease.owner
        if len(asks) >= allowed:
            break
        if owner is None or owner == standing.worker or lease.checkpoint_owner is not None:
            continue
        richest = max(mine_counts.values())
        if mine_counts[owner] == richest and richest - mine - len(asks) >= 2:
            asks.append(Ask(lease))
            mine_counts[owner] -= 1
    return asks


def _shuffled(things: "list[Thing]", draw: Callable[[], float]) -> "list[Thing]":
    keyed = sorted((draw(), place) for place in range(len(things)))
    return [things[place] for _, place in keyed]
