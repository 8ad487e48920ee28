"""The error table of Firehose, beside the rows that every service shares.

The rules are those of errors.py.  Source of texts, where no other is named: answers that users' reports quote.
"""

from penstock.core.errors import SERVER_STATUS, Row, Table


class FirehoseError(Table):
    """The rows."""

    NO_STREAM = Row("ResourceNotFoundException", "Firehose {name} under account {account} not found.")
    STREAM_EXISTS = Row("ResourceInUseException", "Firehose {name} under accountId {account} already exists")
    IN_USE = Row(  # UNVERIFIED: wording
        "ResourceInUseException",
        "Firehose {name} under accountId {account} is in status {status} and cannot be changed.",
    )
    CREATING = Row(  # UNVERIFIED: wording
        "ResourceInUseException",
        "Firehose {name} under accountId {account} is being created and cannot be deleted yet.",
    )
    STREAMS_MAX = Row(  # UNVERIFIED: wording
        "LimitExceededException", "You have already consumed your firehose quota of {limit} delivery streams."
    )
    STALE_VERSION = Row(
        "ConcurrentModificationException",
        "Cannot update firehose: {name} since the current version id: {current} and specified version id: {given} do not match",
    )
    NO_DESTINATION = Row(  # UNVERIFIED: wording
        "InvalidArgumentException", "Destination Id {destination} not found"
    )
    INVALID = Row("InvalidArgumentException", "{text}")
    OTHER_SOURCE = Row("InvalidArgumentException", "This operation is not permitted on {type} delivery stream type.")
    RECORD_SIZE = Row(  # UNVERIFIED: wording
        "InvalidArgumentException", "Record size {size_bytes} bytes exceeds the limit of {limit_bytes} bytes."
    )
    BATCH_SIZE = Row("InvalidArgumentException", "Records size exceeds 4 MB limit")
    SLOW_DOWN = Row("ServiceUnavailableException", "Slow down.", SERVER_STATUS)
    ENCRYPTION_LIMIT = Row(  # UNVERIFIED: wording
        "LimitExceededException",
        "Firehose {name} has had its encryption changed {limit} times within 24 hours, which is as often as is allowed.",
    )
    KMS = Row("InvalidKMSResourceException", "{text}")
    TAG_LIMIT = Row(
        "LimitExceededException", "Failed on tagging: a delivery stream has at most {limit} tags."
    )  # UNVERIFIED
    SECRETS = Row(  # ours: the master key that they are sealed under is not there, or is another one
        "ServiceUnavailableException", "The secrets of firehose {name} cannot be used: {problem}", SERVER_STATUS
    )
