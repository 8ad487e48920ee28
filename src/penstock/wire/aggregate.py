"""KPL aggregates: many user records in the data of one Kinesis record, as the Kinesis Producer Library packs them.

Theory.  An aggregate is `F3 89 9A C2`, a protobuf message, and the MD5 of that message.  The message holds a table of partition keys, a
table of explicit hash keys - each text once - and the records, which name their keys by their places in the tables:

    AggregatedRecord { 1 partition_key_table: repeated string   2 explicit_hash_key_table: repeated string   3 records: repeated Record }
    Record           { 1 partition_key_index: uint64   2 explicit_hash_key_index: uint64, optional   3 data: bytes   4 tags: repeated Tag }
    Tag              { 1 key: string   2 value: string, optional }

A Kinesis record is an aggregate if it begins with the magic, has more than 16 bytes behind it, the last 16 are the MD5 of what is
between, and that parses; anything else is a plain record, whatever it begins with.  A user record's place in its aggregate is its
sub-sequence number.
An aggregate lands in the shard of its first record.  After a reshard some of its records may belong to another shard; whoever packed it
sees that and sends all of them again, so a reader that knows its shard's range drops an aggregate with a foreign record whole.
The tags, which KPL leaves empty and KCL ignores, may carry a record's unique id: the tag TAG_UNIQUE_ID.  A producer that puts a record
again after a lost answer gives it the same id, so a reader that remembers ids can drop the second one (`UserRecord.unique_id`).
Rules of this file:
  1. Pure.  Packing is written by hand (it is the quicker way); reading is left to protobuf, which is imported when the first aggregate
     comes, so that a server never pays for it.  Where the native part is, it packs, and reads what nearly everybody writes.
  2. `unpack` never raises.  What cannot be made sense of as a whole is a plain record: nothing is lost that the writer meant to say.
  3. The size of an aggregate is known before it is packed, exactly.

Source: KPL's aggregation-format.md; KCL's AggregatorUtil for reading.  KCL drops the rest of an aggregate at an index beyond a table;
here that is a plain record, by rule 2.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from functools import cache, lru_cache
from itertools import count, islice, repeat
from typing import Any, Final, NamedTuple

from msgspec import Struct

from penstock.core.hashkeys import HASH_KEY_MAX, HashRange, hash_key
from penstock.wire.native import NATIVE
from penstock.wire.nativeparts import AggregatePacker

MAGIC: Final = b"\xf3\x89\x9a\xc2"
DIGEST_BYTES: Final = 16
FRAMING_BYTES: Final = len(MAGIC) + DIGEST_BYTES
AGGREGATE_KEY: Final = (
    "a"  # the partition key of a Kinesis record that holds several user records: readers go by the inner ones
)
TAG_UNIQUE_ID: Final = "penstock-id"
_KEY_KEPT_MAX_CHARS: Final = 256  # AWS's bound on partition keys
_KEYS_KEPT_MAX: Final = 16_384
_HEADS_KEPT_MAX: Final = 16_384
_DIGITS_MAX: Final = len(str(HASH_KEY_MAX))


class UserRecord(Struct, frozen=True, gc=False):
    """One record as its producer put it."""

    partition_key: str
    explicit_hash_key: str | None  # decimal digits
    data: bytes
    sub_sequence_number: int = 0  # its place in the aggregate; 0 for a plain record
    unique_id: str | None = None  # the same for each copy of one put; None where the producer gives none


class Packed(NamedTuple):
    """A Kinesis record to put: what to send of an aggregate."""

    partition_key: str
    explicit_hash_key: str  # decimal digits
    data: bytes


def explicit_hash_key(text: str) -> int | None:
    """The number that an explicit hash key means, or None if it is none: decimal digits, up to HASH_KEY_MAX."""
    if len(text) > _DIGITS_MAX or not (text.isascii() and text.isdigit()):
        return None
    value = int(text)
    return value if value <= HASH_KEY_MAX else None


def effective_hash_key(partition_key: str, explicit: str | None) -> int | None:
    """Where a record belongs: by its explicit hash key, else by its partition key.  None for an explicit one that is no number."""
    if explicit is not None:
        return explicit_hash_key(explicit)
    if len(partition_key) > _KEY_KEPT_MAX_CHARS:
        return hash_key(partition_key.encode())
    return _kept_hash_key(partition_key)


@lru_cache(maxsize=_KEYS_KEPT_MAX)
def _kept_hash_key(partition_key: str) -> int:
    return hash_key(partition_key.encode())


def begin_packing(max_bytes: int) -> AggregatePacker:
    """An aggregate to be packed, by the native part where it is there."""
    return Aggregate(max_bytes) if NATIVE is None else NATIVE.Aggregate(max_bytes)


class Aggregate:
    """User records being packed into one Kinesis record of at most `max_bytes`.

    Texts are given as they are known to be good: keys that UTF-8 can write, explicit hash keys that are numbers.
    """

    __slots__ = ("_explicit_keys", "_first_explicit", "_keys", "_max_bytes", "_parts", "count", "size_bytes")

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._keys: dict[str, int] = {}
        self._explicit_keys: dict[str, int] = {}
        self._parts: list[bytes] = []
        self._first_explicit: str | None = None
        self.count = 0
        self.size_bytes = FRAMING_BYTES  # of the packed data, exactly

    def add(
        self, partition_key: str, data: bytes, explicit_hash_key: str | None = None, unique_id: str | None = None
    ) -> bool:
        """Take a record; False, and nothing is done, if that would make it larger than `max_bytes`.  The first one always fits.

        Cost: 0.6 us for 100 bytes; 3 us with an explicit hash key or a unique id.
        """
        index, entry_bytes = self._keys.get(partition_key), 0
        if index is None:
            index, entry_bytes = len(self._keys), len(_key_entry(partition_key))
        if explicit_hash_key is not None or unique_id is not None:
            return self._add_marked(index, entry_bytes, partition_key, data, explicit_hash_key, unique_id)
        head = _head(index, len(data))
        size_bytes = self.size_bytes + entry_bytes + len(head) + len(data)
        if size_bytes > self._max_bytes and self.count:
            return False
        self._keys[partition_key] = index
        self._parts += (head, data)
        self.size_bytes = size_bytes
        self.count += 1
        return True

    def add_columns(
        self,
        partition_keys: Sequence[str],
        data: Sequence[bytes],
        explicit_hash_keys: Sequence[str | None] | None,
        unique_ids: Sequence[str | None] | None,
        most: int,
    ) -> int:
        """`add` for many, at most so many: how many were taken.  None instead of a column: no record has that.  Cost: 0.4 us each."""
        if explicit_hash_keys is not None or unique_ids is not None:
            return self._add_marked_columns(partition_keys, data, explicit_hash_keys, unique_ids, most)
        keys, parts, max_bytes, before, size_bytes = (
            self._keys,
            self._parts,
            self._max_bytes,
            self.count,
            self.size_bytes,
        )
        taken = 0
        for key, blob in islice(zip(partition_keys, data, strict=True), most):
            index = keys.get(key)
            if index is None:
                index, larger = len(keys), size_bytes + len(_key_entry(key))
            else:
                larger = size_bytes
            head = _head(index, len(blob))
            larger += len(head) + len(blob)
            if larger > max_bytes and before + taken:
                break
            keys[key] = index
            parts += (head, blob)
            size_bytes = larger
            taken += 1
        self.count, self.size_bytes = before + taken, size_bytes
        return taken

    def _add_marked_columns(
        self,
        partition_keys: Sequence[str],
        data: Sequence[bytes],
        explicit_hash_keys: Sequence[str | None] | None,
        unique_ids: Sequence[str | None] | None,
        most: int,
    ) -> int:
        rows = zip(partition_keys, data, explicit_hash_keys or repeat(None), unique_ids or repeat(None), strict=False)
        taken = 0
        for row in islice(rows, most):
            if not self.add(*row):
                break
            taken += 1
        return taken

    def _add_marked(
        self, index: int, entry_bytes: int, partition_key: str, data: bytes, explicit: str | None, unique_id: str | None
    ) -> bool:
        explicit_index = None
        if explicit is not None:
            explicit_index = self._explicit_keys.get(explicit)
            if explicit_index is None:
                explicit_index = len(self._explicit_keys)
                entry_bytes += len(_field(_EXPLICIT_TABLE, explicit.encode()))
        tag = b"" if unique_id is None else _tag(unique_id)
        head = _head(index, len(data), explicit_index, len(tag))
        size_bytes = self.size_bytes + entry_bytes + len(head) + len(data) + len(tag)
        if size_bytes > self._max_bytes and self.count:
            return False
        if not self.count:
            self._first_explicit = explicit
        self._keys[partition_key] = index
        if explicit is not None and explicit_index is not None:
            self._explicit_keys[explicit] = explicit_index
        self._parts += (head, data, tag)
        self.size_bytes = size_bytes
        self.count += 1
        return True

    def pack(self) -> Packed:
        """The Kinesis record that holds what was added: at least one."""
        assert self.count
        explicit_table = [_field(_EXPLICIT_TABLE, text.encode()) for text in self._explicit_keys]
        message = b"".join((*map(_key_entry, self._keys), *explicit_table, *self._parts))
        data = b"".join((MAGIC, message, _digest(message)))
        assert len(data) == self.size_bytes
        first = effective_hash_key(next(iter(self._keys)), self._first_explicit)
        assert first is not None
        return Packed(AGGREGATE_KEY, str(first), data)


# what begins a field: its number and kind, as protobuf writes them
_KEY_TABLE: Final = b"\x0a"  # AggregatedRecord 1
_EXPLICIT_TABLE: Final = b"\x12"  # AggregatedRecord 2
_RECORD: Final = b"\x1a"  # AggregatedRecord 3
_KEY_INDEX: Final = b"\x08"  # Record 1
_EXPLICIT_INDEX: Final = b"\x10"  # Record 2
_DATA: Final = b"\x1a"  # Record 3
_TAG: Final = b"\x22"  # Record 4
_TAG_KEY: Final = b"\x0a"  # Tag 1
_TAG_VALUE: Final = b"\x12"  # Tag 2
_ID_KEY: Final = TAG_UNIQUE_ID.encode()


def _varint(number: int) -> bytes:
    written = bytearray()
    while number > 0x7F:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    written.append(number)
    return bytes(written)


def _field(begin: bytes, value: bytes) -> bytes:
    return b"".join((begin, _varint(len(value)), value))


@lru_cache(maxsize=_KEYS_KEPT_MAX)
def _key_entry(partition_key: str) -> bytes:
    return _field(_KEY_TABLE, partition_key.encode())


@lru_cache(maxsize=_HEADS_KEPT_MAX)
def _head(index: int, data_bytes: int, explicit_index: int | None = None, tag_bytes: int = 0) -> bytes:
    """What of a Record stands before its data."""
    explicit = b"" if explicit_index is None else _EXPLICIT_INDEX + _varint(explicit_index)
    inner = b"".join((_KEY_INDEX, _varint(index), explicit, _DATA, _varint(data_bytes)))
    return b"".join((_RECORD, _varint(len(inner) + data_bytes + tag_bytes), inner))


def _tag(unique_id: str) -> bytes:
    return _field(_TAG, _field(_TAG_KEY, _ID_KEY) + _field(_TAG_VALUE, unique_id.encode()))


def _digest(message: bytes | memoryview) -> bytes:
    return hashlib.md5(message, usedforsecurity=False).digest()


def is_aggregate(data: bytes) -> bool:
    """Whether data has the magic, enough bytes and the right MD5; it may still not parse."""
    if not data.startswith(MAGIC) or len(data) <= FRAMING_BYTES:
        return False
    return _digest(memoryview(data)[len(MAGIC) : -DIGEST_BYTES]) == data[-DIGEST_BYTES:]


def unpack(data: bytes, hash_range: HashRange | None = None) -> list[UserRecord] | None:
    """The user records of an aggregate, in order; None if `data` is a plain record.

    With the range of the shard that it was read from, an aggregate of which any record belongs elsewhere has none: its producer sends
    all of them again.  Cost: 0.6 us for a record of 100 bytes.
    """
    if NATIVE is not None and (plain := NATIVE.unpack(data)) is not None:
        used, keys, blobs = plain
        if hash_range is not None and not all(_is_within(hash_range, key) for key in used):
            return []
        return list(map(UserRecord, keys, repeat(None), blobs, count()))
    if not is_aggregate(data):
        return None
    wire = _protobuf()
    body = data[len(MAGIC) : -DIGEST_BYTES]
    message = wire.make()
    try:
        message.ParseFromString(body)
        found = _read(message, tagged=_ID_KEY in body)
    except (wire.bad, IndexError):
        return None
    if found is not None and hash_range is not None and not _all_within(found, hash_range):
        return []
    return found


def user_records(partition_key: str, data: bytes, hash_range: HashRange | None = None) -> list[UserRecord]:
    """The user records of any Kinesis record: those of an aggregate, or itself."""
    found = unpack(data, hash_range)
    return [UserRecord(partition_key, None, data)] if found is None else found


def _read(message: Any, *, tagged: bool) -> list[UserRecord] | None:
    """The records of a message; None where it makes no sense.  Raises IndexError for a place beyond a table."""
    if not message.IsInitialized():  # something required is missing
        return None
    keys = [key.decode("utf-8", "replace") for key in message.partition_key_table]
    explicit_keys = [key.decode("utf-8", "replace") for key in message.explicit_hash_key_table]
    if not explicit_keys and not tagged:  # what nearly everybody sends; a place in an empty table says nothing
        return [
            UserRecord(keys[record.partition_key_index], None, record.data, number)
            for number, record in enumerate(message.records)
        ]
    if any(explicit_hash_key(text) is None for text in explicit_keys):
        return None
    return [
        UserRecord(
            keys[record.partition_key_index],
            explicit_keys[record.explicit_hash_key_index] if record.HasField("explicit_hash_key_index") else None,
            record.data,
            number,
            _unique_id(record.tags) if tagged else None,
        )
        for number, record in enumerate(message.records)
    ]


def _unique_id(tags: Iterable[Any]) -> str | None:
    for tag in tags:
        if tag.key == _ID_KEY:
            return str(tag.value, "utf-8", "replace")
    return None


def _all_within(records: Sequence[UserRecord], hash_range: HashRange) -> bool:
    places = {(record.partition_key, record.explicit_hash_key) for record in records}
    return all(_is_within(hash_range, *place) for place in places)


def _is_within(hash_range: HashRange, partition_key: str, explicit: str | None = None) -> bool:
    return hash_range.start <= (effective_hash_key(partition_key, explicit) or 0) <= hash_range.end


class _Protobuf(NamedTuple):
    """What reads messages."""

    make: Callable[[], Any]
    bad: type[Exception]


@cache
def _protobuf() -> _Protobuf:
    """The reader, made when it is first needed.  Texts are declared as bytes: what is no UTF-8 is replaced as Java does, not refused."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
    from google.protobuf.message import DecodeError

    proto = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="penstock/aggregate.proto", package="penstock", syntax="proto2")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for number, (field, label, kind) in enumerate(fields, 1):
            made = message.field.add(name=field, number=number, label=getattr(proto, f"LABEL_{label}"))
            if kind in _MESSAGES:
                made.type, made.type_name = proto.TYPE_MESSAGE, f".penstock.{kind}"
            else:
                made.type = getattr(proto, f"TYPE_{kind}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    found = pool.FindMessageTypeByName("penstock.AggregatedRecord")
    return _Protobuf(message_factory.GetMessageClass(found), DecodeError)


_MESSAGES: Final = {  # fields in the order of their numbers, from 1
    "Tag": (("key", "REQUIRED", "BYTES"), ("value", "OPTIONAL", "BYTES")),
    "Record": (
        ("partition_key_index", "REQUIRED", "UINT64"),
        ("explicit_hash_key_index", "OPTIONAL", "UINT64"),
        ("data", "REQUIRED", "BYTES"),
        ("tags", "REPEATED", "Tag"),
    ),
    "AggregatedRecord": (
        ("partition_key_table", "REPEATED", "BYTES"),
        ("explicit_hash_key_table", "REPEATED", "BYTES"),
        ("records", "REPEATED", "Record"),
    ),
}
