"""A worker's turns, on stores that tell less than the truth."""

import asyncio

from penstock.consumer.family import ShardFamily
from penstock.consumer.feed import Pipe
from penstock.consumer.lease import Lease
from penstock.consumer.lineage import HASH_KEYS, Shard
from penstock.consumer.measures import Measures
from penstock.consumer.position import ENDED, FROM_OLDEST, Begin, Checkpoint
from penstock.consumer.processor import RecordProcessor
from penstock.consumer.shardrun import Manner, World
from penstock.consumer.stores.memory import MemoryStore
from penstock.consumer.taking import Rhythm
from penstock.consumer.worker import Making, Worker
from penstock.core.hashkeys import HashRange
from penstock.host.clock import TestClock
from penstock.host.entropy import SeededEntropy
from penstock.host.tasks import LoopTasks

ALL = HashRange(0, HASH_KEYS - 1)
PARENT = Lease(key="p", checkpoint=FROM_OLDEST, hash_keys=ALL)
CHILD = Lease(key="c", checkpoint=FROM_OLDEST, parents=("p",), hash_keys=ALL)


class Forgetful(MemoryStore):
    """Lists no lease of these keys."""

    def __init__(self, *missed: str) -> None:
        super().__init__()
        self._missed = missed

    async def leases(self) -> list[Lease]:
        return [lease for lease in await super().leases() if lease.key not in self._missed]


class OneShard:
    """A stream with the child alone."""

    async def shards(self) -> list[Shard]:
        return [Shard("c", ALL, ("p",))]


async def nothing(lease: Lease, pipe: Pipe, *, fresh: bool) -> None:
    """A feed of nothing."""


def worker_on(store: MemoryStore) -> Worker:
    clock = TestClock()
    making = Making(
        worker_id="me",
        store=store,
        family=ShardFamily(OneShard(), store, Begin(), clock),  # type: ignore[arg-type]
        feed=nothing,
        make_processor=RecordProcessor,
        rhythm=Rhythm(failover_ms=1_000),
        manner=Manner(),
        in_flight_bytes=1,
    )
    return Worker(making, World(clock, clock, SeededEntropy(1), LoopTasks), Measures())


def held_after_a_turn(store: MemoryStore) -> list[str]:
    async def turn() -> list[str]:
        worker = worker_on(store)
        await worker._turn()
        held = worker.held
        worker.stop()
        await worker.run()
        return held

    return asyncio.run(turn())


def test_worker_when_a_listing_misses_a_parent_at_work_then_the_child_is_not_taken() -> None:
    store = Forgetful("p")
    store.stored = {"p": PARENT, "c": CHILD}
    assert held_after_a_turn(store) == []


def test_worker_when_a_parent_has_ended_or_is_gone_then_the_child_is_taken() -> None:
    for parents in ({"p": PARENT.at(ENDED)}, {}):
        store = Forgetful("p")
        store.stored = {**parents, "c": CHILD}
        assert held_after_a_turn(store) == ["c"]


def test_worker_when_it_stops_then_what_it_asked_for_is_given_back() -> None:
    store = MemoryStore()
    asked = Lease(key="a", checkpoint=Checkpoint("5"), owner="me", checkpoint_owner="other", counter=3, hash_keys=ALL)
    given = Lease(key="b", checkpoint=Checkpoint("5"), owner="me", counter=3, hash_keys=ALL)
    store.stored = {"a": asked, "b": given}

    async def leave() -> None:
        worker = worker_on(store)
        worker.stop()
        await worker.run()

    asyncio.run(leave())
    assert (store.stored["a"].owner, store.stored["a"].checkpoint_owner, store.stored["a"].counter) == (
        "other",
        None,
        3,
    )
    assert (store.stored["b"].owner, store.stored["b"].counter) == (None, 4)
