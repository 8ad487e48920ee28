"""SqliteMeta beyond the contract: restarts, files that are not ours, a full disk, checks and backups, and what watchers can rely on."""

import asyncio
import os
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest

from penstock.engines.api import Change, Conflict, MetaUnavailable, MetaUnusable, Write
from penstock.engines.local.meta import SqliteMeta
from penstock.engines.local.metafile import APPLICATION_ID, FORMAT


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[SqliteMeta]:
    meta = await SqliteMeta.open(path)
    try:
        yield meta
    finally:
        await meta.close()


async def put(meta: SqliteMeta, key: str, value: bytes | None) -> int:
    """Write a key whatever its version; answer the new one."""
    held = await meta.get(key)
    await meta.commit([Write(key, value, held.version if held is not None else 0)])
    now = await meta.get(key)
    return now.version if now is not None else 0


def test_open_when_closed_before_then_values_and_versions_are_there(tmp_path: Path) -> None:
    async def run() -> None:
        async with opened(tmp_path / "meta") as meta:
            await meta.commit([Write("a", b"1", 0), Write("b", b"\x00\xff", 0), Write("", b"", 0)])
            await put(meta, "a", b"2")
            before = await meta.scan("")
        async with opened(tmp_path / "meta") as meta:
            assert await meta.scan("") == before
            with pytest.raises(Conflict):
                await meta.commit([Write("a", b"3", 0)])
            await meta.commit([Write("a", b"3", dict(before)["a"].version)])

    asyncio.run(run())
    assert [path.name for path in tmp_path.iterdir()] == ["meta"], "a closed store is one file"


def test_open_when_keys_were_deleted_before_then_no_version_repeats(tmp_path: Path) -> None:
    async def run() -> None:
        seen: list[int] = []
        for _ in range(4):
            async with opened(tmp_path / "meta") as meta:
                seen.append(await put(meta, "a", b"x"))
                await put(meta, "a", None)
                assert await meta.scan("") == []
        assert seen == sorted(set(seen))

    asyncio.run(run())


def test_open_when_the_file_is_new_then_only_its_owner_can_read_it(tmp_path: Path) -> None:
    async def run() -> None:
        async with opened(tmp_path / "meta") as meta:
            await put(meta, "secret", b"x")
            assert {entry.stat().st_mode & 0o777 for entry in os.scandir(tmp_path)} == {0o600}

    asyncio.run(run())


def refused(path: Path) -> str:
    """The line with which a file is refused."""
    with pytest.raises(MetaUnavailable) as error:
        asyncio.run(SqliteMeta.open(path))
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)
    return f"{type(error.value).__name__}: {error.value}".replace(f"{path}: ", "")


def sqlite_file(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)


def test_open_when_the_file_is_not_ours_then_it_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    text, short, other, tagged, newer, older = (tmp_path / name for name in ("t", "s", "o", "g", "n", "z"))
    text.write_bytes(b"no database " * 1000)
    short.write_bytes(b"hello")
    sqlite_file(other, "CREATE TABLE t (a)")
    sqlite_file(tagged, "PRAGMA application_id = 7")
    sqlite_file(newer, f"PRAGMA application_id = {APPLICATION_ID}", f"PRAGMA user_version = {FORMAT + 1}")
    sqlite_file(older, f"PRAGMA application_id = {APPLICATION_ID}", "CREATE TABLE t (a)")
    files = {path: path.read_bytes() for path in tmp_path.iterdir()}
    assert refused(text) == "MetaUnusable: file is not a database"
    assert refused(short) == "MetaUnusable: file is not a database"
    assert refused(other) == "MetaUnusable: a SQLite file, but not Penstock's metadata"
    assert refused(tagged) == "MetaUnusable: a SQLite file, but not Penstock's metadata"
    assert refused(newer) == "MetaUnusable: written by a newer Penstock (format 2; this one reads 1)"
    assert refused(older) == "MetaUnusable: not readable (format 0; this one reads 1)"
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == files


def test_open_when_it_cannot_be_made_then_it_is_unavailable(tmp_path: Path) -> None:
    assert refused(tmp_path / "absent" / "meta") == "MetaUnavailable: No such file or directory"
    assert refused(tmp_path) == "MetaUnavailable: unable to open database file"


