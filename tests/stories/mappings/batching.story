# A batch is full, or its window of 5 seconds is over.

> mapping BatchSize=3 MaximumBatchingWindowInSeconds=5
  checkpoint 0
> put a
  wakes in 5 s
> advance 2s
  wakes in 3 s
> put b
  wakes in 3 s
> advance 3s
  invoke [a b]
> put c d e f
> succeed
  invoke [c d e]
  (invoked 2)
  checkpoint 2
> succeed
  (invoked 3)
  wakes in 5 s
  checkpoint 5
> advance 5s
  invoke [f]
> succeed
  (invoked 1)
  checkpoint 6
> put g
  wakes in 5 s
> end
  invoke [g]
> succeed
  (invoked 1)
  checkpoint 7
  finished
