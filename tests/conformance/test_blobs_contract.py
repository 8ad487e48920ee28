"""Blobs: what every engine keeps, whatever its objects lie on.

The S3 engine runs here on obstore's store in memory; to run it on a server as well, set PENSTOCK_TEST_S3_ENDPOINT (the bucket
`penstock-test` exists there, and is empty; the credentials are in AWS's variables).
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any, Final

import pytest
from obstore.store import MemoryStore

from penstock.engines.api import (
    BLOB_NAME_BYTES,
    BLOB_PIECE_BYTES,
    BLOB_SEGMENT_BYTES,
    Blobs,
    NoSuchBlob,
)
from penstock.engines.local.blobs import DirectoryBlobs
from penstock.engines.memoryblobs import MemoryBlobs
from penstock.engines.s3blobs import S3Blobs

Open = Callable[[Path], AbstractAsyncContextManager[Blobs]]
ENDPOINT: Final = os.environ.get("PENSTOCK_TEST_S3_ENDPOINT")
RUNS: Final = count()


@asynccontextmanager
async def _open_directory(folder: Path) -> AsyncIterator[Blobs]:
    blobs = await DirectoryBlobs.open(folder / "blobs")
    try:
        yield blobs
    finally:
        await blobs.close()


@asynccontextmanager
async def _open_memory(_folder: Path) -> AsyncIterator[Blobs]:
    yield S3Blobs(MemoryStore())


@asynccontextmanager
async def _open_s3(folder: Path) -> AsyncIterator[Blobs]:
    yield S3Blobs.open("penstock-test", prefix=f"{folder.parent.name}/{next(RUNS)}", endpoint=ENDPOINT)


@asynccontextmanager
async def _open_dictionary(_folder: Path) -> AsyncIterator[Blobs]:
    yield MemoryBlobs()


ENGINES: Final[dict[str, Open]] = {
    "directory": _open_directory,
    "s3-in-memory": _open_memory,
    "dictionary": _open_dictionary,
}
if ENDPOINT is not None:
    ENGINES["s3"] = _open_s3

Scenario = Callable[[Blobs], Coroutine[Any, Any, None]]


def on_every_engine(scenario: Scenario) -> Callable[[Open, Path], None]:
    """Make a test of a coroutine function: one run an engine, on an empty one of its own."""

    @pytest.mark.parametrize("opened", ENGINES.values(), ids=list(ENGINES))
    def test(opened: Open, tmp_path: Path) -> None:
        async def run() -> None:
            async with asyncio.timeout(60), opened(tmp_path) as blobs:
                await scenario(blobs)

        asyncio.run(run())

    test.__name__ = scenario.__name__
    test.__module__ = scenario.__module__
    return test


async def pieces(*data: bytes) -> AsyncIterator[bytes]:
    for piece in data:
        yield piece


async def names(blobs: Blobs, prefix: str = "") -> list[str]:
    return [entry.name async for entry in blobs.list(prefix)]


async def streamed(blobs: Blobs, name: str, start: int = 0) -> bytes:
    """An object by way of `stream`, whose pieces are held to their bounds."""
    found = bytearray()
    async for piece in blobs.stream(name, start):
        assert 0 < len(piece) <= BLOB_PIECE_BYTES
        assert type(piece) is bytes
        found += piece
    return bytes(found)


def pattern(length: int) -> bytes:
    """Bytes in which a shift shows."""
    return b"".join(b"%08d" % number for number in range(length // 8 + 1))[:length]


@on_every_engine
async def test_get_when_put_before_then_it_answers_the_same(blobs: Blobs) -> None:
    for data in (b"", b"x", pattern(100_000)):
        await blobs.put("a/b", data)
        found = await blobs.get("a/b")
        assert type(found) is bytes
        assert found == data
        assert await blobs.size("a/b") == len(data)
        assert await streamed(blobs, "a/b") == data


@on_every_engine
async def test_put_when_the_data_come_in_pieces_then_they_are_one_object(blobs: Blobs) -> None:
    big = pattern(9 << 20)
    for parts in (
        [],
        [b""],
        [b"a", b"", b"bc"],
        [b"%d," % number for number in range(2000)],
        [big, b"tail"],
        [pattern(3 << 20)] * 7,
        [big[at : at + (1 << 20)] for at in range(0, 8 << 20, 1 << 20)],  # exactly one part of S3's
    ):
        await blobs.put("a", pieces(*parts))
        assert await blobs.size("a") == sum(map(len, parts))
        assert await streamed(blobs, "a") == b"".join(parts)


@on_every_engine
async def test_put_when_the_object_is_large_then_it_comes_back_whole(blobs: Blobs) -> None:
    data = pattern(20 << 20)
    await blobs.put("large", data)
    assert await blobs.get("large") == data
    assert await streamed(blobs, "large", 12345) == data[12345:]


class Broken(Exception):
    """What a source of data raises."""


@on_every_engine
async def test_put_when_its_source_fails_then_the_old_object_stays(blobs: Blobs) -> None:
    async def failing(length: int, failure: Exception) -> AsyncIterator[bytes]:
        for _ in range(0, length, 1 << 20):
            yield b"new" * 300_000
        raise failure

    for name, old in (("held", b"old"), ("absent", None)):
        for length in (0, 3 << 20, 20 << 20):
            for failure in (Broken("stop"), FileNotFoundError("the source's own"), NoSuchBlob("of another")):
                if old is not None:
                    await blobs.put(name, old)
                with pytest.raises(type(failure)) as raised:
                    await blobs.put(name, failing(length, failure))
                assert raised.value is failure
                assert await names(blobs, name) == ([name] if old is not None else [])
    assert await blobs.get("held") == b"old"


@on_every_engine
async def test_get_when_given_a_range_then_it_is_cut_at_the_end(blobs: Blobs) -> None:
    await blobs.put("a", b"0123456789")
    await blobs.put("empty", b"")
    for start in (0, 1, 9, 10, 11, 1000):
        assert await blobs.get("a", start) == b"0123456789"[start:]
        assert await streamed(blobs, "a", start) == b"0123456789"[start:]
        assert await blobs.get("empty", start) == await streamed(blobs, "empty", start) == b""
        for end in (start, start + 1, start + 5, start + 5000):
            assert await blobs.get("a", start, end) == b"0123456789"[start:end]
            assert await blobs.get("empty", start, end) == b""
    for bad in ((-1, 5), (-1,), (0, -1), (5, 4)):
        with pytest.raises(ValueError, match="range"):
            await blobs.get("a", *bad)
    with pytest.raises(ValueError, match="range"):
        await streamed(blobs, "a", -1)


@on_every_engine
async def test_get_when_there_is_no_such_object_then_it_says_so(blobs: Blobs) -> None:
    await blobs.put("a/b/c", b"x")
    for name in ("a", "a/b", "a/b/c/d", "a/b/d", "z/z"):
        for start, end in ((0, None), (0, 5), (5, 9), (5, 5), (5, None)):
            with pytest.raises(NoSuchBlob) as error:
                await blobs.get(name, start, end)
            assert str(error.value) == name
        for start in (0, 5):
            with pytest.raises(NoSuchBlob):
                await streamed(blobs, name, start)
        assert await blobs.size(name) is None
        await blobs.delete(name)
    assert await names(blobs) == ["a/b/c"]


@on_every_engine
async def test_delete_when_done_then_the_object_is_gone_and_its_name_is_free(blobs: Blobs) -> None:
    for name in ("a/b/c", "a/b/d", "a/e"):
        await blobs.put(name, b"x")
    await blobs.delete("a/b/c")
    await blobs.delete("a/b/c")
    assert await names(blobs) == ["a/b/d", "a/e"]
    await blobs.delete("a/b/d")
    await blobs.put("a/b", b"where a folder was")
    await blobs.delete("a/e")
    assert await names(blobs) == ["a/b"]
    await blobs.delete("a/b")
    assert await names(blobs) == []
    await blobs.put("a", b"again")
    await blobs.delete("a")
    await blobs.put("a/b/c", b"and again")
    assert await names(blobs) == ["a/b/c"]


GOOD_NAMES: Final = (
    "a", "A", "a b", "a%2Fb", "a#b", "a*b?", "a~b", "a:b", "a'b\"c", "...", ".hidden", "..a", "a.", "-", "&<>", "é/ü", "\U0001f600",
    "x" * BLOB_SEGMENT_BYTES, "é" * (BLOB_SEGMENT_BYTES // 2), "/".join(["y" * 127] * 8), "objects/partial", "m=1/n=2/o+p.gz",
)  # fmt: skip
BAD_NAMES: Final = (
    "", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "a/.", "a/./b", "a\0b", "a\\b", "a\nb", "a\x7f", "\udc80",
    "x" * (BLOB_SEGMENT_BYTES + 1), "é" * (BLOB_SEGMENT_BYTES // 2 + 1), "/".join(["y" * 128] * 8),
)  # fmt: skip


@on_every_engine
async def test_put_when_the_name_is_allowed_then_it_is_kept_as_it_is(blobs: Blobs) -> None:
    assert max(len(name) for name in GOOD_NAMES) == BLOB_NAME_BYTES - 1
    for name in GOOD_NAMES:
        await blobs.put(name, name.encode())
    assert await names(blobs) == sorted(GOOD_NAMES)
    for name in GOOD_NAMES:
        assert await blobs.get(name) == name.encode()
        assert name in await names(blobs, name)
        await blobs.delete(name)
    assert await names(blobs) == []


@on_every_engine
async def test_every_method_when_the_name_is_not_allowed_then_it_refuses_it(blobs: Blobs) -> None:
    for name in BAD_NAMES:
        for use in (
            blobs.put(name, b"x"),
            blobs.put(name, pieces(b"x")),
            blobs.get(name),
            blobs.size(name),
            blobs.delete(name),
            streamed(blobs, name),
        ):
            with pytest.raises(ValueError, match=r"blob name|surrogates"):
                await use
    for prefix in ("../", "a//", "/", "./a", "a/../b"):
        with pytest.raises(ValueError, match="blob name"):
            await names(blobs, prefix)


LISTED: Final = (
    "a-b",
    "a.txt",
    "a/b",
    "a/b-c",
    "a/c/d",
    "a/c/e",
    "a/c0",
    "a0",
    "ab",
    "b/1",
    "b/10",
    "b/2",
    "B",
    "é",
    "z/z/z/z",
)


@on_every_engine
async def test_list_when_names_nest_then_they_come_in_their_order(blobs: Blobs) -> None:
    assert await names(blobs) == []
    for length, name in enumerate(reversed(LISTED)):
        await blobs.put(name, b"x" * length)
    assert await names(blobs) == sorted(LISTED)
    for prefix in (
        "a",
        "a/",
        "a/b",
        "a/c",
        "a/c/",
        "a/c/d",
        "a/c/d/",
        "b/1",
        "b/3",
        "z/z",
        "z/z/",
        "A",
        "~",
        "nothing/here",
        "..",
    ):
        assert await names(blobs, prefix) == [name for name in sorted(LISTED) if name.startswith(prefix)], prefix
    sizes = {entry.name: entry.size_bytes async for entry in blobs.list()}
    assert sizes == {name: length for length, name in enumerate(reversed(LISTED))}


@on_every_engine
async def test_list_when_there_are_many_then_none_is_missed(blobs: Blobs) -> None:
    stored = [f"{number % 7}/{number:05}" for number in range(1500)]
    for start in range(0, len(stored), 100):
        await asyncio.gather(*(blobs.put(name, b"") for name in stored[start : start + 100]))
    assert await names(blobs) == sorted(stored)
    assert await names(blobs, "3/014") == [name for name in sorted(stored) if name.startswith("3/014")]


@on_every_engine
async def test_list_when_objects_come_and_go_then_the_others_are_all_there(blobs: Blobs) -> None:
    kept = [f"{folder}/kept-{number}" for folder in "abc" for number in range(5)]
    passing = [f"{folder}/{number}" for folder in "abcd" for number in range(10)]
    for name in [*kept, *passing]:
        await blobs.put(name, b"x")
    seen = []
    async for entry in blobs.list():
        seen.append(entry.name)
        if passing:
            await blobs.delete(passing.pop())
    assert [name for name in seen if "kept" in name] == kept
    assert seen == sorted(set(seen))


@on_every_engine
async def test_put_when_many_put_one_name_then_every_reader_sees_one_of_them_whole(blobs: Blobs) -> None:
    versions = [bytes([number]) * 300_000 for number in range(1, 9)]
    await blobs.put("a/b", versions[0])

    async def write(data: bytes) -> None:
        await blobs.put("a/b", data)
        await blobs.put("a/b", pieces(data[:150_000], data[150_000:]))

    async def read() -> None:
        for _ in range(10):
            assert await blobs.get("a/b") in versions
            assert await streamed(blobs, "a/b") in versions

    await asyncio.gather(*map(write, versions), read(), read())
    assert await blobs.get("a/b") in versions
    assert await names(blobs) == ["a/b"]


@on_every_engine
async def test_stream_when_the_object_is_replaced_meanwhile_then_it_ends_as_it_began(blobs: Blobs) -> None:
    old = pattern(5 << 20)
    await blobs.put("a", old)
    stream = blobs.stream("a")
    found = await anext(stream)
    await blobs.put("a", b"new")
    async for piece in stream:
        found += piece
    assert found == old
    assert await blobs.get("a") == b"new"


@on_every_engine
async def test_put_and_delete_when_they_race_in_one_folder_then_every_put_holds(blobs: Blobs) -> None:
    async def churn(worker: int) -> None:
        for turn in range(10):
            await blobs.put(f"deep/er/{worker}", b"%d" % turn)
            assert await blobs.get(f"deep/er/{worker}") == b"%d" % turn
            await blobs.delete(f"deep/er/{worker}")

    await asyncio.gather(*map(churn, range(8)))
    assert await names(blobs) == []