def test_open_when_it_is_open_already_then_it_is_refused(tmp_path: Path) -> None:
    again = """
import asyncio, pathlib, sys
from penstock.engines.api import MetaUnavailable
from penstock.engines.local.meta import SqliteMeta
try:
    asyncio.run(SqliteMeta.open(pathlib.Path(sys.argv[1])))
except MetaUnavailable as error:
    print(error)
"""

    async def run() -> None:
        async with opened(tmp_path / "meta") as meta:
            with pytest.raises(MetaUnavailable, match="in use by another process"):
                await SqliteMeta.open(tmp_path / "meta")
            second = [sys.executable, "-c", again, str(tmp_path / "meta")]
            said = await asyncio.to_thread(subprocess.check_output, second, text=True)
            assert said.endswith(": in use by another process\n")
            await put(meta, "a", b"1")

    asyncio.run(run())


async def verdict(path: Path, expected: Sequence[object]) -> str:
    """What becomes of a file that was damaged: it is `refused` or `reported`, or the damage is `harmless` (everything reads as it was)."""
    try:
        meta = await SqliteMeta.open(path)
    except MetaUnavailable:
        return "refused"
    try:
        if await meta.check():
            return "reported"
        assert await meta.scan("") == expected
        await put(meta, "after", b"x")
        return "harmless"
    finally:
        await meta.close()


async def filled(path: Path) -> Sequence[object]:
    """Make a store and answer what it holds."""
    async with opened(path) as meta:
        for number in range(40):
            await put(meta, f"shard/{number}", b"%d" % number * 40)
        await put(meta, "long", bytes(range(256)) * 40)
        await put(meta, "shard/7", None)
        return await meta.scan("")


def test_check_when_a_byte_is_flipped_then_nothing_wrong_is_read_unnoticed(tmp_path: Path) -> None:
    async def run() -> None:
        content = await filled(tmp_path / "meta")
        whole = (tmp_path / "meta").read_bytes()
        outcomes: dict[str, int] = {}
        for at in [*range(0, 110, 3), *range(110, len(whole), 199)]:
            damaged = tmp_path / f"at-{at}"
            damaged.write_bytes(whole[:at] + bytes([whole[at] ^ 0x41]) + whole[at + 1 :])
            outcome = await verdict(damaged, content)
            outcomes[outcome] = outcomes.get(outcome, 0) + 1
        assert outcomes.keys() == {"refused", "reported", "harmless"}

    asyncio.run(run())


