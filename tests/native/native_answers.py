"""What the native part writes is, byte for byte, what Python writes."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.core.ids import shard_id
from penstock.engines.api import Page, Position
from penstock.engines.column import DATA_WIDTH, KEY_WIDTH, Column
from penstock.services.streams import native, sequence
from penstock.services.streams.codec import CODECS
from penstock.services.streams.hub import Pushed
from penstock.services.streams.ops.record import GetRecordsOutput, PutRecordsOutput
from penstock.services.streams.sequence import ShardOrigin
from penstock.services.streams.topology import Ring, uniform
from penstock.services.streams.writer import ScatteredRows, Written, WrittenRows
from penstock.wire import cbor
from penstock.wire.native import NATIVE

FORMS: list[Any] = ["json", "cbor"]
BASES = st.builds(ShardOrigin, st.integers(0, 2**31 - 1), st.integers(0, 2**36 - 1)).map(sequence.base)
POSITIONS = st.builds(Position, st.integers(0, 2**14), st.integers(0, 2**48 - 10_000))
KEYS = st.text(min_size=1, max_size=20).map(str.encode)
RECORDS = st.lists(st.tuples(KEYS, st.binary(max_size=80), st.integers(0, 2**42)), max_size=12)


@contextmanager
def without() -> Iterator[None]:
    """Python alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(native, "NATIVE", None)
        yield


def test_the_native_part_is_there() -> None:
    assert NATIVE is not None


def page_of(records: list[tuple[bytes, bytes, int]], cuts: list[int], first: Position) -> Page:
    """A page whose columns are of several spans."""
    bounds = sorted({0, len(records), *(cut for cut in cuts if cut < len(records))})
    parts = [records[low:high] for low, high in pairwise(bounds)]
    keys = Column.joined([Column.of([key for key, *_ in part], KEY_WIDTH) for part in parts], KEY_WIDTH)
    data = Column.joined([Column.of([blob for _, blob, _ in part], DATA_WIDTH) for part in parts], DATA_WIDTH)
    end = Position(first.incarnation, first.offset + len(records))
    return Page(first, keys, data, [arrival_ms for *_, arrival_ms in records], end, end, sealed=False)


PAGES = st.builds(page_of, RECORDS, st.lists(st.integers(1, 11), max_size=3), POSITIONS)


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=200, derandomize=True)
@given(base=BASES, page=PAGES, token=st.none() | st.text(max_size=10))
def test_write_page_when_given_any_records_writes_what_python_writes(
    form: Any, base: int, page: Page, token: str | None
) -> None:
    outputs = {
        "GetRecords": (CODECS["GetRecords"].encode, GetRecordsOutput(base, page, 7, token)),
        "SubscribeToShard": (CODECS["SubscribeToShard"].encode_event, Pushed(base, page, token, 7)),
    }
    for encode, output in outputs.values():
        written = encode[form](output)
        with without():
            assert written == encode[form](output)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("arrival_ms", [0, 1, 10, 100, 999, 1000, 1_700_000_000_000, 1_700_000_000_120, 2**42])
def test_write_page_when_times_have_few_digits_writes_what_python_writes(form: Any, arrival_ms: int) -> None:
    page = page_of([(b"k", b"d", arrival_ms)], [], Position(0, 0))
    output = GetRecordsOutput(sequence.base(ShardOrigin(3, 1_700_000_000)), page, 0, None)
    written = CODECS["GetRecords"].encode[form](output)
    with without():
        assert written == CODECS["GetRecords"].encode[form](output)


@pytest.mark.parametrize("character", [chr(code) for code in range(0x80)] + ["\x80", "\u2028", "\U0001f600"])
def test_write_page_when_a_key_has_any_character_escapes_it_as_python_does(character: str) -> None:
    page = page_of([(f"a{character}b".encode(), b"", 1)], [], Position(0, 0))
    output = GetRecordsOutput(sequence.base(ShardOrigin(0, 1)), page, 0, None)
    written = CODECS["GetRecords"].encode["json"](output)
    with without():
        assert written == CODECS["GetRecords"].encode["json"](output)


