# What keeps the function from being begun counts as no attempt.

> mapping BatchSize=2 MaximumRetryAttempts=0
  checkpoint 0
> put a b
  invoke [a b]
> throttle
  (refused 2: TooManyRequestsException)
  wakes in 1 s
> advance 1s
  invoke [a b]
> throttle
  (refused 2: TooManyRequestsException)
  wakes in 2 s
> advance 2s
  invoke [a b]
> fail
  (invoked 2)
  (failed 2)
  (dropped 2: RetryAttemptsExhausted)
  checkpoint 2
> put c
  invoke [c]
> succeed
  (invoked 1)
  checkpoint 3