def test_check_when_the_file_is_cut_then_it_is_refused_or_reported(tmp_path: Path) -> None:
    async def run() -> None:
        content = await filled(tmp_path / "meta")
        whole = (tmp_path / "meta").read_bytes()
        for pages in range(1, len(whole) // 4096):
            (tmp_path / f"cut-{pages}").write_bytes(whole[: pages * 4096])
            assert await verdict(tmp_path / f"cut-{pages}", content) in ("refused", "reported")

    asyncio.run(run())


def test_get_when_the_value_rotted_then_it_is_not_answered(tmp_path: Path) -> None:
    async def run() -> None:
        async with opened(tmp_path / "meta") as meta:
            await meta.commit([Write("good", b"fine", 0), Write("bad", b"precious", 0)])
        path = tmp_path / "meta"
        path.write_bytes(path.read_bytes().replace(b"precious", b"precioux"))
        async with opened(path) as meta:
            for read in (meta.get("bad"), meta.scan("")):
                with pytest.raises(MetaUnusable, match="the value of 'bad' is damaged"):
                    await read
            assert (await meta.scan("g"))[0][1].value == b"fine"
            assert await meta.check() == ["the value of 'bad' is damaged"]
            assert await put(meta, "good", b"better") > 1

    asyncio.run(run())


def test_check_when_the_counter_fell_behind_then_it_says_so(tmp_path: Path) -> None:
    async def run() -> None:
        async with opened(tmp_path / "meta") as meta:
            await put(meta, "a", b"1")
            behind = await meta._begin(lambda connection: connection.execute("SELECT * FROM counter").fetchall())
            await put(meta, "b", b"1")
            assert await meta.check() == []
        sqlite_file(
            tmp_path / "meta", "BEGIN", f"UPDATE counter SET version = {behind[0][0]}, crc = {behind[0][1]}", "COMMIT"
        )
        async with opened(tmp_path / "meta") as meta:
            assert await meta.check() == ["'b' has version 2; the last commit was 1"]

    asyncio.run(run())


def test_commit_when_the_disk_is_full_then_nothing_changes_and_later_ones_succeed(tmp_path: Path) -> None:
    async def run() -> None:
        async with opened(tmp_path / "meta") as meta:
            calls: list[Sequence[Change]] = []
            await put(meta, "a", b"1")
            meta.watch("", calls.append)
            before = await meta.scan("")
            await meta._begin(lambda connection: connection.execute("PRAGMA max_page_count = 8").fetchall())
            writes = [Write("a", b"2", before[0][1].version), *(Write(f"b/{n}", b"x" * 4000, 0) for n in range(20))]
            for _ in range(2):
                with pytest.raises(MetaUnavailable, match="full"):
                    await meta.commit(writes)
            assert await meta.scan("") == before
            assert calls == []
            await meta._begin(lambda connection: connection.execute("PRAGMA max_page_count = 1000").fetchall())
            await meta.commit(writes)
            assert len(await meta.scan("b/")) == 20
            assert len(calls) == 1
            assert await meta.check() == []

    asyncio.run(run())


LIMITED = """
import asyncio, pathlib, resource, sys
from penstock.engines.api import MetaUnavailable, Write
from penstock.engines.local.meta import SqliteMeta

async def run(path):
    meta = await SqliteMeta.open(path)
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    failures = done = 0
    for extra in range(0, 60000, 3000):  # each write of a commit is the first that fails, one after another
        used = pathlib.Path(f"{path}-wal").stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (used + extra, hard))
        before = await meta.scan("")
        try:
            await meta.commit([Write(f"{extra}/{number}", b"x" * 3000, 0) for number in range(8)])
            done += 1
        except MetaUnavailable:
            failures += 1
            resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
            assert await meta.scan("") == before
            await meta.commit([Write(f"{extra}/0", b"later", 0)])
            done += 1
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    assert await meta.check() == []
    versions = {held.version for _, held in await meta.scan("")}
    assert len(versions) == done
    await meta.close()
    print(failures)

asyncio.run(run(pathlib.Path(sys.argv[1])))
"""


def test_commit_when_a_write_fails_then_nothing_changes_and_later_ones_succeed(tmp_path: Path) -> None:
    said = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path / "meta")], capture_output=True, text=True, check=False
    )
    assert said.returncode == 0, said.stderr
    assert 5 < int(said.stdout) < 20


def test_backup_when_commits_go_on_then_the_copy_is_of_one_moment(tmp_path: Path) -> None:
    async def run() -> None:
        async with opened(tmp_path / "meta") as meta:
            await meta.commit([Write("x", b"0", 0), Write("y", b"0", 0)])

            async def count_up() -> None:
                for number in range(1, 60):
                    [(_, x), (_, y)] = await meta.scan("")
                    value = b"%d" % number
                    await meta.commit([Write("x", value, x.version), Write("y", value, y.version)])

            await asyncio.gather(count_up(), *(meta.backup(tmp_path / f"copy-{number}") for number in range(3)))
            newest = await put(meta, "x", b"last")
        for number in range(3):
            async with opened(tmp_path / f"copy-{number}") as copy:
                assert await copy.check() == []
                [(_, x), (_, y)] = await copy.scan("")
                assert x == y
                assert await put(copy, "z", b"goes on") <= newest

    asyncio.run(run())
    assert {path.name for path in tmp_path.iterdir()} == {"meta", "copy-0", "copy-1", "copy-2"}


def test_backup_when_there_is_such_a_file_then_it_is_left_alone(tmp_path: Path) -> None:
    async def run() -> None:
        async with opened(tmp_path / "meta") as meta:
            (tmp_path / "copy").write_bytes(b"precious")
            (tmp_path / "other-wal").write_bytes(b"someone's")
            for target in ("copy", "other", "meta"):
                with pytest.raises(ValueError, match="exists already"):
                    await meta.backup(tmp_path / target)
            with pytest.raises(MetaUnavailable, match="No such file or directory"):
                await meta.backup(tmp_path / "absent" / "copy")
            assert (tmp_path / "copy").read_bytes() == b"precious"
            assert not (tmp_path / "other").exists()

    asyncio.run(run())


