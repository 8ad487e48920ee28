"""Planted bugs of the consumer: each takes one rule out of it, and the simulation must notice."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final
from unittest.mock import patch

from penstock.consumer import lineage, polling, taking
from penstock.consumer.family import ShardFamily
from penstock.consumer.feed import Page, Start
from penstock.consumer.lease import Lease
from penstock.consumer.position import Begin
from penstock.consumer.shardrun import ShardRun
from penstock.consumer.stores.memory import MemoryStore
from penstock.consumer.taking import Rhythm, Sighting
from penstock.consumer.tenure import FINAL, Tenure


@contextmanager
def taken_too_early() -> Iterator[None]:
    """A lease counts as free before its holder's time is over."""

    def free_since_ms(sighting: Sighting, rhythm: Rhythm) -> int:
        return sighting.since_ms + (rhythm.failover_ms // 2 if sighting.lease.holder else 0)

    with patch.object(Sighting, "free_since_ms", free_since_ms):
        yield


@contextmanager
def works_until_told() -> Iterator[None]:
    """A holder goes on until the store refuses it something."""
    with patch.object(Tenure, "good", property(lambda tenure: tenure.ending not in FINAL)):
        yield


@contextmanager
def renewed_when_answered() -> Iterator[None]:
    """A holder counts its time from the answer, not from the question."""
    real = Tenure._written

    def written(tenure: Tenure, new: Lease, sent_ms: int) -> None:
        real(tenure, new, tenure._clock.now_ms())

    with patch.object(Tenure, "_written", written):
        yield


@contextmanager
def written_without_condition() -> Iterator[None]:
    """The store takes every write."""

    async def swap(store: MemoryStore, old: Lease, new: Lease) -> bool:
        store.stored[old.key] = new
        return True

    with patch.object(MemoryStore, "swap", swap):
        yield


@contextmanager
def children_beside_parents() -> Iterator[None]:
    """A shard is begun whatever its parents are at."""

    def may_start(lease: Lease, _leases: Mapping[str, Lease]) -> bool:
        return not lease.checkpoint.ended

    with patch.object(taking, "may_start", may_start):
        yield


@contextmanager
def ended_before_children_have_leases() -> Iterator[None]:
    """A shard is written down as ended, and the leases of its children are left to whoever finds the hole."""

    async def ensure(_family: ShardFamily, _shard_id: str, children: tuple[str, ...]) -> tuple[str, ...]:
        return children

    with patch.object(ShardFamily, "ensure", ensure):
        yield


@contextmanager
def failed_batches_passed_over() -> Iterator[None]:
    """What a processor raised at is not given to it again."""
    real = ShardRun._process

    async def process(run: ShardRun, page: Page) -> bool:
        with patch.object(ShardRun, "_given_up", _true):
            return await real(run, page)

    async def _true(*_: object) -> bool:
        return True

    with patch.object(ShardRun, "_process", process):
        yield


@contextmanager
def latest_asked_for_again() -> Iterator[None]:
    """Whoever takes over a shard that was to begin at the latest record begins at what is latest now."""
    real = polling.start_of

    def start_of(lease: Lease, begin: Begin, *, fresh: bool) -> Start:
        return real(lease, begin, fresh=True)

    with patch.object(polling, "start_of", start_of):
        yield


@contextmanager
def merged_children_from_one_parent() -> Iterator[None]:
    """A descendant's lease begins where the application does."""
    with patch.object(lineage, "_with_leased_ancestor", lambda _ordered, _leases: set()):
        yield


CONSUMER_PLANTS: Final[dict[str, Callable[[], Any]]] = {
    plant.__name__: plant
    for plant in (
        taken_too_early,
        works_until_told,
        renewed_when_answered,
        written_without_condition,
        children_beside_parents,
        ended_before_children_have_leases,
        failed_batches_passed_over,
        latest_asked_for_again,
        merged_children_from_one_parent,
    )
}
