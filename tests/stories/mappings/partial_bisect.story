# With both, a batch is cut at the record that is named, and that uses up no attempt.

> mapping BatchSize=4 ReportBatchItemFailures=true BisectBatchOnFunctionError=true MaximumRetryAttempts=0
  checkpoint 0
> put a b c d
  invoke [a b c d]
> report c
  (invoked 4)
  (failed 2)
  (cut 2: the function reported failures)
  wakes in 1 s
  checkpoint 2
> advance 1s
  invoke [c d]

# Named again, at the beginning: nothing can be cut off before it, so it is cut in two.

> report c
  (invoked 2)
  (failed 2)
  (cut 2: the function reported failures)
  wakes in 1 s
> advance 2s
  invoke [c]

# Alone, it has no attempt left.  Without a destination it is dropped.

> report c
  invoke [d]
  (invoked 1)
  (failed 1)
  (dropped 1: RetryAttemptsExhausted)
  checkpoint 3
> succeed
  (invoked 1)
  checkpoint 4