def test_close_when_called_then_what_was_begun_is_finished_and_nothing_more_begins(tmp_path: Path) -> None:
    async def run() -> None:
        meta = await SqliteMeta.open(tmp_path / "meta")
        loop = asyncio.get_running_loop()
        begun = [loop.create_task(meta.commit([Write(f"k/{number}", b"", 0)])) for number in range(20)]
        closing_ = loop.create_task(meta.close())
        await asyncio.gather(*begun, closing_)
        await meta.close()
        for use in (meta.get("a"), meta.scan(""), meta.commit([Write("a", b"", 0)]), meta.check()):
            with pytest.raises(MetaUnavailable, match="closed"):
                await use
        async with opened(tmp_path / "meta") as again:
            assert len(await again.scan("k/")) == 20

    asyncio.run(run())


def test_commit_when_cancelled_then_it_is_told_once_or_never_and_in_order(tmp_path: Path) -> None:
    async def run() -> None:
        async with opened(tmp_path / "meta") as meta:
            told: list[int] = []
            meta.watch("", lambda changes: told.extend(change.now.version for change in changes if change.now))
            loop = asyncio.get_running_loop()
            begun = [loop.create_task(meta.commit([Write(f"k/{number}", b"", 0)])) for number in range(100)]
            await meta.get("a")
            for task in begun[::3]:
                task.cancel()
            await asyncio.gather(*begun, return_exceptions=True)
            stored = sorted(held.version for _, held in await meta.scan(""))
            assert told == stored
            assert len(stored) >= 66

    asyncio.run(run())


def test_watch_when_many_commit_at_once_then_a_reader_never_sees_what_was_not_told(tmp_path: Path) -> None:
    async def run() -> None:
        async with opened(tmp_path / "meta") as meta:
            told: dict[str, int] = {}

            def hear(changes: Sequence[Change]) -> None:
                told.update((change.key, change.now.version) for change in changes if change.now is not None)

            meta.watch("", hear)

            async def look() -> None:
                for _ in range(30):
                    seen = {key: held.version for key, held in await meta.scan("")}
                    assert seen == told

            await asyncio.gather(
                *(meta.commit([Write(f"{n}/x", b"", 0), Write(f"{n}/y", b"", 0)]) for n in range(100)), look(), look()
            )
            assert len(told) == 200

    asyncio.run(run())


def test_watch_when_it_follows_a_scan_at_once_then_no_commit_falls_between(tmp_path: Path) -> None:
    async def run() -> None:
        async with opened(tmp_path / "meta") as meta:

            async def follow() -> list[str]:
                known = [key for key, _ in await meta.scan("")]
                meta.watch("", lambda changes: known.extend(change.key for change in changes))
                return known

            keys = [f"{number:03}" for number in range(60)]
            work: list[Any] = []
            for key in keys:
                work += [meta.commit([Write(key, b"", 0)]), follow()]
            for known in (await asyncio.gather(*work))[1::2]:
                assert known == keys

    asyncio.run(run())


def test_watch_when_a_watcher_raises_then_the_others_are_told_and_the_commit_holds(tmp_path: Path) -> None:
    async def run() -> None:
        async with opened(tmp_path / "meta") as meta:
            reported: list[object] = []
            told: list[str] = []
            asyncio.get_running_loop().set_exception_handler(lambda _, what: reported.append(what["exception"]))
            failure = RuntimeError("a bug of the watcher's")

            def fail(changes: object) -> None:
                told.append("fails")
                raise failure

            meta.watch("", lambda changes: told.append("first"))
            meta.watch("", fail)
            meta.watch("", lambda changes: told.append("last"))
            await put(meta, "a", b"1")
            await put(meta, "a", b"2")
            assert told == ["first", "fails", "last"] * 2
            assert reported == [failure, failure]

    asyncio.run(run())
