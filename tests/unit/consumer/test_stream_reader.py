"""A reader, on streams whose every answer is known."""

import asyncio

import pytest

from penstock.consumer.feed import Budget, CallFailed, Fetched, Page, Raw, Start
from penstock.consumer.lineage import HASH_KEYS, Shard
from penstock.consumer.measures import Measures
from penstock.consumer.polling import Pace, Polling
from penstock.consumer.position import Begin
from penstock.consumer.reader import Reader, Wanted
from penstock.consumer.shardrun import World
from penstock.core.hashkeys import HashRange
from penstock.host.clock import SystemClock
from penstock.host.entropy import SeededEntropy
from penstock.host.tasks import LoopTasks

ALL = HashRange(0, HASH_KEYS - 1)
PAGES = 3
PACE = Pace(idle_ms=1)


class Broken(Exception):
    """Nothing that a source promises."""


class Stream:
    """Shards of PAGES pages of a record each; a closed one ends after them, an open one is at its tip then."""

    def __init__(self, *shards: Shard, size_bytes: int = 1) -> None:
        self.listed = {shard.shard_id: shard for shard in shards}
        self.failing: dict[str, Exception] = {}  # by iterator, once for CallFailed
        self._size_bytes = size_bytes

    async def shards(self) -> list[Shard]:
        return list(self.listed.values())

    async def iterator(self, shard_id: str, start: Start) -> str:
        at = PAGES if start.kind == "LATEST" else 0 if start.sequence is None else int(start.sequence)
        return f"{shard_id}/{at}"

    async def fetch(self, iterator: str, limit: int) -> Fetched:
        for _ in range(100 if iterator.startswith("slow") else 1):  # an answer takes a while
            await asyncio.get_running_loop().run_in_executor(None, int)
        if error := self.failing.get(iterator):
            if isinstance(error, CallFailed):
                del self.failing[iterator]
            raise error
        shard_id, text = iterator.split("/")
        at = int(text)
        if at == PAGES and self.listed[shard_id].open:
            return Fetched([], iterator, 0)
        records = [Raw(b"x" * self._size_bytes, shard_id, str(at + 1), at)] if at < PAGES else []
        following = f"{shard_id}/{at + 1}" if at < PAGES else None
        children = tuple(shard for shard in self.listed.values() if shard_id in shard.parents)
        return Fetched(records, following, max(0, PAGES - at - 1), () if following else children)


Rounds = list[list[tuple[str, Page]]]


def read(stream: Stream, wanted: Wanted, budget: Budget | None = None, rounds: Rounds | None = None) -> Rounds:
    """All rounds; `rounds` has those before an error too."""
    rounds = [] if rounds is None else rounds
    world = World(SystemClock(), SystemClock(), SeededEntropy(1), LoopTasks)
    feed = Polling(stream, wanted.begin, PACE, world.clock, world.entropy, Measures())

    async def work() -> None:
        async with asyncio.timeout(60):
            async for pages in Reader(stream, wanted, feed, budget or Budget(1 << 20), world).rounds():
                rounds.append(pages)

    asyncio.run(work())
    return rounds


def told(rounds: Rounds) -> list[str]:
    return [
        f"{shard_id}{record.sequence_number}" for pages in rounds for shard_id, page in pages for record in page.records
    ]


FAMILY = (
    Shard("a", ALL, open=False),
    Shard("b", ALL, ("a",), open=False),
    Shard("c", ALL, ("a",), open=False),
    Shard("d", ALL, ("b", "c")),
)


def test_reader_when_shards_have_parents_then_those_come_first() -> None:
    found = told(read(Stream(*FAMILY), Wanted(Begin(), follow=False)))

    assert found[:3] == ["a1", "a2", "a3"]
    assert sorted(found[3:9]) == ["b1", "b2", "b3", "c1", "c2", "c3"]
    assert found[9:] == ["d1", "d2", "d3"]


def test_reader_when_it_begins_at_the_latest_then_closed_shards_are_not_read() -> None:
    assert told(read(Stream(*FAMILY), Wanted(Begin("LATEST"), follow=False))) == []


def test_reader_when_one_shard_is_wanted_then_neither_parents_nor_children_are_read() -> None:
    assert told(read(Stream(*FAMILY), Wanted(Begin(), "b"))) == ["b1", "b2", "b3"]


def test_reader_when_shards_are_behind_then_a_round_has_a_page_of_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("penstock.consumer.reader.ROUND_WAIT_S", 60)
    rounds = read(Stream(Shard("a", ALL), Shard("slow", ALL)), Wanted(Begin(), follow=False))

    assert [[shard_id for shard_id, page in pages if page.records] for pages in rounds[:PAGES]] == [["a", "slow"]] * 3


def test_reader_when_pages_are_larger_than_its_room_then_all_are_read() -> None:
    shards = [Shard(f"s{number}", ALL) for number in range(20)]
    budget = Budget(100)

    found = told(read(Stream(*shards, size_bytes=90), Wanted(Begin(), follow=False), budget))

    assert len(found) == 60
    assert budget.used_bytes == 0


def test_reader_when_an_iterator_expires_then_it_goes_on_behind_what_it_has() -> None:
    stream = Stream(Shard("a", ALL))
    stream.failing["a/2"] = CallFailed("", code="ExpiredIteratorException")

    assert told(read(stream, Wanted(Begin(), follow=False))) == ["a1", "a2", "a3"]


def test_reader_when_a_feed_breaks_then_it_raises_after_what_was_read() -> None:
    stream = Stream(Shard("a", ALL))
    stream.failing["a/2"] = Broken()

    rounds: Rounds = []

    with pytest.raises(Broken):
        read(stream, Wanted(Begin(), follow=False), rounds=rounds)
    assert told(rounds) == ["a1", "a2"]
