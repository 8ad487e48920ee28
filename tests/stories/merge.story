# Two neighbours become one shard again; those that are no neighbours do not.

> create_stream StreamName=orders ShardCount=3
> put_record StreamName=orders PartitionKey=x ExplicitHashKey=0 Data=low
  ShardId: shardId-000000000000
  SequenceNumber: <shard 0 #1>
> put_record StreamName=orders PartitionKey=y ExplicitHashKey=113427455640312821154458202477256070485 Data=middle
  ShardId: shardId-000000000001
  SequenceNumber: <shard 1 #1>
> merge_shards StreamName=orders ShardToMerge=shardId-000000000000 AdjacentShardToMerge=shardId-000000000002
  ! InvalidArgumentException: Shards shardId-000000000000 and shardId-000000000002 in stream orders under account 123456789012 are not an adjacent pair of shards eligible for merging
> merge_shards StreamName=orders ShardToMerge=shardId-000000000000 AdjacentShardToMerge=shardId-000000000001
> put_record StreamName=orders PartitionKey=x ExplicitHashKey=0 Data=later
  ShardId: shardId-000000000003
  SequenceNumber: <shard 3 #1>
> list_shards StreamName=orders ShardFilter='{"Type":"AT_LATEST"}'
  Shards:
    - ShardId: shardId-000000000002
      HashKeyRange:
        StartingHashKey: 0.6667 of the hash keys
        EndingHashKey: 1.0000 of the hash keys
      SequenceNumberRange:
        StartingSequenceNumber: <shard 2 start>
    - ShardId: shardId-000000000003
      ParentShardId: shardId-000000000000
      AdjacentParentShardId: shardId-000000000001
      HashKeyRange:
        StartingHashKey: 0
        EndingHashKey: 0.6667 of the hash keys
      SequenceNumberRange:
        StartingSequenceNumber: <shard 3 start>

# Both parents send their readers to the one child.

> i = get_shard_iterator StreamName=orders ShardId=shardId-000000000000 ShardIteratorType=TRIM_HORIZON
  ShardIterator: <iterator>
> get_records ShardIterator=$i.ShardIterator
  Records:
    - SequenceNumber: <shard 0 #1>
      ApproximateArrivalTimestamp: T+0s
      Data: 'low'
      PartitionKey: x
  MillisBehindLatest: 0
  ChildShards:
    - ShardId: shardId-000000000003
      ParentShards:
        - shardId-000000000000
        - shardId-000000000001
      HashKeyRange:
        StartingHashKey: 0
        EndingHashKey: 0.6667 of the hash keys
> i = get_shard_iterator StreamName=orders ShardId=shardId-000000000001 ShardIteratorType=TRIM_HORIZON
  ShardIterator: <iterator>
> get_records ShardIterator=$i.ShardIterator
  Records:
    - SequenceNumber: <shard 1 #1>
      ApproximateArrivalTimestamp: T+0s
      Data: 'middle'
      PartitionKey: y
  MillisBehindLatest: 0
  ChildShards:
    - ShardId: shardId-000000000003
      ParentShards:
        - shardId-000000000000
        - shardId-000000000001
      HashKeyRange:
        StartingHashKey: 0
        EndingHashKey: 0.6667 of the hash keys
