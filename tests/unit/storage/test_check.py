"""`penstock check`: what it says of sound, damaged, used and foreign directories, and that it changes none of them."""

import asyncio
import shutil
import tracemalloc
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Final, TypeVar

import msgspec
import pytest
from data_directory import CLICKS, ORDERS, engine, fill, log_of, put, write_metadata
from disks import SettlingLater

from penstock.core.ids import Millis, StreamUid
from penstock.engines.api import Write
from penstock.engines.local import frame, manifest
from penstock.engines.local.frame import SECTOR_BYTES, Kind
from penstock.engines.local.journal import path_of
from penstock.engines.local.log import Options
from penstock.engines.local.manifest import Manifest
from penstock.engines.local.meta import SqliteMeta
from penstock.engines.local.segment import ranges_of
from penstock.host.disk import SystemDisk
from penstock.host.lock import DirectoryLock
from penstock.services.streams.peaks import TRAFFIC_ROOT, DayPeak, TrafficRecord
from penstock.services.streams.state import Consumer, encode
from penstock.storage.check import EXIT_DAMAGED, EXIT_SOUND, EXIT_USAGE, Report, check, run, total_bytes
from penstock.storage.directory import DataDirectory
from penstock.storage.finding import Names, line
from penstock.storage.segments import read_index

PEAK_MAX_BYTES: Final = 12 << 20
Result = TypeVar("Result")


def checked(path: Path) -> Report:
    return check(DataDirectory(path), lambda _count: None)


def lines(report: Report) -> list[str]:
    return [line(finding, report.names) for finding in report.damage]


def image(path: Path) -> dict[str, tuple[bytes, int]]:
    """Everything in a directory: names, contents, times."""
    return {
        str(found.relative_to(path)): (found.read_bytes() if found.is_file() else b"", found.stat().st_mtime_ns)
        for found in path.rglob("*")
    }


def republish(path: Path, changed: Manifest) -> None:
    for held in (path / "manifest").iterdir():
        number = int(held.name.rpartition("-")[2])
        held.write_bytes(manifest.encode(msgspec.structs.replace(changed, number=number)))


