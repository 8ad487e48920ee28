"""Patterns of Java's DateTimeFormatter, as S3 prefixes are written in them.

Theory.  A pattern is letters, each run of one letter a field of the moment, and literal text; text in single quotes is literal, two single
quotes are one.  A pattern is compiled once into pieces, each of which writes its part of a moment.
Rules of this file: pure; the locale is that of the United States; what Java refuses to compile is refused here (BadPattern).
Source: the class's documentation, Java SE 8.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Final, NamedTuple

Piece = Callable[[datetime], str]


class BadPattern(ValueError):
    """What Java would not compile; the text says why."""


class Moment(NamedTuple):
    """Fields that Python's datetime has not."""

    week_year: int
    week: int
    day_of_week: int  # 1 is Sunday


_MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November"),
    "December",
)
_DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_QUARTERS: Final = ("1st quarter", "2nd quarter", "3rd quarter", "4th quarter")


def _week(at: datetime) -> Moment:
    """Weeks of the United States: they begin on Sunday, and the first one holds January 1st."""
    day_of_week = at.isoweekday() % 7 + 1
    saturday = at + timedelta(days=7 - day_of_week)
    week = (saturday.timetuple().tm_yday - 1) // 7 + 1
    return Moment(saturday.year, week, day_of_week)


def _week_of_month(at: datetime) -> int:
    first = at.replace(day=1).isoweekday() % 7
    return (at.day + first - 1) // 7 + 1


def _nano_of_day(at: datetime) -> int:
    return ((at.hour * 60 + at.minute) * 60 + at.second) * 1_000_000_000 + at.microsecond * 1000


