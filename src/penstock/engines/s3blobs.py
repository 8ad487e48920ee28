"""Blobs in a bucket of S3, or of whatever speaks as S3 does, through obstore.

Theory.  An object is an object, and S3 keeps our promises: a PUT or a completed multipart upload replaces an object at once, and is
durable when it is answered; one GET reads one object; listings come in the order of the names' UTF-8.
Rules of this file:
  1. obstore is the extra `penstock[s3]`: it is imported when a bucket is opened, not before.
  2. What fits in one part is one PUT; only more than that is uploaded in parts.  An upload that was broken off shows nowhere, but its
     parts may stay in the bucket: it should have a lifecycle rule that aborts incomplete uploads.
  3. Requests are tried again, in vain for RETRY_S at most.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Self

from penstock.engines.api import (
    BLOB_PIECE_BYTES,
    BlobEntry,
    BlobsUnavailable,
    NoSuchBlob,
    check_blob_name,
    check_blob_range,
)

if TYPE_CHECKING:
    from obstore import GetOptions, GetResult
    from obstore.store import ClientConfig, ObjectStore, S3Config

PART_BYTES: Final = 8 << 20  # S3 takes 10,000 parts: objects up to 78 GiB
PARTS_AT_ONCE: Final = 4
LIST_PAGE: Final = 1000  # names that one request of a listing answers
RETRIES_MAX: Final = 5
RETRY_S: Final = 30


class S3Blobs:
    """Blobs in one of obstore's stores.  `open` makes one for a bucket; tests pass a store in memory."""

    def __init__(self, store: "ObjectStore") -> None:
        self._store = store

    @classmethod
    def open(
        cls,
        bucket: str,
        *,
        prefix: str = "",
        endpoint: str | None = None,
        region: str | None = None,
        access_key_id: str | None = None,
        secret_access_key: str | None = None,
    ) -> Self:
        """A bucket, or what is below `prefix` in it.  Nothing is asked of it yet.

        What is None comes from AWS's environment variables, or, in the case of credentials, from the machine's role.  Raises
        BlobsUnavailable where obstore is missing.
        """
        try:
            from obstore.store import S3Store
        except ImportError:
            raise BlobsUnavailable("storage in S3 needs obstore: pip install 'penstock[s3]'") from None
        settings: S3Config = {"disable_bulk_delete": True}  # we delete one by one, which every server knows
        client: ClientConfig = {}
        if endpoint is not None:
            settings["endpoint"] = endpoint
            client["allow_http"] = endpoint.startswith("http://")
        if region is not None:
            settings["region"] = region
        if access_key_id is not None and secret_access_key is not None:
            settings["access_key_id"] = access_key_id
            settings["secret_access_key"] = secret_access_key
        return cls(
            S3Store(
                bucket,
                prefix=prefix or None,
                config=settings,
                client_options=client,
                retry_config={"max_retries": RETRIES_MAX, "retry_timeout": timedelta(seconds=RETRY_S)},
            )
        )

    async def put(self, name: str, data: bytes | AsyncIterator[bytes]) -> None:
        """Store or replace an object."""
        check_blob_name(name)
        first = data if isinstance(data, bytes) else await _first_part(data)
        rest = None if isinstance(data, bytes) or len(first) < PART_BYTES else data
        body = first if rest is None else _chained(first, rest)
        with _translated():
            await self._store.put_async(name, body, chunk_size=PART_BYTES, max_concurrency=PARTS_AT_ONCE)

    async def get(self, name: str, start: int = 0, end: int | None = None) -> bytes:
        """The bytes [start, end) of an object."""
        check_blob_name(name)
        check_blob_range(start, end)
        found = await self._find(name, start, end)
        if found is None:
            return b""
        with _translated():
            return bytes(await found.bytes_async())

    async def stream(self, name: str, start: int = 0) -> AsyncIterator[bytes]:
        """The bytes from `start` on, in pieces."""
        check_blob_name(name)
        check_blob_range(start, None)
        found = await self._find(name, start, None)
        if found is None:
            return
        with _translated():
            async for chunk in found.stream(min_chunk_size=BLOB_PIECE_BYTES // 2):
                for at in range(0, len(chunk), BLOB_PIECE_BYTES):
                    yield bytes(chunk[at : at + BLOB_PIECE_BYTES])

    async def size(self, name: str) -> int | None:
        """Its size, or None."""
        check_blob_name(name)
        try:
            with _translated():
                return (await self._store.head_async(name))["size"]
        except FileNotFoundError:
            return None

    async def list(self, prefix: str = "") -> AsyncIterator[BlobEntry]:
        """The objects under a prefix, in order.  Cost: obstore asks by folders, so those before the prefix in its folder are read too."""
        folder, slash, _ = prefix.rpartition("/")
        if slash:
            check_blob_name(folder)
        with _translated():
            async for page in self._store.list(folder or None, chunk_size=LIST_PAGE):
                for found in page:
                    if found["path"].startswith(prefix):
                        yield BlobEntry(found["path"], found["size"])
                    elif found["path"] > prefix:
                        return

    async def delete(self, name: str) -> None:
        """Forget an object."""
        check_blob_name(name)
        with _translated(), suppress(FileNotFoundError):
            await self._store.delete_async(name)

    async def _find(self, name: str, start: int, end: int | None) -> "GetResult | None":
        """What a GET of a range answers, or None when there is nothing in it: S3 refuses such a range."""
        try:
            if start != end:
                with _translated():
                    return await self._store.get_async(name, options=_options(start, end))
        except FileNotFoundError:
            raise NoSuchBlob(name) from None
        except BlobsUnavailable:
            if (start, end) == (0, None) or not await self._ends_by(name, start):
                raise
            return None
        if await self.size(name) is None:
            raise NoSuchBlob(name)
        return None

    async def _ends_by(self, name: str, start: int) -> bool:
        size_bytes = await self.size(name)
        return size_bytes is not None and size_bytes <= start


def _options(start: int, end: int | None) -> "GetOptions":
    if end is not None:
        return {"range": (start, end)}
    return {"range": {"offset": start}} if start else {}


async def _first_part(data: AsyncIterator[bytes]) -> bytes:
    """What an iterator gives until it is at least a part; less if it ends before."""
    held = bytearray()
    async for piece in data:
        held += piece
        if len(held) >= PART_BYTES:
            break
    return bytes(held)


async def _chained(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in rest:
        yield piece


@contextmanager
def _translated() -> Iterator[None]:
    """Turn obstore's errors into one line.  FileNotFoundError is left alone: it may as well be the source's of a put."""
    from obstore.exceptions import BaseError

    try:
        yield
    except BaseError as error:
        raise BlobsUnavailable(str(error).partition("\n")[0]) from error
