"""The machine's disk: what is stored whole is there, byte for byte, whether the file system lets it pass the page cache or not."""

import asyncio
import errno
import fcntl
import os
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from penstock.core.ports import DiskFull
from penstock.host import disk as host_disk
from penstock.host.disk import FEED_BYTES, STORE_STEP_BYTES, STORE_UNIT_BYTES, SystemDisk, SystemFile

PATTERN: Final = bytes(range(256)) * 64


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SystemDisk]:
    """One that does all by itself: the native part is held against it in tests/native."""
    monkeypatch.setattr(host_disk, "NATIVE", None)
    disk = SystemDisk(tmp_path)
    yield disk
    disk.close()


def _run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


@pytest.mark.parametrize(
    "pieces",
    [
        [],
        [b"x"],
        [PATTERN, b"", PATTERN[:100]],
        [PATTERN[:STORE_UNIT_BYTES]],
        [PATTERN * (STORE_STEP_BYTES // len(PATTERN))],
        [b"odd", PATTERN * (STORE_STEP_BYTES // len(PATTERN) + 3), b"end"],
    ],
    ids=["nothing", "a byte", "pieces", "a unit", "a step", "more than a step"],
)
def test_store_when_it_returns_then_the_file_holds_the_pieces(
    disk: SystemDisk, tmp_path: Path, pieces: list[bytes]
) -> None:
    _run(disk.store("file", pieces))
    assert (tmp_path / "file").read_bytes() == b"".join(pieces)


def test_store_when_there_is_a_longer_file_then_nothing_of_it_is_left(disk: SystemDisk, tmp_path: Path) -> None:
    _run(disk.store("file", [PATTERN]))
    _run(disk.store("file", [b"short"]))
    assert (tmp_path / "file").read_bytes() == b"short"


def test_store_when_the_memory_is_used_again_then_nothing_of_the_last_content_is_in_the_next(
    disk: SystemDisk, tmp_path: Path
) -> None:
    _run(disk.store("long", [PATTERN]))
    _run(disk.store("short", [b"a", b"b"]))
    assert (tmp_path / "short").read_bytes() == b"ab"
    assert len(disk._steps) == 1


def test_store_when_the_file_system_takes_no_such_writes_then_they_go_through_the_page_cache(
    disk: SystemDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = 0
    sound = os.pwrite

    def pwrite(descriptor: int, data: memoryview, at: int) -> int:
        nonlocal refused
        if _passes_the_cache(descriptor):
            refused += 1
            raise OSError(errno.EINVAL, "no alignment suits it")
        return sound(descriptor, data, at)

    monkeypatch.setattr(os, "pwrite", pwrite)
    _run(disk.store("file", [PATTERN, b"end"]))
    assert (tmp_path / "file").read_bytes() == PATTERN + b"end"
    assert refused <= 1  # none where the file system refused the flag itself


def test_store_when_the_disk_writes_a_part_then_the_rest_follows(
    disk: SystemDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda descriptor, data, at: sound(descriptor, data[:STORE_UNIT_BYTES], at))
    _run(disk.store("file", [PATTERN]))
    assert (tmp_path / "file").read_bytes() == PATTERN


@pytest.mark.parametrize("work", [lambda disk: disk.store("file", [PATTERN]), lambda disk: disk.create("file", 9999)])
def test_store_and_create_when_the_disk_is_full_then_they_say_so(
    disk: SystemDisk, work: Callable[[SystemDisk], Coroutine[Any, Any, None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def pwrite(*_: object) -> int:
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(os, "pwrite", pwrite)
    with pytest.raises(DiskFull):
        _run(work(disk))
    assert len(disk._steps) == 1, "the memory is free again"


def test_create_when_the_disk_is_full_then_no_file_is_left(
    disk: SystemDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def store_now(*_: object) -> None:
        raise DiskFull(errno.ENOSPC, "no space")

    monkeypatch.setattr(SystemFile, "store_now", store_now)
    with pytest.raises(DiskFull):
        asyncio.run(disk.create("file", 1 << 20))
    assert not (tmp_path / "file").exists()


@pytest.mark.parametrize("size_bytes", [0, 1, 4096, (1 << 20) + 5])
def test_create_when_it_returns_then_the_file_holds_zeros(disk: SystemDisk, tmp_path: Path, size_bytes: int) -> None:
    async def work() -> None:
        file = await disk.create("file", size_bytes)
        assert file.size_bytes == size_bytes
        await file.close()

    (tmp_path / "file").write_bytes(PATTERN)
    _run(work())
    assert (tmp_path / "file").read_bytes() == bytes(size_bytes)


def test_store_when_pieces_are_asked_for_then_those_before_are_on_their_way(disk: SystemDisk, tmp_path: Path) -> None:
    sizes = []

    def pieces() -> Iterator[bytes]:
        for _ in range(3):
            sizes.append((tmp_path / "file").stat().st_size)
            yield bytes(STORE_STEP_BYTES)

    _run(disk.store("file", pieces()))
    assert sizes == [0, STORE_STEP_BYTES, 2 * STORE_STEP_BYTES]


def test_store_when_a_piece_cannot_be_made_then_it_says_so_and_the_memory_is_free_again(disk: SystemDisk) -> None:
    def pieces() -> Iterator[bytes]:
        yield PATTERN
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        _run(disk.store("file", pieces()))
    assert len(disk._steps) == 1


class Listener:
    """Who takes pieces, or reads by itself."""

    def __init__(self, *, reads: bool) -> None:
        self.reads = reads
        self.pieces: list[bytes] = []

    def read(self, path: str, length: int) -> bool:
        if self.reads:
            with Path(path).open("rb") as file:
                self.pieces.append(file.read(length))
        return self.reads

    def take(self, piece: bytes) -> None:
        self.pieces.append(piece)


@pytest.mark.parametrize("reads", [False, True])
@pytest.mark.parametrize("length", [0, 7, FEED_BYTES, (3 << 20) + 2, 9 << 20])
def test_feed_when_it_returns_then_all_that_is_there_was_taken(
    disk: SystemDisk, tmp_path: Path, length: int, reads: bool
) -> None:
    content = PATTERN * ((3 << 20) // len(PATTERN)) + b"end"
    (tmp_path / "file").write_bytes(content)
    listener = Listener(reads=reads)

    async def work() -> None:
        file = await disk.open("file")
        await disk.rename("file", "elsewhere")
        await file.feed(length, listener)
        await file.close()

    _run(work())
    assert b"".join(listener.pieces) == content[:length]
    assert reads or all(0 < len(piece) <= FEED_BYTES for piece in listener.pieces)


def _passes_the_cache(descriptor: int) -> bool:
    flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
    return bool(flags & host_disk._PAST_THE_CACHE)
