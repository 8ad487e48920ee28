"""The error table of SNS, beside the rows that every service shares.

The rules are those of errors.py.  Source of texts, where no other is named: answers that users report.
"""

from typing import Final

from penstock.core.errors import Row, Table

_PARAMETER: Final = "InvalidParameterException"


class TopicError(Table):
    """The rows."""

    NO_TOPIC = Row("NotFoundException", "Topic does not exist", 404)
    NO_SUBSCRIPTION = Row("NotFoundException", "Subscription does not exist", 404)
    NO_RESOURCE = Row("ResourceNotFoundException", "Resource does not exist", 404)
    PARAMETER = Row(_PARAMETER, "Invalid parameter: {what}")
    UNSUPPORTED = Row(
        _PARAMETER, "Invalid parameter: {what} is not implemented by Penstock; docs/queues.md lists what is."
    )  # ours
    TOPIC_DIFFERS = Row(
        _PARAMETER, "Invalid parameter: Attributes Reason: Topic already exists with different attributes"
    )
    SUBSCRIPTION_DIFFERS = Row(
        _PARAMETER, "Invalid parameter: Attributes Reason: Subscription already exists with different attributes"
    )
    ATTRIBUTE = Row(
        "InvalidParameterValueException", "The message attribute '{name}' is invalid: {reason}."
    )  # UNVERIFIED: wording
    TAGS = Row("TagLimitExceededException", "Could not complete request: tag quota of per resource exceeded")
    CHANGED = Row(  # UNVERIFIED: wording
        "ConcurrentAccessException", "The resource was changed at the same time; try again."
    )
