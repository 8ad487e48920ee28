"""S3Blobs beyond the contract: a missing extra, a server that does not answer, and when an object is uploaded in parts."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest
from obstore.store import MemoryStore

from penstock.engines import s3blobs
from penstock.engines.api import BlobsUnavailable
from penstock.engines.s3blobs import PART_BYTES, S3Blobs


def test_open_when_obstore_is_missing_then_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "obstore.store", None)
    with pytest.raises(BlobsUnavailable, match=r"pip install 'penstock\[s3\]'"):
        S3Blobs.open("bucket")


def test_import_when_nothing_is_opened_then_obstore_is_not_loaded() -> None:
    code = "import sys, penstock.engines.s3blobs; sys.exit('obstore' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_method_when_nothing_answers_then_it_is_unavailable_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3blobs, "RETRIES_MAX", 0)

    async def run() -> None:
        blobs = S3Blobs.open(
            "bucket",
            endpoint="http://127.0.0.1:9",
            region="us-east-1",
            access_key_id="AKIDEXAMPLE",
            secret_access_key="wJalr",
        )
        listing, stream = blobs.list("a/"), blobs.stream("a")
        uses = (
            blobs.put("a", b"x"), blobs.get("a"), blobs.get("a", 5, 9), blobs.size("a"), blobs.delete("a"),
            anext(listing), anext(stream),
        )  # fmt: skip
        for use in uses:
            with pytest.raises(BlobsUnavailable) as error:
                await use
            assert "127.0.0.1" in str(error.value)
            assert "\n" not in str(error.value)
            assert "wJalr" not in str(error.value)

    asyncio.run(run())


def test_put_when_the_data_fit_in_one_part_then_they_are_one_request() -> None:
    taken: list[int] = []

    class Watched:
        """A store that notes with what it is put."""

        def __init__(self) -> None:
            self.bodies: list[tuple[bool, int]] = []  # whether it was whole; how many pieces had been taken by then
            self.inner = MemoryStore()

        async def put_async(self, name: str, body: Any, **options: Any) -> object:
            self.bodies.append((isinstance(body, bytes), len(taken)))
            return await self.inner.put_async(name, body, **options)

    async def pieces(length: int) -> AsyncIterator[bytes]:
        taken.clear()
        for number in range(length >> 20):
            taken.append(number)
            yield bytes(1 << 20)

    async def run() -> None:
        store: Any = Watched()
        blobs = S3Blobs(store)
        for length in (PART_BYTES - (1 << 20), PART_BYTES + (3 << 20)):
            await blobs.put("a", pieces(length))
            assert (await store.inner.head_async("a"))["size"] == length
        assert store.bodies == [(True, (PART_BYTES >> 20) - 1), (False, PART_BYTES >> 20)]

    asyncio.run(run())
