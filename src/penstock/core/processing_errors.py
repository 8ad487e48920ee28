"""What configurations of Firehose's processing and format conversion are refused with.  Rules: those of core/errors.py.

Source: the constraints stand in the API reference and the developer guide; the service's words for most of them were never recorded.
"""

from typing import Final

from penstock.core.errors import Row, Table

_INVALID: Final = "InvalidArgumentException"


class ProcessingError(Table):
    """The rows."""

    # UNVERIFIED: wording, all of these
    TWICE = Row(_INVALID, "Only one processor of type {type} can be specified.")
    UNKNOWN_PARAMETER = Row(_INVALID, "Parameter {name} is not valid for the processor type {type}.")
    PARAMETER_TWICE = Row(_INVALID, "Parameter {name} is specified more than once for the processor type {type}.")
    MISSING_PARAMETER = Row(_INVALID, "Parameter {name} must be specified for the processor type {type}.")
    BAD_PARAMETER = Row(
        _INVALID, "Value {value} is not valid for parameter {name} of the processor type {type}: it must be {accepts}."
    )
    NEEDS = Row(_INVALID, "Processor type {type} needs {other}.")
    QUERY = Row(_INVALID, "MetadataExtractionQuery is not valid: {problem}.")
    NOT_INSTALLED = Row(_INVALID, "{what} needs pip install 'penstock[firehose]' where the server runs.")  # ours

    CONVERSION_MISSING = Row(_INVALID, "{member} must be specified when data format conversion is enabled.")
    CONVERSION_ONE_OF = Row(_INVALID, "Exactly one of {one} and {other} must be specified.")
    CONVERSION_FORMAT = Row(_INVALID, "TimestampFormats cannot be used: {problem}.")
    CONVERSION_TABLE = Row(_INVALID, "The schema cannot be used: {problem}")
