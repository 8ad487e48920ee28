"""dataProcessingOptions: what becomes of a record before it is sent.

Theory.  Each option is a function from record to record; a flow's chain is applied in the order of the configuration.  A record that an
option cannot read becomes None: it is passed over and counted, which is how `matchPattern` filters.
Rules of this file:
  1. Pure, and total: whatever the bytes, a converter answers bytes or None.
  2. What is converted ends in one newline, so that records laid one behind the other stay lines.
  3. Bytes that are no UTF-8 become U+FFFD where JSON needs text; elsewhere they stay.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from penstock.agent.expression import BadExpression, compile_expression
from penstock.agent.lines import NEWLINE, Records, truncate
from penstock.agent.logformats import LOG_FORMATS
from penstock.core.ports import Clock

Converter = Callable[[bytes], bytes | None]

_encode: Final = msgspec.json.Encoder().encode


class BadOption(Exception):
    """An option that cannot be carried out; the text says why."""


class Chain:
    """The options of one flow."""

    def __init__(self, converters: Sequence[Converter], max_bytes: int, terminator: bytes) -> None:
        self._converters = converters
        self._max_bytes = max_bytes
        self._terminator = terminator
        self.skipped = 0  # records that an option could not read

    def apply(self, records: Records) -> Records:
        """The records as they are sent."""
        if not self._converters:
            return records
        made = Records(truncated=records.truncated)
        for data, end in zip(records.datas, records.ends, strict=True):
            converted = self._convert(data)
            if converted is None:
                self.skipped += 1
            elif len(converted) > self._max_bytes:
                made.add(truncate(converted, self._max_bytes, self._terminator), end)
                made.truncated += 1
            else:
                made.add(converted, end)
        return made

    def _convert(self, data: bytes) -> bytes | None:
        made: bytes | None = data
        for convert in self._converters:
            if made is None:
                return None
            made = convert(made)
        return made


def converters(options: Sequence[Mapping[str, Any]], clock: Clock) -> list[Converter]:
    """The converters of dataProcessingOptions.  Raises BadOption."""
    made: list[Converter] = []
    for place, option in enumerate(options):
        name = option.get("optionName")
        make = OPTIONS.get(str(name).upper()) if isinstance(name, str) else None
        if make is None:
            raise BadOption(f"[{place}].optionName must be one of {', '.join(OPTIONS)}, not {name!r:.80}")
        try:
            made.append(make(option, clock))
        except BadOption as error:
            raise BadOption(f"[{place}] {name}: {error}") from None
    return made


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _bare(data: bytes) -> bytes:
    """A record without its line end."""
    return data.removesuffix(NEWLINE).removesuffix(b"\r")


def _single_line(_option: Mapping[str, Any], _clock: Clock) -> Converter:
    def convert(data: bytes) -> bytes:
        return b"".join(part.strip() for part in data.split(NEWLINE)) + NEWLINE

    return convert


def _csv_to_json(option: Mapping[str, Any], _clock: Clock) -> Converter:
    """UNVERIFIED: fields beyond the names are left out, names beyond the fields are null; quotes mean nothing."""
    names = _names(option)
    if not names:
        raise BadOption("customFieldNames is missing")
    delimiter = option.get("delimiter", ",")
    if not isinstance(delimiter, str) or not delimiter:
        raise BadOption("delimiter must be a string that is not empty")
    spread = _json_format(option)

    def convert(data: bytes) -> bytes:
        values = [value.strip() for value in _text(_bare(data)).split(delimiter, len(names))[: len(names)]]
        return spread({**dict.fromkeys(names), **dict(zip(names, values, strict=False))})

    return convert


def _log_to_json(option: Mapping[str, Any], _clock: Clock) -> Converter:
    known = LOG_FORMATS.get(str(option.get("logFormat")))
    if known is None:
        raise BadOption(f"logFormat must be one of {', '.join(LOG_FORMATS)}, not {option.get('logFormat')!r:.80}")
    pattern = option.get("matchPattern", known.pattern)
    if not isinstance(pattern, str) or not pattern:
        raise BadOption("matchPattern must be a regular expression")
    names = _names(option) or known.fields
    try:
        expression = compile_expression(pattern)
    except BadExpression as error:
        raise BadOption(f"matchPattern: {error}") from None
    if expression.groups != len(names):
        raise BadOption(f"the pattern has {expression.groups} groups, but there are {len(names)} field names")
    spread = _json_format(option)

    def convert(data: bytes) -> bytes | None:
        found = expression.fullmatch(_bare(data))
        if found is None:
            return None
        values = (None if value in (None, b"-") else _text(value) for value in found.groups())
        return spread(dict(zip(names, values, strict=True)))

    return convert


def _add_metadata(option: Mapping[str, Any], clock: Clock) -> Converter:
    """UNVERIFIED: `ts` is in milliseconds since the epoch."""
    metadata = option.get("metadata")
    if not isinstance(metadata, dict):
        raise BadOption("metadata must be an object")
    stamped = str(option.get("timestamp", "false")).lower()
    if stamped not in ("true", "false"):
        raise BadOption('timestamp must be "true" or "false"')
    middle = b'"metadata":' + _encode(metadata) + b',"data":'

    def convert(data: bytes) -> bytes:
        begin = b'{"ts":%d,' % clock.now_ms() if stamped == "true" else b"{"
        return begin + middle + _encode(_text(_bare(data))) + b"}\n"

    return convert


def _add_brackets(_option: Mapping[str, Any], _clock: Clock) -> Converter:
    """UNVERIFIED: braces, for lines that are the inside of a JSON object."""

    def convert(data: bytes) -> bytes:
        return b"{" + _bare(data) + b"}\n"

    return convert


def _no_instance(_option: Mapping[str, Any], _clock: Clock) -> Converter:
    raise BadOption(
        "not supported: its values come from EC2's instance metadata; write them into ADDMETADATA's metadata instead"
    )


def _no_plugin(_option: Mapping[str, Any], _clock: Clock) -> Converter:
    raise BadOption("not supported: plug-ins are Java classes; this agent cannot load them")


OPTIONS: Final[Mapping[str, Callable[[Mapping[str, Any], Clock], Converter]]] = {
    "SINGLELINE": _single_line,
    "CSVTOJSON": _csv_to_json,
    "LOGTOJSON": _log_to_json,
    "ADDMETADATA": _add_metadata,
    "ADDBRACKETS": _add_brackets,
    "ADDEC2METADATA": _no_instance,
    "USINGPLUGGIN": _no_plugin,
}


def _names(option: Mapping[str, Any]) -> tuple[str, ...]:
    names = option.get("customFieldNames", [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise BadOption("customFieldNames must be an array of strings")
    if len(set(names)) != len(names):
        raise BadOption("customFieldNames has a name twice")
    return tuple(names)


def _json_format(option: Mapping[str, Any]) -> Callable[[Mapping[str, str | None]], bytes]:
    match str(option.get("jsonFormat", "COMPACT")).upper():
        case "COMPACT":
            return lambda fields: _encode(fields) + NEWLINE
        case "PRETTYPRINT":
            return lambda fields: msgspec.json.format(_encode(fields), indent=2) + NEWLINE
        case other:
            raise BadOption(f"jsonFormat must be COMPACT or PRETTYPRINT, not {other!r:.80}")
