"""The verbs that look at streams and feed them: `top`, `tail`, `put`, `shards`, `plan`.

Theory.  Each is an ordinary client: what it does, any program can do against any Kinesis, AWS's own included.  Only what AWS has no
call for comes from a page of Penstock's, `GET /_penstock/traffic`; a verb says so where it cannot do without.
Rules of this package:
  1. A module is named after its verb and has one `run`, which answers the exit code; what only decides or draws lies beside it, pure.
  2. `verbs` declares the options and imports a verb when it is called.
  3. What cannot begin is a CommandError: one line that says what to do, exit code 2.  What breaks later is one line, exit code 1.
"""
