# A shard is split while a reader is in the middle of it.
# The reader is told its end, and where to go on, only when it has read everything.

> create_stream StreamName=orders ShardCount=1
> put_record StreamName=orders PartitionKey=a Data=one
  ShardId: shardId-000000000000
  SequenceNumber: <shard 0 #1>
> put_record StreamName=orders PartitionKey=b Data=two
  ShardId: shardId-000000000000
  SequenceNumber: <shard 0 #2>
> i = get_shard_iterator StreamName=orders ShardId=shardId-000000000000 ShardIteratorType=TRIM_HORIZON
  ShardIterator: <iterator>
> advance seconds=10
> split_shard StreamName=orders ShardToSplit=shardId-000000000000 NewStartingHashKey=170141183460469231731687303715884105728
> describe_stream StreamName=orders
  StreamDescription:
    StreamName: orders
    StreamARN: arn:aws:kinesis:us-east-1:123456789012:stream/orders
    StreamStatus: ACTIVE
    StreamModeDetails:
      StreamMode: PROVISIONED
    Shards:
      - ShardId: shardId-000000000000
        HashKeyRange:
          StartingHashKey: 0
          EndingHashKey: 1.0000 of the hash keys
        SequenceNumberRange:
          StartingSequenceNumber: <shard 0 start>
          EndingSequenceNumber: <shard 0 end>
      - ShardId: shardId-000000000001
        ParentShardId: shardId-000000000000
        HashKeyRange:
          StartingHashKey: 0
          EndingHashKey: 0.5000 of the hash keys
        SequenceNumberRange:
          StartingSequenceNumber: <shard 1 start>
      - ShardId: shardId-000000000002
        ParentShardId: shardId-000000000000
        HashKeyRange:
          StartingHashKey: 0.5000 of the hash keys
          EndingHashKey: 1.0000 of the hash keys
        SequenceNumberRange:
          StartingSequenceNumber: <shard 2 start>
    HasMoreShards: False
    RetentionPeriodHours: 24
    StreamCreationTimestamp: T+0s
    EnhancedMonitoring:
      - ShardLevelMetrics: []
    EncryptionType: NONE

# New records go to the children, by their keys.

> put_record StreamName=orders PartitionKey=a Data=three
  ShardId: shardId-000000000001
  SequenceNumber: <shard 1 #1>
> put_record StreamName=orders PartitionKey=b Data=four
  ShardId: shardId-000000000002
  SequenceNumber: <shard 2 #1>

# The parent is read to its end.

> p = get_records ShardIterator=$i.ShardIterator Limit=1
  Records:
    - SequenceNumber: <shard 0 #1>
      ApproximateArrivalTimestamp: T+0s
      Data: 'one'
      PartitionKey: a
  NextShardIterator: <iterator>
  MillisBehindLatest: about 10s
> get_records ShardIterator=$p.NextShardIterator
  Records:
    - SequenceNumber: <shard 0 #2>
      ApproximateArrivalTimestamp: T+0s
      Data: 'two'
      PartitionKey: b
  MillisBehindLatest: 0
  ChildShards:
    - ShardId: shardId-000000000001
      ParentShards:
        - shardId-000000000000
      HashKeyRange:
        StartingHashKey: 0
        EndingHashKey: 0.5000 of the hash keys
    - ShardId: shardId-000000000002
      ParentShards:
        - shardId-000000000000
      HashKeyRange:
        StartingHashKey: 0.5000 of the hash keys
        EndingHashKey: 1.0000 of the hash keys
> i = get_shard_iterator StreamName=orders ShardId=shardId-000000000001 ShardIteratorType=TRIM_HORIZON
  ShardIterator: <iterator>
> get_records ShardIterator=$i.ShardIterator
  Records:
    - SequenceNumber: <shard 1 #1>
      ApproximateArrivalTimestamp: T+10s
      Data: 'three'
      PartitionKey: a
  NextShardIterator: <iterator>
  MillisBehindLatest: 0

# What is closed can not be split or merged again.

> split_shard StreamName=orders ShardToSplit=shardId-000000000000 NewStartingHashKey=100
  ! InvalidArgumentException: Shard shardId-000000000000 in stream orders under account 123456789012 has already been merged or split, and thus is not eligible for merging or splitting.
> split_shard StreamName=orders ShardToSplit=shardId-000000000001 NewStartingHashKey=170141183460469231731687303715884105727
  ! InvalidArgumentException: NewStartingHashKey 170141183460469231731687303715884105727 used in SplitShard() on shard shardId-000000000001 in stream orders under account 123456789012 is not both greater than one plus the shard's StartingHashKey 0 and less than the shard's EndingHashKey 170141183460469231731687303715884105727.

# A day later the parent's records have expired, and it is gone.

> advance hours=25
> list_shards StreamName=orders
  Shards:
    - ShardId: shardId-000000000001
      ParentShardId: shardId-000000000000
      HashKeyRange:
        StartingHashKey: 0
        EndingHashKey: 0.5000 of the hash keys
      SequenceNumberRange:
        StartingSequenceNumber: <shard 1 start>
    - ShardId: shardId-000000000002
      ParentShardId: shardId-000000000000
      HashKeyRange:
        StartingHashKey: 0.5000 of the hash keys
        EndingHashKey: 1.0000 of the hash keys
      SequenceNumberRange:
        StartingSequenceNumber: <shard 2 start>
