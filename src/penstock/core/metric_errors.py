"""The error table of CloudWatch's metrics, beside the rows that every service shares.

The rules are those of errors.py.  Codes are the names of the model's error shapes; the query protocol has others, which the model tells.
Source of texts, where no other is named: answers that users' reports and other emulators' tests quote.
"""

from typing import Final

from penstock.core.errors import Row, Table

_VALUE: Final = "InvalidParameterValueException"
_COMBINATION: Final = "InvalidParameterCombinationException"
_MISSING: Final = "MissingRequiredParameterException"
_VALIDATION: Final = "ValidationException"


class MetricError(Table):
    """The rows.  What is wrong with the data of one request is told together, a line each, with the code of the first."""

    VALUES = Row(_VALUE, "{lines}")
    COMBINATIONS = Row(_COMBINATION, "{lines}")
    MISSING = Row(_MISSING, "{lines}")
    TOO_MANY_DATA = Row(_VALUE, "The collection MetricData must not have a size greater than {limit}.")
    NAMESPACE_RESERVED = Row(
        _VALUE,
        'The value AWS/ for parameter Namespace is invalid: custom metrics namespaces must not begin with "AWS/".',
    )  # UNVERIFIED: wording
    SERIES_FULL = Row(  # UNVERIFIED: ours in its reason; AWS keeps any number
        "ThrottlingException",
        "Rate exceeded: {limit} metrics are kept, and each had data lately; raise --metric-series to keep more.",
    )
    TIMES_EQUAL = Row(_VALUE, "The parameter StartTime must not equal parameter EndTime.")
    TIMES_REVERSED = Row(_VALUE, "The parameter StartTime must be less than the parameter EndTime.")
    PERIOD = Row(
        _VALUE, "The parameter Period must be a multiple of 60."
    )  # UNVERIFIED: AWS takes 1, 5, 10, 20 and 30 too
    TOO_MANY_POINTS = Row(
        _COMBINATION,
        "You have requested up to {points:,} datapoints, which exceeds the limit of {limit:,}. You may reduce the datapoints"
        " requested by increasing Period, or decreasing the time range.",
    )
    NO_STATISTIC = Row(_COMBINATION, "Must specify either Statistics or ExtendedStatistics")
    BOTH_STATISTICS = Row(  # UNVERIFIED: wording
        _COMBINATION,
        "The parameters Statistics and ExtendedStatistics are mutually exclusive and you have specified both.",
    )
    STATISTIC = Row(  # UNVERIFIED: wording; AWS has more statistics
        _VALUE, "The value {value} for parameter {parameter} is not supported."
    )
    TOKEN = Row("InvalidNextToken", "Invalid NextToken")  # UNVERIFIED: wording
    LIST_TOKEN = Row(_VALUE, "Invalid nextToken")  # UNVERIFIED: wording
    QUERIES = Row(_VALIDATION, "{lines}\n")  # source: the line's end is in what elastic/beats#32687 quotes
    EXPRESSION = Row(_VALIDATION, "Error in expression '{id}': {problem}.")  # UNVERIFIED: wording
