"""What the native part reads is what Python reads, and goes to the same shards."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.engines.column import DATA_WIDTH, KEY_WIDTH, Column, Span
from penstock.services.streams.topology import Ring, hash_key, tiling, uniform
from penstock.wire import cbor, json
from penstock.wire.native import NATIVE
from penstock.wire.nativeparts import Rows

ROWS = st.lists(
    st.tuples(st.text(min_size=1, max_size=8), st.binary(max_size=40), st.none() | st.integers(0, 2**128 - 1)),
    min_size=1,
    max_size=40,
)


def read(rows: list[tuple[str, bytes, int | None]], form: str) -> Rows:
    records: list[dict[str, Any]] = [
        {"Data": json.encode_base64(data) if form == "json" else data, "PartitionKey": key}
        | ({} if explicit is None else {"ExplicitHashKey": str(explicit)})
        for key, data, explicit in rows
    ]
    document = {"StreamName": "s", "Records": records}
    assert NATIVE is not None
    wire: Any = {"json": json, "cbor": cbor}[form]
    readers = {"json": NATIVE.read_json, "cbor": NATIVE.read_cbor}
    found = readers[form](wire.encode_document(document))
    assert found is not None
    assert found[0] == "s"
    return found[1]


@pytest.mark.parametrize("form", ["json", "cbor"])
@settings(max_examples=150, derandomize=True)
@given(rows=ROWS, starts=st.sets(st.integers(1, 2**128 - 1), max_size=9))
def test_group_when_given_any_records_puts_each_where_python_puts_it(
    form: str, rows: list[tuple[str, bytes, int | None]], starts: set[int]
) -> None:
    ranges = tiling([0, *sorted(starts)])
    ring = Ring([(held, number) for number, held in enumerate(ranges)])
    framed = read(rows, form)
    spread = framed.spread(ring.native)
    groups, order = spread.groups(), spread.order()
    told = [(ring.owners[owner], *cut_columns(*columns)) for owner, _, *columns in groups]
    expected: dict[int, list[tuple[bytes, bytes]]] = {}
    for key, data, explicit in rows:
        owner = ring.find(hash_key(key.encode()) if explicit is None else explicit)
        expected.setdefault(owner, []).append((key.encode(), data))
    assert told == [(owner, *map(list, zip(*records, strict=True))) for owner, records in expected.items()]
    assert [count for _, count, *_ in groups] == [len(records) for records in expected.values()]
    owners = [told[place][0] for place in memoryview(order).cast("H")]
    assert owners == [ring.find(hash_key(key.encode()) if explicit is None else explicit) for key, _, explicit in rows]
    assert framed.size_bytes == sum(len(key.encode()) + len(data) for key, data, _ in rows)
    assert (spread.owners(), spread.counts()) == ([group[0] for group in groups], [group[1] for group in groups])
    assert len(spread) == len(groups)
    assert spread.size_bytes == framed.size_bytes
    assert framed.largest_bytes == max(len(key.encode()) + len(data) for key, data, _ in rows)


@pytest.mark.parametrize("shards", [1, 2, 3, 100, 3000])
@pytest.mark.parametrize("lean", [2, 1000, 2**40])
def test_spread_when_a_ring_is_even_or_leans_finds_the_owner_of_every_edge(shards: int, lean: int) -> None:
    starts = [held.start - held.start // lean for held in uniform(shards)]
    ring = Ring([(held, number) for number, held in enumerate(tiling(starts))])
    edges = {min(max(start + off, 0), 2**128 - 1) for start in starts[:: max(1, shards // 40)] for off in (-1, 0, 1)}
    keys = [0, 2**128 - 1, *sorted(edges)]
    spread = read([("k", b"", key) for key in keys], "cbor").spread(ring.native)
    owners = spread.owners()
    assert [owners[place] for place in memoryview(spread.order()).cast("H")] == list(map(ring.find, keys))


def cut_columns(key_lengths: bytes, data_lengths: bytes, keys: bytes, data: bytes) -> tuple[list[bytes], list[bytes]]:
    columns = Column(KEY_WIDTH, (Span(key_lengths, keys),)), Column(DATA_WIDTH, (Span(data_lengths, data),))
    return list(columns[0]), list(columns[1])


INDEFINITE = (  # as Jackson writes it: maps and lists without a count
    b"\xbf\x6aStreamName\x61s\x67Records\x9f\xbf\x64Data\x42ab\x6cPartitionKey\x61k\xff\xbf\x64Data\x40\x6cPartitionKey\x61l\xff\xff\xff"
)


def test_read_cbor_when_counts_are_left_open_reads_it() -> None:
    assert NATIVE is not None
    found = NATIVE.read_cbor(INDEFINITE)
    assert found is not None
    assert found[1].lists()[:2] == ([b"k", b"l"], [b"ab", b""])


@pytest.mark.parametrize("end", range(len(INDEFINITE)))
def test_read_cbor_when_it_is_cut_off_leaves_it_to_python(end: int) -> None:
    assert NATIVE is not None
    assert NATIVE.read_cbor(INDEFINITE[:end]) is None


@pytest.mark.parametrize(
    "body",
    [
        b"\xa2\x6aStreamName\x61s\x67Records\x9b\xff\xff\xff\xff\xff\xff\xff\xff",  # a list of 2 ** 64 - 1
        b"\xa2\x6aStreamName\x61s\x67Records\x81\xa2\x64Data\x5b\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\xbb\x00\x00\x00\x01\x00\x00\x00\x00",
        b"\xa1" * 100_000,
    ],
)
def test_read_cbor_when_lengths_lie_leaves_it_to_python(body: bytes) -> None:
    assert NATIVE is not None
    assert NATIVE.read_cbor(body) is None


def test_read_json_when_there_are_500_records_takes_them_and_not_one_more() -> None:
    assert NATIVE is not None
    row = b'{"Data":"AA==","PartitionKey":"k"}'
    for count in (500, 501):
        body = b'{"StreamName":"s","Records":[' + b",".join([row] * count) + b"]}"
        assert (NATIVE.read_json(body) is not None) == (count == 500)


@pytest.mark.parametrize("form", ["json", "cbor"])
@settings(max_examples=200, derandomize=True)
@given(key=st.text(min_size=1, max_size=300), data=st.binary(max_size=6000))
def test_record_when_it_names_stream_and_key_is_read_as_python_reads_it(form: Any, key: str, data: bytes) -> None:
    assert NATIVE is not None
    wire: Any = {"json": json, "cbor": cbor}[form]
    document = {"StreamName": "s", "Data": json.encode_base64(data) if form == "json" else data, "PartitionKey": key}
    body = wire.encode_document(document)
    expected = ("s", key, data, hash_key(key.encode()).to_bytes(16, "big")) if len(key) <= 256 else None
    assert NATIVE.read_record(form, body) == expected
    for cut in range(1, min(len(body), 200)):
        assert NATIVE.read_record(form, body[:-cut]) is None


@pytest.mark.parametrize("form", ["json", "cbor"])
@pytest.mark.parametrize(
    "odd",
    [
        {"StreamName": ""}, {"StreamName": "a b"}, {"StreamName": None}, {"StreamName": "n" * 129},
        {"PartitionKey": ""}, {"PartitionKey": None}, {"PartitionKey": 1}, {"Data": None}, {"Data": 1}, {"Data": "*"},
        {"ExplicitHashKey": "1"}, {"SequenceNumberForOrdering": "1"}, {"DryRun": True}, {"StreamARN": "arn"}, {"Other": 1},
    ],
    ids=repr,
)  # fmt: skip
def test_record_when_anything_is_odd_is_left_to_python(form: Any, odd: dict[str, Any]) -> None:
    assert NATIVE is not None
    wire: Any = {"json": json, "cbor": cbor}[form]
    document = {"StreamName": "s", "Data": "AAAA" if form == "json" else b"a", "PartitionKey": "k"}
    assert NATIVE.read_record(form, wire.encode_document(document)) is not None
    assert NATIVE.read_record(form, wire.encode_document(document | odd)) is None
    for name in document:
        without = {member: value for member, value in document.items() if member != name}
        assert NATIVE.read_record(form, wire.encode_document(without)) is None


def test_record_when_a_member_comes_twice_or_something_follows_is_left_to_python() -> None:
    assert NATIVE is not None
    whole = b'{"StreamName":"s","Data":"AAAA","PartitionKey":"k"}'
    assert NATIVE.read_record("json", b" " + whole + b"\n") is not None
    assert NATIVE.read_record("json", whole + b"x") is None
    for member in (b'"StreamName":"s"', b'"Data":"AAAA"', b'"PartitionKey":"k"'):
        assert NATIVE.read_record("json", whole[:-1] + b"," + member + b"}") is None
