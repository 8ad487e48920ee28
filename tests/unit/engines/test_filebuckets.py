"""FileBuckets beyond the contract: what is on the disk, kills, leftovers, full disks, and the order of its syncs."""

import asyncio
import os
import shutil
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest

from penstock.engines.buckets import BucketDenied, BucketsUnavailable
from penstock.engines.filebuckets import FileBuckets

ALL = 1 << 30


def files(root: Path) -> list[str]:
    """Every file, and every empty folder, below a directory."""
    return sorted(
        path.relative_to(root).as_posix()
        for path in root.rglob("*")
        if path.is_file() or (path.is_dir() and not list(path.iterdir()))
    )


def put_all(root: Path, *keys: str) -> None:
    async def run() -> None:
        buckets = FileBuckets(root)
        for key in keys:
            await buckets.put("logs", key, key.encode())
        await buckets.close()

    asyncio.run(run())


def test_put_when_a_large_body_is_made_meanwhile_then_it_is_never_whole_in_memory(tmp_path: Path) -> None:
    async def run() -> int:
        buckets = FileBuckets(tmp_path)
        await buckets.put("logs", "warm", b"")
        tracemalloc.start()
        await buckets.put("logs", "a", (bytes([number]) * 100_000 for number in range(200)))
        peak_bytes = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        await buckets.close()
        return peak_bytes

    assert asyncio.run(run()) < 1 << 20
    assert (tmp_path / "logs/a").stat().st_size == 20_000_000


def test_put_when_keys_are_readable_then_the_files_have_their_names(tmp_path: Path) -> None:
    put_all(tmp_path, "year=2026/month=11/x-1-2026-11-30.gz", "plain", "a b/ü.json", "a:b,c@d")
    assert files(tmp_path) == [".partial", "logs/a b/ü.json", "logs/a:b,c@d", "logs/plain", "logs/year=2026/month=11/x-1-2026-11-30.gz"]  # fmt: skip
    assert (tmp_path / "logs/plain").read_bytes() == b"plain"


def test_put_when_keys_are_no_paths_then_their_files_are_as_documented(tmp_path: Path) -> None:
    put_all(tmp_path, "../x", "a//b", "a/", "a", "c", "c/d", "50%", "y" * 201)
    assert files(tmp_path) == sorted(
        [
            ".partial",
            "logs/%2E%2E/x",
            "logs/a/%/b",
            "logs/a/%%~",
            "logs/a%~",
            "logs/c",
            "logs/c%~/d",
            "logs/50%25",
            "logs/" + "y" * 200 + "%+/y",
        ]
    )


def test_nothing_when_unused_then_nothing_is_made(tmp_path: Path) -> None:
    async def run() -> None:
        await FileBuckets(tmp_path / "buckets").close()

    asyncio.run(run())
    assert files(tmp_path) == []


def test_list_when_there_are_foreign_files_then_they_are_passed_over_or_objects(tmp_path: Path) -> None:
    put_all(tmp_path, "a/b")
    (tmp_path / "logs" / "100%.txt").write_bytes(b"")
    (tmp_path / "logs" / "by-hand").write_bytes(b"123")
    (tmp_path / "logs" / "dangling").symlink_to("nowhere")
    os.close(os.open(os.fsencode(tmp_path / "logs") + b"/\xff", os.O_CREAT))

    async def run() -> None:
        buckets = FileBuckets(tmp_path)
        assert [tuple(entry) async for entry in buckets.list("logs", "")] == [("a/b", 3), ("by-hand", 3)]
        assert await buckets.get("logs", "by-hand", ALL) == b"123"
        await buckets.close()

    asyncio.run(run())


def test_put_when_everything_was_removed_by_hand_then_it_is_made_anew(tmp_path: Path) -> None:
    async def run() -> None:
        buckets = FileBuckets(tmp_path / "buckets")
        for _ in range(2):
            await buckets.put("logs", "a/b", b"x")
            assert await buckets.get("logs", "a/b", ALL) == b"x"
            shutil.rmtree(tmp_path / "buckets")
        await buckets.close()

    asyncio.run(run())


def test_every_method_when_the_place_is_unusable_then_it_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")

    async def run() -> None:
        buckets = FileBuckets(tmp_path / "file")
        with pytest.raises(BucketsUnavailable, match=f"{tmp_path}/file: Not a directory|{tmp_path}/file: File exists"):
            await buckets.put("logs", "a", b"x")
        await buckets.close()

    asyncio.run(run())