_NUMBERS: Final[Mapping[str, tuple[Callable[[datetime], int], int]]] = {  # letter: value, longest run
    "D": (lambda at: at.timetuple().tm_yday, 3),
    "d": (lambda at: at.day, 2),
    "w": (lambda at: _week(at).week, 2),
    "W": (_week_of_month, 1),
    "F": (lambda at: (at.day - 1) % 7 + 1, 1),  # as Java 8 has it, aligned to the month's first day
    "h": (lambda at: (at.hour + 11) % 12 + 1, 2),
    "K": (lambda at: at.hour % 12, 2),
    "k": (lambda at: (at.hour + 23) % 24 + 1, 2),
    "H": (lambda at: at.hour, 2),
    "m": (lambda at: at.minute, 2),
    "s": (lambda at: at.second, 2),
    "A": (lambda at: _nano_of_day(at) // 1_000_000, 19),
    "n": (lambda at: at.microsecond * 1000, 19),
    "N": (_nano_of_day, 19),
}
_TEXTS: Final[Mapping[str, tuple[Callable[[datetime], int], tuple[str, ...]]]] = {  # letter: number, names
    "M": (lambda at: at.month, _MONTHS),
    "L": (lambda at: at.month, _MONTHS),
    "E": (lambda at: at.isoweekday(), _DAYS),
}
_YEARS: Final[Mapping[str, Callable[[datetime], int]]] = {
    "y": lambda at: at.year,
    "u": lambda at: at.year,
    "Y": lambda at: _week(at).week_year,
}
_RESERVED: Final = "{}#"


def compile_pattern(pattern: str) -> Piece:
    """What writes a moment, which knows its zone, in a pattern.  Raises BadPattern."""
    pieces: list[Piece] = []
    at, optional = 0, 0
    while at < len(pattern):
        char = pattern[at]
        if char.isascii() and char.isalpha():
            end = at
            while end < len(pattern) and pattern[end] == char:
                end += 1
            pieces.append(_field(char, end - at))
            at = end
        elif char == "'":
            text, at = _quoted(pattern, at)
            pieces.append(_literal(text))
        else:
            optional += (char == "[") - (char == "]")
            if optional < 0 or char in _RESERVED:
                raise BadPattern(f"'{char}' has no meaning here")
            if char not in "[]":  # optional sections are always there: every field can be told
                pieces.append(_literal(char))
            at += 1
    return lambda moment: "".join([piece(moment) for piece in pieces])


def _quoted(pattern: str, at: int) -> tuple[str, int]:
    """The text of a quoted literal that begins at `at`, and where it ends."""
    text, end = "", at + 1
    while end < len(pattern):
        if pattern[end] != "'":
            text += pattern[end]
        elif pattern[end + 1 : end + 2] == "'":
            text += "'"
            end += 1
        else:
            return text or "'", end + 1
        end += 1
    raise BadPattern("a single quote is not closed")


def _literal(text: str) -> Piece:
    return lambda at: text


def _field(letter: str, count: int) -> Piece:
    if letter in _YEARS:
        return _year(_YEARS[letter], count, letter)
    if letter in _TEXTS:
        return _text(*_TEXTS[letter], letter, count)
    if letter in _NUMBERS:
        value, longest = _NUMBERS[letter]
        _check_count(letter, count, longest)
        return lambda at: f"{value(at):0{count}d}"
    special = _SPECIAL.get(letter)
    if special is None:
        raise BadPattern(f"unknown pattern letter '{letter}'")
    return special(count)


def _check_count(letter: str, count: int, longest: int) -> None:
    if count > longest:
        raise BadPattern(f"too many pattern letters '{letter}'")


def _year(value: Callable[[datetime], int], count: int, letter: str) -> Piece:
    _check_count(letter, count, 19)
    if count == 2:
        return lambda at: f"{value(at) % 100:02d}"
    return lambda at: f"{value(at):0{count}d}"


def _text(value: Callable[[datetime], int], names: tuple[str, ...], letter: str, count: int) -> Piece:
    _check_count(letter, count, 5)
    if letter != "E" and count < 3:
        return lambda at: f"{value(at):0{count}d}"
    length = {4: None, 5: 1}.get(count, 3)
    return lambda at: names[value(at) - 1][:length]


def _local_day(letter: str) -> Callable[[int], Piece]:
    """The day of the week as a number that begins with Sunday, or as text."""

    def made(count: int) -> Piece:
        if count >= 3:
            return _text(lambda at: at.isoweekday(), _DAYS, "E", count)
        if letter == "c" and count == 2:
            raise BadPattern('invalid pattern "cc"')
        return lambda at: f"{_week(at).day_of_week:0{count}d}"

    return made


def _quarter(count: int) -> Piece:
    _check_count("Q", count, 5)
    match count:
        case 1 | 2:
            return lambda at: f"{(at.month + 2) // 3:0{count}d}"
        case 3:
            return lambda at: f"Q{(at.month + 2) // 3}"
        case 4:
            return lambda at: _QUARTERS[(at.month - 1) // 3]
        case _:
            return lambda at: str((at.month + 2) // 3)


def _era(count: int) -> Piece:
    _check_count("G", count, 5)
    return _literal({4: "Anno Domini", 5: "A"}.get(count, "AD"))


def _half(count: int) -> Piece:
    _check_count("a", count, 1)
    return lambda at: "AM" if at.hour < 12 else "PM"


def _fraction(count: int) -> Piece:
    _check_count("S", count, 9)
    return lambda at: f"{at.microsecond * 1000:09d}"[:count]


def _zone_id(count: int) -> Piece:
    if count != 2:
        raise BadPattern("pattern letter count must be 2: V")
    return lambda at: str(at.tzinfo)


def _zone_name(count: int) -> Piece:
    _check_count("z", count, 4)
    return lambda at: at.tzname() or ""  # UNVERIFIED: that the long names of four letters are these too


def _offset(at: datetime) -> int:
    """Of its zone from UTC, in seconds."""
    delta = at.utcoffset()
    return 0 if delta is None else int(delta.total_seconds())


def _offset_text(seconds: int, colon: str, *, minutes: bool = True, with_seconds: bool = False) -> str:
    sign, size = "-" if seconds < 0 else "+", abs(seconds)
    text = f"{sign}{size // 3600:02d}"
    if minutes:
        text += f"{colon}{size // 60 % 60:02d}"
    if with_seconds and size % 60:
        text += f"{colon}{size % 60:02d}"
    return text


def _iso_offset(zero: str | None, letter: str) -> Callable[[int], Piece]:
    """X and x: forms of the offset, with or without Z for zero."""

    def made(count: int) -> Piece:
        _check_count(letter, count, 5)
        colon, with_seconds = ":" if count in (3, 5) else "", count > 3

        def write(at: datetime) -> str:
            seconds = _offset(at)
            if zero is not None and seconds == 0:
                return zero
            minutes = count > 1 or seconds % 3600 != 0
            return _offset_text(seconds, colon, minutes=minutes, with_seconds=with_seconds)

        return write

    return made


def _general_offset(count: int) -> Piece:
    _check_count("Z", count, 5)
    if count == 4:
        return _localized_offset(4)
    if count == 5:
        return _iso_offset("Z", "Z")(5)
    return lambda at: _offset_text(_offset(at), "")


def _localized_offset(count: int) -> Piece:
    if count not in (1, 4):
        raise BadPattern("pattern letter count must be 1 or 4: O")

    def write(at: datetime) -> str:
        seconds = _offset(at)
        if seconds == 0:
            return "GMT"
        if count == 4:
            return "GMT" + _offset_text(seconds, ":", with_seconds=True)
        sign, size = "-" if seconds < 0 else "+", abs(seconds)
        return f"GMT{sign}{size // 3600}" + (f":{size // 60 % 60:02d}" if size % 3600 else "")

    return write


_SPECIAL: Final[Mapping[str, Callable[[int], Piece]]] = {
    "e": _local_day("e"),
    "c": _local_day("c"),
    "Q": _quarter,
    "q": _quarter,
    "G": _era,
    "a": _half,
    "S": _fraction,
    "V": _zone_id,
    "z": _zone_name,
    "X": _iso_offset("Z", "X"),
    "x": _iso_offset(None, "x"),
    "Z": _general_offset,
    "O": _localized_offset,
}
