"""What an engine is: the protocols that storage is used through, and the values and refusals they speak in.

Theory.  A `RecordLog` holds any number of logs, each an append-only sequence of records at dense offsets; a shard is one log.  A
`MetaStore` holds small versioned values and commits several at once or not at all.  An engine knows bytes, offsets and arrival
times: no sequence numbers, hash keys, retention or policies.
Rules for every engine (the conformance suite in tests/conformance holds them to it):
  1. `append` returns when its records are durable, and answers for each batch; offsets of one log are dense and in order.
  2. A batch is written whole or not at all.  A refusal says which: `Indeterminate` alone leaves it open.
  3. Arrival times never go down within a log; all records of a batch share one.
  4. A reader never sees a record whose append could still fail.
  5. `seal` is idempotent; when it has returned `end`, nothing is ever appended at or after it.
  6. `trim` forgets what lies before a position, for ever: it is durable when it returns, and `start` never goes down.
  7. Batches of one call for one log are written in their order.  A caller that stops waiting for an append leaves it open, as
     Indeterminate does.  Columns given to `append` or received from `read` are never changed by either side.
  8. Arrival times are the Clock's; a log's last one survives trimming and restarts.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final, NamedTuple, NewType, Protocol

import msgspec

from penstock.wire.nativeparts import Placed, Spread

LogId = NewType("LogId", str)  # "<stream uid>/<shard number>"


class Position(NamedTuple):
    """A place in a log: before the record at `offset`.  Ordered; `incarnation` rises when a log's offsets begin again."""

    incarnation: int
    offset: int


class Batch(NamedTuple):
    """Records for one log, in columns of one length, at least one."""

    log: LogId
    keys: Sequence[bytes]  # partition keys, UTF-8
    data: Sequence[bytes]


class Appended(NamedTuple):
    """Where a batch went: its records are at `first` and the offsets that follow."""

    first: Position
    arrival_ms: int


class Fan:
    """Logs that records are spread over, in a fixed order.  Whoever writes keeps it; `found` is the engine's own."""

    __slots__ = ("found", "logs")

    def __init__(self, logs: Sequence[LogId]) -> None:
        self.logs = logs
        self.found: object = None


class AppendError(Exception):
    """Why a batch was refused; returned, not raised, since other batches of the call may have been written."""


class Unavailable(AppendError):
    """Certainly not written: the storage cannot be reached or is full."""


class Indeterminate(AppendError):
    """Perhaps written: the outcome is unknown."""


class NoSuchLog(AppendError):
    """Not written: the log does not exist."""


class TooLarge(AppendError):
    """Not written: the batch is larger than the engine takes."""


class Sealed(AppendError):
    """Not written: the log is sealed at `end`."""

    def __init__(self, end: Position) -> None:
        super().__init__(f"sealed at {end}")
        self.end = end


class Overloaded(AppendError):
    """Not written: the engine is behind; try again after `retry_after_ms`."""

    def __init__(self, retry_after_ms: int) -> None:
        super().__init__(f"retry after {retry_after_ms} ms")
        self.retry_after_ms = retry_after_ms


class Page(NamedTuple):
    """Consecutive records, in columns, and where the log stood when they were read."""

    first: Position  # of the first record; equals `next` in an empty page
    keys: Sequence[bytes]
    data: Sequence[bytes]
    arrivals_ms: Sequence[int]
    next: Position  # where the following read begins
    end: Position  # of the log
    sealed: bool  # nothing will follow `end`


class Bounds(NamedTuple):
    """What a log holds."""

    start: Position  # the oldest record, or `end` when there is none
    end: Position  # one past the newest record
    last_arrival_ms: int | None  # of the newest record ever appended
    sealed: bool


