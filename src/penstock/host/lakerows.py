"""Rows of Iceberg: values of JSON as a table's columns have them.

Rules of this file: a value is taken for what it says, or refused; nothing is rounded, cut or wrapped around.  A key of JSON that no
column has is left out.  UNVERIFIED: Firehose's own coercions are not documented; these are those of its OpenX reader, and a number
for a time is microseconds, Iceberg's own unit.
"""

import base64
import binascii
import math
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from pyiceberg.schema import Schema
    from pyiceberg.types import IcebergType, StructType

_EPOCH: Final = datetime(1970, 1, 1)
_EPOCH_UTC: Final = datetime(1970, 1, 1, tzinfo=UTC)
_WIDTHS: Final = {"int": 31, "long": 63}
_BOOLEANS: Final = {"true": True, "false": False}


class BadValue(Exception):
    """A value that a column cannot hold; its text names the column."""

    def __init__(self, text: str, *, is_missing: bool = False) -> None:
        super().__init__(text)
        self.is_missing = is_missing


def converted(row: Mapping[str, Any], schema: "Schema | StructType", path: str = "") -> dict[str, Any]:
    """A row with the columns of a schema.  Raises BadValue."""
    folded: dict[str, Any] | None = None
    found: dict[str, Any] = {}
    for field in schema.fields:
        value = row.get(field.name)
        if value is None and field.name not in row:
            folded = {name.lower(): one for name, one in row.items()} if folded is None else folded
            value = folded.get(field.name.lower())
        where = f"{path}{field.name}"
        if value is None:
            if field.required:
                raise BadValue(f"{where} is required", is_missing=True)
            found[field.name] = None
            continue
        found[field.name] = _value(value, field.field_type, where)
    return found


def _value(value: Any, kind: "IcebergType", where: str) -> Any:
    from pyiceberg.types import ListType, MapType, StructType

    if isinstance(kind, StructType):
        _want(isinstance(value, dict), value, kind, where)
        return converted(value, kind, where + ".")
    if isinstance(kind, ListType):
        _want(isinstance(value, list), value, kind, where)
        return [_item(one, kind.element_type, kind.element_required, where) for one in value]
    if isinstance(kind, MapType):
        _want(isinstance(value, dict), value, kind, where)
        pairs = value.items()
        return [
            (_value(key, kind.key_type, where), _item(one, kind.value_type, kind.value_required, where))
            for key, one in pairs
        ]
    convert = _CONVERSIONS.get(str(kind).partition("(")[0].partition("[")[0])
    try:
        if convert is None:
            raise ValueError
        return convert(value, kind)
    except (ValueError, TypeError, OverflowError, InvalidOperation, binascii.Error):
        raise BadValue(f"{where} is no {kind}: {_shown(value)}") from None


def _item(value: Any, kind: "IcebergType", required: bool, where: str) -> Any:
    if value is not None:
        return _value(value, kind, where)
    if required:
        raise BadValue(f"{where} holds a null")
    return None


def _want(kept: bool, value: Any, kind: "IcebergType", where: str) -> None:
    if not kept:
        raise BadValue(f"{where} is no {str(kind).partition('<')[0]}: {_shown(value)}")


def _shown(value: Any) -> str:
    return msgspec.json.encode(value)[:80].decode("utf-8", "replace")


def _boolean(value: Any, kind: Any) -> bool:
    if isinstance(value, bool):
        return value
    if not isinstance(value, str) or value.lower() not in _BOOLEANS:
        raise ValueError
    return _BOOLEANS[value.lower()]


def _whole(value: Any, kind: Any) -> int:
    if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
        raise ValueError
    number = int(value)
    if not -(1 << _WIDTHS[str(kind)]) <= number < 1 << _WIDTHS[str(kind)]:
        raise OverflowError
    return number


def _float(value: Any, kind: Any) -> float:
    if isinstance(value, bool):
        raise ValueError
    number = float(value)
    if math.isinf(number) and not isinstance(value, str):
        raise OverflowError
    return number


def _decimal(value: Any, kind: Any) -> Decimal:
    if isinstance(value, bool):
        raise ValueError
    number = Decimal(str(value)).quantize(Decimal(1).scaleb(-kind.scale))
    if number != Decimal(str(value)) or len(number.as_tuple().digits) > kind.precision:
        raise ValueError
    return number


def _string(value: Any, kind: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _date(value: Any, kind: Any) -> date:
    return date.fromisoformat(value)


def _time(value: Any, kind: Any) -> time:
    return time.fromisoformat(value)


def _timestamp(value: Any, kind: Any) -> datetime:
    at = _instant(value, _EPOCH)
    return at if at.tzinfo is None else at.astimezone(UTC).replace(tzinfo=None)


def _timestamp_in_zone(value: Any, kind: Any) -> datetime:
    at = _instant(value, _EPOCH_UTC)
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at


def _instant(value: Any, epoch: datetime) -> datetime:
    if isinstance(value, bool):
        raise ValueError
    return epoch + timedelta(microseconds=value) if isinstance(value, int) else datetime.fromisoformat(value)


def _binary(value: Any, kind: Any) -> bytes:
    return base64.b64decode(value, validate=True)


def _uuid(value: Any, kind: Any) -> bytes:
    return uuid.UUID(value).bytes


_CONVERSIONS: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "boolean": _boolean,
    "int": _whole,
    "long": _whole,
    "float": _float,
    "double": _float,
    "decimal": _decimal,
    "string": _string,
    "date": _date,
    "time": _time,
    "timestamp": _timestamp,
    "timestamptz": _timestamp_in_zone,
    "binary": _binary,
    "fixed": _binary,
    "uuid": _uuid,
}
