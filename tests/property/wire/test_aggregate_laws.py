"""Laws of KPL aggregates: what is packed is read back, by us, by aws_kinesis_agg and by protobuf; nothing at all makes `unpack` raise."""

import hashlib
import tracemalloc
from typing import NamedTuple

import aws_kinesis_agg.aggregator  # noqa: F401 - the messages are found once it has put itself on the path
from aws_kinesis_agg.messages_pb2 import AggregatedRecord
from google.protobuf.message import DecodeError
from hypothesis import example, given
from hypothesis import strategies as st

from penstock.core.hashkeys import HASH_KEY_MAX, HashRange
from penstock.wire.aggregate import (
    FRAMING_BYTES,
    MAGIC,
    Aggregate,
    UserRecord,
    effective_hash_key,
    unpack,
    user_records,
)


class Put(NamedTuple):
    partition_key: str
    data: bytes
    explicit_hash_key: str | None = None
    unique_id: str | None = None


texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
keys = st.sampled_from(("a", "b", "c", "ключ")) | texts
places = st.integers(0, HASH_KEY_MAX) | st.sampled_from((0, 1, HASH_KEY_MAX))
puts = st.builds(
    Put,
    keys,
    st.binary(max_size=200) | st.integers(120, 140).map(bytes) | st.integers(16_380, 16_390).map(bytes),
    st.none() | st.integers(0, 5).map(str) | places.map(str),
    st.none() | texts,
)
batches = st.lists(puts, min_size=1, max_size=12)


def pack_all(records: list[Put], max_bytes: int) -> list[tuple[bytes, int, str]]:
    """Everything packed: data, predicted size and explicit hash key of each aggregate."""
    done, held = [], Aggregate(max_bytes)
    for record in records:
        if not held.add(*record):
            done.append(held)
            held = Aggregate(max_bytes)
            assert held.add(*record)
    return [(made.pack().data, made.size_bytes, made.pack().explicit_hash_key) for made in [*done, held]]


@given(batches, st.integers(64, 4096))
def test_pack_when_unpacked_gives_what_went_in_in_order(records: list[Put], max_bytes: int) -> None:
    found: list[Put] = []
    for data, size_bytes, place in pack_all(records, max_bytes):
        inner = unpack(data)
        assert inner is not None
        assert [each.sub_sequence_number for each in inner] == list(range(len(inner)))
        assert size_bytes == len(data)
        assert len(data) <= max_bytes or len(inner) == 1
        assert int(place) == effective_hash_key(inner[0].partition_key, inner[0].explicit_hash_key)
        found += [Put(each.partition_key, each.data, each.explicit_hash_key, each.unique_id) for each in inner]
    assert found == records


@given(batches, st.integers(64, 4096), st.integers(1, 12))
def test_add_columns_when_records_are_added_one_by_one_does_the_same(
    records: list[Put], max_bytes: int, most: int
) -> None:
    one, many, taken = Aggregate(max_bytes), Aggregate(max_bytes), 0
    for record in records[:most]:
        if not one.add(*record):
            break
        taken += 1
    keys, data, explicit, ids = ([record[at] for record in records] for at in range(4))
    assert many.add_columns(keys, data, explicit if any(explicit) else None, ids if any(ids) else None, most) == taken  # type: ignore[arg-type]
    assert (one.size_bytes, one.count) == (many.size_bytes, many.count)
    assert not one.count or one.pack() == many.pack()


@given(batches)
def test_pack_when_protobuf_writes_it_anew_then_it_is_byte_for_byte_the_same(records: list[Put]) -> None:
    ((data, _, _),) = pack_all(records, 2**30)
    body = data[len(MAGIC) : -16]
    message = AggregatedRecord()
    message.ParseFromString(body)
    assert message.SerializeToString(deterministic=True) == body
    assert len(set(message.partition_key_table)) == len(message.partition_key_table)
    assert len(set(message.explicit_hash_key_table)) == len(message.explicit_hash_key_table)


@given(batches, places, places)
def test_unpack_with_a_range_gives_all_or_nothing(records: list[Put], one: int, other: int) -> None:
    held = HashRange(min(one, other), max(one, other))
    ((data, _, _),) = pack_all(records, 2**30)
    within = [
        held.start <= (effective_hash_key(each.partition_key, each.explicit_hash_key) or 0) <= held.end
        for each in records
    ]
    found = unpack(data, held)
    assert found == (unpack(data) if all(within) else [])


def framed(message: bytes) -> bytes:
    return MAGIC + message + hashlib.md5(message).digest()


@given(st.binary(max_size=200), st.booleans())
@example(b"", True)
def test_unpack_when_bytes_are_anything_never_raises(noise: bytes, with_frame: bool) -> None:
    data = framed(noise) if with_frame else noise
    assert user_records("key", data) is not None
    assert (unpack(data) is None) == (unpack(data, HashRange(0, HASH_KEY_MAX)) is None)


@given(batches, st.integers(0, 2**20), st.integers(0, 255))
def test_unpack_when_a_byte_of_a_message_is_another_agrees_with_protobuf(
    records: list[Put], at: int, byte: int
) -> None:
    ((data, _, _),) = pack_all(records, 2**30)
    body = bytearray(data[len(MAGIC) : -16])
    body[at % len(body)] = byte
    found = unpack(framed(bytes(body)))
    message = AggregatedRecord()
    try:
        message.ParseFromString(bytes(body))
    except DecodeError:
        return  # it may be for a text that is no UTF-8, which Java takes
    if found is not None:
        assert [each.data for each in found] == [each.data for each in message.records]


@given(batches)
def test_unpack_when_data_is_cut_or_lengthened_is_a_plain_record(records: list[Put]) -> None:
    ((data, _, _),) = pack_all(records, 2**30)
    for other in (data[:-1], data[1:], data + b"\0", data[: FRAMING_BYTES + 1]):
        assert unpack(other) is None


def test_unpack_when_data_is_made_to_be_large_then_memory_is_bounded() -> None:
    smallest = b"\x1a\x04\x08\x00\x1a\x00"
    data = framed(b"\x0a\x01k" + smallest * 170_000)  # 1 MiB
    tracemalloc.start()
    found = unpack(data)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found is not None
    assert len(found) == 170_000
    assert found[-1] == UserRecord("k", None, b"", 169_999)
    assert peak_bytes < 40 * len(data)
