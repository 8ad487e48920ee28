"""An S3 that is not ours and checks every signature: what the buckets sign, it takes; what it refuses loses no record."""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Final

import pytest
from deliveries import create, pause, rows, settle, status
from toolchains import S3

from penstock.engines import s3buckets
from penstock.engines.buckets import BucketDenied, ObjectEntry, ObjectHead
from penstock.engines.s3buckets import S3Buckets
from penstock.testing import PenstockServer

KEY: Final = ("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
ODD_KEYS: Final = ("a b+c", "grün/ü", "per%cent%2F", "year=2026/x&y", "tilde~(1)!*'", "twice//folded", "q?=#;:@,$")
TURNS: Final = 3000


class Peer:
    """The S3, with a bucket `lake`."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self.url = f"http://127.0.0.1:{self._said()}"

    def tell(self, word: str) -> None:
        """Let it `revoke` or `grant` the key."""
        assert self._process.stdin is not None
        print(word, file=self._process.stdin, flush=True)
        assert self._said() == word

    def _said(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


@contextmanager
def an_s3() -> Iterator[Peer]:
    classes = f"{S3.folder / 'target/classes'}:{S3.build().read_text().strip()}"
    command = ["java", "-Xmx256m", "-XX:TieredStopAtLevel=1", "-cp", classes, "compat.S3", "lake", *KEY]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Peer(process)
        finally:
            process.kill()


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Peer]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY[0])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", KEY[1])
    with an_s3() as peer:
        yield peer


async def keys_of(entries: AsyncIterator[ObjectEntry]) -> set[str]:
    return {entry.key async for entry in entries}


@pytest.mark.needs("s3")
def test_objects_of_any_legal_key_and_size_when_stored_have_signatures_that_s3_takes(
    s3: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3buckets, "WHOLE_BYTES", 1 << 20)
    monkeypatch.setattr(s3buckets, "PART_BYTES", 5 << 20)

    async def run() -> None:
        buckets = S3Buckets(s3.url, "us-east-1")
        head = ObjectHead("text/plain", content_encoding="gzip", metadata={"origin": "orders"})
        for key in ODD_KEYS:
            await buckets.put("lake", key, key.encode(), head)
            assert await buckets.get("lake", key, 100) == key.encode()
        large = bytes(range(256)) * (48 << 10)
        await buckets.put("lake", "parts/one", large)
        assert await buckets.get("lake", "parts/one", len(large)) == large
        assert await keys_of(buckets.list("lake", "parts/")) == {"parts/one"}
        assert await keys_of(buckets.list("lake", "year=2026/")) == {"year=2026/x&y"}

    asyncio.run(run())


@pytest.mark.needs("s3")
@pytest.mark.parametrize(
    ("name", "code"), [("AWS_SECRET_ACCESS_KEY", "SignatureDoesNotMatch"), ("AWS_ACCESS_KEY_ID", "InvalidAccessKeyId")]
)
def test_objects_when_the_credentials_are_wrong_are_refused_in_the_words_of_s3(
    s3: Peer, monkeypatch: pytest.MonkeyPatch, name: str, code: str
) -> None:
    monkeypatch.setenv(name, "wrong")
    with pytest.raises(BucketDenied, match=f"bucket lake: 403 {code}: "):
        asyncio.run(S3Buckets(s3.url, "us-east-1").put("lake", "a", b"x"))


@pytest.mark.needs("s3")
def test_delivery_when_the_credentials_are_revoked_waits_and_tells_and_goes_on_once_they_are_back(
    s3: Peer,
) -> None:
    with PenstockServer(buckets="s3:", s3_endpoint=s3.url) as server:
        firehose = create(server, Prefix="in/")
        s3.tell("revoke")
        firehose.put_record_batch(DeliveryStreamName="orders", Records=rows(b"a\n", b"b\n"))
        settle(server)
        _until(server, lambda: bool(status(server)["progress"]["errors"]))
        assert "InvalidAccessKeyId" in str(status(server)["progress"]["errors"])
        assert status(server)["progress"]["delivered_records"] == 0
        s3.tell("grant")
        _until(server, lambda: status(server)["progress"]["delivered_records"] == 2)
        assert asyncio.run(_bodies(s3)) == [b"a\nb\n"]


def _until(server: PenstockServer, done: Callable[[], bool]) -> None:
    """Let the time pass between attempts until something is so."""
    for _ in range(TURNS):
        if done():
            return
        server.clock.advance(seconds=2)
        pause(0.02)
    raise AssertionError(status(server))


async def _bodies(s3: Peer) -> list[bytes]:
    buckets = S3Buckets(s3.url, "us-east-1")
    found = [entry async for entry in buckets.list("lake", "in/")]
    return [await buckets.get("lake", entry.key, entry.size_bytes) for entry in found]