@pytest.mark.parametrize("spans", [[(b"\1", b"k", b"\1\0\0\0", b"d")], [(b"\2\0", b"k", b"\1\0\0\0", b"d")],
                                   [(b"\1\0", b"k", b"\2\0\0\0", b"d")], [(b"\1\0", b"\xff", b"\1\0\0\0", b"d")], []])  # fmt: skip
def test_write_page_when_columns_do_not_add_up_leaves_it_to_python(spans: list[Any]) -> None:
    assert NATIVE is not None
    assert NATIVE.write_page("json", b"", spans, bytes(24), [1], b"") is None


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=100, derandomize=True)
@given(bases=st.lists(BASES, min_size=1, max_size=4), data=st.data())
def test_write_written_when_given_any_shards_writes_what_python_writes(
    form: Any, bases: list[int], data: st.DataObject
) -> None:
    order = data.draw(st.lists(st.integers(0, len(bases) - 1), min_size=1, max_size=500))
    shards = [(f"shardId-{number:012d}", base) for number, base in enumerate(bases)]
    results = []
    given = [base for _, base in shards]
    for place in order:
        results.append(Written(shards[place][0], str(given[place])))
        given[place] += sequence.NEXT_RECORD
    rows = WrittenRows(
        b"".join(place.to_bytes(2, "little") for place in order),
        [(shard, base.to_bytes(sequence.NUMBER_BYTES, "little")) for shard, base in shards],
    )
    encode = CODECS["PutRecords"].encode[form]
    assert encode(PutRecordsOutput(rows)) == encode(PutRecordsOutput(results))


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=100, derandomize=True)
@given(
    origins=st.lists(
        st.builds(ShardOrigin, st.integers(0, 2**31 - 1), st.integers(0, 2**36 - 1)), min_size=4, max_size=4
    ),
    keys=st.lists(st.integers(0, 2**128 - 1), min_size=1, max_size=40),
    firsts=st.lists(st.integers(0, 2**48 - 10_000), min_size=4, max_size=4),
    arrival_ms=st.integers(0, 2**42),
)
def test_write_scattered_when_given_any_places_writes_what_python_writes(
    form: Any, origins: list[ShardOrigin], keys: list[int], firsts: list[int], arrival_ms: int
) -> None:
    assert NATIVE is not None
    ring = Ring([(held, number) for number, held in enumerate(uniform(4))])
    shards = [(shard_id(origin.shard_no), sequence.base(origin)) for origin in origins]
    names = NATIVE.ShardNames([(name, base.to_bytes(sequence.NUMBER_BYTES, "little"), 0) for name, base in shards])
    records = [{"Data": b"", "PartitionKey": "k", "ExplicitHashKey": str(key)} for key in keys]
    found = NATIVE.read_cbor(cbor.encode_document({"StreamName": "s", "Records": records}))
    assert found is not None
    spread = found[1].spread(ring.native)
    tips = NATIVE.Tips()
    fanned = NATIVE.Fanned([tips.add() for _ in shards], list(range(len(shards))))
    for place, first in enumerate(firsts):
        tips.set_next_offset(place, first)
    placed = spread.place(fanned, tips, arrival_ms)
    assert placed is not None
    given = dict(enumerate(firsts))
    results = []
    for owner in map(ring.find, keys):
        name, base = shards[owner]
        results.append(Written(name, str(base + sequence.tail(Position(0, given[owner]), arrival_ms))))
        given[owner] += 1
    encode = CODECS["PutRecords"].encode[form]
    scattered = ScatteredRows(len(keys), names, placed)
    assert encode(PutRecordsOutput(scattered)) == encode(PutRecordsOutput(results))


def test_ring_when_it_does_not_ascend_from_zero_is_refused() -> None:
    assert NATIVE is not None
    for starts in ([], [1], [0, 2, 1]):
        with pytest.raises(ValueError, match="ascends"):
            NATIVE.Ring(b"".join(start.to_bytes(16, "big") for start in starts))
