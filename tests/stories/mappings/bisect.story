# One bad record of four.  Cutting uses up no attempt, so a single retry is left for the record alone.

> mapping BatchSize=4 BisectBatchOnFunctionError=true MaximumRetryAttempts=1 destination
  checkpoint 0
> put good1 good2 bad good3
  invoke [good1 good2 bad good3]
> fail
  (invoked 4)
  (failed 4)
  (cut 4: the function returned an error)
  wakes in 1 s
> advance 1s
  invoke [good1 good2]
> succeed
  invoke [bad good3]
  (invoked 2)
  checkpoint 2
> advance 1s
> fail
  (invoked 2)
  (failed 2)
  (cut 2: the function returned an error)
  wakes in 1 s
> advance 1s
  invoke [bad]
> fail
  (invoked 1)
  (failed 1)
  (retry 1: the function returned an error)
  wakes in 2 s
> advance 2s
  invoke [bad]
> fail
  send [bad]
    {
      "requestContext": {
        "requestId": "request 5",
        "functionArn": "arn:aws:lambda:us-east-1:123456789012:function:work",
        "condition": "RetryAttemptsExhausted",
        "approximateInvokeCount": 2
      },
      "responseContext": {
        "statusCode": 200,
        "executedVersion": "$LATEST",
        "functionError": "Unhandled"
      },
      "version": "1.0",
      "timestamp": "2026-01-01T00:00:05.000Z",
      "KinesisBatchInfo": {
        "shardId": "shardId-000000000000",
        "startSequenceNumber": "49039857307708443467467104868813520774701314303863029760",
        "endSequenceNumber": "49039857307708443467467104868813520774701314303863029760",
        "approximateArrivalOfFirstRecord": "2026-01-01T00:00:00.000Z",
        "approximateArrivalOfLastRecord": "2026-01-01T00:00:00.000Z",
        "batchSize": 1,
        "streamArn": "arn:aws:kinesis:us-east-1:123456789012:stream/orders"
      }
    }
  (invoked 1)
  (failed 1)
> deliver
  invoke [good3]
  (delivered 1)
  checkpoint 3
> succeed
  (invoked 1)
  checkpoint 4
