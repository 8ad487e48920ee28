"""Every number of AWS that Penstock honours, named, with its unit last, its scope and its source.

Rules of this file:
  1. A limit appears here once; services import it, nobody repeats the figure.
  2. Limits that depend on each other are asserted against each other at the end.
Sources: [q] developer guide, "Quotas and limits"; [m] the API model in botocore; [a] the API reference's text.
"""

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

KIB: Final = 1024
MIB: Final = 1024 * KIB
SECOND_MS: Final = 1000
MINUTE_MS: Final = 60 * SECOND_MS
HOUR_MS: Final = 60 * MINUTE_MS
DAY_MS: Final = 24 * HOUR_MS

# Records
PARTITION_KEY_MAX_CHARS: Final = 256  # per record [m]
RECORD_DEFAULT_MAX_KIB: Final = 1024  # per stream, data + partition key [q]
RECORD_MIN_MAX_KIB: Final = 1024  # lowest MaxRecordSizeInKiB [m]
RECORD_MAX_MAX_KIB: Final = 10240  # highest MaxRecordSizeInKiB [m]
PUT_RECORDS_MAX_COUNT: Final = 500  # per request [m]
PUT_RECORDS_MAX_BYTES: Final = 10 * MIB  # per request, data + partition keys [a]
GET_RECORDS_MAX_COUNT: Final = 10_000  # per call [m]
GET_RECORDS_MAX_BYTES: Final = 10 * MIB  # per call [a]

# Throughput of one shard [q]
SHARD_WRITE_BYTES_PER_S: Final = MIB
SHARD_WRITE_RECORDS_PER_S: Final = 1000
SHARD_READ_BYTES_PER_S: Final = 2 * MIB
SHARD_READ_CALLS_PER_S: Final = 5
SHARD_ITERATOR_CALLS_PER_S: Final = 5

# Streams
RETENTION_MIN_HOURS: Final = 24  # [a]
RETENTION_MAX_HOURS: Final = 8760  # [a]
ON_DEMAND_SHARDS: Final = 4  # a new on-demand stream [q]
ON_DEMAND_STREAMS_MAX: Final = 50  # per account and region, default [q]
SHARDS_MAX: Final = 20_000  # open shards per account and region, default of the large regions [q]
UPDATE_SHARD_COUNT_MAX: Final = 10_000  # highest target of UpdateShardCount [a]
UPDATE_SHARD_COUNT_PER_DAY: Final = 10  # per stream and 24 hours [a]
TAGS_MAX: Final = 50  # per resource [a]
IN_TRANSITION_MAX: Final = 5  # streams in CREATING or DELETING, per account and region [a]
MODE_CHANGES_PER_DAY: Final = 2  # UpdateStreamMode, per stream and 24 hours [q]
KEY_CHANGES_PER_DAY: Final = 25  # StartStreamEncryption, and again StopStreamEncryption, per stream and 24 hours [a]
WARM_THROUGHPUT_MAX_MIBPS: Final = 10 * 1024  # of an on-demand stream [a]
COMMITMENT_MIN_MS: Final = DAY_MS  # MinimumThroughputBillingCommitment can not end earlier [a]
POLICY_MAX_BYTES: Final = 20 * KIB  # a resource policy, UTF-8 [q]


class CallRate(NamedTuple):
    """How often an operation may be called, per account and region."""

    per_second: int
    scope: Literal["account", "stream"] = "account"  # stream: for each stream by itself


