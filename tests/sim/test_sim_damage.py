"""Damage that no crash makes: flipped bits and overwritten ranges cost the records that lay there, are told, and cost nothing more."""

from collections.abc import Callable, Coroutine
from typing import Any, Final

import pytest
from sim_history import label
from sim_world import quiet

from penstock.engines.api import Appended, Batch, LogId, Position
from penstock.engines.local.columns import Damaged
from penstock.engines.local.frame import SECTOR_BYTES
from penstock.engines.local.log import LocalLog, Options, open_log
from penstock.host.entropy import SeededEntropy
from penstock.host.sim.chance import Chance
from penstock.host.sim.clock import SimClock
from penstock.host.sim.disk import SimDisk
from penstock.host.sim.image import Image
from penstock.host.sim.loop import Halted, SimLoop
from penstock.host.sim.tasks import SimTasks

JOURNAL_BYTES: Final = 256 << 10  # all that a test writes fits into one file
SMALL_JOURNAL_BYTES: Final = 64 << 10
A: Final = LogId("stream/a")
B: Final = LogId("stream/b")
GROUPS: Final = 8
RECORDS: Final = 3  # of each log in a group
FILLER: Final = b"x" * 500
Records = dict[tuple[LogId, int], bytes]


class Directory:
    """A data directory that is opened, closed and damaged in between."""

    def __init__(self, journal_bytes: int = JOURNAL_BYTES) -> None:
        self.journal_bytes = journal_bytes
        self.loop = SimLoop()
        self.clock = SimClock(self.loop)
        self.image = Image(SECTOR_BYTES)
        self.written: Records = {}
        self.opened = 0
        self.number = 0

    def use(self, work: Callable[[LocalLog], Coroutine[Any, Any, None]]) -> list[str]:
        """Open the engine, work, close it; answer what it tells of damage."""
        self.opened += 1
        disk = self.disk = SimDisk(self.image, Chance(self.opened, "disk"))
        disk.on_crash = self.loop.halt
        tasks = SimTasks()

        async def life() -> list[str]:
            log, _ = await open_log(disk, self.clock, SeededEntropy(1), tasks, Options(self.journal_bytes, 0, 0))
            await work(log)
            await log.close()
            await tasks.stop()
            return log.damage

        try:
            with quiet():
                damage = self.loop.run(life())
        finally:
            disk.dead = True
            self.loop.drop_everything()
        assert not tasks.failures
        return damage

    def fill(self, groups: int = GROUPS, settle: bool = False) -> None:
        """Write to both logs; settled, more goes to the next journal file."""

        async def work(log: LocalLog) -> None:
            await log.create([A, B])
            for _ in range(groups):
                await self.put(log)
            if settle:
                await log.settle()

        assert self.use(work) == []

    async def put(self, log: LocalLog) -> None:
        """One group."""
        self.number += 1
        for name in (A, B):
            data = [label(self.number, index, FILLER + name.encode()) for index in range(RECORDS)]
            [outcome] = await log.append([Batch(name, [b"k"] * RECORDS, data)])
            assert isinstance(outcome, Appended)
            for index, held in enumerate(data):
                self.written[name, outcome.first.offset + index] = held

    def read(self) -> tuple[Records, list[str]]:
        """Everything that can be read; every record is one that was written there."""
        found: Records = {}

        async def work(log: LocalLog) -> None:
            for name in (A, B):
                at, end = 0, (await log.bounds(name)).end
                while at < end.offset:
                    page = await log.read(name, Position(0, at), 4, 1 << 20)
                    assert page.next.offset > at, "a page makes no progress"
                    found.update({(name, page.first.offset + index): held for index, held in enumerate(page.data)})
                    at = page.next.offset
                await log.find_time(name, self.clock.now_ms() - 1000)

        damage = self.use(work)
        assert found.items() <= self.written.items()
        return found, damage

    def flip(self, path: str, at: int, length: int = 1) -> None:
        """Turn bits over."""
        live = self.image.find(path).live
        for place in range(at, min(at + length, len(live))):
            live[place] ^= 0x5A

    def place_of(self, data: bytes) -> tuple[str, int]:
        """Where a record lies."""
        for path in self.image.files():
            at = self.image.find(path).live.find(data)
            if at >= 0 and (path.startswith("segments/") or path.rpartition("/")[2].isdecimal()):
                return path, at
        raise AssertionError(f"{data[:20]!r} is nowhere")

    def newest(self, folder: str) -> str:
        """The file with the highest number."""
        return [path for path in self.image.files() if path.startswith(folder)][-1]


@pytest.mark.parametrize("group", range(1, GROUPS))
@pytest.mark.parametrize("name", [A, B])
def test_journal_when_a_byte_flips_in_an_acknowledged_group_then_its_records_are_lost_and_told(
    name: LogId, group: int
) -> None:
    directory = Directory()
    directory.fill()
    lost = {(name, offset) for offset in range((group - 1) * RECORDS, group * RECORDS)}
    path, at = directory.place_of(directory.written[min(lost)])
    directory.flip(path, at + 5)
    found, damage = directory.read()
    assert directory.written.keys() - found.keys() == lost
    assert any(path in line for line in damage)


def test_journal_when_a_range_over_two_groups_is_overwritten_then_the_others_are_served() -> None:
    directory = Directory()
    directory.fill()
    path, at = directory.place_of(directory.written[A, 3 * RECORDS])
    directory.flip(path, at, SECTOR_BYTES)
    found, damage = directory.read()
    lost = directory.written.keys() - found.keys()
    assert lost <= {(name, offset) for name in (A, B) for offset in range(3 * RECORDS, 5 * RECORDS)}
    assert (A, 3 * RECORDS) in lost
    assert any(path in line for line in damage)


