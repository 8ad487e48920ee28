"""DirectoryBlobs beyond the contract: kills, leftovers, full disks, clashing names, and the order of its syncs."""

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from penstock.engines.api import BlobsUnavailable
from penstock.engines.local.blobs import DirectoryBlobs
from penstock.engines.local.partfile import Part


@asynccontextmanager
async def opened(root: Path) -> AsyncIterator[DirectoryBlobs]:
    blobs = await DirectoryBlobs.open(root)
    try:
        yield blobs
    finally:
        await blobs.close()


def files(root: Path) -> set[str]:
    """Every file and empty folder below a directory."""
    return {
        path.relative_to(root).as_posix()
        for path in root.rglob("*")
        if path.is_file() or (path.is_dir() and not list(path.iterdir()))
    }


PUTTER = """
import asyncio, pathlib, sys
from penstock.engines.local.blobs import DirectoryBlobs

async def slow():
    for number in range(64):
        yield b"new" * 400_000
        print(number, flush=True)

async def run(root):
    blobs = await DirectoryBlobs.open(root)
    for turn in range(100):
        await blobs.put("a/whole", bytes([turn]) * 2_000_000)
        await blobs.put("a/held", slow())

asyncio.run(run(pathlib.Path(sys.argv[1])))
"""


def test_put_when_the_process_is_killed_then_the_old_object_is_there_and_no_part_of_the_new(tmp_path: Path) -> None:
    async def prepare() -> None:
        async with opened(tmp_path) as blobs:
            await blobs.put("a/held", b"old")
            await blobs.put("a/whole", b"")

    async def survived() -> None:
        async with opened(tmp_path) as blobs:
            assert await blobs.get("a/held") in (b"old", b"new" * 400_000 * 64)
            whole = await blobs.get("a/whole")
            assert whole == whole[:1] * 2_000_000
            assert [entry.name async for entry in blobs.list()] == ["a/held", "a/whole"]

    asyncio.run(prepare())
    leftovers = 0
    for lines in (3, 20, 64, 65, 100):
        with subprocess.Popen(
            [sys.executable, "-c", PUTTER, str(tmp_path)], stdout=subprocess.PIPE, text=True
        ) as putter:
            assert putter.stdout is not None
            for _ in range(lines):
                assert next(putter.stdout)
            putter.kill()
        leftovers += len(list((tmp_path / "partial").iterdir()))
        asyncio.run(survived())
        assert files(tmp_path) == {"objects/a/held", "objects/a/whole", "partial"}
    assert leftovers >= 3, "it was killed in the middle of puts"


def test_open_when_it_cannot_be_made_then_it_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for root in (tmp_path / "absent" / "blobs", tmp_path / "file", tmp_path / "file" / "blobs"):
        with pytest.raises(BlobsUnavailable) as error:
            asyncio.run(DirectoryBlobs.open(root))
        assert str(error.value).startswith(f"{root}: ")


def test_put_when_a_name_is_anothers_folder_then_it_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    async def run() -> None:
        async with opened(tmp_path) as blobs:
            await blobs.put("a/b", b"x")
            for name in ("a", "a/b/c", "a/b/c/d"):
                with pytest.raises(ValueError, match="folder"):
                    await blobs.put(name, b"y")
            assert await blobs.get("a/b") == b"x"

    asyncio.run(run())
    assert files(tmp_path) == {"objects/a/b", "partial"}


def test_put_when_cancelled_then_nothing_is_left_over(tmp_path: Path) -> None:
    async def run() -> None:
        async with opened(tmp_path) as blobs:
            await blobs.put("a", b"old")
            reached = asyncio.Event()

            async def endless() -> AsyncIterator[bytes]:
                while True:
                    yield b"new" * 400_000
                    reached.set()

            putting = asyncio.get_running_loop().create_task(blobs.put("a", endless()))
            await reached.wait()
            putting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await putting
            whole = [asyncio.get_running_loop().create_task(blobs.put("b", b"x" * 1_000_000)) for _ in range(12)]
            await blobs.get("a")
            for task in whole:
                task.cancel()
            await asyncio.gather(*whole, return_exceptions=True)
            assert await blobs.get("a") == b"old"
            assert await blobs.size("b") in (None, 1_000_000)

    asyncio.run(run())
    assert files(tmp_path) - {"objects/b"} == {"objects/a", "partial"}