def test_put_when_the_system_forbids_it_then_it_is_denied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbid(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    async def run() -> None:
        buckets = FileBuckets(tmp_path)
        monkeypatch.setattr(os, "replace", forbid)
        with pytest.raises(BucketDenied, match=f"{tmp_path}: Permission denied"):
            await buckets.put("logs", "a", b"x")
        monkeypatch.undo()
        await buckets.put("logs", "a", b"x")
        await buckets.close()

    asyncio.run(run())
    assert files(tmp_path) == [".partial", "logs/a"]


LIMITED = """
import asyncio, pathlib, resource, sys
from penstock.engines.buckets import BucketsUnavailable
from penstock.engines.filebuckets import FileBuckets

async def run(root):
    buckets = FileBuckets(root)
    await buckets.put("logs", "a/b", b"old")
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    try:
        await buckets.put("logs", "a/b", b"x" * 2_000_000)
    except BucketsUnavailable as error:
        print(error)
    assert await buckets.get("logs", "a/b", 9) == b"old"
    [desk] = (root / ".partial").iterdir()
    assert not list(desk.iterdir())
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    await buckets.put("logs", "a/b", b"x" * 2_000_000)
    await buckets.close()

asyncio.run(run(pathlib.Path(sys.argv[1])))
"""


def test_put_when_a_write_fails_then_the_old_object_stays_and_later_ones_succeed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", LIMITED, str(tmp_path)]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr
    assert said.stdout == f"{tmp_path}: File too large\n"


PUTTER = """
import asyncio, pathlib, sys
from penstock.engines.filebuckets import FileBuckets

async def run(root):
    buckets = FileBuckets(root)
    for turn in range(10_000):
        await buckets.put("logs", f"a/{turn % 3}", bytes([turn % 256]) * 2_000_000)
        print(turn, flush=True)

asyncio.run(run(pathlib.Path(sys.argv[1])))
"""


def test_put_when_the_process_is_killed_then_objects_are_whole_and_leftovers_go(tmp_path: Path) -> None:
    for lines in (4, 7):
        with subprocess.Popen(
            [sys.executable, "-c", PUTTER, str(tmp_path)], stdout=subprocess.PIPE, text=True
        ) as putter:
            assert putter.stdout is not None
            for _ in range(lines):
                assert next(putter.stdout)
            putter.kill()
        for path in (tmp_path / "logs" / "a").iterdir():
            whole = path.read_bytes()
            assert whole == whole[:1] * 2_000_000
    assert len(list((tmp_path / ".partial").iterdir())) == 1, "the second one has removed what the first one left"
    put_all(tmp_path, "b")
    assert files(tmp_path) == [".partial", "logs/a/0", "logs/a/1", "logs/a/2", "logs/b"]


def test_put_when_two_servers_share_the_place_then_neither_disturbs_the_other(tmp_path: Path) -> None:
    async def run() -> None:
        one, other = FileBuckets(tmp_path), FileBuckets(tmp_path)
        for number in range(3):
            await one.put("logs", f"one/{number}", b"1")
            await other.put("logs", f"other/{number}", b"2")
        await other.close()
        await one.put("logs", "one/3", b"1")
        assert len([entry async for entry in one.list("logs", "")]) == 7
        await one.close()

    asyncio.run(run())


def test_put_when_cancelled_then_nothing_is_left_over(tmp_path: Path) -> None:
    async def run() -> None:
        buckets = FileBuckets(tmp_path)
        puts = [asyncio.get_running_loop().create_task(buckets.put("logs", "a", bytes(1_000_000))) for _ in range(30)]
        await buckets.put("logs", "b", b"x")
        for put in puts:
            put.cancel()
        await asyncio.gather(*puts, return_exceptions=True)
        [desk] = (tmp_path / ".partial").iterdir()
        assert list(desk.iterdir()) == []
        await buckets.close()

    asyncio.run(run())
    assert set(files(tmp_path)) <= {".partial", "logs/a", "logs/b"}


def test_put_when_the_last_sync_fails_then_it_is_not_acknowledged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        buckets = FileBuckets(tmp_path)
        await buckets.put("logs", "a", b"old")
        sync = os.fsync
        for failing in (1, 2):  # of the file; of its folder
            calls: list[int] = []

            def fail(descriptor: int, failing: int = failing, calls: list[int] = calls) -> None:
                calls.append(descriptor)
                if len(calls) == failing:
                    raise OSError(5, "Input/output error")
                sync(descriptor)

            monkeypatch.setattr(os, "fsync", fail)
            with pytest.raises(BucketsUnavailable, match="Input/output error"):
                await buckets.put("logs", "a", b"new")
            monkeypatch.setattr(os, "fsync", sync)
            assert await buckets.get("logs", "a", ALL) == (b"old" if failing == 1 else b"new")
        await buckets.close()

    asyncio.run(run())


def test_put_when_it_returns_then_the_file_and_every_new_folder_were_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    sync, replace = os.fsync, os.replace

    def note_sync(descriptor: int) -> None:
        held = os.fstat(descriptor)
        [path] = [path for path in (tmp_path, *tmp_path.rglob("*")) if os.path.samestat(path.stat(), held)]
        steps.append("sync file" if ".partial" in path.parts else f"sync {path.relative_to(tmp_path)}")
        sync(descriptor)

    def note_rename(old: Path, new: Path) -> None:
        steps.append(f"rename {new.relative_to(tmp_path)}")
        replace(old, new)

    async def run() -> None:
        buckets = FileBuckets(tmp_path / "r")
        monkeypatch.setattr(os, "fsync", note_sync)
        monkeypatch.setattr(os, "replace", note_rename)
        await buckets.put("logs", "b/c/d", b"1")
        await buckets.put("logs", "b/c/e", b"2")
        await buckets.put("logs", "b/f", b"3")
        await buckets.close()

    asyncio.run(run())
    assert steps == [
        "sync .",
        "sync file", "rename r/logs/b/c/d", "sync r/logs/b/c", "sync r/logs/b", "sync r/logs", "sync r",
        "sync file", "rename r/logs/b/c/e", "sync r/logs/b/c",
        "sync file", "rename r/logs/b/f", "sync r/logs/b",
    ]  # fmt: skip
