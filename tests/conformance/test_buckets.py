"""Buckets: what every engine keeps, whatever its objects lie on.  S3 is moto's server, started for this module."""

import asyncio
import re
import subprocess
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any, Final, NamedTuple

import boto3
import pytest
from moto.server import ThreadedMotoServer

from penstock.engines.buckets import (
    OBJECT_KEY_BYTES,
    BadObjectName,
    Buckets,
    NoSuchBucket,
    NoSuchObject,
    ObjectHead,
    ObjectTooLarge,
)
from penstock.engines.filebuckets import FileBuckets
from penstock.engines.memory import MemoryBuckets
from penstock.engines.s3buckets import STREAM_BYTES, WHOLE_BYTES, S3Buckets

RUNS: Final = count()
ALL: Final = 1 << 30  # more bytes than any object has


class World(NamedTuple):
    """An engine, and an empty bucket in it."""

    buckets: Buckets
    bucket: str


class S3(NamedTuple):
    """Moto's server."""

    endpoint: str
    client: Any


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    session = boto3.Session(KEYS["aws_access_key_id"], KEYS["aws_secret_access_key"], region_name="us-east-1")
    client: Any = session.client("s3", endpoint_url=endpoint)
    yield S3(endpoint, client)
    server.stop()


KEYS: Final = {"aws_access_key_id": "AKIDEXAMPLE", "aws_secret_access_key": "wJalr"}


