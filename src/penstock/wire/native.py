"""The native part: the hot path in Rust, where it is installed (`make native`).

Rule of this file: None where it is not; everything that it does is done in Python too, and nothing may depend on it but speed.
"""

import logging
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Final, Protocol, cast

from penstock.wire.nativeoutlets import HandoverMaker, Outlet
from penstock.wire.nativeparts import (
    AggregatePacker,
    BlockFinder,
    BlockReader,
    Fanned,
    FileWriter,
    Format,
    HeadReader,
    JournalMemory,
    PutCallReader,
    Readers,
    Ring,
    RosterRows,
    Rows,
    ShardNames,
    SignedNames,
    SigningKey,
    Tips,
    WriteCounts,
)

logger = logging.getLogger(__name__)


class Native(Protocol):
    """What it offers.  Numbers are sequence numbers of 24 bytes, little-endian."""

    @property
    def Readers(self) -> Callable[[int], Readers]:  # noqa: N802
        """Starts so many threads."""
        ...

    @property
    def Handover(self) -> HandoverMaker:  # noqa: N802
        """Makes places to hand sockets over at."""
        ...

    @property
    def PutCall(self) -> PutCallReader:  # noqa: N802
        """Reads calls of PutRecord."""
        ...

    @property
    def HeadReader(self) -> Callable[[], HeadReader]:  # noqa: N802
        """Makes a reader of heads; it remembers spellings of names."""
        ...

    @property
    def BlockReader(self) -> Callable[[], BlockReader]:  # noqa: N802
        """Makes a reader of header blocks."""
        ...

    @property
    def SigningKey(self) -> Callable[[bytes], SigningKey]:  # noqa: N802
        """Makes an HMAC of a key."""
        ...

    @property
    def SignedNames(self) -> Callable[[Sequence[bytes]], SignedNames]:  # noqa: N802
        """Prepares names."""
        ...

    @property
    def Ring(self) -> Callable[[bytes], Ring]:  # noqa: N802
        """Makes a ring from first hash keys of 16 bytes, big-endian, ascending from 0."""
        ...

    @property
    def ShardNames(self) -> Callable[[Sequence[tuple[str, bytes, int]]], ShardNames]:  # noqa: N802
        """Makes names of ids, parts of sequence numbers (24 bytes, little-endian) and numbers of shards."""
        ...

    @property
    def BlockFinder(  # noqa: N802
        self,
    ) -> Callable[[JournalMemory, int, int, RosterRows, Tips, tuple[int, int, int, int]], BlockFinder]:
        """Makes a finder of the blocks of logs in a journal file that are not settled, by the file's size and number.

        The last are bytes: of a segment's header, of a segment at most, of a block that others are joined to, of one that is not joined.
        """
        ...

    @property
    def Tips(self) -> Callable[[], Tips]:  # noqa: N802
        """Makes tips of no logs."""
        ...

    @property
    def Fanned(self) -> Callable[[Sequence[int], Sequence[int]], Fanned]:  # noqa: N802
        """Makes a fan of places and numbers of logs."""
        ...

    @property
    def Roster(self) -> Callable[[Sequence[int], Sequence[int], Sequence[int]], RosterRows]:  # noqa: N802
        """Makes a roster of places and numbers of logs, stream by stream, and of how many of them each stream has."""
        ...

    @property
    def WriteCounts(self) -> Callable[[], WriteCounts]:  # noqa: N802
        """Makes empty counts."""
        ...

    @property
    def Aggregate(self) -> Callable[[int], AggregatePacker]:  # noqa: N802
        """Makes an aggregate of at most so many bytes."""
        ...

    def unpack(self, data: bytes) -> tuple[list[str], list[str], list[bytes]] | None:
        """Of an aggregate whose records are partition keys and data alone: the keys they have, and the key and data of each.

        None where Python shall look.
        """
        ...

    @property
    def JournalMemory(self) -> Callable[[], JournalMemory]:  # noqa: N802
        """Makes memory for journal files that is used again from one to the next, and held until it is let go of."""
        ...

    @property
    def FileWriter(self) -> Callable[[int], FileWriter]:  # noqa: N802
        """Makes a writer of files, so many bytes at a time."""
        ...

    def read_json(self, body: bytes) -> tuple[str, Rows] | None:
        """The stream's name and the records of a PutRecords, or None where Python shall look."""
        ...

    def read_cbor(self, body: bytes) -> tuple[str, Rows] | None:
        """The same of CBOR."""
        ...

    def read_record(self, form: Format, body: bytes) -> tuple[str, str, bytes, bytes] | None:
        """Of a PutRecord the stream's name, partition key, data, and hash key in 16 bytes, big-endian.

        None where Python shall look, as where anything else is given.
        """
        ...

    def write_page(
        self,
        form: Format,
        head: bytes,
        spans: Sequence[tuple[bytes, bytes, bytes, bytes]],
        number: bytes,
        arrivals_ms: Sequence[int],
        tail: bytes,
        head_of: Callable[[int], bytes] | None = None,
        outlet: Outlet | None = None,
    ) -> bytes | None:
        """`head`, the records, `tail`; `number` is the first record's but for its arrival.  None where Python shall write it.

        A span is the lengths of keys and the keys, the lengths of data and the data.  `head_of` makes what stands in front of it all of
        its size.  Where there is an outlet it is sent there, and what the client has yet to take is answered.  Raises OSError where the
        client is gone.
        """
        ...

    def write_written(
        self, form: Format, head: bytes, order: bytes, shards: Sequence[tuple[str, bytes]], tail: bytes
    ) -> bytes:
        """`head`, where each record went, `tail`; a shard is its id and the number of its first record."""
        ...


INTERFACE: Final = 17  # that this release speaks to; one that was built for another is left alone


def _find() -> Native | None:
    try:
        found = import_module("penstock_native")
    except ImportError:
        return None
    if getattr(found, "INTERFACE", 1) != INTERFACE:
        logger.warning("the native part is of another release, and is not used: make native")
        return None
    return cast("Native", found)


NATIVE: Final = _find()
