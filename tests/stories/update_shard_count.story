# Four shards become five: each is split where a boundary is to be, and then neighbours are merged.

> create_stream StreamName=orders ShardCount=4
> update_shard_count StreamName=orders TargetShardCount=5 ScalingType=UNIFORM_SCALING
  StreamName: orders
  CurrentShardCount: 4
  TargetShardCount: 5
  StreamARN: arn:aws:kinesis:us-east-1:123456789012:stream/orders
> list_shards StreamName=orders
  Shards:
    - ShardId: shardId-000000000000
      HashKeyRange:
        StartingHashKey: 0
        EndingHashKey: 0.2500 of the hash keys
      SequenceNumberRange:
        StartingSequenceNumber: <shard 0 start>
        EndingSequenceNumber: <shard 0 end>
    - ShardId: shardId-000000000001
      HashKeyRange:
        StartingHashKey: 0.2500 of the hash keys
        EndingHashKey: 0.5000 of the hash keys
      SequenceNumberRange:
        StartingSequenceNumber: <shard 1 start>
        EndingSequenceNumber: <shard 1 end>
    - ShardId: shardId-000000000002
      HashKeyRange:
        StartingHashKey: 0.5000 of the hash keys
        EndingHashKey: 0.7500 of the hash keys
      SequenceNumberRange:
        StartingSequenceNumber: <shard 2 start>
        EndingSequenceNumber: <shard 2 end>
    - ShardId: shardId-000000000003
      HashKeyRange:
        StartingHashKey: 0.7500 of the hash keys
        EndingHashKey: 1.0000 of the hash keys
      SequenceNumberRange:
        StartingSequenceNumber: <shard 3 start>
        EndingSequenceNumber: <shard 3 end>
    - ShardId: shardId-000000000004
      ParentShardId: shardId-000000000000
      HashKeyRange:
        StartingHashKey: 0
        EndingHashKey: 0.2000 of the hash keys
      SequenceNumberRange:
        StartingSequenceNumber: <shard 4 start>
    - ShardId: shardId-000000000005
      ParentShardId: shardId-000000000000
      HashKeyRange:
        StartingHashKey: 0.2000 of the hash keys
        EndingHashKey: 0.2500 of the hash keys
      SequenceNumberRange:
        StartingSequenceNumber: <shard 5 start>
        EndingSequenceNumber: <shard 5 end>
    - ShardId: shardId-000000000006
      ParentShardId: shardId-000000000001
      HashKeyRange:
        StartingHashKey: 0.2500 of the hash keys
        EndingHashKey: 0.4000 of the hash keys
      SequenceNumberRange:
        StartingSequenceNumber: <shard 6 start>
        EndingSequenceNumber: <shard 6 end>
    - ShardId: shardId-000000000007
      ParentShardId: shardId-000000000001
      HashKeyRange:
        StartingHashKey: 0.4000 of the hash keys
        EndingHashKey: 0.5000 of the hash keys
      SequenceNumberRange:
        StartingSequenceNumber: <shard 7 start>
        EndingSequenceNumber: <shard 7 end>
    - ShardId: shardId-000000000008
      ParentShardId: shardId-000000000002
      HashKeyRange:
        StartingHashKey: 0.5000 of the hash keys
        EndingHashKey: 0.6000 of the hash keys
      SequenceNumberRange:
        StartingSequenceNumber: <shard 8 start>
        EndingSequenceNumber: <shard 8 end>
    - ShardId: shardId-000000000009
      ParentShardId: shardId-000000000002
      HashKeyRange:
        StartingHashKey: 0.6000 of the hash keys
        EndingHashKey: 0.7500 of the hash keys
      SequenceNumberRange:
        StartingSequenceNumber: <shard 9 start>
        EndingSequenceNumber: <shard 9 end>
    - ShardId: shardId-000000000010
      ParentShardId: shardId-000000000003
      HashKeyRange:
        StartingHashKey: 0.7500 of the hash keys
        EndingHashKey: 0.8000 of the hash keys
      SequenceNumberRange:
        StartingSequenceNumber: <shard 10 start>
        EndingSequenceNumber: <shard 10 end>
    - ShardId: shardId-000000000011
      ParentShardId: shardId-000000000003
      HashKeyRange:
        StartingHashKey: 0.8000 of the hash keys
        EndingHashKey: 1.0000 of the hash keys
      SequenceNumberRange:
        StartingSequenceNumber: <shard 11 start>
    - ShardId: shardId-000000000012
      ParentShardId: shardId-000000000005
      AdjacentParentShardId: shardId-000000000006
      HashKeyRange:
        StartingHashKey: 0.2000 of the hash keys
        EndingHashKey: 0.4000 of the hash keys
      SequenceNumberRange:
        StartingSequenceNumber: <shard 12 start>
    - ShardId: shardId-000000000013
      ParentShardId: shardId-000000000007
      AdjacentParentShardId: shardId-000000000008
      HashKeyRange:
        StartingHashKey: 0.4000 of the hash keys
        EndingHashKey: 0.6000 of the hash keys
      SequenceNumberRange:
        StartingSequenceNumber: <shard 13 start>
    - ShardId: shardId-000000000014
      ParentShardId: shardId-000000000009
      AdjacentParentShardId: shardId-000000000010
      HashKeyRange:
        StartingHashKey: 0.6000 of the hash keys
        EndingHashKey: 0.8000 of the hash keys
      SequenceNumberRange:
        StartingSequenceNumber: <shard 14 start>

# Not more than double, and not less than half.

> update_shard_count StreamName=orders TargetShardCount=11 ScalingType=UNIFORM_SCALING
  ! LimitExceededException: UpdateShardCount cannot scale up over double your current open shard count. Current open shard count: 5 Target shard count: 11
> update_shard_count StreamName=orders TargetShardCount=2 ScalingType=UNIFORM_SCALING
  ! LimitExceededException: UpdateShardCount cannot scale down below half your current open shard count. Current open shard count: 5 Target shard count: 2
> update_shard_count StreamName=orders TargetShardCount=3 ScalingType=UNIFORM_SCALING
  StreamName: orders
  CurrentShardCount: 5
  TargetShardCount: 3
  StreamARN: arn:aws:kinesis:us-east-1:123456789012:stream/orders
> list_shards StreamName=orders ShardFilter='{"Type":"AT_LATEST"}'
  Shards:
    - ShardId: shardId-000000000019
      ParentShardId: shardId-000000000004
      AdjacentParentShardId: shardId-000000000015
      HashKeyRange:
        StartingHashKey: 0
        EndingHashKey: 0.3333 of the hash keys
      SequenceNumberRange:
        StartingSequenceNumber: <shard 19 start>
    - ShardId: shardId-000000000021
      ParentShardId: shardId-000000000018
      AdjacentParentShardId: shardId-000000000011
      HashKeyRange:
        StartingHashKey: 0.6667 of the hash keys
        EndingHashKey: 1.0000 of the hash keys
      SequenceNumberRange:
        StartingSequenceNumber: <shard 21 start>
    - ShardId: shardId-000000000022
      ParentShardId: shardId-000000000020
      AdjacentParentShardId: shardId-000000000017
      HashKeyRange:
        StartingHashKey: 0.3333 of the hash keys
        EndingHashKey: 0.6667 of the hash keys
      SequenceNumberRange:
        StartingSequenceNumber: <shard 22 start>
