# Records may be tried again for ever, but not be older than a minute.

> mapping BatchSize=10 MaximumRecordAgeInSeconds=60 destination
  checkpoint 0
> put a
  invoke [a]
> fail
  (invoked 1)
  (failed 1)
  (retry 1: the function returned an error)
  wakes in 1 s
> advance 1s
  invoke [a]
> put b
> fail
  (invoked 1)
  (failed 1)
  (retry 1: the function returned an error)
  wakes in 2 s
> advance 2s
  invoke [a]
> fail
  (invoked 1)
  (failed 1)
  (retry 1: the function returned an error)
  wakes in 4 s
> advance 4s
  invoke [a]
> fail
  (invoked 1)
  (failed 1)
  (retry 1: the function returned an error)
  wakes in 8 s
> advance 8s
  invoke [a]
> fail
  (invoked 1)
  (failed 1)
  (retry 1: the function returned an error)
  wakes in 12 s
> advance 12s
  invoke [a]
> fail
  (invoked 1)
  (failed 1)
  (retry 1: the function returned an error)
  wakes in 12 s
> advance 12s
  invoke [a]
> fail
  (invoked 1)
  (failed 1)
  (retry 1: the function returned an error)
  wakes in 12 s
> advance 12s
  invoke [a]

# It was invoked eight times within the minute, as AWS does.

> fail
  (invoked 1)
  (failed 1)
  (retry 1: the function returned an error)
  wakes in 9.001 s
> advance 10s
  send [a]
    {
      "requestContext": {
        "requestId": "request 8",
        "functionArn": "arn:aws:lambda:us-east-1:123456789012:function:work",
        "condition": "RecordAgeExceeded",
        "approximateInvokeCount": 8
      },
      "version": "1.0",
      "timestamp": "2026-01-01T00:01:01.000Z",
      "KinesisBatchInfo": {
        "shardId": "shardId-000000000000",
        "startSequenceNumber": "49039857307708443467467104868811102923062085045513617408",
        "endSequenceNumber": "49039857307708443467467104868811102923062085045513617408",
        "approximateArrivalOfFirstRecord": "2026-01-01T00:00:00.000Z",
        "approximateArrivalOfLastRecord": "2026-01-01T00:00:00.000Z",
        "batchSize": 1,
        "streamArn": "arn:aws:kinesis:us-east-1:123456789012:stream/orders"
      }
    }
> deliver
  invoke [b]
  (delivered 1)
  checkpoint 1
> succeed
  (invoked 1)
  checkpoint 2
> advance 10s
