"""The error table: every error that a client can be told, in one place.

Theory.  An error on AWS's wire is a code, an HTTP status, the side at fault and a text.  Code that refuses a request
names a row of this table and fills its blanks; no other module words an error or chooses a status.
Rules of this file:
  1. One row per distinct text.  The text is AWS's own, blanks in braces; a text that was never seen on AWS is marked so.
  2. Client faults are 400 in the JSON and CBOR protocols, server faults 500 (the models give no other status).
  3. A row without text sends none: AWS omits `message` there.
"""

from collections.abc import Mapping
from enum import Enum
from typing import Final, NamedTuple

CLIENT_STATUS: Final = 400
SERVER_STATUS: Final = 500


class Row(NamedTuple):
    """One row: what goes to the wire when it is raised."""

    code: str  # the `__type` of the answer
    text: str | None  # with {blanks}; None where AWS sends no message
    status: int = CLIENT_STATUS


class ServiceError(Exception):
    """A request refused with a row of the error table, its blanks filled.

    The wire layer turns it into the protocol's error document; it is never logged as a fault of ours.
    """

    def __init__(self, code: str, message: str | None, status: int = CLIENT_STATUS) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.details: Mapping[str, object] = {}  # members of the error's shape beside its message


class Table(Enum):
    """Rows that can be raised; the services' own tables stand beside this one."""

    def __call__(self, **blanks: object) -> ServiceError:
        """The exception for this row.  `blanks` must fill exactly the row's braces."""
        row: Row = self.value
        return ServiceError(row.code, row.text.format(**blanks) if row.text is not None else None, row.status)

    @property
    def code(self) -> str:
        """The `__type` that this row puts on the wire."""
        row: Row = self.value
        return row.code


