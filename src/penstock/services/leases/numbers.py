"""Numbers: 38 significant digits, exactly, in one canonical form.

Theory.  A number is a Decimal without trailing zeros, so that equal numbers are equal values; its text has no exponent.  What does not
fit is refused, never rounded.
Rules of this file:
  1. Pure; the cost of reading a text is linear in its length, whatever its exponent says.
  2. The bytes of `sort_bytes` are in the order of the numbers.
Source: DynamoDB developer guide, "Data types: Number".
"""

import re
from decimal import Context, Decimal
from typing import Final

from penstock.core.lease_errors import LeaseError

DIGITS_MAX: Final = 38
MAGNITUDE_MAX: Final = 125  # of the exponent of the first digit
MAGNITUDE_MIN: Final = -130

_TEXT = re.compile(
    r"(?P<sign>[+-]?)(?P<whole>\d*)(?:\.(?P<part>\d*))?(?:[eE](?P<exp_sign>[+-]?)(?P<exp>\d+))?", re.ASCII
)
_EXPONENT_MAX: Final = 10**7  # beyond it all exponents are alike: more than any text has digits
_EXACT: Final = Context(prec=2 * DIGITS_MAX + MAGNITUDE_MAX - MAGNITUDE_MIN)  # room for any sum
_COMPLEMENT: Final = bytes.maketrans(b"0123456789", b"9876543210")
_EXPONENT_OFFSET: Final = 0x8000


def parse_number(text: str) -> Decimal:
    """The number that a text means.  Raises NUMBER_TEXT, NUMBER_DIGITS, NUMBER_OVERFLOW, NUMBER_UNDERFLOW."""
    if len(text) <= DIGITS_MAX and text.isdecimal() and text.isascii():  # the common case, and always in range
        return Decimal(text) if text[0] != "0" != text[-1] else _canonical(Decimal(text))
    match = _TEXT.fullmatch(text)
    if match is None or not (match["whole"] or match["part"]):
        raise LeaseError.NUMBER_TEXT(text=text[:100]) if text else LeaseError.NUMBER_EMPTY()
    whole, part = match["whole"], match["part"] or ""
    digits = (whole + part).lstrip("0")
    exponent = _exponent(match["exp_sign"] or "", match["exp"] or "0") - len(part)
    kept = digits.rstrip("0")
    return _checked(match["sign"] == "-", kept, exponent + len(digits) - len(kept))


def _exponent(sign: str, digits: str) -> int:
    shown = digits.lstrip("0") or "0"
    size = int(shown) if len(shown) <= len(str(_EXPONENT_MAX)) else _EXPONENT_MAX
    return -min(size, _EXPONENT_MAX) if sign == "-" else min(size, _EXPONENT_MAX)


def _checked(negative: bool, digits: str, exponent: int) -> Decimal:
    """A number of these digits, the last of which is not zero."""
    if not digits:
        return Decimal(0)
    magnitude = exponent + len(digits) - 1
    if magnitude > MAGNITUDE_MAX:
        raise LeaseError.NUMBER_OVERFLOW()
    if magnitude < MAGNITUDE_MIN:
        raise LeaseError.NUMBER_UNDERFLOW()
    if len(digits) > DIGITS_MAX:
        raise LeaseError.NUMBER_DIGITS()
    return Decimal((int(negative), tuple(map(int, digits)), exponent))


def _canonical(value: Decimal) -> Decimal:
    return value.normalize(_EXACT) if value else Decimal(0)


def add(left: Decimal, right: Decimal) -> Decimal:
    """The sum.  Raises NUMBER_DIGITS, NUMBER_OVERFLOW, NUMBER_UNDERFLOW where it does not fit."""
    sign, digits, exponent = _canonical(_EXACT.add(left, right)).as_tuple()
    assert isinstance(exponent, int), "sums of numbers are numbers"
    return _checked(bool(sign), "".join(map(str, digits)) if digits != (0,) else "", exponent)


def subtract(left: Decimal, right: Decimal) -> Decimal:
    """The difference.  Raises as `add`."""
    return add(left, right.copy_negate() if right else right)


def number_text(value: Decimal) -> str:
    """Its one text."""
    return format(value, "f")


def number_bytes(value: Decimal) -> int:
    """What a number takes of an item's size: a byte for each two digits, and one or two."""
    sign, digits, _ = value.as_tuple()
    return (len(digits) + 1) // 2 + 1 + sign


def sort_bytes(value: Decimal) -> bytes:
    """Bytes that compare as the numbers do: sign, exponent of the first digit, digits; of negative ones the complement, closed above."""
    if not value:
        return b"\x01"
    sign, digits, _ = value.as_tuple()
    text = "".join(map(str, digits)).rstrip("0").encode()
    exponent = value.adjusted()
    if sign:
        return b"\x00" + (_EXPONENT_OFFSET - exponent).to_bytes(2, "big") + text.translate(_COMPLEMENT) + b"\xff"
    return b"\x02" + (_EXPONENT_OFFSET + exponent).to_bytes(2, "big") + text
