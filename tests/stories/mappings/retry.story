# A function fails: its batch is tried again, with longer and longer pauses, and what follows waits.

> mapping BatchSize=2 MaximumRetryAttempts=3 destination
  checkpoint 0
> put a b c
  invoke [a b]
> fail
  (invoked 2)
  (failed 2)
  (retry 2: the function returned an error)
  wakes in 1 s
> advance 1s
  invoke [a b]
> fail
  (invoked 2)
  (failed 2)
  (retry 2: the function returned an error)
  wakes in 2 s
> advance 2s
  invoke [a b]
> fail
  (invoked 2)
  (failed 2)
  (retry 2: the function returned an error)
  wakes in 4 s
> advance 4s
  invoke [a b]

# The fourth failure is one too many: it was tried once, and again three times.

> fail
  send [a b]
    {
      "requestContext": {
        "requestId": "request 4",
        "functionArn": "arn:aws:lambda:us-east-1:123456789012:function:work",
        "condition": "RetryAttemptsExhausted",
        "approximateInvokeCount": 4
      },
      "responseContext": {
        "statusCode": 200,
        "executedVersion": "$LATEST",
        "functionError": "Unhandled"
      },
      "version": "1.0",
      "timestamp": "2026-01-01T00:00:07.000Z",
      "KinesisBatchInfo": {
        "shardId": "shardId-000000000000",
        "startSequenceNumber": "49039857307708443467467104868811102923062085045513617408",
        "endSequenceNumber": "49039857307708443467467104868812311848881699674688323584",
        "approximateArrivalOfFirstRecord": "2026-01-01T00:00:00.000Z",
        "approximateArrivalOfLastRecord": "2026-01-01T00:00:00.000Z",
        "batchSize": 2,
        "streamArn": "arn:aws:kinesis:us-east-1:123456789012:stream/orders"
      }
    }
  (invoked 2)
  (failed 2)

# Only when the document has been delivered does the shard go on.

> deliver
  invoke [c]
  (delivered 2)
  checkpoint 2
> succeed
  (invoked 1)
  checkpoint 3
> put d
  invoke [d]
> succeed
  (invoked 1)
  checkpoint 4
