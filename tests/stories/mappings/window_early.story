# A state of more than 1 MB ends the window before its time; the story has it shortened to its length.

> mapping TumblingWindowInSeconds=60
  checkpoint 0
> put a
  invoke [a]
    window: {"start": "2026-01-01T00:00:00Z", "end": "2026-01-01T00:01:00Z"}
    state: {}
    isFinalInvokeForWindow: false
    isWindowTerminatedEarly: false
> grow 1048577
  invoke []
    window: {"start": "2026-01-01T00:00:00Z", "end": "2026-01-01T00:01:00Z"}
    state: "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
    isFinalInvokeForWindow: true
    isWindowTerminatedEarly: true
  (invoked 1)
  (early 0: the state of the window is larger than 1048576 bytes)
  checkpoint 1
> succeed
  (invoked 0)

# What follows within the same time begins anew.

> put b
  invoke [b]
    window: {"start": "2026-01-01T00:00:00Z", "end": "2026-01-01T00:01:00Z"}
    state: {}
    isFinalInvokeForWindow: false
    isWindowTerminatedEarly: false
> succeed '{"state": 1}'
  (invoked 1)
  wakes in 61 s
  checkpoint 2
