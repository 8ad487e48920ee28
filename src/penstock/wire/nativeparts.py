"""What the native part makes and takes, as Python sees it.

Rule of this file: types alone; native.py says what is offered, and whether it is there.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, Protocol

from penstock.wire.nativecalls import PutAnswer, PutCall

Format = Literal["json", "cbor"]


class Ring(Protocol):
    """Where the ranges of a stream's open shards begin."""


class ShardNames(Protocol):
    """Ids of a stream's open shards, their parts of sequence numbers and their numbers, in the order of its ring."""


class Tips(Protocol):
    """Where logs end, by their places (engines/local/tips.py)."""

    def add(self) -> int: ...  # noqa: D102 - as there
    def end(self, place: int) -> int: ...  # noqa: D102
    def set_end(self, place: int, end: int) -> None: ...  # noqa: D102
    def next_offset(self, place: int) -> int: ...  # noqa: D102
    def set_next_offset(self, place: int, offset: int) -> None: ...  # noqa: D102
    def last_arrival_ms(self, place: int) -> int: ...  # noqa: D102
    def set_last_arrival_ms(self, place: int, arrival_ms: int) -> None: ...  # noqa: D102
    def note_scatter(self, place: int, number: int, group: int) -> None: ...  # noqa: D102
    def scatters_since(self, place: int, since: int) -> list[tuple[int, int]]: ...  # noqa: D102
    def forget_scatters(self, before: int) -> None: ...  # noqa: D102
    def is_closed(self, place: int) -> bool: ...  # noqa: D102
    def set_closed(self, place: int, closed: bool) -> None: ...  # noqa: D102
    def start(self, place: int) -> int: ...  # noqa: D102
    def set_start(self, place: int, start: int) -> None: ...  # noqa: D102
    def settled_end(self, place: int) -> int: ...  # noqa: D102
    def settle_to(self, place: int, end: int) -> None: ...  # noqa: D102
    def set_gap(self, place: int, first: int, end: int) -> None: ...  # noqa: D102
    def is_sealed(self, place: int) -> bool: ...  # noqa: D102
    def seal(self, place: int) -> None: ...  # noqa: D102
    def settle(self, roster: "RosterRows", numbers: bytes, ends: bytes) -> list[int]: ...  # noqa: D102
    def columns(self, roster: "RosterRows") -> tuple[bytes, bytes, bytes, bytes]: ...  # noqa: D102


class RosterRows(Protocol):
    """The logs that there are (engines/local/roster.py)."""


class Fanned(Protocol):
    """Logs in the order of a ring."""

    @property
    def places(self) -> Sequence[int]:
        """The places of their tips."""
        ...

    @property
    def log_nos(self) -> Sequence[int]:
        """Their numbers."""
        ...


class PlacedBlocks(Protocol):
    """Where the blocks of a spread lie."""

    @property
    def arrival_ms(self) -> int:
        """Of all records."""
        ...

    def row(self, group: int) -> tuple[int, int, int, int] | None:
        """Of a group the first offset, the end, where in `frames` its frame begins and how long the frame's body is."""
        ...


class Placed(Protocol):
    """A spread whose groups have their logs, and their offsets there."""

    @property
    def arrival_ms(self) -> int:
        """Of all records."""
        ...

    @property
    def firsts(self) -> list[int]:
        """Of each group the offset of its first record."""
        ...

    @property
    def places(self) -> list[int]:
        """Of each group the place of its log."""
        ...

    def frames(self, file_no: int, group: int) -> bytes:
        """A frame of the journal for each group, end to end, as engines/local/frame.py and columns.py would write it."""
        ...

    def show(self, tips: Tips, number: int) -> None:
        """Let readers see them: the groups of the scatter of that number."""
        ...

    def roll_back(self, tips: Tips) -> None:
        """Take the offsets back: they were not written."""
        ...

    def blocks(self) -> PlacedBlocks:
        """Where they lie in `frames`, without their records."""
        ...

    def write_written(self, form: Format, head: bytes, names: ShardNames, tail: bytes) -> bytes:
        """`head`, where each record went, `tail`."""
        ...

    def answer_calls(self, calls: Sequence[PutCall], names: ShardNames, drawn: bytes) -> list[PutAnswer | None]:
        """The answers of calls of one record each; `drawn`: as PutCallReader.answers has it."""
        ...


