"""Blobs in memory, for the memory engine: nothing survives."""

from collections.abc import AsyncIterator
from typing import Final

from penstock.engines.api import BLOB_PIECE_BYTES, BlobEntry, NoSuchBlob, check_blob_name, check_blob_range


class MemoryBlobs:
    """Objects in a dictionary."""

    def __init__(self) -> None:
        self._objects: Final[dict[str, bytes]] = {}

    async def put(self, name: str, data: bytes | AsyncIterator[bytes]) -> None:
        """Store or replace an object."""
        check_blob_name(name)
        self._objects[name] = data if isinstance(data, bytes) else b"".join([piece async for piece in data])

    async def get(self, name: str, start: int = 0, end: int | None = None) -> bytes:
        """The bytes [start, end) of an object."""
        check_blob_range(start, end)
        return self._find(name)[start:end]

    async def stream(self, name: str, start: int = 0) -> AsyncIterator[bytes]:
        """The bytes from `start` on, in pieces."""
        check_blob_range(start, None)
        data = self._find(name)
        for at in range(start, len(data), BLOB_PIECE_BYTES):
            yield data[at : at + BLOB_PIECE_BYTES]

    async def size(self, name: str) -> int | None:
        """Its size, or None."""
        check_blob_name(name)
        data = self._objects.get(name)
        return None if data is None else len(data)

    async def list(self, prefix: str = "") -> AsyncIterator[BlobEntry]:
        """The objects under a prefix, in order of names."""
        folder, slash, _ = prefix.rpartition("/")
        if slash:
            check_blob_name(folder)
        for name, data in sorted(self._objects.items()):
            if name.startswith(prefix):
                yield BlobEntry(name, len(data))

    async def delete(self, name: str) -> None:
        """Forget an object."""
        check_blob_name(name)
        self._objects.pop(name, None)

    def _find(self, name: str) -> bytes:
        check_blob_name(name)
        data = self._objects.get(name)
        if data is None:
            raise NoSuchBlob(name)
        return data
