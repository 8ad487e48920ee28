"""Every number of AWS that Penstock honours, named, with its unit last, its scope and its source.

Rules of this file:
  1. A limit appears here once; services import it, nobody repeats the figure.
  2. Limits that depend on each other are asserted against each other at the end.
Sources: [q] developer guide, "Quotas and limits"; [m] the API model in botocore; [a] the API reference's text.
"""

from typing import Final

KIB: Final = 1024
MIB: Final = 1024 * KIB
SECOND_MS: Final = 1000
MINUTE_MS: Final = 60 * SECOND_MS
HOUR_MS: Final = 60 * MINUTE_MS

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
TAGS_MAX: Final = 50  # per resource [a]

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

# HTTP.  Ours: the largest legal request is a PutRecords of 10 MiB; base64 makes it 4/3, 500 keys of 256 characters may be
# escaped to 12 bytes each, the rest is punctuation.  The same bound holds for what a gzip body may expand to.
REQUEST_BODY_MAX_BYTES: Final = 20 * MIB

assert RECORD_MAX_MAX_KIB * KIB <= PUT_RECORDS_MAX_BYTES
assert (
    PUT_RECORDS_MAX_BYTES * 4 // 3 + PUT_RECORDS_MAX_COUNT * (12 * PARTITION_KEY_MAX_CHARS + 256)
    < REQUEST_BODY_MAX_BYTES
)
assert RECORD_MIN_MAX_KIB <= RECORD_DEFAULT_MAX_KIB <= RECORD_MAX_MAX_KIB
assert LIST_SHARDS_PAGE <= LIST_SHARDS_MAX
assert ON_DEMAND_SHARDS <= SHARDS_MAX