class Spread(Protocol):
    """Records in groups, one for each shard that gets any; shards are places in a ring."""

    @property
    def size_bytes(self) -> int:
        """Keys and data of all records."""
        ...

    @property
    def frames_bytes(self) -> int:
        """What the frames of all groups take in the journal."""
        ...

    def __len__(self) -> int:
        """How many groups."""
        ...

    def counts(self) -> list[int]:
        """The records of each group."""
        ...

    def sizes(self) -> list[int]:
        """Keys and data of each group, in bytes."""
        ...

    def place(self, fanned: Fanned, tips: Tips, now_ms: int) -> Placed | None:
        """Give each group its offsets; they arrive together: now, or with the latest that any of the logs has.

        None, and nothing given, where one of the logs is closed.
        """
        ...


class RequestSpread(Spread, Protocol):
    """The same, of a request."""

    def owners(self) -> list[int]:
        """The shard of each group."""
        ...

    def order(self) -> bytes:
        """For each record the number of its group, two bytes each, little-endian."""
        ...

    def groups(self) -> list[tuple[int, int, bytes, bytes, bytes, bytes]]:
        """Of each group its shard and how many records it has, then the lengths of keys and data, and keys and data end to end."""
        ...


class Rows(Protocol):
    """The records of one PutRecords: plainly fine, each with a partition key."""

    @property
    def largest_bytes(self) -> int:
        """Key and data of the largest record."""
        ...

    @property
    def size_bytes(self) -> int:
        """Keys and data of all."""
        ...

    def __len__(self) -> int: ...

    def lists(self) -> tuple[list[bytes], list[bytes], list[bytes]]:
        """Partition keys, data, and hash keys of 16 bytes, big-endian."""
        ...

    def spread(self, ring: Ring) -> RequestSpread:
        """The records by shard, in the order in which shards first occur."""
        ...


Figures = tuple[int, int, int]  # records, bytes, milliseconds
CallsRow = tuple[int, Figures, Figures, Figures]  # how many, and their totals, lows and highs


class WriteCounts(Protocol):
    """What was written to the shards of one stream lately, by requests that wrote to many; seconds and minutes as in streams/traffic.py."""

    def add(self, spread: RequestSpread, names: ShardNames, second: int, took_ms: int, alone: bool) -> None:
        """Count a request; `alone`: requests of one record each."""
        ...

    def take_new(self) -> list[int]:
        """The numbers of shards that were written to for the first time since the last time, or since they were forgotten."""
        ...

    def forget(self, shard_no: int) -> None:
        """Tell a shard as new when it is written to again."""
        ...

    def seconds(self, shard_no: int, first: int, end: int) -> tuple[int, int]:
        """Bytes and records in the seconds from `first` up to `end`, as far as they are remembered."""
        ...

    def minutes(self, shard_no: int, first: int, end: int) -> tuple[int, int]:
        """The same of minutes."""
        ...

    def take_calls(self, alone: bool) -> CallsRow:
        """What calls, of many records or of one, were like since the last time, of all shards."""
        ...

    def taken(self, shard_no: int, alone: bool) -> CallsRow | None:
        """What one shard had of the calls that were taken last."""
        ...


class AggregatePacker(Protocol):
    """An aggregate being packed, as `wire/aggregate.py` does it."""

    @property
    def count(self) -> int: ...  # noqa: D102 - as there
    @property
    def size_bytes(self) -> int: ...  # noqa: D102

    def add(  # noqa: D102
        self, partition_key: str, data: bytes, explicit_hash_key: str | None = None, unique_id: str | None = None
    ) -> bool: ...
    def add_columns(  # noqa: D102
        self,
        partition_keys: Sequence[str],
        data: Sequence[bytes],
        explicit_hash_keys: Sequence[str | None] | None,
        unique_ids: Sequence[str | None] | None,
        most: int,
    ) -> int: ...
    def pack(self) -> tuple[str, str, bytes]: ...  # noqa: D102


class HeadReader(Protocol):
    """Reads heads of requests for "/"."""

    def read(
        self, data: bytes, headers_max: int
    ) -> tuple[str, dict[str, str], tuple[tuple[bytes, bytes], ...], int, bool, int] | None:
        """Method, headers by name, all headers, the body's length, whether the connection stays, HTTP/1.<minor>.

        None where Python shall look.
        """
        ...


PlainRequest = tuple[str, str, dict[str, str], tuple[tuple[bytes, bytes], ...], int, bytes]


class BlockReader(Protocol):
    """Reads the header blocks of one HTTP/2 connection, in the order in which they came."""

    def read(self, block: bytes, fields_max_bytes: int) -> PlainRequest | list[tuple[bytes, bytes]]:
        """Method, target, headers by name, all headers, the body's length or -1, and the head as HTTP/1.1 has it but for the empty line.

        All fields as they came where Python shall look.

        Raises ValueError where the compression is broken, OverflowError where the fields count more than may be.
        """
        ...