# Control-plane calls under `--limits aws`, by operation [a].  An operation that is not here has no rate of its own.
CONTROL_CALLS: Final[Mapping[str, CallRate]] = {
    "CreateStream": CallRate(5),
    "DeleteStream": CallRate(5),
    "ListStreams": CallRate(5),
    "DescribeStream": CallRate(10),
    "DescribeStreamSummary": CallRate(20),
    "DescribeLimits": CallRate(1),
    "ListShards": CallRate(1000, "stream"),
    "SplitShard": CallRate(5),
    "MergeShards": CallRate(5),
    "UpdateShardCount": CallRate(10),
    "AddTagsToStream": CallRate(5),
    "RemoveTagsFromStream": CallRate(5),
    "ListTagsForStream": CallRate(5),
    "RegisterStreamConsumer": CallRate(5),
    "DeregisterStreamConsumer": CallRate(5, "stream"),
    "DescribeStreamConsumer": CallRate(20, "stream"),
    "ListStreamConsumers": CallRate(5, "stream"),
    "IncreaseStreamRetentionPeriod": CallRate(5, "stream"),  # [q]
    "DecreaseStreamRetentionPeriod": CallRate(5, "stream"),  # [q]
    "EnableEnhancedMonitoring": CallRate(5, "stream"),  # [q]
    "DisableEnhancedMonitoring": CallRate(5, "stream"),  # [q]
    "UpdateStreamWarmThroughput": CallRate(5),
    "DescribeAccountSettings": CallRate(5),
    "UpdateAccountSettings": CallRate(5),
    # UNVERIFIED: the rates of these are in no document that we know; 5 is what most of their kind have
    "TagResource": CallRate(5),
    "UntagResource": CallRate(5),
    "ListTagsForResource": CallRate(5),
    "PutResourcePolicy": CallRate(5),
    "GetResourcePolicy": CallRate(5),
    "DeleteResourcePolicy": CallRate(5),
    "StartStreamEncryption": CallRate(5),
    "StopStreamEncryption": CallRate(5),
    "UpdateStreamMode": CallRate(5),
    "UpdateMaxRecordSize": CallRate(5),
    "UpdateStreamRecordDistributionStrategy": CallRate(5),
}

# Fan-out
CONSUMERS_MAX: Final = 20  # per stream [a]
CONSUMERS_ADVANTAGE_MAX: Final = 50  # per on-demand stream of an account with MinimumThroughputBillingCommitment [a]
CONSUMERS_CREATING_MAX: Final = 5  # in CREATING at once, per stream [a]
SUBSCRIPTION_MS: Final = 5 * MINUTE_MS  # [a]
TAKEOVER_MS: Final = 5 * SECOND_MS  # from a subscription until another of the same consumer and shard may take over [a]
SUBSCRIPTION_BYTES_PER_S: Final = 2 * MIB  # per consumer and shard [a]
SUBSCRIBE_CALLS_PER_S: Final = 1  # per consumer and shard [a]
HEARTBEAT_MS: Final = 5 * SECOND_MS  # UNVERIFIED: recalled by users, in no document
EVENT_MAX_COUNT: Final = 10_000  # ours: records in one event
EVENT_MAX_BYTES: Final = MIB  # ours: data and partition keys in one event, or a single larger record

# Tokens
ITERATOR_VALID_MS: Final = 5 * MINUTE_MS  # [a]
NEXT_TOKEN_VALID_MS: Final = 300 * SECOND_MS  # ListShards [a]
ITERATOR_MAX_CHARS: Final = 512  # [m]

# Listings: items a page when the caller does not say, and at most [a]
LIST_STREAMS_PAGE: Final = 100
DESCRIBE_STREAM_PAGE: Final = 100
LIST_SHARDS_PAGE: Final = 1000
LIST_SHARDS_MAX: Final = 10_000
LIST_TAGS_PAGE: Final = 50
LIST_CONSUMERS_PAGE: Final = 100  # also at most

# HTTP.  Ours: the largest legal request is a PutRecords of 10 MiB; base64 makes it 4/3, 500 keys of 256 characters may be
# escaped to 12 bytes each, the rest is punctuation.  The same bound holds for what a gzip body may expand to.
REQUEST_BODY_MAX_BYTES: Final = 20 * MIB
BODIES_MAX_BYTES: Final = 256 * MIB  # of requests whose bodies are over 64 KiB, together
HEAD_MAX_BYTES: Final = 64 * KIB  # of a request
HEADERS_MAX: Final = 100  # of a request
CONNECTIONS_MAX: Final = 4096
HTTP2_STREAMS_MAX: Final = 128  # of one connection, at once
DOCUMENT_DEPTH_MAX: Final = (
    80  # JSON and CBOR; an attribute value of DynamoDB that nests 32 deep, in a transaction, has 70
)

assert RECORD_MAX_MAX_KIB * KIB <= PUT_RECORDS_MAX_BYTES
assert (
    PUT_RECORDS_MAX_BYTES * 4 // 3 + PUT_RECORDS_MAX_COUNT * (12 * PARTITION_KEY_MAX_CHARS + 256)
    < REQUEST_BODY_MAX_BYTES
)
assert RECORD_MIN_MAX_KIB <= RECORD_DEFAULT_MAX_KIB <= RECORD_MAX_MAX_KIB
assert LIST_SHARDS_PAGE <= LIST_SHARDS_MAX
assert ON_DEMAND_SHARDS <= SHARDS_MAX
assert CONSUMERS_CREATING_MAX <= CONSUMERS_MAX <= CONSUMERS_ADVANTAGE_MAX
assert HEARTBEAT_MS < SUBSCRIPTION_MS
assert TAKEOVER_MS < SUBSCRIPTION_MS

