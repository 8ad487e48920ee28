"""User records on their way, and what is told of them in the end."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import groupby
from typing import Any, Final, Protocol

from msgspec import Struct

from penstock.core.hashkeys import hash_key
from penstock.wire.aggregate import effective_hash_key

PARTITION_KEY_MAX_CHARS: Final = 256
PARTITION_KEY_MAX_BYTES: Final = 4 * PARTITION_KEY_MAX_CHARS
KEYS_KEPT_MAX: Final = 16_384
HELD_BYTES: Final = (
    600  # what a record takes in memory besides its data and key: itself, its future, its places in tables
)
LOT_MS: Final = 5
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


class Waiting(Protocol):
    """Who waits for the records of a lot.  Each place is told once."""

    def settle(self, places: Sequence[int], result: UserRecordResult) -> None:
        """Tell what became of the records at these places."""
        ...

    def fail(self, place: int, error: UserRecordFailed) -> None:
        """Tell that one failed."""
        ...


class Apart:
    """Who waits for records that were put one by one: somebody for each."""

    def __init__(self, promises: Sequence[Promise]) -> None:
        self._promises = promises

    def settle(self, places: Sequence[int], result: UserRecordResult) -> None:
        """Tell what became of the records at these places."""
        for place in places:
            promise = self._promises[place]
            if not promise.done():
                promise.set_result(result)

    def fail(self, place: int, error: UserRecordFailed) -> None:
        """Tell that one failed."""
        promise = self._promises[place]
        if not promise.done():
            promise.set_exception(error)


class Together:
    """Who waits for records that were put together: told in their order when the last one has its result."""

    def __init__(self, promise: Promise, count: int) -> None:
        self._left = count
        self._promise = promise
        self._results: list[UserRecordResult | None] = [None] * count

    def settle(self, places: Sequence[int], result: UserRecordResult) -> None:
        """Take the result of the records at these places."""
        results = self._results
        for place in places:
            results[place] = result
        self._left -= len(places)
        if not self._left and not self._promise.done():
            self._promise.set_result(results)

    def fail(self, place: int, error: UserRecordFailed) -> None:
        """Take a failure: among others that is a result like any."""
        self.settle((place,), error.result)


class Put(Struct, eq=False, gc=False):
    """One user record as it was put by itself."""

    partition_key: str
    data: bytes
    explicit_hash_key: str | None  # decimal digits
    hash_key: int
    held_bytes: int  # what it takes in memory, about
    arrived_ms: int
    promise: Promise
    unique_id: str | None = None


class Lot(Struct, eq=False, kw_only=True):
    """User records that came together, or nearly so, and have shared their fate since: what happens to one happens to all.

    They are columns, because a structure for each costs more than all else that is done with it.
    """

    waiting: Waiting
    places: Sequence[int]  # of its records, as `waiting` knows them
    partition_keys: Sequence[str]
    data: Sequence[bytes]
    explicit_hash_keys: Sequence[str | None] | None  # decimal digits; None: no record has one
    hash_keys: Sequence[int]
    unique_ids: Sequence[str | None] | None  # None: no record has one
    held_bytes: int  # what they take in memory, about
    arrived_ms: int
    deadline_ms: int  # when they should be sent
    expires_ms: int  # when they may no longer be
    last_ms: int  # when the attempt before ended; at first, when they came
    attempts: tuple[Attempt, ...] = NO_ATTEMPTS

    def __len__(self) -> int:
        return len(self.places)

    def chosen(self, chosen: Sequence[int]) -> "Lot":
        """A lot of some of its records."""
        if len(chosen) == len(self.places):
            return self
        explicit, ids = self.explicit_hash_keys, self.unique_ids
        keys, data = [self.partition_keys[at] for at in chosen], [self.data[at] for at in chosen]
        return Lot(
            waiting=self.waiting,
            places=[self.places[at] for at in chosen],
            partition_keys=keys,
            data=data,
            explicit_hash_keys=None if explicit is None else [explicit[at] for at in chosen],
            hash_keys=[self.hash_keys[at] for at in chosen],
            unique_ids=None if ids is None else [ids[at] for at in chosen],
            held_bytes=held_bytes(keys, data),
            arrived_ms=self.arrived_ms,
            deadline_ms=self.deadline_ms,
            expires_ms=self.expires_ms,
            last_ms=self.last_ms,
            attempts=self.attempts,
        )


def held_bytes(partition_keys: Sequence[str], data: Sequence[bytes]) -> int:
    """What records take in memory, about."""
    return HELD_BYTES * len(data) + sum(map(len, data)) + sum(map(len, partition_keys))


def lots_of(puts: Sequence[Put], buffered_ms: int, ttl_ms: int) -> list[Lot]:
    """Records that were put one by one, as lots: those that came within LOT_MS are one, and count as come with the first."""
    if not puts:
        return []
    first_ms = puts[0].arrived_ms
    if puts[-1].arrived_ms < first_ms + LOT_MS:
        return [_lot_of(puts, buffered_ms, ttl_ms)]
    spans = groupby(puts, lambda put: (put.arrived_ms - first_ms) // LOT_MS)
    return [_lot_of(list(span), buffered_ms, ttl_ms) for _, span in spans]


def _lot_of(puts: Sequence[Put], buffered_ms: int, ttl_ms: int) -> Lot:
    arrived_ms = puts[0].arrived_ms
    explicit, ids = [put.explicit_hash_key for put in puts], [put.unique_id for put in puts]
    return Lot(
        waiting=Apart([put.promise for put in puts]),
        places=range(len(puts)),
        partition_keys=[put.partition_key for put in puts],
        data=[put.data for put in puts],
        explicit_hash_keys=explicit if any(explicit) else None,
        hash_keys=[put.hash_key for put in puts],
        unique_ids=ids if any(ids) else None,
        held_bytes=sum([put.held_bytes for put in puts]),
        arrived_ms=arrived_ms,
        deadline_ms=arrived_ms + buffered_ms,
        expires_ms=arrived_ms + ttl_ms,
        last_ms=arrived_ms,
    )


class UnderWay:
    """The lots that have no result yet."""

    def __init__(self) -> None:
        self._lots: dict[Lot, None] = {}
        self.records = 0
        self.held_bytes = 0

    def add(self, lot: Lot) -> None:
        """Know a lot."""
        self._lots[lot] = None
        self.records += len(lot)
        self.held_bytes += lot.held_bytes

    def forget(self, lot: Lot) -> bool:
        """A lot gets its result now; False if it has one."""
        if lot not in self._lots:
            return False
        del self._lots[lot]
        self.records -= len(lot)
        self.held_bytes -= lot.held_bytes
        return True

    def cut(self, lot: Lot, pieces: Iterable[Sequence[int]]) -> list[Lot]:
        """The lots that one falls into, by places that leave none out."""
        found = [lot.chosen(piece) for piece in pieces]
        if len(found) > 1:
            self.forget(lot)
            for each in found:
                self.add(each)
        return found

    def __contains__(self, lot: Lot) -> bool:
        return lot in self._lots

    def came_by(self, moment_ms: int) -> list[Lot]:
        """The lots that came at a moment or before it."""
        return [lot for lot in self._lots if lot.arrived_ms <= moment_ms]

    @property
    def oldest_ms(self) -> int | None:
        """When the oldest lot came; None if there is none."""
        return min((lot.arrived_ms for lot in self._lots), default=None)


class Entry(Struct, eq=False, gc=False):
    """A Kinesis record to be sent: some user records, packed or a single one as it is."""

    lots: Sequence[Lot]
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

    @property
    def count(self) -> int:
        """How many user records it holds."""
        return sum(map(len, self.lots))


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
    return data, explicit, place, HELD_BYTES + len(data) + len(partition_key)


Columns = tuple[list[str], list[bytes], list[str | None] | None, list[int]]  # keys, data, explicit ones, hash keys


def columns(given: Sequence[Given], largest_bytes: int) -> Columns:
    """What of records a Lot holds.  Raises ValueError, TypeError, which name the first bad one."""
    return _plain_columns(given, largest_bytes) or _checked_columns(given, largest_bytes)


def _plain_columns(given: Sequence[Given], largest_bytes: int) -> Columns | None:
    """What nearly everybody puts: keys and bytes, far from the bounds.  None: look again, one by one."""
    try:
        if set(map(len, given)) != {2}:
            return None
        keys, data = [record[0] for record in given], [blob for record in given if type(blob := record[1]) is bytes]
        if len(data) < len(given) or max(map(len, data)) + PARTITION_KEY_MAX_BYTES > largest_bytes:
            return None
        return keys, data, None, [place for place, _ in map(_key_facts, keys)]
    except (LookupError, TypeError, ValueError):
        return None


def _checked_columns(given: Sequence[Given], largest_bytes: int) -> Columns:
    keys: list[str] = []
    held: list[Held] = []
    try:
        for record in given:
            key, data, explicit_hash_key = record if len(record) == 3 else (*record, None)
            held.append(checked(key, data, explicit_hash_key, largest_bytes))
            keys.append(key)
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError  # that of Unicode takes more than a text
        raise kind(f"record {len(held)}: {error}") from None
    explicit = [each[1] for each in held]
    return keys, [each[0] for each in held], explicit if any(explicit) else None, [each[2] for each in held]


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