def test_journal_when_records_were_lost_then_writing_goes_on_behind_them() -> None:
    directory = Directory()
    directory.fill()
    path, at = directory.place_of(directory.written[A, 0])
    directory.flip(path, at)
    directory.use(directory.put)
    directory.use(directory.put)
    found, _ = directory.read()
    assert directory.written.keys() - found.keys() == {(A, offset) for offset in range(RECORDS)}


def test_journal_when_the_first_sector_is_damaged_then_it_is_told_and_the_records_are_served() -> None:
    directory = Directory()
    directory.fill()
    path, _ = directory.place_of(directory.written[A, 0])
    directory.flip(path, 10)
    found, damage = directory.read()
    assert any(path in line for line in damage)
    assert found == directory.written


def test_journal_when_the_last_group_of_a_file_with_a_successor_is_damaged_then_it_is_told() -> None:
    directory = Directory(SMALL_JOURNAL_BYTES)

    async def fill_two_files(log: LocalLog) -> None:
        await log.create([A, B])
        await log._settler._changing.acquire()  # nothing is settled
        for _ in range(GROUPS):
            await directory.put(log)
        log._settler._changing.release()
        directory.disk.crash_now()

    with pytest.raises(Halted):
        directory.use(fill_two_files)
    first = "journal/0000000000000000"
    places = {key: directory.place_of(data) for key, data in directory.written.items()}
    assert {path for path, _ in places.values()} == {first, "journal/0000000000000001"}
    at, last = max((at, key) for key, (path, at) in places.items() if path == first)
    directory.flip(first, at)
    found, damage = directory.read()
    assert last not in found
    assert any(first in line for line in damage)


def _settled() -> tuple[Directory, str]:
    """A directory with records in a segment and in the journal, and the segment's path."""
    directory = Directory()
    directory.fill(GROUPS)
    directory.use(_settle)
    directory.use(directory.put)
    path, _ = directory.place_of(directory.written[A, 0])
    assert path.startswith("segments/")
    return directory, path


async def _settle(log: LocalLog) -> None:
    await log.settle()


def test_segment_when_a_block_is_damaged_then_its_log_misses_it_and_the_other_is_served() -> None:
    directory, path = _settled()
    directory.flip(*directory.place_of(directory.written[A, RECORDS]))
    found, damage = directory.read()
    lost = directory.written.keys() - found.keys()
    assert (A, RECORDS) in lost
    assert all(
        name == A and directory.place_of(directory.written[name, at])[0] == path for name, at in lost - {(A, RECORDS)}
    )
    assert any(path in line for line in damage)


@pytest.mark.parametrize("from_end", [1, 10, 20, 30, 50])
def test_segment_when_its_index_or_trailer_is_damaged_then_it_is_told_and_the_rest_is_served(from_end: int) -> None:
    directory, path = _settled()
    directory.flip(path, len(directory.image.find(path).live) - from_end)
    found, damage = directory.read()
    assert any(path in line for line in damage)
    newest = {key for key, data in directory.written.items() if directory.place_of(data)[0] != path}
    assert newest
    assert found.keys() == newest


def test_segment_when_its_header_is_damaged_then_all_is_served() -> None:
    directory, path = _settled()
    directory.flip(path, 3)
    found, _ = directory.read()
    assert found == directory.written


def test_segment_when_it_is_missing_or_cut_then_it_is_told_and_the_rest_is_served() -> None:
    for spoil in ("missing", "cut"):
        directory, path = _settled()
        newest = {key for key, data in directory.written.items() if directory.place_of(data)[0] != path}
        if spoil == "missing":
            directory.image.remove(path)
        else:
            del directory.image.find(path).live[1000:]
        found, damage = directory.read()
        assert any(path in line for line in damage)
        assert found.keys() == newest


def test_manifest_when_the_newest_is_damaged_then_nothing_is_lost_in_silence() -> None:
    directory, _ = _settled()
    directory.flip(directory.newest("manifest/"), 8)
    try:
        found, damage = directory.read()
    except Damaged:
        return  # a clear refusal
    assert damage
    assert found == directory.written


def test_manifest_when_all_are_damaged_then_opening_refuses() -> None:
    directory, _ = _settled()
    for path in list(directory.image.files()):
        if path.startswith("manifest/"):
            directory.flip(path, 8)
    with pytest.raises(Damaged):
        directory.read()


@pytest.mark.parametrize("seed", range(60))
def test_any_file_when_any_byte_flips_then_what_is_lost_is_told(seed: int) -> None:
    draw = Chance(seed, "damage")
    directory = Directory()
    for _ in range(draw.randrange(1, 4)):
        directory.fill(draw.randrange(1, 12))
    end = max(at for path, at in map(directory.place_of, directory.written.values()) if path.startswith("journal/"))
    path = draw.choice([path for path in directory.image.files() if "spare" not in path and "making" not in path])
    size = len(directory.image.find(path).live)
    if path.startswith("journal/"):  # the last group of the journal cannot be told from a torn one
        size = end // SECTOR_BYTES * SECTOR_BYTES
    directory.flip(path, draw.randrange(size), draw.choice((1, 1, 16)))
    try:
        found, damage = directory.read()
    except Damaged:
        return  # a clear refusal
    assert found == directory.written or damage
