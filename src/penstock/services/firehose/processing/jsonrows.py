"""Rows: the JSON objects of records as tuples of column values.

Theory.  Records of a stream are alike.  So a decoder is made for the names that are seen in them, each typed as its column is, and reads a
record in one step; what it does not take - a name that is new, a number in a text, several objects - is read slowly, by the rules of the
deserializer, and new names are learnt.  The decoder only says yes: a record that it takes comes out as it would on the slow way, which a
property test holds.
Rules of this file: pure; what is learnt is bounded; no record's content can raise anything but BadRecord.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from itertools import repeat
from operator import attrgetter
from types import GenericAlias
from typing import Annotated, Any, Final, NamedTuple

import msgspec

from penstock.services.catalog import types
from penstock.services.firehose.processing.coercion import BadValue, Coerce, Rules, make_coercer

NAMES_MAX: Final = 512  # ours: names that a decoder knows
MISSES_MAX: Final = 16  # ours: records that are read slowly before a decoder is made that knows their names
MALFORMED: Final = "DataFormatConversion.MalformedData"
PARSE: Final = "DataFormatConversion.ParseError"
EMPTY: Final = "The record was empty or contained only whitespace."
PRIMITIVE: Final = "The input JSON contained a primitive at the top level. The top level must be an object or array."
NO_OBJECT: Final = "Data does not match the schema. The top level is an array"  # UNVERIFIED: wording
NO_JSON: Final = "Encountered malformed JSON."
_BLANKS: Final = " \t\r\n"
_UNFIELDED = re.compile(r'[\x00-\x1f"\\]')  # in names that no field can have

Get = Callable[[Any], Any]


class BadRecord(Exception):
    """A record that cannot be converted."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Column(NamedTuple):
    """A column to be filled."""

    name: str
    type: types.HiveType
    key: str  # of members, as it is looked up


class _Plain(NamedTuple):
    """How a column's values are decoded in one step, and what is left to do with them."""

    type: Any
    finish: Coerce | None


_WHOLE: Final = {"tinyint": 7, "smallint": 15, "int": 31}
_UNTYPED: Final = msgspec.json.Decoder(float_hook=Decimal)
_SCANNER: Final = json.JSONDecoder()


class Chunk:
    """Rows of consecutive records, in columns, each row with the number of its record.

    Quick rows are as they were decoded, and what is left to do with their values is in RowReader.finishing; slow rows are finished.
    """

    def __init__(self, width: int) -> None:
        self.quick: list[list[Any]] = [[] for _ in range(width)]
        self.quick_owners: list[int] = []
        self.slow: list[list[Any]] = [[] for _ in range(width)]
        self.slow_owners: list[int] = []
        self.bad: dict[int, BadRecord] = {}


