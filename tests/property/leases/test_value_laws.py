"""Laws of numbers, values, positions and pages."""

from decimal import Decimal, localcontext

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.core.errors import ServiceError
from penstock.services.leases.keys import partition_of, range_of, segment_start
from penstock.services.leases.numbers import add, number_text, parse_number, sort_bytes, subtract
from penstock.services.leases.ops.attributes import AttributeValue, read_item, write_item
from penstock.services.leases.values import (
    Binary,
    BinarySet,
    Boolean,
    List,
    Map,
    Null,
    Number,
    NumberSet,
    String,
    StringSet,
    Value,
    decode_item,
    encode_item,
    item_bytes,
)

laws = settings(max_examples=60)
texts = st.text(max_size=8)
numbers = st.builds(
    lambda digits, exponent, sign: parse_number(f"{sign}{digits}e{exponent}"),
    st.integers(0, 10**38 - 1), st.integers(-130, 87), st.sampled_from(["", "-"]),
)  # fmt: skip
scalars = st.one_of(st.builds(String, texts), st.builds(Number, numbers), st.builds(Binary, st.binary(max_size=8)))
leaves: st.SearchStrategy[Value] = st.one_of(
    scalars,
    st.builds(Boolean, st.booleans()),
    st.just(Null()),
    st.sets(texts, min_size=1, max_size=3).map(lambda some: StringSet(tuple(sorted(some)))),
    st.sets(numbers, min_size=1, max_size=3).map(lambda some: NumberSet(tuple(sorted(some)))),
    st.sets(st.binary(max_size=4), min_size=1, max_size=3).map(lambda some: BinarySet(tuple(sorted(some)))),
)
values: st.SearchStrategy[Value] = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda some: List(tuple(some))),
        st.dictionaries(texts, inner, max_size=3).map(Map),
    ),
    max_leaves=8,
)
items = st.dictionaries(texts, values, max_size=4)


@laws
@given(numbers)
def test_a_number_and_its_text_are_each_others_inverse(number: Decimal) -> None:
    text = number_text(number)
    assert parse_number(text) == number
    assert "e" not in text.lower()
    assert number_text(parse_number(text)) == text


@laws
@given(numbers, numbers)
def test_sums_are_exact_or_refused_and_differences_undo_them(one: Decimal, other: Decimal) -> None:
    with localcontext() as exact:
        exact.prec = 400
        truth = one + other
    try:
        total = add(one, other)
    except ServiceError:
        digits = truth.normalize().as_tuple().digits
        assert len(digits) > 38 or not -130 <= truth.adjusted() <= 125 or truth.normalize() != truth
        return
    assert total == truth
    assert add(other, one) == total
    try:
        back = subtract(total, other)
    except ServiceError:
        return
    assert back == one


@laws
@given(numbers, numbers)
def test_sort_bytes_are_in_the_order_of_numbers(one: Decimal, other: Decimal) -> None:
    assert (sort_bytes(one) < sort_bytes(other)) == (one < other)
    assert (sort_bytes(one) == sort_bytes(other)) == (one == other)


@laws
@given(texts, texts)
def test_range_keys_that_are_texts_are_in_the_order_of_their_bytes(one: str, other: str) -> None:
    assert (range_of(String(one)) < range_of(String(other))) == (one.encode() < other.encode())


@laws
@given(items)
def test_an_item_comes_back_as_it_was_stored_and_as_it_was_told(item: dict[str, Value]) -> None:
    stored = encode_item(item)
    assert decode_item(stored) == item
    assert len(stored) >= item_bytes(item), "what is stored bounds what is counted"
    told = msgspec.json.encode(write_item(item))
    assert read_item(msgspec.json.decode(told, type=dict[str, AttributeValue])) == item


@laws
@given(scalars, st.integers(1, 1000))
def test_every_key_is_in_exactly_one_segment(key: String | Number | Binary, total: int) -> None:
    position = (partition_of(key), b"")
    held = [
        segment
        for segment in range(total)
        if segment_start(segment, total) <= position < segment_start(segment + 1, total)
    ]
    assert len(held) == 1
