"""Commits that wait for the disk share one transaction, and nothing else."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from penstock.engines.api import Conflict, MetaUnavailable, Write
from penstock.engines.local.meta import SqliteMeta


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[SqliteMeta]:
    meta = await SqliteMeta.open(path)
    try:
        yield meta
    finally:
        await meta.close()


async def on_thread(meta: SqliteMeta, work: Callable[[sqlite3.Connection], object]) -> None:
    """Do something with the connection, where it lives."""
    await meta._begin(work)


async def outcomes(*commits: asyncio.Future[None]) -> list[BaseException | None]:
    return await asyncio.gather(*commits, return_exceptions=True)


def begin(meta: SqliteMeta, *writes: Write) -> "asyncio.Future[None]":
    return asyncio.ensure_future(meta.commit(list(writes)))  # noqa: TID251 - a test of the loop itself


def test_commit_when_many_wait_then_they_share_transactions_and_have_versions_of_their_own(tmp_path: Path) -> None:
    async def run() -> None:
        async with opened(tmp_path / "meta") as meta:
            statements: list[str] = []
            await on_thread(meta, lambda connection: connection.set_trace_callback(statements.append))
            assert set(await outcomes(*(begin(meta, Write(f"k/{n:03}", b"", 0)) for n in range(200)))) == {None}
            assert statements.count("COMMIT") <= 20
            versions = [held.version for _, held in await meta.scan("k/")]
            assert versions == sorted(set(versions))

    asyncio.run(run())


def test_commit_when_some_of_those_that_wait_conflict_then_only_they_are_refused(tmp_path: Path) -> None:
    async def run() -> None:
        async with opened(tmp_path / "meta") as meta:
            told: list[str] = []
            meta.watch("", lambda changes: told.extend(change.key for change in changes))
            commits = [begin(meta, Write(f"own/{n}", b"", 0), Write(f"k/{n // 2}", b"%d" % n, 0)) for n in range(40)]
            results = await outcomes(*commits)
            assert results[::2] == [None] * 20
            assert all(isinstance(result, Conflict) and result.key.startswith("k/") for result in results[1::2])
            assert [held.value for _, held in await meta.scan("k/")] == [
                b"%d" % (2 * int(key.removeprefix("k/"))) for key, _ in await meta.scan("k/")
            ]
            assert told == [key for n in range(0, 40, 2) for key in (f"own/{n}", f"k/{n // 2}")]

    asyncio.run(run())


def test_commit_when_one_of_those_that_wait_cannot_be_stored_then_the_others_are(tmp_path: Path) -> None:
    async def run() -> None:
        async with opened(tmp_path / "meta") as meta:
            writes = [Write(f"k/{n}", b"", 0) for n in range(9)]
            writes[4] = Write("k/\ud800", b"", 0)  # no UTF-8
            results = await outcomes(*(begin(meta, write) for write in writes))
            assert [place for place, result in enumerate(results) if result is not None] == [4]
            assert isinstance(results[4], UnicodeEncodeError)
            assert [key for key, _ in await meta.scan("k/")] == [f"k/{n}" for n in range(9) if n != 4]

    asyncio.run(run())


def test_commit_when_the_disk_fails_then_all_that_wait_are_told_and_the_next_succeed(tmp_path: Path) -> None:
    async def run() -> None:
        async with opened(tmp_path / "meta") as meta:
            await on_thread(meta, lambda connection: connection.execute("PRAGMA query_only = ON"))
            results = await outcomes(*(begin(meta, Write(f"k/{n}", b"", 0)) for n in range(10)))
            assert all(isinstance(result, MetaUnavailable) for result in results)
            await on_thread(meta, lambda connection: connection.execute("PRAGMA query_only = OFF"))
            assert await meta.scan("") == []
            await meta.commit([Write("k/0", b"", 0)])
            assert [key for key, _ in await meta.scan("")] == ["k/0"]

    asyncio.run(run())


def test_commit_when_a_read_follows_then_it_sees_what_was_asked_for_before_it(tmp_path: Path) -> None:
    async def run() -> None:
        async with opened(tmp_path / "meta") as meta:
            for turn in range(20):
                loop = asyncio.get_running_loop()
                commits = [loop.create_task(meta.commit([Write(f"{turn}/{n}", b"", 0)])) for n in range(10)]
                seen = loop.create_task(meta.scan(f"{turn}/"))
                assert len(await seen) == 10
                await asyncio.gather(*commits)

    asyncio.run(run())


def test_commit_when_refused_and_nobody_waits_any_more_then_nothing_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def run() -> None:
        async with opened(tmp_path / "meta") as meta:
            await meta.commit([Write("a", b"", 0)])
            late = begin(meta, Write("a", b"", 0))
            await asyncio.sleep(0)  # noqa: TID251 - one turn of the loop
            late.cancel()
            await meta.get("a")

    asyncio.run(run())
    assert caplog.records == []
