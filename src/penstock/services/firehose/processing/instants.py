"""Instants and dates in JSON: the forms in which records tell them.

Theory.  OpenX takes seconds or milliseconds since the epoch, as numbers or as texts, and two forms of text: `2017-2-7 15:13:1.25`, read
leniently, and `2017-02-07T15:13:01Z`, read strictly.  Hive takes the first of the two, and what formats of Joda-Time are configured.
Instants are nanoseconds since the epoch in 64 bits, as the files have them; what lies beyond is refused, and not wrapped around as AWS's
writer does.
Rules of this file: pure; a problem is a ValueError with Java's words for it where they are known.
Source: Firehose developer guide, "Record format conversion"; the boundary of seconds and milliseconds, the lenient form and the strict one
were tried on AWS by floci's authors.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Final

SECOND_NS: Final = 1_000_000_000
MILLI_NS: Final = 1_000_000
MILLIS_FROM: Final = 10**12  # a smaller number is seconds
NS_MAX: Final = 2**63 - 1
_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()
_DIGITS_MAX: Final = 40  # of a number: what has more is no instant, and is not computed with

_LENIENT = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2}) (\d{1,2}):(\d{1,2}):(\d{1,2})(?:\.(\d{1,9}))?", re.ASCII)
_STRICT = re.compile(r"(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,9}))?Z", re.ASCII)
_DATE = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})", re.ASCII)
_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?", re.ASCII)

Parse = Callable[[str], int]


def from_number(number: int | Decimal) -> int:
    """An instant from seconds or milliseconds since the epoch.  Raises ValueError."""
    if isinstance(number, Decimal):
        if not number.is_finite() or number.adjusted() > _DIGITS_MAX:
            raise ValueError(f"{number} is no instant")
        if number.adjusted() < -_DIGITS_MAX:
            return 0
    unit = SECOND_NS if number < MILLIS_FROM else MILLI_NS
    return _in_range(int(number * unit))


def from_millis(number: int | Decimal) -> int:
    """An instant from milliseconds since the epoch.  Raises ValueError."""
    if isinstance(number, Decimal) and (not number.is_finite() or number.adjusted() > _DIGITS_MAX):
        raise ValueError(f"{number} is no instant")
    return _in_range(int(number) * MILLI_NS)


def from_text(text: str) -> int:
    """An instant as OpenX takes it.  Raises ValueError."""
    match = _LENIENT.fullmatch(text) or _STRICT.fullmatch(text)
    if match is not None:
        return _instant(match.groups())
    if _NUMBER.fullmatch(text):
        return from_number(Decimal(text))
    raise ValueError("Timestamp format must be yyyy-mm-dd hh:mm:ss[.fffffffff]")


def from_plain_text(text: str) -> int:
    """An instant as Hive takes it where no format is configured.  Raises ValueError."""
    match = _LENIENT.fullmatch(text)
    if match is None:
        raise ValueError("Timestamp format must be yyyy-mm-dd hh:mm:ss[.fffffffff]")
    return _instant(match.groups())


def day_of(text: str) -> int:
    """A date, as days since the epoch.  Raises ValueError."""
    match = _DATE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text[:40]!r} is no date")
    year, month, day = match.groups()
    return date(int(year), int(month), int(day)).toordinal() - _EPOCH_DAY


def _instant(groups: Sequence[str | None]) -> int:
    year, month, day, hour, minute, second = (int(group or 0) for group in groups[:6])
    fraction = (groups[6] or "").ljust(9, "0")
    return _joined(date(year, month, day), hour, minute, second, int(fraction))


def _joined(day: date, hour: int, minute: int, second: int, fraction_ns: int, offset_s: int = 0) -> int:
    if hour > 23 or minute > 59 or second > 59:
        raise ValueError("hours, minutes or seconds are out of their range")
    seconds = (day.toordinal() - _EPOCH_DAY) * 86_400 + hour * 3600 + minute * 60 + second - offset_s
    return _in_range(seconds * SECOND_NS + fraction_ns)


def _in_range(instant_ns: int) -> int:
    if not -NS_MAX <= instant_ns <= NS_MAX:
        raise ValueError("the instant is before 1677 or after 2262")
    return instant_ns


# Joda-Time

_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_ZONE: Final = r"Z|[+-]\d{2}:?\d{2}"
# What a letter stands for: the name of its field, and its form for so many letters
_LETTERS: Final[Mapping[str, tuple[str, Callable[[int], str]]]] = {
    "y": ("year", lambda count: r"\d{2}" if count == 2 else r"\d{4}"),
    "Y": ("year", lambda count: r"\d{2}" if count == 2 else r"\d{4}"),
    "M": ("month", lambda count: r"[A-Za-z]{3,9}" if count > 2 else rf"\d{{{min(count, 2)},2}}"),
    "d": ("day", lambda count: rf"\d{{{min(count, 2)},2}}"),
    "H": ("hour", lambda count: rf"\d{{{min(count, 2)},2}}"),
    "h": ("half", lambda count: rf"\d{{{min(count, 2)},2}}"),
    "a": ("noon", lambda _: "[AaPp][Mm]"),
    "m": ("minute", lambda count: rf"\d{{{min(count, 2)},2}}"),
    "s": ("second", lambda count: rf"\d{{{min(count, 2)},2}}"),
    "S": ("fraction", lambda count: rf"\d{{1,{min(max(count, 1), 9)}}}"),
    "Z": ("zone", lambda _: _ZONE),
    "E": ("weekday", lambda _: "[A-Za-z]{3,9}"),
}
_TOKEN = re.compile(r"([A-Za-z])\1*|'((?:[^']|'')*)'|[^A-Za-z']+")
MILLIS: Final = "millis"


def compile_joda(pattern: str) -> Parse:
    """A format of Joda-Time, ready to read texts.  Raises ValueError for one that is none, or uses what is not known here."""
    parts: list[str] = []
    at = 0
    for match in _TOKEN.finditer(pattern):
        if match.start() != at:
            raise ValueError(f"{pattern!r} has a quote that is not closed")
        at = match.end()
        parts.append(_part(match, pattern))
    if at != len(pattern) or not parts:
        raise ValueError(f"{pattern!r} is no format")
    expression = re.compile("".join(parts), re.ASCII)

    def parse(text: str) -> int:
        found = expression.fullmatch(text)
        if found is None:
            raise ValueError(f"Invalid format: {text[:80]!r}")
        return _from_fields(found.groupdict())

    return parse


def _part(match: "re.Match[str]", pattern: str) -> str:
    letter, quoted = match.groups()
    if letter is None:
        text = match[0] if quoted is None else quoted.replace("''", "'") or "'"
        return re.escape(text)
    if letter not in _LETTERS:
        raise ValueError(f"{pattern!r} has {match[0]}, which is not known here")
    name, form = _LETTERS[letter]
    return f"(?P<{name}>{form(len(match[0]))})" if name != "weekday" else form(len(match[0]))


def _from_fields(fields: Mapping[str, str | None]) -> int:
    year = int(fields.get("year") or 1970)
    year += 2000 if len(fields.get("year") or "") == 2 and year < 100 else 0
    hour = int(fields.get("hour") or 0)
    if fields.get("half"):
        hour = int(fields["half"] or 0) % 12 + (12 if (fields.get("noon") or "").lower() == "pm" else 0)
    fraction = int((fields.get("fraction") or "").ljust(9, "0"))
    day = date(year, _month(fields.get("month") or "1"), int(fields.get("day") or 1))
    minute, second = int(fields.get("minute") or 0), int(fields.get("second") or 0)
    return _joined(day, hour, minute, second, fraction, _offset_s(fields.get("zone") or "Z"))


def _month(text: str) -> int:
    return int(text) if text.isdigit() else _MONTHS.index(text[:3].lower()) + 1


def _offset_s(zone: str) -> int:
    if zone == "Z":
        return 0
    digits = zone[1:].replace(":", "")
    offset_s = int(digits[:2]) * 3600 + int(digits[2:]) * 60
    return -offset_s if zone[0] == "-" else offset_s
