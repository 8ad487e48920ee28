"""User records on their way, and what is told of them in the end."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, ClassVar, Final, Protocol

from msgspec import Struct

from penstock.core.hashkeys import hash_key
from penstock.wire.aggregate import effective_hash_key

PARTITION_KEY_MAX_CHARS: Final = 256
KEYS_KEPT_MAX: Final = 16_384
HELD_BYTES: Final = (
    600  # what a record takes in memory besides its data and key: itself, its future, its places in tables
)
NO_ATTEMPTS: Final[tuple["Attempt", ...]] = ()


class Attempt(Struct, frozen=True, gc=False):
    """One try to put a record."""

    delay_ms: int  # since the record came, or since the attempt before
    duration_ms: int  # of the request
    successful: bool
    error_code: str | None = None  # AWS's, or Expired, Wrong Shard, Record Count Mismatch
    error_message: str | None = None


class UserRecordResult(Struct, frozen=True, gc=False):
    """What became of a record."""

    successful: bool
    shard_id: str | None  # where it is
    sequence_number: str | None  # of the Kinesis record that it is in
    attempts: tuple[Attempt, ...]


class UserRecord(Struct, frozen=True, gc=False):
    """A record as it was put, for those who want it back."""

    partition_key: str
    explicit_hash_key: str | None
    data: bytes


class UserRecordFailed(Exception):
    """A record was not put.  `result` tells what was tried; `record` is there with `return_user_record_on_failure`."""

    def __init__(self, result: UserRecordResult, record: UserRecord | None = None) -> None:
        last = result.attempts[-1] if result.attempts else None
        why = f"{last.error_code}: {last.error_message}" if last is not None else "it was given up"
        super().__init__(f"the record was not put, after {len(result.attempts)} attempts: {why}")
        self.result = result
        self.record = record


class ProducerClosed(Exception):
    """The producer is closed: it takes no records any more."""

    def __init__(self) -> None:
        super().__init__("the producer is closed")


class Promise(Protocol):
    """Who waits for a record: a future of asyncio or of a thread."""

    def done(self) -> bool:
        """Whether nobody waits any more."""
        ...

    def set_result(self, result: Any) -> object:
        """Tell what became of it."""
        ...

    def set_exception(self, exception: Any) -> object:
        """Tell why it failed."""
        ...


class Alone(Struct, eq=False, gc=False):
    """A record that was put by itself."""

    promise: Promise
    arrived_ms: int
    count: ClassVar[int] = 1

    def settle(self, at: int, result: UserRecordResult) -> bool:
        """Tell what became of it.  True: nobody waits any longer."""
        if not self.promise.done():
            self.promise.set_result(result)
        return True

    def fail(self, at: int, error: UserRecordFailed) -> bool:
        """The same of a failure."""
        if not self.promise.done():
            self.promise.set_exception(error)
        return True


class Together:
    """Records that were put together: their results are told in their order when the last one has its own."""

    __slots__ = ("_left", "_promise", "_results", "arrived_ms", "count")

    def __init__(self, promise: Promise, arrived_ms: int, count: int) -> None:
        self._left = self.count = count
        self._promise = promise
        self._results: list[UserRecordResult | None] = [None] * count
        self.arrived_ms = arrived_ms

    def settle(self, at: int, result: UserRecordResult) -> bool:
        """Take the result of the record at a place, once for each.  True: it was the last one."""
        self._results[at] = result
        self._left -= 1
        if self._left:
            return False
        if not self._promise.done():
            self._promise.set_result(self._results)
        return True

    def fail(self, at: int, error: UserRecordFailed) -> bool:
        """The same of a failure: among others that is a result like any."""
        return self.settle(at, error.result)


Batch = Alone | Together


class Put(Struct, eq=False, gc=False):
    """One user record on its way."""

    partition_key: str
    data: bytes
    explicit_hash_key: str | None  # decimal digits
    hash_key: int
    held_bytes: int  # what it takes in memory, about
    batch: Batch  # what it came in, and who waits for it
    at: int  # its place there
    deadline_ms: int  # when it should be sent
    expires_ms: int  # when it may no longer be
    unique_id: str | None
    last_ms: int  # when the attempt before ended; at first, when it came
    attempts: tuple[Attempt, ...] = NO_ATTEMPTS


class Entry(Struct, eq=False, gc=False):
    """A Kinesis record to be sent: some user records, packed or a single one as it is."""

    puts: Sequence[Put]
    partition_key: str
    explicit_hash_key: str
    data: bytes
    shard_id: str | None
    deadline_ms: int
    expires_ms: int

    @property
    def size_bytes(self) -> int:
        """As PutRecords counts it."""
        return len(self.data) + len(self.partition_key)


Data = bytes | bytearray | memoryview
Given = tuple[str, Data] | tuple[str, Data, str | int | None]  # partition key, data, explicit hash key
Held = tuple[bytes, str | None, int, int]  # data, explicit hash key, hash key, held bytes


def checked(partition_key: str, data: Data, explicit_hash_key: str | int | None, largest_bytes: int) -> Held:
    """What of a record a Put holds, after its key.  Raises ValueError, TypeError."""
    place, key_bytes = _key_facts(partition_key)
    explicit = None
    if type(data) is not bytes:
        if not isinstance(data, Data):
            raise TypeError(f"data must be bytes, not {type(data).__name__}")
        data = bytes(data)
    if explicit_hash_key is not None:
        given = effective_hash_key("", str(explicit_hash_key))
        if given is None:
            shown = str(explicit_hash_key)[:80]
            raise ValueError(f"an explicit hash key must be a number from 0 to 2**128 - 1, not {shown!r}")
        place, explicit = given, str(given)
    size_bytes = len(data) + key_bytes
    if size_bytes > largest_bytes:
        raise ValueError(f"data and partition key must have at most {largest_bytes} bytes, not {size_bytes}")
    return data, explicit, place, size_bytes + HELD_BYTES


@lru_cache(maxsize=KEYS_KEPT_MAX)
def _key_facts(partition_key: str) -> tuple[int, int]:
    """The hash key of a partition key, and its length in bytes."""
    if not isinstance(partition_key, str):
        raise TypeError(f"a partition key must be a string, not {type(partition_key).__name__}")
    if not 0 < len(partition_key) <= PARTITION_KEY_MAX_CHARS:
        raise ValueError(
            f"a partition key must have 1 to {PARTITION_KEY_MAX_CHARS} characters, not {len(partition_key)}"
        )
    written = partition_key.encode()  # what UTF-8 cannot write is a ValueError, too
    return hash_key(written), len(written)