@pytest.fixture(params=["memory", "file", "s3"])
def world(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    bucket = f"bucket-{next(RUNS)}"
    match request.param:
        case "memory":
            yield World(MemoryBuckets(), bucket)
        case "file":
            folder = tmp_path / "users" / "buckets"
            yield World(FileBuckets(folder), bucket)
            subprocess.run(["rm", "-rf", str(folder)], check=True)  # a thousand folders deep: too deep for pytest
        case _:
            yield _on_s3(request.getfixturevalue("s3"), bucket, monkeypatch)


def _on_s3(s3: S3, bucket: str, monkeypatch: pytest.MonkeyPatch) -> World:
    for name, value in KEYS.items():
        monkeypatch.setenv(name.upper(), value)
    s3.client.create_bucket(Bucket=bucket)
    return World(S3Buckets(s3.endpoint, "us-east-1"), bucket)


Scenario = Callable[[Buckets, str], Coroutine[Any, Any, None]]


def on_every_engine(scenario: Scenario) -> Callable[[World], None]:
    """Make a test of a coroutine function: one run an engine."""

    def test(world: World) -> None:
        async def run() -> None:
            async with asyncio.timeout(60):
                await scenario(world.buckets, world.bucket)
                await world.buckets.close()

        asyncio.run(run())

    test.__name__ = scenario.__name__
    return test


async def listed(buckets: Buckets, bucket: str, prefix: str = "") -> list[tuple[str, int]]:
    return [(entry.key, entry.size_bytes) async for entry in buckets.list(bucket, prefix)]


@on_every_engine
async def test_get_when_put_before_then_it_answers_the_same_and_the_newest(buckets: Buckets, bucket: str) -> None:
    for data in (b"", b"x", b"y" * 100_000):
        await buckets.put(bucket, "a/b", data)
        found = await buckets.get(bucket, "a/b", len(data))
        assert type(found) is bytes
        assert found == data
    assert await listed(buckets, bucket) == [("a/b", 100_000)]


@on_every_engine
async def test_put_when_a_body_comes_in_pieces_then_the_object_is_all_of_them(buckets: Buckets, bucket: str) -> None:
    for sizes in ([], [0], [1, 0, 300_000, 2], [STREAM_BYTES], [1000, STREAM_BYTES, STREAM_BYTES, 1]):
        pieces = [bytes([number]) * size for number, size in enumerate(sizes, 1)]
        for body in (pieces, iter(pieces)):  # there already, or made while they are taken
            await buckets.put(bucket, "a", b"before")
            await buckets.put(bucket, "a", body)
            assert await buckets.get(bucket, "a", ALL) == b"".join(pieces)


@on_every_engine
async def test_put_when_a_piece_cannot_be_made_then_the_object_is_as_it_was(buckets: Buckets, bucket: str) -> None:
    def broken(size: int) -> Iterator[bytes]:
        yield b"x" * size
        raise ZeroDivisionError

    await buckets.put(bucket, "a", b"before")
    for size in (10, 2 * STREAM_BYTES):
        with pytest.raises(ZeroDivisionError):
            await buckets.put(bucket, "a", broken(size))
    assert await buckets.get(bucket, "a", ALL) == b"before"
    assert await listed(buckets, bucket) == [("a", 6)]


@on_every_engine
async def test_get_when_the_object_is_larger_than_asked_for_then_it_is_refused(buckets: Buckets, bucket: str) -> None:
    await buckets.put(bucket, "a", b"12345")
    assert await buckets.get(bucket, "a", 5) == b"12345"
    with pytest.raises(ObjectTooLarge, match=f"{bucket}/a has 5 bytes; more than 4"):
        await buckets.get(bucket, "a", 4)


@on_every_engine
async def test_get_when_there_is_no_object_or_no_bucket_then_each_is_told(buckets: Buckets, bucket: str) -> None:
    await buckets.put(bucket, "a/b", b"")
    for key in ("a", "a/", "a/b/c", "b", "A/b"):
        with pytest.raises((NoSuchObject, BadObjectName)):
            await buckets.get(bucket, key, ALL)
    with pytest.raises(NoSuchObject, match=f"{bucket}/c"):
        await buckets.get(bucket, "c", ALL)
    with pytest.raises(NoSuchBucket, match="absent-bucket"):
        await buckets.get("absent-bucket", "a", ALL)
    with pytest.raises(NoSuchBucket, match="absent-bucket"):
        await listed(buckets, "absent-bucket")


@on_every_engine
async def test_put_when_a_key_is_anothers_folder_then_both_are_kept(buckets: Buckets, bucket: str) -> None:
    keys = ["a", "a/b", "a/b/c", "d/e/f", "d/e", "d"]
    for key in keys:
        await buckets.put(bucket, key, key.encode())
    for key in keys:
        assert await buckets.get(bucket, key, ALL) == key.encode()
    await buckets.put(bucket, "a", b"new")
    await buckets.put(bucket, "d", b"new")
    assert await buckets.get(bucket, "a", ALL) == b"new"
    assert await buckets.get(bucket, "a/b", ALL) == b"a/b"
    assert [key for key, _ in await listed(buckets, bucket)] == sorted(keys)


@on_every_engine
async def test_list_when_keys_sort_unlike_their_folders_then_the_order_is_that_of_their_bytes(
    buckets: Buckets, bucket: str
) -> None:
    keys = ["a!", "a/b", "a0", "a", "é/x", "é", "z", "x/" + "y" * 300, "x/" + "y" * 299 + "/z", "x/" + "y" * 199, "\U0001f600", "\uffee"]  # fmt: skip
    for key in keys:
        await buckets.put(bucket, key, b"1")
    assert [key for key, _ in await listed(buckets, bucket)] == sorted(keys, key=str.encode)
    for prefix in ("a", "a/", "a/b", "x/yy", "x/" + "y" * 250, "é/", "nothing", "a/b/c"):
        assert [key for key, _ in await listed(buckets, bucket, prefix)] == sorted(
            [key for key in keys if key.startswith(prefix)], key=str.encode
        )


HOSTILE: Final = [
    "../x", "a/../../x", "..", ".", "./a", "a//b", "a/", "/", "/a", "//", "a/.", "...", ".partial/x", "con", "-rf",
    "a\\b", "a\x00b", "a\nb", "\x7f", "%", "%2E", "a%2Fb", "%+", "a%+", "a%~", "%%~", "%c3", "x" * OBJECT_KEY_BYTES,
    "\u00e9" * (OBJECT_KEY_BYTES // 2), "e\u0301", "\u00e9", "\ufeff", "\u202e", " ", "a b", "~", "*", "?", "$HOME", "'\"`;|&<>",
    "a/" * (OBJECT_KEY_BYTES // 2 - 1) + "b", "/" * OBJECT_KEY_BYTES, "." * 300, "." * 201, "." * 202, "\\" * OBJECT_KEY_BYTES,
]  # fmt: skip


@on_every_engine
async def test_put_when_keys_are_hostile_then_each_is_its_own_object_or_refused(buckets: Buckets, bucket: str) -> None:
    kept = []
    for key in HOSTILE:
        try:
            await buckets.put(bucket, key, key.encode())
        except BadObjectName:
            if not isinstance(buckets, S3Buckets):  # only obstore has keys that it cannot spell
                raise
        else:
            kept.append(key)
    for key in kept:
        assert await buckets.get(bucket, key, ALL) == key.encode()
    if not isinstance(buckets, S3Buckets):  # obstore lists only keys that are paths
        assert [key for key, _ in await listed(buckets, bucket)] == sorted(kept, key=str.encode)
    assert len(kept) >= 30


@on_every_engine
async def test_every_method_when_a_name_is_none_then_it_is_refused(buckets: Buckets, bucket: str) -> None:
    for key in ("", "x" * (OBJECT_KEY_BYTES + 1), "é" * 513, "\ud800"):
        with pytest.raises(BadObjectName):
            await buckets.put(bucket, key, b"")
        with pytest.raises(BadObjectName):
            await buckets.get(bucket, key, ALL)
    for name in (
        "",
        "..",
        "ab",
        "a" * 64,
        "Upper",
        "a_b",
        "a/b",
        ".partial",
        "a..b",
        "-ab",
        "ab-",
        "a\0b",
        "\u0661\u0661\u0661",
        "abc\n",
    ):
        with pytest.raises(BadObjectName):
            await buckets.put(name, "a", b"")
        with pytest.raises(BadObjectName):
            await buckets.get(name, "a", ALL)
        with pytest.raises(BadObjectName):
            await listed(buckets, name)


@on_every_engine
async def test_put_when_many_at_once_then_all_are_kept(buckets: Buckets, bucket: str) -> None:
    keys = [f"year=2026/{number % 7}/{number}" for number in range(60)] + [f"year=2026/{number}" for number in range(7)]
    tasks = [asyncio.get_running_loop().create_task(buckets.put(bucket, key, key.encode())) for key in keys]
    await asyncio.gather(*tasks)
    assert await listed(buckets, bucket) == sorted((key, len(key)) for key in keys)


def test_put_when_keys_have_empty_segments_then_s3_has_them_as_they_are(
    s3: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    buckets, bucket = _on_s3(s3, "odd-keys", monkeypatch)
    keys = ["a//b", "/a", "//", "a///b c/d", "logs//2026/é+%2F", "a/b"]

    async def run() -> list[str]:
        kept = []
        for key in keys:
            with suppress(BadObjectName):
                await buckets.put(bucket, key, key.encode())
                assert await buckets.get(bucket, key, ALL) == key.encode()
                kept.append(key)
        return kept

    kept = asyncio.run(run())
    assert [key for key in keys if key not in kept] == ["//"], "a last slash is not spelled"
    assert sorted(each["Key"] for each in s3.client.list_objects_v2(Bucket=bucket)["Contents"]) == sorted(kept)


def test_put_when_s3_is_told_of_an_object_then_its_head_is_as_given(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    buckets, bucket = _on_s3(s3, "heads", monkeypatch)
    key_arn = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555"
    head = ObjectHead("text/csv", "gzip", "aws:kms", key_arn, {"origin": "x"})

    async def run() -> None:
        await buckets.put(bucket, "small", b"1", head)
        await buckets.put(bucket, "large", b"12345678" * (WHOLE_BYTES // 8) + b"9", head)
        await buckets.put(bucket, "plain", b"1", ObjectHead(sse="AES256"))

    asyncio.run(run())
    for key, etag in (("small", r'"[0-9a-f]{32}"'), ("large", r'"[0-9a-f]{32}-5"')):  # in five parts
        told = s3.client.head_object(Bucket=bucket, Key=key)
        assert re.fullmatch(etag, told["ETag"])
        assert (told["ContentType"], told["ContentEncoding"], told["Metadata"]) == ("text/csv", "gzip", {"origin": "x"})
        assert (told["ServerSideEncryption"], told["SSEKMSKeyId"]) == ("aws:kms", key_arn)
    told = s3.client.head_object(Bucket=bucket, Key="plain")
    assert (told["ContentType"], told["ServerSideEncryption"]) == ("application/octet-stream", "AES256")