# Metrics (sources: [a] of CloudWatch; CloudWatch user guide, "CloudWatch service quotas")
METRIC_DATA_MAX_COUNT: Final = 1000  # of one PutMetricData, those of entities among them [a]
METRIC_DATA_MAX_BYTES: Final = MIB  # UNVERIFIED: of its body as it is read, after gzip; the reference says "1 MB"
METRIC_VALUES_MAX: Final = 150  # of one datum [a]
METRIC_VALUE_MAX: Final = 2.0**360  # and no value but 0 is smaller than its inverse [a]
METRIC_PAST_MS: Final = 14 * DAY_MS  # how old data may be [a]
METRIC_FUTURE_MS: Final = 2 * HOUR_MS  # [a]
METRIC_ENTITIES_MAX: Final = 2  # of one PutMetricData [a]
METRIC_RETENTION_MS: Final = 15 * DAY_MS  # of one-minute aggregates [a]
METRIC_LISTED_MS: Final = 14 * DAY_MS  # a metric without data for so long is not listed [a]
METRIC_ACTIVE_MS: Final = 3 * HOUR_MS  # RecentlyActive PT3H [a]
LIST_METRICS_PAGE: Final = 500  # [a]
METRIC_QUERIES_MAX: Final = 500  # of one GetMetricData [a]
METRIC_POINTS_MAX: Final = 100_800  # a page of GetMetricData [a]
STATISTICS_POINTS_MAX: Final = 1440  # of one GetMetricStatistics [a]
MATH_POINTS_MAX: Final = 100_800  # ours: that the expressions of one GetMetricData may read, and that FILL may make
METRIC_SERIES_MAX: Final = 20_000  # ours: metrics that are kept, a unit each, of all accounts
METRIC_PENDING_MAX: Final = 100_000  # ours: values taken since they were last stored

# IAM and STS (source: IAM user guide, IAM and STS quotas; policies are counted without white space)
ACCESS_KEYS_MAX: Final = 2  # of a user, or of an account's root
USERS_MAX: Final = 5000  # of an account
ROLES_MAX: Final = 1000
MANAGED_POLICIES_MAX: Final = 1500
PROFILES_MAX: Final = 1000
MANAGED_POLICY_CHARS: Final = 6144
POLICY_VERSIONS_MAX: Final = 5
USER_INLINE_CHARS: Final = 2048  # all inline policies of a user together
ROLE_INLINE_CHARS: Final = 10_240
TRUST_POLICY_CHARS: Final = 2048
ATTACHED_MAX: Final = 10  # managed policies of a user or role
SESSION_POLICY_CHARS: Final = 2048
SESSION_POLICY_ARNS_MAX: Final = 10
CHAINED_SESSION_S: Final = 3600  # of a role that another role's session assumed
IDENTITY_TAGS_MAX: Final = 50

# Firehose (source: [m] of Firehose, [a] of Firehose, developer guide, "Quota")
DELIVERY_RECORD_MAX_BYTES: Final = 1_024_000  # one record, before base64 [m]
PUT_BATCH_MAX_COUNT: Final = 500  # [m]
PUT_BATCH_MAX_BYTES: Final = 4 * MIB  # [a]
DELIVERY_STREAMS_MAX: Final = 5000  # of an account and region [a]
LIST_DELIVERY_STREAMS_PAGE: Final = 10  # [a]
DELIVERY_RETENTION_HOURS: Final = 24  # of direct puts [a]
ENCRYPTION_CHANGES_PER_DAY: Final = 25  # StartDeliveryStreamEncryption and StopDeliveryStreamEncryption together [a]
ACTIVE_PARTITIONS_MAX: Final = 500  # of dynamic partitioning
EVALUATED_PREFIX_MAX_CHARS: Final = 512
DIRECT_BYTES_PER_S: Final = MIB  # of a delivery stream, in most regions; under `--limits aws`
DIRECT_RECORDS_PER_S: Final = 100_000
DIRECT_CALLS_PER_S: Final = 1000
