"""The error table of event source mappings, beside the rows that every service shares.

The rules are those of errors.py.  Source of texts, where no other is named: answers that other projects' tests recorded.
"""

from penstock.core.errors import Row, Table

INVALID = "InvalidParameterValueException"


class MappingError(Table):
    """The rows of event source mappings."""

    NOT_FOUND = Row("ResourceNotFoundException", "The resource you requested does not exist.", 404)
    IN_USE = Row(
        "ResourceInUseException",
        "Cannot update the event source mapping because it is in use.",
        400,
    )
    EXISTS = Row(
        "ResourceConflictException",
        'The event source arn (" {source} ") and function (" {function} ") provided mapping already exists.'
        " Please update or delete the existing mapping with UUID {uuid}",
        409,
    )
    STREAM_NOT_FOUND = Row(INVALID, "Stream not found: {arn}")
    CONSUMER_NOT_FOUND = Row(INVALID, "Consumer not found: {arn}")  # UNVERIFIED: wording
    FUNCTION_NOT_FOUND = Row("InvalidParameterValueException", "Function does not exist")
    SOURCE_ABSENT = Row(INVALID, "Unrecognized event source.")
    SOURCE_UNKNOWN = Row(  # ours: AWS takes more sources
        INVALID, "Unrecognized event source, must be kinesis. {arn} is a source that Penstock has not."
    )
    OTHER_REGION = Row(  # UNVERIFIED: wording
        INVALID, "The event source arn {arn} is not in the region {region}."
    )
    POSITION_ABSENT = Row(
        INVALID,
        "1 validation error detected: Value null at 'startingPosition' failed to satisfy constraint:"
        " Member must not be null.",
    )
    TIMESTAMP_ABSENT = Row(  # UNVERIFIED: wording
        INVALID, "StartingPositionTimestamp must be set when StartingPosition is AT_TIMESTAMP."
    )
    TIMESTAMP_UNWANTED = Row(  # UNVERIFIED: wording
        INVALID, "StartingPositionTimestamp must not be set when StartingPosition is not AT_TIMESTAMP."
    )
    TIMESTAMP_FUTURE = Row(INVALID, "StartingPositionTimestamp must not be in the future.")  # UNVERIFIED: wording
    RECORD_AGE = Row(
        INVALID,
        "1 validation error detected: Value '{value}' at 'maximumRecordAgeInSeconds' failed to satisfy constraint:"
        " MaximumRecordAgeInSeconds must be -1 or between 60 and 604800.",  # UNVERIFIED: wording
    )
    FILTER = Row(INVALID, "Invalid filter pattern definition.")
    FILTERS_MANY = Row(INVALID, "The number of filters exceeds the limit of {limit}.")  # UNVERIFIED: wording
    DESTINATION = Row(INVALID, "Invalid destination ARN: {arn}")  # UNVERIFIED: wording
    ON_SUCCESS = Row(  # UNVERIFIED: wording
        INVALID, "Unsupported DestinationConfig parameter for given event source mapping type."
    )
    UNSUPPORTED = Row(
        INVALID, "Unsupported parameter for given event source mapping type: {name}"
    )  # UNVERIFIED: wording
    ROLE = Row(
        INVALID,
        "Cannot access stream {arn}. Please ensure the role can perform the GetRecords, GetShardIterator,"
        " DescribeStream, and ListStreams Actions on your stream in IAM.",
    )