def test_a_sound_directory_is_sound_and_left_as_it_was(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asyncio.run(fill(tmp_path / "data"))
    before = image(tmp_path / "data")
    assert run(tmp_path / "data") == EXIT_SOUND
    shown = capsys.readouterr().out
    assert "2 streams, 3 shards, 4,800 records." in shown
    assert shown.endswith("Sound.\n")
    assert image(tmp_path / "data") == before


def test_every_byte_is_counted_once(tmp_path: Path) -> None:
    asyncio.run(fill(tmp_path / "data"))
    directory, read = DataDirectory(tmp_path / "data"), list[int]()
    check(directory, read.append)
    assert abs(sum(read) - total_bytes(directory)) <= 64 * len(directory.segment_paths())


@pytest.mark.parametrize(("made", "said"), [(False, "no such directory"), (True, "not a Penstock data directory")])
def test_no_data_directory_is_a_mistake_of_the_users(
    made: bool, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if made:
        (tmp_path / "data").mkdir()
    assert run(tmp_path / "data") == EXIT_USAGE
    [told] = capsys.readouterr().err.splitlines()
    assert said in told


class DyingDisk(SystemDisk):
    """A disk that the process does not live to use more than so many times."""

    def __init__(self, root: Path, uses: int) -> None:
        super().__init__(root)
        self._uses = uses

    async def _run(self, work: Callable[..., Result], *arguments: object) -> Result:
        if not self._uses:
            raise Killed
        self._uses -= 1
        return await super()._run(work, *arguments)


class Killed(Exception):
    """By a test."""


async def start(path: Path, uses: int) -> bool:
    """A first start on a disk that can be used so often; whether that was enough."""
    await (await SqliteMeta.open(path / "meta.sqlite")).close()
    disk = DyingDisk(path, uses)
    try:
        async with engine(path, disk):
            return True
    except Killed:
        return False
    finally:
        disk.close()


def test_check_when_the_first_start_was_killed_anywhere_then_it_is_no_damage_and_the_next_start_begins_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def begin(path: Path) -> None:
        async with engine(path) as log:
            await log.create([log_of(CLICKS, 0)])
            await put(log, log_of(CLICKS, 0), 7)
        await write_metadata(path, [(CLICKS, 1)])

    told, started = list[bool](), False
    for uses in count():
        path = tmp_path / f"data-{uses}"
        path.mkdir()
        started = asyncio.run(start(path, uses))
        assert run(path) == EXIT_SOUND
        told.append("the next start begins it" in capsys.readouterr().out)
        asyncio.run(begin(path))
        assert run(path) == EXIT_SOUND
        assert "1 streams, 1 shards, 7 records." in capsys.readouterr().out
        if started:
            break
    assert told == sorted(told, reverse=True)  # from the first manifest on it has begun
    assert told[0]
    assert not told[-1]


def test_check_when_there_is_no_manifest_and_yet_there_are_streams_then_it_is_damage(tmp_path: Path) -> None:
    asyncio.run(fill(tmp_path / "data"))
    for folder in ("manifest", "journal", "segments"):
        shutil.rmtree(tmp_path / "data" / folder)
    [told] = lines(checked(tmp_path / "data"))
    assert "though there are streams" in told


def test_a_newer_format_is_a_mistake_of_the_users(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asyncio.run(fill(tmp_path / "data"))
    held = DataDirectory(tmp_path / "data").find_manifest().manifest
    republish(tmp_path / "data", msgspec.structs.replace(held, format_version=99))
    assert run(tmp_path / "data") == EXIT_USAGE
    assert "format 99" in capsys.readouterr().err


def test_a_problem_is_one_line_that_names_stream_shard_and_records(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asyncio.run(fill(tmp_path / "data"))
    path = DataDirectory(tmp_path / "data").find_manifest().manifest.segments[0].path
    content = bytearray((tmp_path / "data" / path).read_bytes())
    content[1000] ^= 1
    (tmp_path / "data" / path).write_bytes(content)
    assert run(tmp_path / "data") == EXIT_DAMAGED
    *_, problem, count = capsys.readouterr().out.splitlines()
    assert problem.startswith(f"{path}: bytes 40 to ")
    assert problem.endswith("a block whose checksum is wrong: stream orders shardId-000000000000, records 0 to 699")
    assert count == "1 problem found."


def test_a_missing_segment_is_named_with_its_records(tmp_path: Path) -> None:
    asyncio.run(fill(tmp_path / "data"))
    path = DataDirectory(tmp_path / "data").find_manifest().manifest.segments[0].path
    (tmp_path / "data" / path).unlink()
    told = lines(checked(tmp_path / "data"))
    lost = "records that it must have held cannot be found: stream orders shardId-00000000000"
    expected = [
        f"{path}: {lost}0, records 0 to 699",
        f"{path}: {lost}1, records 0 to 599",
        f"{path}: the file is missing",
    ]
    assert told == expected


def test_segments_that_changed_places_are_told(tmp_path: Path) -> None:
    asyncio.run(fill(tmp_path / "data"))
    rows = DataDirectory(tmp_path / "data").find_manifest().manifest.segments
    first, second = (tmp_path / "data" / row.path for row in (rows[0], rows[2]))
    content = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(content)
    assert any(
        "an index that is not the one that the manifest notes" in text for text in lines(checked(tmp_path / "data"))
    )


def test_records_that_nothing_holds_are_told(tmp_path: Path) -> None:
    asyncio.run(fill(tmp_path / "data"))
    held = DataDirectory(tmp_path / "data").find_manifest().manifest
    dropped = held.segments[-1]
    republish(tmp_path / "data", msgspec.structs.replace(held, segments=held.segments[:-1]))
    report = checked(tmp_path / "data")
    [told] = lines(report)
    with DataDirectory(tmp_path / "data").open(dropped.path) as file:
        [lost] = ranges_of(read_index(file)[0])
    assert told == (
        "manifest/: names no segment that holds them: stream clicks shardId-000000000000, "
        f"records {lost.first_offset} to {lost.end - 1}"
    )
    assert [finding.path for finding in report.remains] == [dropped.path]


def test_records_that_lie_in_the_journal_and_in_segments_are_told(tmp_path: Path) -> None:
    """An old manifest over a journal file that was settled since, and segments that hold the same."""
    path = tmp_path / "data"

    async def unsettled() -> None:
        async with engine(path, SettlingLater(path)) as log:
            await log.create([log_of(CLICKS, 0)])
            await put(log, log_of(CLICKS, 0), 100)

    async def settled() -> None:
        async with engine(path) as log:
            await log.settle()

    asyncio.run(unsettled())
    [file_no] = DataDirectory(path).journal_numbers(0)
    file = path / path_of(file_no)
    content = file.read_bytes()
    asyncio.run(settled())
    file.write_bytes(content)
    held = DataDirectory(path).find_manifest().manifest
    republish(path, msgspec.structs.replace(held, first_file_no=int(file.name)))
    asyncio.run(write_metadata(path, [(CLICKS, 1)]))
    assert any("records that lie elsewhere too" in text for text in lines(checked(path)))


def test_shards_without_logs_and_logs_without_shards_are_told(tmp_path: Path) -> None:
    async def make() -> None:
        async with engine(tmp_path / "data") as log:
            await log.create([log_of(ORDERS, 0), log_of(CLICKS, 0)])
            await put(log, log_of(CLICKS, 0), 7)
        await write_metadata(tmp_path / "data", [(ORDERS, 2)])

    asyncio.run(make())
    assert lines(checked(tmp_path / "data")) == [
        "meta.sqlite: a shard whose log is missing: stream orders shardId-000000000001",
        f"meta.sqlite: a log of 7 records that no shard owns: log {CLICKS}/0",
    ]


def test_missing_metadata_is_told(tmp_path: Path) -> None:
    asyncio.run(fill(tmp_path / "data"))
    (tmp_path / "data" / "meta.sqlite").unlink()
    assert lines(checked(tmp_path / "data")) == ["meta.sqlite: is missing: which streams there are is not known"]


def test_what_a_crash_leaves_is_noted_and_is_no_damage(tmp_path: Path) -> None:
    asyncio.run(fill(tmp_path / "data"))
    held = DataDirectory(tmp_path / "data").find_manifest().manifest
    segment = tmp_path / "data" / held.segments[0].path
    shutil.copy(segment, segment.with_name("000000999999"))
    (tmp_path / "data" / "journal" / f"{0:016d}").write_bytes(bytes(1 << 20))
    [*_, named] = sorted((tmp_path / "data" / "journal").glob("0*"))  # the next one, which is no finding
    assert int(named.name) not in DataDirectory(tmp_path / "data").journal_numbers(0)
    report = checked(tmp_path / "data")
    assert report.damage == []
    assert len(report.remains) == 2
    begun = bytes(SECTOR_BYTES) + b"".join(frame.encode(Kind.CREATE, int(named.name), 1, [b"never whole"]))[:-1]
    named.write_bytes(begun + bytes((1 << 20) - len(begun)))
    report = checked(tmp_path / "data")
    assert report.damage == []
    assert len(report.remains) == 3


def test_a_directory_in_use_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asyncio.run(fill(tmp_path / "data"))
    lock = DirectoryLock(tmp_path / "data")
    assert run(tmp_path / "data") == EXIT_SOUND
    assert "A server is using the directory" in capsys.readouterr().out
    lock.release()


def test_an_engine_at_work_is_found_sound_again_and_again(tmp_path: Path) -> None:
    path, log_name = tmp_path / "data", log_of(CLICKS, 0)

    async def work() -> None:
        await write_metadata(path, [(CLICKS, 1)])
        async with engine(path, options=Options(journal_file_bytes=256 << 10)) as log:
            await log.create([log_name])
            looking = asyncio.get_running_loop().run_in_executor(None, look)
            while not looking.done():
                await put(log, log_name, 100)
                end = (await log.bounds(log_name)).end
                await log.trim(log_name, end._replace(offset=max(0, end.offset - 2000)))
            await looking

    def look() -> None:
        for _ in range(12):
            assert lines(checked(path)) == []

    path.mkdir()
    lock = DirectoryLock(path)  # as a server holds it
    asyncio.run(work())
    lock.release()


def test_memory_does_not_grow_with_the_directory(tmp_path: Path) -> None:
    async def make() -> None:
        async with engine(tmp_path / "data") as log:
            await log.create([log_of(CLICKS, 0)])
            for _ in range(500):
                await put(log, log_of(CLICKS, 0), 100)

    asyncio.run(make())
    directory = DataDirectory(tmp_path / "data")
    assert total_bytes(directory) > 24 << 20
    tracemalloc.start()
    checked(tmp_path / "data")
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < PEAK_MAX_BYTES


def test_a_log_that_no_stream_owns_is_called_by_its_own_name() -> None:
    names = Names({"abc": "orders"})
    assert names.of("abc/1") == "stream orders shardId-000000000001"
    assert names.of("xyz/1") == "log xyz/1"


def test_a_traffic_record_that_does_not_decode_is_told_and_one_that_does_is_not(tmp_path: Path) -> None:
    async def make() -> None:
        async with engine(tmp_path / "data") as log:
            await log.create([log_of(CLICKS, 0)])
        await write_metadata(tmp_path / "data", [(CLICKS, 1)])
        meta = await SqliteMeta.open(tmp_path / "data" / "meta.sqlite")
        good = msgspec.msgpack.encode(TrafficRecord(days=(DayPeak(1, 2, 3, 4, 5),), busy_ms={0: 1}))
        await meta.commit([Write(TRAFFIC_ROOT + CLICKS, good, 0), Write(TRAFFIC_ROOT + ORDERS, b"junk", 0)])
        await meta.close()

    asyncio.run(make())
    [told] = lines(checked(tmp_path / "data"))
    assert told.startswith(f"meta.sqlite: the value of 'streams/traffic/{ORDERS}' does not decode")


def test_a_consumer_of_no_stream_and_one_that_does_not_decode_are_told(tmp_path: Path) -> None:
    def consumer(uid: str) -> Consumer:
        return Consumer(uid=StreamUid(uid), name="c", created_ms=Millis(1), status="ACTIVE")

    async def make() -> None:
        async with engine(tmp_path / "data") as log:
            await log.create([log_of(CLICKS, 0)])
        await write_metadata(tmp_path / "data", [(CLICKS, 1)])
        meta = await SqliteMeta.open(tmp_path / "data" / "meta.sqlite")
        held = [consumer(CLICKS), consumer(ORDERS)]
        writes = [Write(each.key, encode(each), 0) for each in held]
        await meta.commit([*writes, Write(f"streams/consumer/{CLICKS}/bad", b"junk", 0)])
        await meta.close()

    asyncio.run(make())
    first, second = lines(checked(tmp_path / "data"))
    assert first.startswith(f"meta.sqlite: the value of 'streams/consumer/{CLICKS}/bad' does not decode")
    assert second == "meta.sqlite: consumer c of no stream"