class RecordLog(Protocol):
    """Logs of records.

    Every method but `append` raises NoSuchLog for a log that does not exist; those that change something also Unavailable and
    Indeterminate, after which they may be repeated.  What is damaged on the disk is skipped by readers and reported by the engine.
    """

    async def create(self, logs: Sequence[LogId]) -> None:
        """Begin empty logs; one that exists is left as it is."""
        ...

    async def drop(self, logs: Sequence[LogId]) -> None:
        """Forget logs and their records; one that does not exist is passed over."""
        ...

    async def names(self) -> Sequence[LogId]:
        """Every log that exists, sorted."""
        ...

    async def append(self, batches: Sequence[Batch]) -> Sequence[Appended | AppendError]:
        """Write batches, for several logs at once, and answer for each in the same order."""
        ...

    async def scatter(self, fan: Fan, spread: Spread) -> Placed | AppendError | None:
        """As `append` of a batch for each group of a spread, whose shards are places in `fan`: all are written, or none.

        None where nothing was done and `append` is to do it: the engine has no shorter way, or a log takes no records.
        """
        ...

    async def read(self, log: LogId, position: Position, max_records: int, max_bytes: int) -> Page:
        """Records from `position` on: at most `max_records`, and of `max_bytes` (keys and data) or a single larger one.

        There may be fewer than would fit, but at least one where one follows.
        A position before the oldest record begins there; one of an older incarnation begins at the start; one past the end, or of a
        newer incarnation, answers an empty page at the end.
        """
        ...

    async def find_time(self, log: LogId, at_ms: int) -> Position:
        """The first record that arrived at or after `at_ms`, or the end.  O(log n)."""
        ...

    async def bounds(self, log: LogId) -> Bounds:
        """What the log holds now."""
        ...

    async def size_bytes(self, log: LogId) -> int:
        """About what its records take of the storage; of those that were trimmed, what was not freed yet may be in it."""
        ...

    async def seal(self, log: LogId) -> Position:
        """End the log; answer where."""
        ...

    async def trim(self, log: LogId, before: Position) -> None:
        """Forget the records before a position; one past the end means the end."""
        ...

    async def wait(self, log: LogId, position: Position) -> None:
        """Return when the log holds a record at or after `position`, or is sealed, or is dropped (which raises NoSuchLog)."""
        ...

    def watch(self, log: LogId, watcher: Callable[[], None]) -> Callable[[], None]:
        """Have `watcher` called when the log has grown, was sealed or dropped, once those who wait for it were woken.

        It is called where that was found out, a turn of the loop before who waits goes on, and must not raise.  Returns the way to stop it.
        Raises NoSuchLog.
        """
        ...


class Versioned(msgspec.Struct, frozen=True):
    """A value of the MetaStore and the version that its next writer must name."""

    value: bytes
    version: int  # >= 1


class Write(NamedTuple):
    """One key of a commit: its new value (None deletes it), if its version is still `expected` (0: it must not exist)."""

    key: str
    value: bytes | None
    expected: int


class Conflict(Exception):
    """A commit that was refused whole, because `key` is no longer at the version that its writer expected."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


class Change(NamedTuple):
    """A key that a commit changed, as watchers see it."""

    key: str
    now: Versioned | None  # None: deleted


Watcher = Callable[[Sequence[Change]], None]


KEY_END: Final = "\U0010ffff"  # a prefix with this behind it is the end of the keys that begin with the prefix


class MetaStore(Protocol):
    """Small values under ordered keys, changed by conditional commits."""

    async def get(self, key: str) -> Versioned | None:
        """A key's value, or None."""
        ...

    async def scan(self, prefix: str) -> Sequence[tuple[str, Versioned]]:
        """Every key with a prefix, in order."""
        ...

    async def page(
        self, start: str, end: str, limit: int, *, backwards: bool = False
    ) -> Sequence[tuple[str, Versioned]]:
        """The first `limit` of the keys from `start` up to `end`, without it, in order; backwards: the last of them, last first."""
        ...

    async def commit(self, writes: Sequence[Write]) -> None:
        """Apply all writes durably, or none: raises Conflict with the first key whose version is not the expected one.

        When it returns, every watcher has seen the change.
        """
        ...

    def watch(self, prefix: str, watcher: Watcher) -> Callable[[], None]:
        """Call `watcher` with the changes under a prefix, one call a commit, in the order of commits.  Returns the way to stop it."""
        ...


