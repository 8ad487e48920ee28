# The function names the records that it could not take.  The lowest counts: those before it are done.

> mapping BatchSize=5 ReportBatchItemFailures=true MaximumRetryAttempts=2 destination
  checkpoint 0
> put a b c d e
  invoke [a b c d e]
> report d c
  (invoked 5)
  (failed 3)
  (retry 3: the function reported failures)
  wakes in 1 s
  checkpoint 2
> advance 1s
  invoke [c d e]
> report e
  (invoked 3)
  (failed 1)
  (retry 1: the function reported failures)
  wakes in 1 s
  checkpoint 4
> advance 1s
  invoke [e]

# Nothing is named: all is well.

> succeed '{"batchItemFailures": []}'
  (invoked 1)
  checkpoint 5
> put f g
  invoke [f g]

# What names nothing of the batch fails the whole batch.  AWS sends null as functionError then.

> report 123
  (invoked 2)
  (failed 2)
  (retry 2: batchItemFailures names what is not in the batch)
  wakes in 1 s
> advance 1s
  invoke [f g]
> report ""
  (invoked 2)
  (failed 2)
  (retry 2: batchItemFailures names what is not in the batch)
  wakes in 2 s
> advance 2s
  invoke [f g]
> report null
  send [f g]
    {
      "requestContext": {
        "requestId": "request 6",
        "functionArn": "arn:aws:lambda:us-east-1:123456789012:function:work",
        "condition": "RetryAttemptsExhausted",
        "approximateInvokeCount": 3
      },
      "responseContext": {
        "statusCode": 200,
        "executedVersion": "$LATEST",
        "functionError": null
      },
      "version": "1.0",
      "timestamp": "2026-01-01T00:00:05.000Z",
      "KinesisBatchInfo": {
        "shardId": "shardId-000000000000",
        "startSequenceNumber": "49039857307708443467467104868817147552160158328826101760",
        "endSequenceNumber": "49039857307708443467467104868818356477979772958000807936",
        "approximateArrivalOfFirstRecord": "2026-01-01T00:00:02.000Z",
        "approximateArrivalOfLastRecord": "2026-01-01T00:00:02.000Z",
        "batchSize": 2,
        "streamArn": "arn:aws:kinesis:us-east-1:123456789012:stream/orders"
      }
    }
  (invoked 2)
  (failed 2)
> deliver
  (delivered 2)
  checkpoint 7
