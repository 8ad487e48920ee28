"""Parameters of processors: which there are, what they accept, and what they are when nobody says.

Theory.  The API has one list of names for the parameters of all processors, so that a configuration can name what means nothing where it
stands.  Here is the table of what does; a processor is read into a dictionary of its texts once, when a delivery stream is made.
Rules of this file: pure; a refusal names the processor and the parameter.
Source: API reference, ProcessorParameter; the ranges of buffers from the developer guide, "Transform source data".
"""

import binascii
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

import pybase64

from penstock.core.processing_errors import ProcessingError
from penstock.services.firehose.shapes import Processor

RETRIES_MAX: Final = 300
BUFFER_MIN_MB: Final = 0.2
BUFFER_MAX_MB: Final = 3.0
BUFFER_MAX_S: Final = 900
QUERY_ENGINE: Final = "JQ-1.6"
_FUNCTION_ARN = re.compile(
    r"arn:aws[a-z-]*:lambda:[a-z0-9-]+:\d{12}:function:[a-zA-Z0-9_-]{1,64}(:(\$LATEST|[a-zA-Z0-9_-]+))?", re.ASCII
)
_ESCAPES: Final = {r"\n": "\n", r"\t": "\t", r"\r": "\r", r"\\": "\\"}


class Parameter(NamedTuple):
    """One parameter of one processor."""

    accepts: str  # "a whole number from 0 to 300"
    is_valid: Callable[[str], bool]
    default: str | None = None  # None: it must be given, if it is required at all
    required: bool = False


def _number(text: str, low: float, high: float, *, whole: bool) -> bool:
    if not re.fullmatch(r"\d{1,6}" if whole else r"\d{1,6}(\.\d{1,6})?", text, re.ASCII):
        return False
    return low <= float(text) <= high


def _is_base64(text: str) -> bool:
    try:
        return bool(pybase64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        return False


_PARAMETERS: Final[Mapping[str, Mapping[str, Parameter]]] = {
    "Decompression": {"CompressionFormat": Parameter("GZIP", lambda text: text == "GZIP", required=True)},
    "CloudWatchLogProcessing": {
        "DataMessageExtraction": Parameter(
            "true or false", lambda text: text.lower() in ("true", "false"), required=True
        )
    },
    "Lambda": {
        "LambdaArn": Parameter(
            "the ARN of a function", lambda text: bool(_FUNCTION_ARN.fullmatch(text)), required=True
        ),
        "NumberOfRetries": Parameter(
            f"a whole number from 0 to {RETRIES_MAX}", lambda text: _number(text, 0, RETRIES_MAX, whole=True), "3"
        ),
        "RoleArn": Parameter("the ARN of a role", lambda text: text.startswith("arn:")),
        "BufferSizeInMBs": Parameter(
            f"a number from {BUFFER_MIN_MB} to {BUFFER_MAX_MB:g}",
            lambda text: _number(text, BUFFER_MIN_MB, BUFFER_MAX_MB, whole=False),
            "1",
        ),
        "BufferIntervalInSeconds": Parameter(
            f"a whole number from 0 to {BUFFER_MAX_S}", lambda text: _number(text, 0, BUFFER_MAX_S, whole=True), "60"
        ),
    },
    "RecordDeAggregation": {
        "SubRecordType": Parameter("JSON or DELIMITED", lambda text: text in ("JSON", "DELIMITED"), required=True),
        "Delimiter": Parameter("base64 of at least one byte", _is_base64),
    },
    "MetadataExtraction": {
        "MetadataExtractionQuery": Parameter("a query", bool, required=True),
        "JsonParsingEngine": Parameter(QUERY_ENGINE, lambda text: text == QUERY_ENGINE, required=True),
    },
    "AppendDelimiterToRecord": {"Delimiter": Parameter("at least one character", bool, r"\n")},
}


def read_processors(processors: Sequence[Processor]) -> dict[str, dict[str, str]]:
    """The parameters of each processor, by its type, defaults filled in.

    Raises TWICE, UNKNOWN_PARAMETER, PARAMETER_TWICE, MISSING_PARAMETER, BAD_PARAMETER, NEEDS.
    """
    found: dict[str, dict[str, str]] = {}
    for processor in processors:
        if processor.type in found:
            raise ProcessingError.TWICE(type=processor.type)
        found[processor.type] = _read(processor)
    _check_together(found)
    return found


def _read(processor: Processor) -> dict[str, str]:
    known, type_ = _PARAMETERS[processor.type], processor.type
    given: dict[str, str] = {}
    for name, value in ((one.parameter_name, one.parameter_value) for one in processor.parameters):
        parameter = known.get(name)
        if parameter is None:
            raise ProcessingError.UNKNOWN_PARAMETER(name=name, type=type_)
        if name in given:
            raise ProcessingError.PARAMETER_TWICE(name=name, type=type_)
        if not parameter.is_valid(value):
            raise ProcessingError.BAD_PARAMETER(value=value[:200], name=name, type=type_, accepts=parameter.accepts)
        given[name] = value
    for name, parameter in known.items():
        if parameter.required and name not in given:
            raise ProcessingError.MISSING_PARAMETER(name=name, type=type_)
    defaults = {name: each.default for name, each in known.items() if each.default is not None}
    return {**defaults, **given}


def _check_together(found: Mapping[str, Mapping[str, str]]) -> None:
    """What one processor or parameter asks of another."""
    parts = found.get("RecordDeAggregation")
    if parts is not None and parts["SubRecordType"] == "DELIMITED" and "Delimiter" not in parts:
        raise ProcessingError.MISSING_PARAMETER(name="Delimiter", type="RecordDeAggregation")
    if "CloudWatchLogProcessing" in found and "Decompression" not in found:
        raise ProcessingError.NEEDS(type="CloudWatchLogProcessing", other="a processor of type Decompression")


def delimiter_of(text: str) -> bytes:
    """The delimiter that a text means: two characters of an escape are the one that they stand for."""
    return re.sub(r"\\[ntr\\]", lambda match: _ESCAPES[match[0]], text).encode()