class RowReader:
    """Reads the records of one table."""

    def __init__(self, columns: Sequence[Column], rules: Rules) -> None:
        self._columns = columns
        self._rules = rules
        self._places = {column.key: place for place, column in enumerate(columns)}
        self._coercers = [make_coercer(column.type, rules) for column in columns]
        self._plain = [_plain(column.type, coerce) for column, coerce in zip(columns, self._coercers, strict=True)]
        self.finishing = [plain.finish for plain in self._plain]  # what is left to do with quick values, by column
        self._names: dict[str, int | None] = {}  # as they are in records, with their column; None: of no column
        self._has_new_names = False
        self._misses = 0  # records that were read slowly since a decoder was made
        self._decoder: msgspec.json.Decoder[Any] | None = None
        self._getters: list[Get | None] = [None] * len(columns)  # of fields, by column; None: it has no name yet
        self._later: list[tuple[Get, int]] = []  # fields that are second names of a column

    def read(self, records: Sequence[bytes]) -> Chunk:
        """The rows of records: quickly as far as they are as was expected, then one slowly, then quickly again."""
        chunk = Chunk(len(self._columns))
        number = 0
        while number < len(records):
            rows = self._quickly(records, number)
            self._take(rows, number, chunk)
            number += len(rows)
            if number < len(records):
                number += self._read_slowly(records[number], number, chunk)
        return chunk

    def _quickly(self, records: Sequence[bytes], first: int) -> list[Any]:
        """The rows of records from `first` on, until one is not as was expected."""
        rows: list[Any] = []
        if self._decoder is None:
            return rows
        decode, take = self._decoder.decode, rows.append
        try:
            for record in records[first:] if first else records:
                take(decode(record))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            pass
        if self._later:
            rows = rows[: next((at for at, row in enumerate(rows) if self._is_named_twice(row)), len(rows))]
        return rows

    def _take(self, rows: Sequence[Any], first: int, chunk: Chunk) -> None:
        start = len(chunk.quick_owners)
        for values, getter in zip(chunk.quick, self._getters, strict=True):
            values.extend(map(getter, rows) if getter is not None else repeat(None, len(rows)))
        chunk.quick_owners.extend(range(first, first + len(rows)))
        self._merge(rows, chunk, start)

    def _is_named_twice(self, row: Any) -> bool:
        """Whether a row has a column under two names: which one counts is then for the slow way to say."""
        given = [place for getter, place in self._later if getter(row) is not msgspec.UNSET]
        firsts = [getter for place in given if (getter := self._getters[place]) is not None]
        return len(set(given)) < len(given) or any(getter(row) is not None for getter in firsts)

    def _merge(self, rows: Sequence[Any], chunk: Chunk, start: int) -> None:
        """Put values that were under second names into their columns."""
        for getter, place in self._later:
            values = chunk.quick[place]
            for number, row in enumerate(rows, start):
                value = getter(row)
                if value is not msgspec.UNSET:
                    values[number] = value

    # The slow way

    def _read_slowly(self, data: bytes, number: int, chunk: Chunk) -> bool:
        """Whether a record is done with; if not, a decoder was made that may take it."""
        try:
            objects = objects_of(data)
            if self._learn(objects):
                return False
            rows = [self._row(one) for one in objects]
        except BadRecord as problem:
            chunk.bad[number] = problem
        except BadValue as problem:
            chunk.bad[number] = BadRecord(MALFORMED, str(problem))
        except RecursionError:
            chunk.bad[number] = BadRecord(PARSE, NO_JSON)
        else:
            chunk.slow_owners.extend([number] * len(rows))
            for place, values in enumerate(chunk.slow):
                values.extend(row[place] for row in rows)
        return True

    def _row(self, members: Mapping[str, Any]) -> list[Any]:
        row: list[Any] = [None] * len(self._columns)
        for name, value in members.items():
            place = self._places.get(self._rules.key(name))
            if place is not None:
                row[place] = self._coercers[place](value)
        return row

    # Learning

    def _learn(self, objects: Sequence[Mapping[str, Any]]) -> bool:
        """Take note of names; of new ones a decoder is made, and True answered, when they have come often enough to be worth it."""
        for name in (name for members in objects for name in members if name not in self._names):
            if len(self._names) < NAMES_MAX and _UNFIELDED.search(name) is None:
                self._names[name] = self._places.get(self._rules.key(name))
                self._has_new_names = True
        self._misses += 1
        if not self._has_new_names or (self._decoder is not None and self._misses < MISSES_MAX):
            return False
        self._misses, self._has_new_names = 0, False
        self._make_decoder()
        return True

    def _make_decoder(self) -> None:
        """A decoder of the names that are known: a field for each column that has one, then for each other name."""
        fields: list[tuple[str, Any, Any]] = []
        renamed: dict[str, str] = {}
        self._getters = [None] * len(self._columns)
        self._later = []
        for number, (name, place) in enumerate(self._names.items()):
            field, getter = f"f{number}", attrgetter(f"f{number}")
            renamed[field] = name
            if place is None:
                fields.append((field, msgspec.Raw, msgspec.Raw()))
            elif self._getters[place] is None:
                self._getters[place] = getter
                fields.append((field, self._plain[place].type | None, None))
            else:
                self._later.append((getter, place))
                fields.append((field, self._plain[place].type | None | msgspec.UnsetType, msgspec.UNSET))
        row = msgspec.defstruct("Row", fields, rename=renamed, forbid_unknown_fields=True, gc=False)
        self._decoder = msgspec.json.Decoder(row, float_hook=Decimal)


def objects_of(data: bytes) -> list[dict[str, Any]]:
    """The objects of a record, one or several that follow one another.  Raises BadRecord."""
    try:
        value = _UNTYPED.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _in_a_row(data)
    if isinstance(value, dict):
        return [value]
    raise BadRecord(MALFORMED, NO_OBJECT if isinstance(value, list) else PRIMITIVE)


def _in_a_row(data: bytes) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    try:
        text = data.decode().strip(_BLANKS)
        if not text:
            raise BadRecord(MALFORMED, EMPTY)
        at = 0
        while at < len(text):
            if text[at] != "{":
                raise BadRecord(PARSE, NO_JSON)
            _, end = _SCANNER.raw_decode(text, at)
            found.append(_UNTYPED.decode(text[at:end]))
            while end < len(text) and text[end] in _BLANKS:
                end += 1
            at = end
    except (ValueError, msgspec.MsgspecError, RecursionError):
        raise BadRecord(PARSE, NO_JSON) from None
    return found


def _plain(kind: types.HiveType, coerce: Coerce) -> _Plain:
    """What a decoder may take for a column."""
    match kind:
        case types.Scalar("string"):
            return _Plain(str, None)
        case types.Scalar("boolean"):
            return _Plain(bool, None)
        case types.Scalar("double"):
            return _Plain(float, None)
        case types.Scalar("bigint"):
            return _Plain(Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)], None)
        case types.Scalar(word) if word in _WHOLE:
            bits = _WHOLE[word]
            return _Plain(Annotated[int, msgspec.Meta(ge=-(1 << bits), le=(1 << bits) - 1)], None)
        case types.Scalar("date") | types.Text():
            return _Plain(str, coerce)
        case types.Array(item):
            inner = _plain(item, coerce)
            return _Plain(GenericAlias(list, inner.type | None), None) if inner.finish is None else _Plain(Any, coerce)
        case _:
            return _Plain(Any, coerce)
