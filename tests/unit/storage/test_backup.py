"""`penstock backup` and `penstock restore`: what is in a copy, what is refused, and what a failure leaves."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from data_directory import CLICKS, engine, fill, log_of, payload, put, read_all, write_metadata

from penstock.engines.api import LogId
from penstock.engines.filebuckets import FileBuckets
from penstock.engines.local.log import Options
from penstock.host.lock import DirectoryLock
from penstock.storage.backup import backup, copy_directory, restore
from penstock.storage.check import EXIT_DAMAGED, EXIT_SOUND, EXIT_USAGE
from penstock.storage.directory import DataDirectory

JOURNAL_FILE_BYTES = 128 << 10


def ignore(_count: int) -> None:
    pass


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def everything(path: Path, logs: list[LogId]) -> dict[LogId, dict[int, bytes]]:
    async with engine(path) as log:
        return {name: await read_all(log, name) for name in logs}


def test_a_restored_backup_holds_what_the_directory_held(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    logs = asyncio.run(fill(tmp_path / "data"))
    (tmp_path / "data" / "tls").mkdir()
    (tmp_path / "data" / "tls" / "ca.pem").write_text("certificate")
    (tmp_path / "data" / "tls" / "ca.pem").chmod(0o644)
    (tmp_path / "data" / "blobs" / "objects" / "a").mkdir(parents=True)
    (tmp_path / "data" / "blobs" / "objects" / "a" / "b").write_bytes(b"object")
    (tmp_path / "data" / "endpoint.json").write_text("{}")
    assert backup(tmp_path / "data", tmp_path / "backup") == EXIT_SOUND
    (tmp_path / "new").mkdir()
    assert restore(tmp_path / "backup", tmp_path / "new") == EXIT_SOUND
    assert f"The restore is complete: {tmp_path / 'new'}" in capsys.readouterr().out
    assert asyncio.run(everything(tmp_path / "new", logs)) == asyncio.run(everything(tmp_path / "data", logs))
    assert (tmp_path / "new" / "tls" / "ca.pem").stat().st_mode & 0o777 == 0o644
    assert (tmp_path / "new" / "blobs" / "objects" / "a" / "b").read_bytes() == b"object"
    assert not (tmp_path / "new" / "endpoint.json").exists()
    assert (tmp_path / "new" / "meta.sqlite").stat().st_mode & 0o777 == 0o600
    assert names(tmp_path) == ["backup", "data", "new"]


def test_a_restored_backup_holds_the_buckets_and_the_catalog_of_tables(tmp_path: Path) -> None:
    asyncio.run(fill(tmp_path / "data"))

    async def put_objects() -> None:
        buckets = FileBuckets(tmp_path / "data" / "buckets")
        await buckets.put("lake", "a//b", b"object")
        (tmp_path / "data" / "buckets" / "empty").mkdir(mode=0o750)
        (tmp_path / "data" / "buckets" / ".partial" / "half").write_bytes(b"being written")
        with closing(sqlite3.connect(tmp_path / "data" / "iceberg.db")) as catalog:
            catalog.execute("CREATE TABLE tables (name)")
            catalog.execute("INSERT INTO tables VALUES ('orders')")
            catalog.commit()
            catalog.execute("INSERT INTO tables VALUES ('not yet')")  # by a server that is at it
            assert await asyncio.to_thread(backup, tmp_path / "data", tmp_path / "backup") == EXIT_SOUND
        await buckets.close()

    async def objects() -> list[tuple[str, int]]:
        buckets = FileBuckets(tmp_path / "new" / "buckets")
        assert await buckets.get("lake", "a//b", 100) == b"object"
        return [entry async for entry in buckets.list("empty", "")]

    asyncio.run(put_objects())
    assert restore(tmp_path / "backup", tmp_path / "new") == EXIT_SOUND
    assert asyncio.run(objects()) == []
    assert names(tmp_path / "new" / "buckets") == ["empty", "lake"]
    assert (tmp_path / "new" / "buckets" / "empty").stat().st_mode & 0o777 == 0o750
    with closing(sqlite3.connect(tmp_path / "new" / "iceberg.db")) as catalog:
        assert catalog.execute("SELECT name FROM tables").fetchall() == [("orders",)]


@pytest.mark.parametrize(
    ("verb", "target", "said"),
    [
        (backup, "empty", "exists already"),
        (backup, "data", "exists already"),
        (backup, "nowhere/backup", "no such directory"),
        (restore, "data", "must be a new or empty directory"),
        (restore, "file", "must be a new or empty directory"),
    ],
)
def test_a_target_that_is_not_new_is_refused_in_one_line(
    verb: object, target: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asyncio.run(fill(tmp_path / "data", settled=1, tail=1))
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    before = sorted(tmp_path.rglob("*"))
    assert callable(verb)
    assert verb(tmp_path / "data", tmp_path / target) == EXIT_USAGE
    [line] = capsys.readouterr().err.splitlines()
    assert said in line
    assert sorted(tmp_path.rglob("*")) == before


def test_a_source_that_is_none_is_refused_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert restore(tmp_path / "nothing", tmp_path / "new") == EXIT_USAGE
    assert capsys.readouterr().err.strip().endswith("no such directory")
    assert names(tmp_path) == []


def test_damage_is_copied_and_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asyncio.run(fill(tmp_path / "data"))
    rows = DataDirectory(tmp_path / "data").find_manifest().manifest.segments
    (tmp_path / "data" / rows[0].path).write_bytes(b"rubbish")
    (tmp_path / "data" / rows[1].path).unlink()
    assert backup(tmp_path / "data", tmp_path / "backup") == EXIT_DAMAGED
    shown = capsys.readouterr().out
    assert "What is damaged in it is damaged where it came from" in shown
    assert f"{rows[1].path}: the file is missing" in shown


def test_a_copy_that_fails_leaves_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asyncio.run(fill(tmp_path / "data"))
    for held in (tmp_path / "data" / "manifest").iterdir():
        held.write_bytes(b"rubbish")
    assert backup(tmp_path / "data", tmp_path / "backup") == EXIT_USAGE
    assert "a manifest whose checksum is wrong" in capsys.readouterr().err
    assert names(tmp_path) == ["data"]


def test_backups_of_an_engine_at_work_hold_all_that_was_acknowledged_before(tmp_path: Path) -> None:
    """Files of the journal are settled, used again and deleted while they are copied."""
    path, name = tmp_path / "data", log_of(CLICKS, 0)
    acknowledged: list[tuple[int, int]] = []  # when each backup began: start and end of the log
    bounds = [0, 0]

    def copy() -> None:
        for number in range(15):
            acknowledged.append((bounds[0], bounds[1]))
            report = copy_directory(DataDirectory(path), tmp_path / f"backup-{number}", ignore)
            assert report.damage == []

    async def work() -> None:
        await write_metadata(path, [(CLICKS, 1)])
        async with engine(path, options=Options(journal_file_bytes=JOURNAL_FILE_BYTES)) as log:
            await log.create([name])
            copying = asyncio.get_running_loop().run_in_executor(None, copy)
            while not copying.done():
                await put(log, name, 50)
                end = (await log.bounds(name)).end
                bounds[1] = end.offset
                start = max(bounds[0], end.offset - 3000)
                await log.trim(name, end._replace(offset=start))
                bounds[0] = start
            await copying

    path.mkdir()
    lock = DirectoryLock(path)  # as a server holds it
    asyncio.run(work())
    lock.release()
    assert bounds[1] * 500 > 10 * JOURNAL_FILE_BYTES, "files were used again"
    for number, (_, end) in enumerate(acknowledged):
        copied = asyncio.run(everything(tmp_path / f"backup-{number}", [name]))[name]
        assert all(data == payload(name, offset) for offset, data in copied.items())
        assert sorted(copied) == list(range(min(copied, default=0), max(copied, default=-1) + 1)), "no hole"
        assert end <= max(copied, default=-1) + 1
