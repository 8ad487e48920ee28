"""Aggregates that the native part packs are, byte for byte, Python's, and what it reads is what Python reads."""

import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.core.hashkeys import HASH_KEY_MAX, HashRange
from penstock.wire import aggregate
from penstock.wire.aggregate import MAGIC, Aggregate, UserRecord, unpack
from penstock.wire.native import NATIVE, Native

HALF = HASH_KEY_MAX // 2
KEYS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=300)
DATA = st.binary(max_size=300)
EXPLICIT = st.none() | st.integers(0, HASH_KEY_MAX).map(str) | st.just("007")
UNIQUE = st.none() | st.text(max_size=200)
PLAIN = st.builds(UserRecord, KEYS, st.none(), DATA)
MARKED = st.builds(UserRecord, KEYS, EXPLICIT, DATA, st.just(0), UNIQUE)
FEW_KEYS = st.builds(UserRecord, st.sampled_from(["a", "b", "é"]), st.none(), DATA)
RECORDS = st.lists(PLAIN, max_size=12) | st.lists(MARKED, max_size=12) | st.lists(FEW_KEYS, max_size=200)


def native() -> Native:
    assert NATIVE is not None
    return NATIVE


def by_python(data: bytes, hash_range: HashRange | None) -> list[UserRecord] | None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(aggregate, "NATIVE", None)
        return unpack(data, hash_range)


def added(packer: Any, records: list[UserRecord]) -> list[bool]:
    return [packer.add(each.partition_key, each.data, each.explicit_hash_key, each.unique_id) for each in records]


@settings(max_examples=300, derandomize=True)
@given(records=RECORDS, max_bytes=st.integers(0, 3000) | st.just(2**63), most=st.integers(0, 300))
def test_aggregate_when_packed_is_what_python_packs(records: list[UserRecord], max_bytes: int, most: int) -> None:
    keys, data = [each.partition_key for each in records], [each.data for each in records]
    explicit, ids = [each.explicit_hash_key for each in records], [each.unique_id for each in records]
    rare = (explicit if any(explicit) else None, ids if any(ids) else None)
    ways: list[Callable[[Any], Any]] = [
        lambda packer: added(packer, records),
        lambda packer: packer.add_columns(keys, data, *rare, most),
    ]
    for way in ways:
        ours, theirs = native().Aggregate(max_bytes), Aggregate(max_bytes)
        assert way(ours) == way(theirs)
        assert (ours.count, ours.size_bytes) == (theirs.count, theirs.size_bytes)
        if theirs.count:
            assert ours.pack() == theirs.pack()


@settings(max_examples=300, derandomize=True)
@given(records=RECORDS, half=st.sampled_from([None, HashRange(0, HALF), HashRange(HALF + 1, HASH_KEY_MAX)]))
def test_aggregate_when_read_is_what_python_reads(records: list[UserRecord], half: HashRange | None) -> None:
    packer = Aggregate(2**63)
    added(packer, records)
    if packer.count:
        data = packer.pack().data
        assert unpack(data, half) == by_python(data, half)
        is_plain = all(each.explicit_hash_key is None and each.unique_id is None for each in records)
        assert (native().unpack(data) is not None) == is_plain


@settings(max_examples=500, derandomize=True)
@given(
    records=st.lists(PLAIN | MARKED, min_size=1, max_size=5),
    at=st.integers(0, 10_000),
    byte=st.binary(max_size=2),
    cut=st.integers(0, 3),
)
def test_aggregate_when_damaged_or_strange_is_what_python_makes_of_it(
    records: list[UserRecord], at: int, byte: bytes, cut: int
) -> None:
    packer = Aggregate(2**63)
    added(packer, records)
    message = packer.pack().data[len(MAGIC) : -16]
    at %= len(message)
    strange = message[:at] + byte + message[at + cut :]
    for data in (
        MAGIC + strange + hashlib.md5(strange).digest(),
        MAGIC + strange,
        strange,
        MAGIC + message + b"\0" * 16,
    ):
        assert unpack(data) == by_python(data, None)


def test_aggregate_when_empty_or_with_what_is_no_record_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing to pack"):
        native().Aggregate(1000).pack()
    with pytest.raises(TypeError):
        native().Aggregate(1000).add_columns(["k"], [object()], None, None, 1)  # type: ignore[list-item]
    with pytest.raises(IndexError):
        native().Aggregate(1000).add_columns(["k"], [], None, None, 1)
    with pytest.raises(TypeError):
        native().Aggregate(1000).add(1, b"")  # type: ignore[arg-type]
