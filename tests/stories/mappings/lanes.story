# Three lanes: the records of a key stay in one of them, in their order.  One that fails holds nobody else back.

> mapping BatchSize=2 ParallelizationFactor=3
  checkpoint 0, 0, 0
> put apple berry cherry apple date apple
  invoke [berry] in lane 0
  invoke [cherry date] in lane 1
  invoke [apple apple] in lane 2
  checkpoint 1, 2, 0
> fail
  (invoked 1)
  (failed 1)
  (retry 1: the function returned an error)
  wakes in 1 s
> succeed
  (invoked 2)
  wakes in 1 s
  checkpoint 1, 6, 0
> succeed
  invoke [apple] in lane 2
  (invoked 2)
  wakes in 1 s
  checkpoint 1, 6, 5
> put berry elder
  invoke [elder] in lane 1
  wakes in 1 s
  checkpoint 1, 7, 5
> advance 1s
  invoke [berry] in lane 0
