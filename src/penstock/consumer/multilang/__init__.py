"""A host for programs that KCL's MultiLangDaemon runs: a child process for each shard, spoken to in lines of JSON.  No Java.

Rules of this package:
  1. `protocol` and `properties` are pure; `child` alone touches processes.
  2. A child that dies, hangs or breaks the protocol costs its own shard a new beginning from the last checkpoint, and nothing else.
"""