class Error(Table):
    """The rows.  Call one to get the exception: `raise Error.STREAM_NOT_FOUND(stream=..., account=...)`."""

    # Before an operation is known (source: answers recorded from kinesis.*.amazonaws.com)
    UNKNOWN_OPERATION = Row("UnknownOperationException", None)
    NOT_IMPLEMENTED = Row(
        "UnknownOperationException", "{operation} is not implemented by Penstock; docs/parity.md lists what is."
    )
    NOT_A_SERVICE_CALL = Row(
        "AccessDeniedException", "Unable to determine service/operation name to be authorized", 403
    )
    BODY_NOT_PARSED = Row("SerializationException", None)
    BODY_TOO_LARGE = Row("RequestEntityTooLarge", "The request body is larger than {limit_bytes} bytes.", 413)
    BAD_CONTENT_ENCODING = Row("SerializationException", "The body is not valid {encoding}.")

    # Types (source: recorded answers; AWS capitalises `Message` here)
    WRONG_TYPE = Row("SerializationException", "{text}")

    # Authentication
    WEB_PAGE = Row(
        "AccessDeniedException", "--auth open: functions are not for web pages such as {origin}.", 403
    )  # ours
    AUTH_MISSING = Row("MissingAuthenticationTokenException", "Missing Authentication Token")
    AUTH_TWICE = Row(
        "InvalidSignatureException",
        "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header.",
    )
    AUTH_INCOMPLETE = Row("IncompleteSignatureException", "{text}")
    AUTH_PAIR_MALFORMED = Row(
        "IncompleteSignatureException",
        "'{pair}' not a valid key=value pair (missing equal-sign) in Authorization header: '{authorization}'.",
    )
    AUTH_DATE_MALFORMED = Row(
        "IncompleteSignatureException",
        "Date must be in ISO-8601 'basic format'. Got '{date}'. See http://en.wikipedia.org/wiki/ISO_8601",
    )
    AUTH_EXPIRES_INVALID = Row(  # UNVERIFIED: wording; S3 has several
        "IncompleteSignatureException", "X-Amz-Expires must be a whole number of seconds from 1 to {limit_s}."
    )
    AUTH_ALGORITHM = Row(
        "IncompleteSignatureException", "Unsupported AWS 'algorithm': '{algorithm}' (only AWS4-HMAC-SHA256 for now). "
    )
    AUTH_CREDENTIAL_PARTS = Row(
        "IncompleteSignatureException",
        "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '{credential}'",
    )
    AUTH_HOST_UNSIGNED = Row(
        "InvalidSignatureException", "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization."
    )
    AUTH_SCOPE = Row("InvalidSignatureException", "{text}")
    SIGNATURE_EXPIRED = Row(
        "InvalidSignatureException", "Signature expired: {signed} is now earlier than {earliest} ({now} - {lasts})"
    )
    SIGNATURE_EARLY = Row(
        "InvalidSignatureException",
        "Signature not yet current: {signed} is still later than {latest} ({now} + {skew_min} min.)",
    )
    SIGNATURE_WRONG = Row(
        "InvalidSignatureException",
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key"
        " and signing method. Consult the service documentation for details.{explained}",
    )
    CHUNKS_MALFORMED = Row(  # UNVERIFIED: code and wording
        "IncompleteSignatureException", "The body is no series of chunks: {problem}."
    )
    KEY_UNKNOWN = Row("UnrecognizedClientException", "The security token included in the request is invalid.")
    TOKEN_INVALID = Row("UnrecognizedClientException", "The security token included in the request is invalid")
    TOKEN_EXPIRED = Row("ExpiredTokenException", "The security token included in the request is expired")
    ACCESS_DENIED = Row("AccessDeniedException", "{text}")
    ACCESS_DENIED_BY_RESOURCE = Row(
        "AccessDeniedException",
        "User: {principal} is not authorized to perform: {action} on resource: {resource}"
        " because no resource-based policy allows the {action} action",
    )

    # Validation
    CONSTRAINTS = Row("ValidationException", "{text}")
    STREAM_NOT_NAMED = Row(  # UNVERIFIED: code from the developer guide, wording ours
        "InvalidArgumentException", "Missing stream: specify the StreamName or the StreamARN, or both."
    )
    STREAM_NAMED_TWICE = Row(  # UNVERIFIED: wording
        "InvalidArgumentException", "StreamARN {arn} and StreamName {name} do not name the same stream."
    )
    ARN_MALFORMED = Row("InvalidArgumentException", "{arn} is not a valid ARN of a stream.")  # UNVERIFIED: wording
    DRY_RUN = Row(
        "DryRunOperationException", "Request would have succeeded, but DryRun flag is set."
    )  # UNVERIFIED: wording

    # Streams
    STREAM_NOT_FOUND = Row("ResourceNotFoundException", "Stream {stream} under account {account} not found.")
    STREAM_EXISTS = Row("ResourceInUseException", "Stream {stream} under account {account} already exists.")
    STREAM_NOT_ACTIVE = Row(
        "ResourceInUseException", "Stream {stream} under account {account} not ACTIVE, instead in state {status}"
    )
    SHARD_LIMIT = Row(
        "LimitExceededException",
        "This request would exceed the shard limit for the account {account} in {region}. "
        "Current shard count for the account: {current}. Limit: {limit}. "
        "Number of additional shards that would have resulted from this request: {requested}. "
        "Refer to the AWS Service Limits page (http://docs.aws.amazon.com/general/latest/gr/aws_service_limits.html) "
        "for current limits and how to request higher limits.",
    )
    TRANSITION_LIMIT = Row(  # source: hashicorp/terraform-provider-aws#1339 quotes it
        "LimitExceededException",
        "This request would have exceed the limit on the number of streams that can simultaneously be in CREATING or DELETING"
        " for the account {account}. Limit: {limit}.",
    )
    CALL_RATE_STREAM = Row(  # source: boto/botocore#821 and hashicorp/terraform-provider-aws#3108 quote it
        "LimitExceededException", "Rate exceeded for stream {stream} under account {account}."
    )
    CALL_RATE_ACCOUNT = Row(  # source: Graylog2/graylog-plugin-integrations#341 quotes it
        "LimitExceededException", "Rate exceeded for account {account}."
    )
    ON_DEMAND_LIMIT = Row(  # UNVERIFIED: wording
        "LimitExceededException",
        "This request would exceed the on-demand stream limit for the account {account} in {region}. Limit: {limit}.",
    )
    SHARD_COUNT_ON_DEMAND = Row(  # UNVERIFIED: wording
        "ValidationException", "ShardCount can not be set for a stream in ON_DEMAND mode."
    )
    SHARD_COUNT_MISSING = Row(  # UNVERIFIED: wording
        "InvalidArgumentException", "ShardCount must be specified for a stream in PROVISIONED mode."
    )
    AUTO_NEEDS_ON_DEMAND = Row(  # source: UpdateStreamRecordDistributionStrategy says which code; UNVERIFIED: wording
        "InvalidArgumentException", "RecordDistributionStrategy AUTO is only supported for streams in ON_DEMAND mode."
    )
    PARTITION_KEY_MISSING = Row(  # UNVERIFIED: wording
        "InvalidArgumentException",
        "PartitionKey is required for streams with the USER_PARTITION_KEY record distribution strategy.",
    )
    WARM_THROUGHPUT_UNSUPPORTED = Row(  # source: UpdateStreamWarmThroughput needs MinimumThroughputBillingCommitment; UNVERIFIED: wording
        "ValidationException",
        "WarmThroughputMiBps needs a stream in ON_DEMAND mode and an account with MinimumThroughputBillingCommitment enabled.",
    )
    WARM_THROUGHPUT_TOO_HIGH = Row(  # UNVERIFIED: code and wording; UpdateStreamWarmThroughput names the limit
        "LimitExceededException",
        "Warm throughput of {target} MiB/s exceeds the limit of {limit} MiB/s of an on-demand stream.",
    )
    MODE_CHANGED_TOO_OFTEN = Row(  # UNVERIFIED: wording; the developer guide names the limit
        "LimitExceededException",
        "The capacity mode of stream {stream} under account {account} can be changed at most {limit} times in 24 hours.",
    )
    KEY_CHANGED_TOO_OFTEN = Row(  # UNVERIFIED: wording; StartStreamEncryption names the limit
        "LimitExceededException",
        "{operation} can be used at most {limit} times in 24 hours on stream {stream} under account {account}.",
    )
    ENCRYPTION_TYPE = Row(  # UNVERIFIED: code and wording; the model says "The only valid value is KMS"
        "InvalidArgumentException", "EncryptionType {type} is not valid here; it must be KMS."
    )
    KEY_ID_INVALID = Row(  # UNVERIFIED: code and wording
        "InvalidArgumentException",
        "KeyId {key_id} is not valid. It must be the id or the ARN of a key, or the name or the ARN of an alias.",
    )
    KEY_OTHER_REGION = Row(  # UNVERIFIED: through Kinesis; KMS itself words it so
        "KMSNotFoundException", "Invalid arn {region}"
    )
    RETENTION_TOO_SHORT = Row(
        "InvalidArgumentException",
        "Minimum allowed retention period is {minimum} hours. Requested retention period ({hours} hours) is too short.",
    )
    RETENTION_TOO_LONG = Row(
        "InvalidArgumentException",
        "Maximum allowed retention period is {maximum} hours. Requested retention period ({hours} hours) is too long.",
    )
    RETENTION_NOT_AN_INCREASE = Row(
        "InvalidArgumentException",
        "Requested retention period ({hours} hours) for stream {stream} can not be shorter than existing retention period"
        " ({existing} hours). Use DecreaseRetentionPeriod API.",
    )
    RETENTION_NOT_A_DECREASE = Row(
        "InvalidArgumentException",
        "Requested retention period ({hours} hours) for stream {stream} can not be longer than existing retention period"
        " ({existing} hours). Use IncreaseRetentionPeriod API.",
    )

    # Resharding
    RESHARD_ON_DEMAND = Row(  # source: the code is the developer guide's; UNVERIFIED: wording
        "ValidationException",
        "Stream {stream} under account {account} is in ON_DEMAND mode: its shards can not be split, merged or counted by request.",
    )
    SHARD_CLOSED = Row(
        "InvalidArgumentException",
        "Shard {shard} in stream {stream} under account {account} has already been merged or split,"
        " and thus is not eligible for merging or splitting.",
    )
    SPLIT_KEY_OUTSIDE = Row(
        "InvalidArgumentException",
        "NewStartingHashKey {key} used in SplitShard() on shard {shard} in stream {stream} under account {account}"
        " is not both greater than one plus the shard's StartingHashKey {start} and less than the shard's EndingHashKey {end}.",
    )
    SHARDS_NOT_ADJACENT = Row(
        "InvalidArgumentException",
        "Shards {first} and {second} in stream {stream} under account {account}"
        " are not an adjacent pair of shards eligible for merging",
    )
    TARGET_OVER_DOUBLE = Row(
        "LimitExceededException",
        "UpdateShardCount cannot scale up over double your current open shard count."
        " Current open shard count: {current} Target shard count: {target}",
    )
    TARGET_UNDER_HALF = Row(
        "LimitExceededException",
        "UpdateShardCount cannot scale down below half your current open shard count."
        " Current open shard count: {current} Target shard count: {target}",
    )
    TARGET_TOO_MANY = Row(
        "LimitExceededException",
        "Target shard count or number of open shards cannot be greater than {limit}."
        " Current open shard count: {current}, Target shard count: {target}",
    )
    RESCALED_TOO_OFTEN = Row(  # UNVERIFIED: wording
        "LimitExceededException",
        "UpdateShardCount can be used at most {limit} times in 24 hours on stream {stream}.",
    )

    # Shards and records
    SHARD_NOT_FOUND = Row(
        "ResourceNotFoundException", "Could not find shard {shard} in stream {stream} under account {account}."
    )
    SHARD_DOES_NOT_EXIST = Row(
        "ResourceNotFoundException", "Shard {shard} in stream {stream} under account {account} does not exist"
    )
    HASH_KEY_RANGE = Row(
        "InvalidArgumentException",
        "Invalid ExplicitHashKey. ExplicitHashKey must be in the range: [0, 2^128-1]. Specified value was {value}",
    )
    RECORD_TOO_LARGE = Row(  # UNVERIFIED: wording
        "InvalidArgumentException",
        "Record size of {size_bytes} bytes (data and partition key) exceeds the limit of {limit_bytes} bytes of stream {stream}.",
    )
    REQUEST_TOO_LARGE = Row(  # UNVERIFIED: wording
        "InvalidArgumentException", "Records size exceeds the limit of {limit_bytes} bytes for one PutRecords request."
    )
    ORDERING_NUMBER_INVALID = Row(
        "InvalidArgumentException",
        "ExclusiveMinimumSequenceNumber {number} used in PutRecord on stream {stream} under account {account} is invalid.",
    )
    THROUGHPUT_EXCEEDED = Row(
        "ProvisionedThroughputExceededException",
        "Rate exceeded for shard {shard} in stream {stream} under account {account}.",
    )
    INTERNAL_FAILURE = Row("InternalFailure", "Internal Service Failure", SERVER_STATUS)

    # Iterators
    SEQUENCE_NUMBER_NEEDED = Row(
        "InvalidArgumentException",
        "Must either specify (1) AT_SEQUENCE_NUMBER or AFTER_SEQUENCE_NUMBER and StartingSequenceNumber or "
        "(2) TRIM_HORIZON or LATEST and no StartingSequenceNumber. "
        "Request specified {type} and no StartingSequenceNumber.",
    )
    SEQUENCE_NUMBER_UNWANTED = Row(
        "InvalidArgumentException",
        "Must either specify (1) AT_SEQUENCE_NUMBER or AFTER_SEQUENCE_NUMBER and StartingSequenceNumber or "
        "(2) TRIM_HORIZON or LATEST and no StartingSequenceNumber. "
        "Request specified {type} and also a StartingSequenceNumber.",
    )
    TIMESTAMP_NEEDED = Row(  # UNVERIFIED: wording
        "InvalidArgumentException",
        "Must specify Timestamp with ShardIteratorType AT_TIMESTAMP, and with no other type.",
    )
    TIMESTAMP_IN_FUTURE = Row(  # UNVERIFIED: wording
        "InvalidArgumentException",
        "The timestamp can not be in the future. It was {given_ms}, while right now it is {now_ms}.",
    )
    SEQUENCE_NUMBER_OTHER_SHARD = Row(
        "InvalidArgumentException",
        "Invalid StartingSequenceNumber. It encodes {encoded}, while it was used in a call to a shard with {shard}",
    )
    SEQUENCE_NUMBER_OTHER_STREAM = Row(
        "InvalidArgumentException",
        "StartingSequenceNumber {number} used in {operation} on shard {shard} in stream {stream} under account {account}"
        " is invalid because it did not come from this stream.",
    )
    SEQUENCE_NUMBER_INVALID = Row(
        "InvalidArgumentException",
        "StartingSequenceNumber {number} used in {operation} on shard {shard} in stream {stream} under account {account}"
        " is invalid.",
    )
    ITERATOR_INVALID = Row("InvalidArgumentException", "Invalid ShardIterator.")
    ITERATOR_EXPIRED = Row(
        "ExpiredIteratorException",
        "Iterator expired. The iterator was created at time {created} while right now it is {now}"
        " which is further in the future than the tolerated delay of {tolerated_ms} milliseconds.",
    )
    ITERATOR_OTHER_STREAM = Row(  # UNVERIFIED: wording
        "InvalidArgumentException", "The ShardIterator was not issued for the stream {arn}."
    )

    # Listings
    NEXT_TOKEN_AND_NAME = Row("InvalidArgumentException", "NextToken and StreamName cannot be provided together.")
    NEXT_TOKEN_AND_OTHER = Row("InvalidArgumentException", "NextToken and {member} cannot be provided together.")
    NEXT_TOKEN_INVALID = Row("InvalidArgumentException", "Invalid NextToken.")  # UNVERIFIED: wording
    NEXT_TOKEN_EXPIRED = Row(
        "ExpiredNextTokenException", "The NextToken has expired. It is valid for {valid_s} seconds."
    )  # UNVERIFIED: wording
    SHARD_FILTER_MEMBER_NEEDED = Row(  # UNVERIFIED: wording
        "InvalidArgumentException", "ShardFilter of type {type} needs {member}."
    )
    SHARD_FILTER_MEMBER_UNWANTED = Row(  # UNVERIFIED: wording
        "InvalidArgumentException", "{member} can not be used with a ShardFilter of type {type}."
    )
    SHARD_FILTER_AND_START = Row(  # UNVERIFIED: wording
        "InvalidArgumentException", "ExclusiveStartShardId and ShardFilter cannot be provided together."
    )

    # Tags
    TAG_LIMIT = Row(  # UNVERIFIED: wording
        "LimitExceededException", "Failed to add tags to {resource}: a resource can have at most {limit} tags."
    )
    TAG_CHARACTERS = Row(
        "InvalidArgumentException",
        "Some tags contain invalid characters. Valid characters: Unicode letters, digits, white space, _ . / = + - % @ :",
    )
    TAG_RESERVED = Row(  # UNVERIFIED: wording
        "InvalidArgumentException",
        "Tag keys can not begin with aws: (in any case); that prefix is reserved for AWS use.",
    )
    TAG_RATE_INVALID = Row(  # ours: AWS knows no such tags
        "InvalidArgumentException", "The value of tag {key} must be a whole number from 1 to 9999999999999."
    )

    # Resource policies
    POLICY_TOO_LARGE = Row(  # UNVERIFIED: code and wording
        "InvalidArgumentException", "The policy is larger than {limit_bytes} bytes."
    )
    POLICY_MALFORMED = Row(  # UNVERIFIED: code and wording
        "InvalidArgumentException", "The policy is not valid: {problem}"
    )
    POLICY_NOT_FOUND = Row(  # UNVERIFIED: the text is that of another emulator's tests
        "ResourceNotFoundException", "No resource policy found for resource ARN {arn}."
    )
    CONSUMER_NOT_ACTIVE = Row(  # source: aws-cloudformation/cloudformation-coverage-roadmap#2442 quotes it
        "ResourceInUseException",
        "Consumer {consumer} with creation timestamp {created_s} under stream {stream} and account {account}"
        " is not in ACTIVE status.",
    )
    CONSUMER_EXISTS = Row(  # UNVERIFIED: wording
        "ResourceInUseException", "Consumer {consumer} under stream {stream} and account {account} already exists."
    )
    CONSUMER_LIMIT = Row(  # UNVERIFIED: wording
        "LimitExceededException",
        "Stream {stream} under account {account} has reached the limit of {limit} registered consumers.",
    )
    CONSUMERS_CREATING_LIMIT = Row(  # UNVERIFIED: wording
        "LimitExceededException",
        "Stream {stream} under account {account} has reached the limit of {limit} consumers in CREATING at once.",
    )
    CONSUMER_NOT_NAMED = Row(  # UNVERIFIED: wording
        "InvalidArgumentException", "Missing consumer: specify the ConsumerARN, or the StreamARN and the ConsumerName."
    )
    CONSUMER_NAMED_TWICE = Row(  # UNVERIFIED: wording
        "InvalidArgumentException", "ConsumerARN {arn} does not agree with the StreamARN or the ConsumerName."
    )
    CONSUMERS_REGISTERED = Row(  # UNVERIFIED: wording
        "ResourceInUseException",
        "Stream {stream} under account {account} has registered consumers. Deregister them, or set EnforceConsumerDeletion.",
    )
    SUBSCRIPTION_EXISTS = Row(  # source: daangn/kinesumer#19 quotes it up to the colon; UNVERIFIED: the rest
        "ResourceInUseException", "Another active subscription exists for this consumer: {arn}"
    )
    SUBSCRIBE_RATE = Row(  # UNVERIFIED: wording
        "LimitExceededException",
        "Rate exceeded for consumer {consumer} and shard {shard} in stream {stream} under account {account}.",
    )
    CONSUMER_NOT_FOUND = Row("ResourceNotFoundException", "Consumer {arn} not found.")  # UNVERIFIED: wording
