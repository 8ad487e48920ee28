"""Numbers, at the edges of their range."""

from decimal import Decimal

import pytest

from penstock.core.errors import ServiceError
from penstock.services.leases.numbers import add, number_bytes, number_text, parse_number, subtract


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("0", "0"), ("-0", "0"), ("+5", "5"), ("007", "7"), ("1.50", "1.5"), (".5", "0.5"), ("5.", "5"), ("1e3", "1000"),
        ("12E-3", "0.012"), ("0e999999999999999999999999", "0"), ("-1.0", "-1"), ("100", "100"),
        ("9" * 38, "9" * 38), ("1" + "0" * 125, "1" + "0" * 125), ("9.9e125", "99" + "0" * 124),
        ("1e-130", "0." + "0" * 129 + "1"), ("0" * 1000 + "1" + "." + "0" * 1000, "1"),
    ],
)  # fmt: skip
def test_number_when_it_is_read_then_its_text_is_canonical(text: str, canonical: str) -> None:
    assert number_text(parse_number(text)) == canonical


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot be converted to a numeric value"), ("x", "cannot be converted"), ("1 ", "cannot be converted"),
        ("--1", "cannot be converted"), (".", "cannot be converted"), ("e5", "cannot be converted"),
        ("NaN", "cannot be converted"), ("Infinity", "cannot be converted"), ("0x1", "cannot be converted"),
        ("١", "cannot be converted"), ("1_0", "cannot be converted"),
        ("9" * 39, "38 significant digits"), ("1.0000000000000000000000000000000000000001", "38 significant digits"),
        ("1e126", "Number overflow"), ("-1e126", "Number overflow"), ("1e" + "9" * 5000, "Number overflow"),
        ("1e-131", "Number underflow"), ("1e-" + "9" * 5000, "Number underflow"),
    ],
)  # fmt: skip
def test_number_when_it_is_none_or_does_not_fit_then_it_is_refused(text: str, message: str) -> None:
    with pytest.raises(ServiceError, match=message) as refused:
        parse_number(text)
    assert refused.value.code == "ValidationException"


def test_sum_when_it_is_exact_then_no_digit_is_lost_and_else_it_is_refused() -> None:
    large, small = parse_number("1e37"), parse_number("1")
    assert number_text(add(large, small)) == "1" + "0" * 36 + "1"
    assert subtract(add(large, small), large) == small
    assert subtract(small, small) == Decimal(0)
    assert add(parse_number("0.1"), parse_number("0.2")) == parse_number("0.3")
    with pytest.raises(ServiceError, match="38 significant digits"):
        add(large, parse_number("0.1"))
    with pytest.raises(ServiceError, match="Number overflow"):
        add(parse_number("9e125"), parse_number("9e125"))
    with pytest.raises(ServiceError, match="Number underflow"):
        subtract(parse_number("1.1e-130"), parse_number("1e-130"))


@pytest.mark.parametrize(("text", "size"), [("0", 2), ("1", 2), ("-1", 3), ("100", 2), ("12345", 4), ("9" * 38, 20)])
def test_number_when_it_is_stored_then_two_digits_take_a_byte(text: str, size: int) -> None:
    assert number_bytes(parse_number(text)) == size
