"""The error table of CloudWatch Logs, beside the rows that every service shares.

The rules are those of errors.py.  Source of texts, where no other is named: answers that users report.
"""

from typing import Final

from penstock.core.errors import Row, Table

_PARAMETER: Final = "InvalidParameterException"


class LogError(Table):
    """The rows."""

    GROUP_EXISTS = Row("ResourceAlreadyExistsException", "The specified log group already exists")
    STREAM_EXISTS = Row("ResourceAlreadyExistsException", "The specified log stream already exists")
    NO_GROUP = Row("ResourceNotFoundException", "The specified log group does not exist.")
    NO_STREAM = Row("ResourceNotFoundException", "The specified log stream does not exist.")
    NO_RESOURCE = Row("ResourceNotFoundException", "The specified resource does not exist.")
    GROUP_PROTECTED = Row(  # UNVERIFIED: code and wording
        "ValidationException", "The log group is protected from deletion; disable its deletion protection first."
    )
    GROUP_CHANGED = Row(
        "OperationAbortedException", "Multiple concurrent requests to update the same resource were in conflict."
    )
    GROUP_UNNAMED = Row(
        _PARAMETER, "Either logGroupName or logGroupIdentifier must be specified."
    )  # UNVERIFIED: wording
    GROUP_NAMED_TWICE = Row(  # UNVERIFIED: wording
        _PARAMETER, "LogGroup name and LogGroup ARN are mutually exclusive parameters."
    )
    GROUP_ARN = Row(_PARAMETER, "{arn} is not a valid ARN of a log group.")  # UNVERIFIED: wording
    PREFIX_AND_TIME = Row(_PARAMETER, "Cannot order by LastEventTime with a logStreamNamePrefix.")
    PREFIX_AND_PATTERN = Row(  # UNVERIFIED: wording
        _PARAMETER, "LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters."
    )
    STREAMS_NAMED_TWICE = Row(
        _PARAMETER, "Streams and prefix are mutually exclusive parameters."
    )  # UNVERIFIED: wording
    UNORDERED = Row(_PARAMETER, "Log events in a single PutLogEvents request must be in chronological order.")
    SPAN = Row(_PARAMETER, "The batch of log events in a single PutLogEvents request cannot span more than 24 hours.")
    UPLOAD = Row(_PARAMETER, "Upload too large: {given} bytes exceeds limit of {limit}")
    TOKEN = Row(_PARAMETER, "The specified nextToken is invalid.")
    PATTERN = Row(_PARAMETER, "Invalid filter pattern: {problem}")  # UNVERIFIED: wording
    RETENTION = Row(
        _PARAMETER,
        "1 validation error detected: Value '{days}' at 'retentionInDays' failed to satisfy constraint:"
        " Member must satisfy enum value set: [{allowed}]",
    )
    TAGS = Row("TooManyTagsException", "The resource has more than {limit} tags.")  # UNVERIFIED: wording
    TAGS_OF_GROUP = Row(_PARAMETER, "The log group has more than {limit} tags.")  # UNVERIFIED: wording
    TAG_RESERVED = Row(_PARAMETER, "Tag keys starting with aws: are reserved.")  # UNVERIFIED: wording
