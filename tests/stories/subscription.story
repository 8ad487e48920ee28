# A consumer is registered, subscribes, is pushed what it missed and what comes, and goes on where it stopped.

> create_stream StreamName=orders ShardCount=1
> c = register_stream_consumer StreamARN=arn:aws:kinesis:us-east-1:123456789012:stream/orders ConsumerName=billing
  Consumer:
    ConsumerName: billing
    ConsumerARN: arn:aws:kinesis:us-east-1:123456789012:stream/orders/consumer/billing:<created>
    ConsumerStatus: CREATING
    ConsumerCreationTimestamp: T+0s
> register_stream_consumer StreamARN=arn:aws:kinesis:us-east-1:123456789012:stream/orders ConsumerName=billing
  ! ResourceInUseException: Consumer billing under stream orders and account 123456789012 already exists.
> list_stream_consumers StreamARN=arn:aws:kinesis:us-east-1:123456789012:stream/orders
  Consumers:
    - ConsumerName: billing
      ConsumerARN: arn:aws:kinesis:us-east-1:123456789012:stream/orders/consumer/billing:<created>
      ConsumerStatus: ACTIVE
      ConsumerCreationTimestamp: T+0s
> put_record StreamName=orders PartitionKey=a Data=one
  ShardId: shardId-000000000000
  SequenceNumber: <shard 0 #1>
> s = subscribe ConsumerARN=$c.Consumer.ConsumerARN ShardId=shardId-000000000000 StartingPosition='{"Type":"TRIM_HORIZON"}'
> event s
  SubscribeToShardEvent:
    Records:
      - SequenceNumber: <shard 0 #1>
        ApproximateArrivalTimestamp: T+0s
        Data: 'one'
        PartitionKey: a
    ContinuationSequenceNumber: <shard 0 #1>
    MillisBehindLatest: 0
> put_record StreamName=orders PartitionKey=a Data=two
  ShardId: shardId-000000000000
  SequenceNumber: <shard 0 #2>
> e = event s
  SubscribeToShardEvent:
    Records:
      - SequenceNumber: <shard 0 #2>
        ApproximateArrivalTimestamp: T+0s
        Data: 'two'
        PartitionKey: a
    ContinuationSequenceNumber: <shard 0 #2>
    MillisBehindLatest: 0

# Where nothing comes, a heartbeat says how things stand.

> advance seconds=6
> event s
  SubscribeToShardEvent:
    Records: []
    ContinuationSequenceNumber: <shard 0 #2>
    MillisBehindLatest: 0

# Another subscription to the same shard is refused at first, and takes over later.

> advance seconds=10
> t = subscribe ConsumerARN=$c.Consumer.ConsumerARN ShardId=shardId-000000000000 StartingPosition='{"Type":"LATEST"}'
> u = subscribe ConsumerARN=$c.Consumer.ConsumerARN ShardId=shardId-000000000000 StartingPosition='{"Type":"LATEST"}'
  ! ResourceInUseException: Another active subscription exists for this consumer: arn:aws:kinesis:us-east-1:123456789012:stream/orders/consumer/billing:<created>

> end s
  ! ResourceInUseException: Another active subscription exists for this consumer: arn:aws:kinesis:us-east-1:123456789012:stream/orders/consumer/billing:<created>

# Five minutes are the longest that a subscription lasts.

> advance minutes=6
> end t
  the stream ends
> u = subscribe ConsumerARN=$c.Consumer.ConsumerARN ShardId=shardId-000000000000 StartingPosition='{"Type":"NO_SUCH"}'
  ! ValidationException: 1 validation error detected: Value 'NO_SUCH' at 'startingPosition.type' failed to satisfy constraint: Member must satisfy enum value set: [AT_SEQUENCE_NUMBER, AFTER_SEQUENCE_NUMBER, TRIM_HORIZON, LATEST, AT_TIMESTAMP]
> u = subscribe ConsumerARN=$c.Consumer.ConsumerARN ShardId=shardId-000000000007 StartingPosition='{"Type":"LATEST"}'
  ! ResourceNotFoundException: Shard shardId-000000000007 in stream orders under account 123456789012 does not exist