class SigningKey(Protocol):
    """An HMAC with its key already in it."""


class SignedNames(Protocol):
    """Names of signed headers, in the order in which they are signed."""

    def signs(
        self, key: SigningKey, before: bytes, raw_headers: Sequence[tuple[bytes, bytes]], payload: bytes, given: bytes
    ) -> bool:
        """Whether `given` is the signature of a POST to "/"; `before`: the string to sign up to the hash.

        False also where Python shall look.
        """
        ...

    def signs_body(
        self, key: SigningKey, before: bytes, raw_headers: Sequence[tuple[bytes, bytes]], body: bytes, given: bytes
    ) -> str | None:
        """The hash of `body`, in hexadecimal, where `given` is the signature of a POST of it to "/".  None: Python shall look."""
        ...


class Readers(Protocol):
    """Threads that read PutRecords, and never ask for the interpreter."""

    def fileno(self) -> int:
        """What becomes readable when there is something to take."""
        ...

    def submit(self, ticket: int, form: Format, body: bytes, hashed: bool) -> None:
        """Have a body read as `read_json` and `read_cbor` do, and hashed where that is asked for."""
        ...

    def take(self) -> list[tuple[int, tuple[str, Rows] | None, str | None]]:
        """What was read since the last time: ticket, name and records, and the SHA-256 of the body in hexadecimal.

        None in place of a request where Python shall look.
        """
        ...

    def close(self) -> None:
        """Let the threads end, when what they were given is read."""
        ...


class PutCallReader(Protocol):
    """The type of such calls."""

    def read(self, request: bytes) -> PutCall | None:
        """A whole request; None where it is unusual, or anything else than one request."""
        ...

    def by_origin(self, calls: Sequence[PutCall]) -> list[list[int]]:
        """Places of calls of the same origin: they differ in nothing but signature and record."""
        ...

    def proven(
        self, calls: Sequence[PutCall], places: Sequence[int], names: SignedNames, key: SigningKey, before: bytes
    ) -> list[int]:
        """Places of the calls among those at `places` whose signatures are right; `before`: the string to sign up to the hash.

        The others are for Python to look at.
        """
        ...

    def rows(self, calls: Sequence[PutCall]) -> Rows:
        """The records of up to 500 calls, as those of one PutRecords."""
        ...

    def answers(
        self, calls: Sequence[PutCall], order: bytes, shards: Sequence[tuple[str, bytes] | None], drawn: bytes
    ) -> list[PutAnswer | None]:
        """The answers of calls; None of those whose shard did not take them.

        `order`: for each call the place of its shard in `shards`, two bytes each; a shard is its id and the number of its first record,
        24 bytes little-endian.  `drawn`: random bytes for ids, 88 for each call.
        """
        ...


class JournalMemory(Protocol):
    """Memory that journal files are read into."""


class FileWriter(Protocol):
    """Writes files as host/disk.py does, in one go; it keeps the memory that they are written from."""

    def write(self, path: str, flags: int, parts: Iterable[Iterable[bytes]]) -> int | None:
        """Write the pieces of parts from the beginning of a file on, and perhaps some bytes more; how many they are.

        None where it cannot be opened.  `flags`: for writing past the page cache; it is done without where that is not possible.
        Raises OSError.
        """
        ...


class JoinedBlocks(Protocol):
    """A segment that is yet to be written, as engines/local/segment.py builds it, but for its header."""

    @property
    def left(self) -> int:
        """Bytes that are yet to be written."""
        ...

    @property
    def index_checksum(self) -> int:
        """Of the segment's index."""
        ...

    def ranges(self) -> Sequence[bytes]:
        """The columns of ranges.py."""
        ...

    def __iter__(self) -> Iterator[bytes]:
        """It, once, in pieces that are made when they are asked for."""
        ...


class BlockFinder(Protocol):
    """Makes segments of the blocks that a journal file has of some logs."""

    def take(self, piece: bytes) -> None:
        """Go on by what follows of the file, verifying its frames.  Cost: 0.1 ms a MiB."""
        ...

    def read(self, path: str, length: int) -> bool:
        """Take so many bytes of a file in one go, which is then whole; false where it cannot be opened.  Raises OSError."""
        ...

    def segments(self) -> list[tuple[int, JoinedBlocks]] | None:
        """What becomes of the whole file, once: segments, stream by stream and log by log, each with the place of its stream.

        None where something is wrong, or a log is too large for a segment: Python shall look.
        """
        ...
