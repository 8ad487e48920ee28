# A tumbling window of a minute, with batches of two.

> mapping BatchSize=2 TumblingWindowInSeconds=60
  checkpoint 0
> put a b c
  invoke [a b]
    window: {"start": "2026-01-01T00:00:00Z", "end": "2026-01-01T00:01:00Z"}
    state: {}
    isFinalInvokeForWindow: false
    isWindowTerminatedEarly: false
> succeed '{"state": {"sum": 2}}'
  invoke [c]
    window: {"start": "2026-01-01T00:00:00Z", "end": "2026-01-01T00:01:00Z"}
    state: {"sum": 2}
    isFinalInvokeForWindow: false
    isWindowTerminatedEarly: false
  (invoked 2)
  checkpoint 2
> succeed '{"state": {"sum": 3}}'
  (invoked 1)
  wakes in 61 s
  checkpoint 3

# It ends when its time is over and nothing is left of it.

> advance 60s
  wakes in 1 s
> advance 1s
  invoke []
    window: {"start": "2026-01-01T00:00:00Z", "end": "2026-01-01T00:01:00Z"}
    state: {"sum": 3}
    isFinalInvokeForWindow: true
    isWindowTerminatedEarly: false
> succeed
  (invoked 0)

# A record of a later window ends it, too.  An answer without a state is a failure.

> put d
  invoke [d]
    window: {"start": "2026-01-01T00:01:00Z", "end": "2026-01-01T00:02:00Z"}
    state: {}
    isFinalInvokeForWindow: false
    isWindowTerminatedEarly: false
> succeed '{"sum": 1}'
  (invoked 1)
  (failed 1)
  (retry 1: the function returned no state of the window)
  wakes in 1 s
> advance 1s
  invoke [d]
    window: {"start": "2026-01-01T00:01:00Z", "end": "2026-01-01T00:02:00Z"}
    state: {}
    isFinalInvokeForWindow: false
    isWindowTerminatedEarly: false
> succeed '{"state": {"sum": 1}}'
  (invoked 1)
  wakes in 59 s
  checkpoint 4
> advance 60s
  invoke []
    window: {"start": "2026-01-01T00:01:00Z", "end": "2026-01-01T00:02:00Z"}
    state: {"sum": 1}
    isFinalInvokeForWindow: true
    isWindowTerminatedEarly: false
> put e
> succeed '{"state": {}}'
  invoke [e]
    window: {"start": "2026-01-01T00:02:00Z", "end": "2026-01-01T00:03:00Z"}
    state: {}
    isFinalInvokeForWindow: false
    isWindowTerminatedEarly: false
  (invoked 0)
> succeed '{"state": {"sum": 1}}'
  (invoked 1)
  wakes in 59 s
  checkpoint 5

# So does the end of the shard.

> end
  invoke []
    window: {"start": "2026-01-01T00:02:00Z", "end": "2026-01-01T00:03:00Z"}
    state: {"sum": 1}
    isFinalInvokeForWindow: true
    isWindowTerminatedEarly: false
> succeed
  (invoked 0)
  finished
