# A subscriber reads a shard while it is split: the last event names the children, and the stream ends.

> create_stream StreamName=orders ShardCount=1
> c = register_stream_consumer StreamARN=arn:aws:kinesis:us-east-1:123456789012:stream/orders ConsumerName=billing
  Consumer:
    ConsumerName: billing
    ConsumerARN: arn:aws:kinesis:us-east-1:123456789012:stream/orders/consumer/billing:<created>
    ConsumerStatus: CREATING
    ConsumerCreationTimestamp: T+0s
> s = subscribe ConsumerARN=$c.Consumer.ConsumerARN ShardId=shardId-000000000000 StartingPosition='{"Type":"LATEST"}'
> put_record StreamName=orders PartitionKey=a Data=one
  ShardId: shardId-000000000000
  SequenceNumber: <shard 0 #1>
> event s
  SubscribeToShardEvent:
    Records:
      - SequenceNumber: <shard 0 #1>
        ApproximateArrivalTimestamp: T+0s
        Data: 'one'
        PartitionKey: a
    ContinuationSequenceNumber: <shard 0 #1>
    MillisBehindLatest: 0
> split_shard StreamName=orders ShardToSplit=shardId-000000000000 NewStartingHashKey=170141183460469231731687303715884105728
> event s
  SubscribeToShardEvent:
    Records: []
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
> end s
  the stream ends
> s = subscribe ConsumerARN=$c.Consumer.ConsumerARN ShardId=shardId-000000000001 StartingPosition='{"Type":"TRIM_HORIZON"}'
> put_record StreamName=orders PartitionKey=a Data=two
  ShardId: shardId-000000000001
  SequenceNumber: <shard 1 #1>
> event s
  SubscribeToShardEvent:
    Records:
      - SequenceNumber: <shard 1 #1>
        ApproximateArrivalTimestamp: T+0s
        Data: 'two'
        PartitionKey: a
    ContinuationSequenceNumber: <shard 1 #1>
    MillisBehindLatest: 0

# A consumer that is deregistered gets nothing more.

> deregister_stream_consumer ConsumerARN=$c.Consumer.ConsumerARN
> event s
  ! ResourceNotFoundException: Consumer arn:aws:kinesis:us-east-1:123456789012:stream/orders/consumer/billing:<created> not found.
> describe_stream_consumer ConsumerARN=$c.Consumer.ConsumerARN
  ! ResourceNotFoundException: Consumer arn:aws:kinesis:us-east-1:123456789012:stream/orders/consumer/billing:<created> not found.