class MetaUnavailable(Exception):
    """The MetaStore cannot read or write now: the disk is full, failing or away.  What follows may succeed again.

    A commit that ends so changed nothing that a reader or watcher sees.  If the process dies before the next commit succeeds, it may
    still turn out to have been written: whoever starts again reads first.
    """


class MetaUnusable(MetaUnavailable):
    """What is stored is no metadata of Penstock's, or of a newer version, or damaged; one line says which."""


BLOB_PIECE_BYTES: Final = 1 << 20  # longest piece that `stream` answers
BLOB_NAME_BYTES: Final = 1024  # longest name, in UTF-8
BLOB_SEGMENT_BYTES: Final = 255  # longest segment of a name, in UTF-8


class NoSuchBlob(Exception):
    """There is no object of that name."""


class BlobsUnavailable(Exception):
    """The objects cannot be reached, or the storage is full; a put that ends so may or may not have replaced the object."""


class BlobEntry(NamedTuple):
    """An object as a listing shows it."""

    name: str
    size_bytes: int


class Blobs(Protocol):
    """Immutable objects of any size under names.

    Names are segments joined by `/`; check_blob_name says which are allowed, and every method raises ValueError for another.  No name
    is the folder of another: who stores `a/b` does not store `a`; an engine may refuse it with ValueError.
    """

    async def put(self, name: str, data: bytes | AsyncIterator[bytes]) -> None:
        """Store or replace an object; it is durable on return.

        A reader sees the old object or the new one, never a part.  When the iterator raises, the old one stays.
        """
        ...

    async def get(self, name: str, start: int = 0, end: int | None = None) -> bytes:
        """The bytes [start, end) of an object, cut at its end.  Raises NoSuchBlob."""
        ...

    def stream(self, name: str, start: int = 0) -> AsyncIterator[bytes]:
        """The bytes from `start` on, of one object whatever replaces it meanwhile, in pieces of 1 to BLOB_PIECE_BYTES.

        Raises NoSuchBlob, at the first piece.
        """
        ...

    async def size(self, name: str) -> int | None:
        """Its size in bytes, or None when there is no such object."""
        ...

    def list(self, prefix: str = "") -> AsyncIterator[BlobEntry]:
        """The objects whose names begin with a prefix, in the order of their names.  Others may come and go meanwhile."""
        ...

    async def delete(self, name: str) -> None:
        """Forget an object; one that does not exist is passed over."""
        ...


def check_blob_name(name: str) -> None:
    """Raise ValueError unless a name is allowed in every engine.

    That is: segments of 1 to BLOB_SEGMENT_BYTES, neither `.` nor `..`, joined by `/`, BLOB_NAME_BYTES in all; no backslash, no control
    character, nothing that UTF-8 has no bytes for.
    """
    segments = name.encode().split(b"/")  # UnicodeEncodeError is a ValueError
    if sum(map(len, segments)) + len(segments) - 1 > BLOB_NAME_BYTES:
        raise ValueError(f"blob name of more than {BLOB_NAME_BYTES} bytes: {name[:40]!r}...")
    for segment in segments:
        if not 0 < len(segment) <= BLOB_SEGMENT_BYTES or segment in (b".", b".."):
            raise ValueError(f"blob name with a segment that is empty, dots or too long: {name!r}")
    if any(char < " " or char in "\\\x7f" for char in name):
        raise ValueError(f"blob name with a backslash or control character: {name!r}")


def check_blob_range(start: int, end: int | None) -> None:
    """Raise ValueError unless 0 <= start <= end."""
    if start < 0 or (end is not None and end < start):
        raise ValueError(f"no range of an object: {start} to {end}")