def test_put_when_its_folder_is_emptied_meanwhile_then_it_lands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = os.replace
    deletes: list[threading.Thread] = []

    async def run() -> None:
        async with opened(tmp_path) as blobs:
            await blobs.put("a/b/old", b"1")

            def replace_late(old: Path, new: Path) -> None:
                deletes.append(threading.Thread(target=asyncio.run, args=(delete_old(),)))
                deletes[0].start()
                deletes[0].join(0.1)  # would suffice to empty the folder, and must not
                replace(old, new)

            async def delete_old() -> None:
                await blobs.delete("a/b/old")

            monkeypatch.setattr(os, "replace", replace_late)
            await blobs.put("a/b/new", b"2")
            await asyncio.to_thread(deletes[0].join)
            assert [entry.name async for entry in blobs.list()] == ["a/b/new"]

    asyncio.run(run())


def test_part_when_a_late_write_follows_its_end_then_no_file_comes_back(tmp_path: Path) -> None:
    part = Part(tmp_path / "0")
    part.write(b"x")
    part.discard()
    for late in (part.write, part.finish):
        with pytest.raises(OSError, match="cancel"):
            late(b"y")
    part.discard()
    assert files(tmp_path) == set()


LIMITED = """
import asyncio, pathlib, resource, sys
from penstock.engines.api import BlobsUnavailable
from penstock.engines.local.blobs import DirectoryBlobs

async def pieces():
    for _ in range(5):
        yield b"z" * 600_000

async def run(root):
    blobs = await DirectoryBlobs.open(root)
    await blobs.put("a/b", b"old")
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    for data in (b"x" * 2_000_000, pieces()):
        try:
            await blobs.put("a/b", data)
        except BlobsUnavailable as error:
            print(error)
        assert await blobs.get("a/b") == b"old"
        assert not list((root / "partial").iterdir())
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    await blobs.put("a/b", pieces())
    assert await blobs.size("a/b") == 3_000_000
    await blobs.close()

asyncio.run(run(pathlib.Path(sys.argv[1])))
"""


def test_put_when_a_write_fails_then_the_old_object_stays_and_later_ones_succeed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", LIMITED, str(tmp_path)]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr
    assert said.stdout == f"{tmp_path}: File too large\n" * 2


def test_put_when_the_last_sync_fails_then_it_is_not_acknowledged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        async with opened(tmp_path) as blobs:
            await blobs.put("a/b", b"old")
            sync = os.fsync
            for failing in (1, 2):  # of the file; of its folder
                calls: list[int] = []

                def fail(descriptor: int, failing: int = failing, calls: list[int] = calls) -> None:
                    calls.append(descriptor)
                    if len(calls) == failing:
                        raise OSError(5, "Input/output error")
                    sync(descriptor)

                monkeypatch.setattr(os, "fsync", fail)
                with pytest.raises(BlobsUnavailable, match="Input/output error"):
                    await blobs.put("a/b", b"new")
                monkeypatch.setattr(os, "fsync", sync)
                assert await blobs.get("a/b") == (b"old" if failing == 1 else b"new")

    asyncio.run(run())


def test_put_when_it_returns_then_the_file_and_every_new_folder_were_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    sync, replace = os.fsync, os.replace

    def note_sync(descriptor: int) -> None:
        held = os.fstat(descriptor)
        [path] = [path for path in (tmp_path, *tmp_path.rglob("*")) if os.path.samestat(path.stat(), held)]
        steps.append(f"sync {path.relative_to(tmp_path)}")
        sync(descriptor)

    def note_rename(old: Path, new: Path) -> None:
        steps.append(f"rename {new.relative_to(tmp_path)}")
        replace(old, new)

    async def run() -> None:
        async with opened(tmp_path) as blobs:
            await blobs.put("a/x", b"")
            monkeypatch.setattr(os, "fsync", note_sync)
            monkeypatch.setattr(os, "replace", note_rename)
            await blobs.put("a/b/c/d", b"1")
            await blobs.put("a/b/c/e", b"2")
            await blobs.delete("a/b/c/d")
            await blobs.delete("a/b/c/e")
            await blobs.put("a/b/f", b"3")

    asyncio.run(run())
    assert steps == [
        "sync partial/1", "rename objects/a/b/c/d", "sync objects/a/b/c", "sync objects/a/b", "sync objects/a",
        "sync partial/2", "rename objects/a/b/c/e", "sync objects/a/b/c",
        "sync objects/a/b/c",
        "sync objects/a",
        "sync partial/3", "rename objects/a/b/f", "sync objects/a/b", "sync objects/a",
    ]  # fmt: skip
