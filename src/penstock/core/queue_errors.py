"""The error table of SQS, beside the rows that every service shares.

The rules are those of errors.py.  Codes are the names of the model's error shapes; the query protocol has others for some, as
host/apimodels.py tells.  Source of texts, where no other is named: answers that users report.
"""

from typing import Final

from penstock.core.errors import Row, Table

_VALUE: Final = "InvalidParameterValueException"


class QueueError(Table):
    """The rows."""

    NO_QUEUE = Row("QueueDoesNotExist", "The specified queue does not exist.")
    NO_QUEUE_AT = Row("InvalidAddress", "The address {url} is not valid for this endpoint.")
    NAME = Row(_VALUE, "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length")
    NAME_TAKEN = Row(
        "QueueNameExists", "A queue already exists with the same name and a different value for attribute {attribute}"
    )
    CHANGED = Row("RequestThrottled", "The queue was changed at the same time; try again.")  # ours
    FIFO = Row(
        "UnsupportedOperation", "FIFO queues are not implemented by Penstock; docs/queues.md lists what is."
    )  # ours
    ATTRIBUTE_NAME = Row("InvalidAttributeName", "Unknown Attribute {name}.")
    ATTRIBUTE_VALUE = Row("InvalidAttributeValue", "Invalid value for the parameter {name}.")
    REDRIVE = Row(_VALUE, "Value {value} for parameter RedrivePolicy is invalid. Reason: {reason}.")
    MISSING = Row("MissingParameter", "The request must contain the parameter {name}.")
    RANGE = Row(
        _VALUE, "Value {value} for parameter {name} is invalid. Reason: Must be between {low} and {high}, if provided."
    )
    BOUNDS = Row(
        _VALUE, "Value {value} for parameter {name} is invalid. Reason: Must be >= {low} and <= {high}, if provided."
    )
    TOO_LONG = Row(_VALUE, "One or more parameters are invalid. Reason: Message must be shorter than {limit} bytes.")
    CHARACTER = Row(
        "InvalidMessageContents",
        "Invalid binary character '#x{code}' was found in the message body, the set of allowed characters is"
        " #x9 | #xA | #xD | [#x20-#xD7FF] | [#xE000-#xFFFD] | [#x10000-#x10FFFF]",
    )
    MESSAGE_ATTRIBUTE = Row(_VALUE, "{text}")
    FIFO_ONLY = Row(_VALUE, "The request include parameter that is not valid for this queue type")  # AWS's grammar
    EMPTY_BATCH = Row("EmptyBatchRequest", "There should be at least one {entry} in the request.")
    BATCH_COUNT = Row(
        "TooManyEntriesInBatchRequest", "Maximum number of entries per request are 10. You have sent {count}."
    )
    BATCH_IDS = Row("BatchEntryIdsNotDistinct", "Id {id} repeated.")
    BATCH_ID = Row(
        "InvalidBatchEntryId",
        "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 letters long.",
    )
    BATCH_BYTES = Row(
        "BatchRequestTooLong", "Batch requests cannot be longer than {limit} bytes. You have sent {given} bytes."
    )
    HANDLE = Row("ReceiptHandleIsInvalid", 'The input receipt handle "{handle}" is not a valid receipt handle.')
    NOT_AVAILABLE = Row(
        _VALUE,
        "Value {handle} for parameter ReceiptHandle is invalid."
        " Reason: Message does not exist or is not available for visibility timeout change.",
    )
    NOT_IN_FLIGHT = Row("MessageNotInflight", "The message is not in flight.")  # UNVERIFIED: wording
    PURGING = Row("PurgeQueueInProgress", "Only one PurgeQueue operation on {name} is allowed every 60 seconds.")
    TAGS = Row(_VALUE, "Too many tags added for queue {name}.")
    TOKEN = Row(_VALUE, "Invalid or expired next token.")  # UNVERIFIED: wording
