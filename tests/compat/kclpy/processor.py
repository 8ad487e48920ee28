"""A record processor of Amazon's Python KCL, run by its MultiLangDaemon: tells what it sees in lines of JSON, in the file $COMPAT_TOLD.

Standard output is the daemon's.
"""

import json
import os
import time
from pathlib import Path
from typing import Any

from amazon_kclpy import kcl
from amazon_kclpy.v3 import processor

_TOLD = Path(os.environ["COMPAT_TOLD"])


class Processor(processor.RecordProcessorBase):  # type: ignore[misc]
    """One shard; every batch is checkpointed."""

    shard_id = ""

    def _tell(self, event: str, **more: object) -> None:
        with _TOLD.open("a") as told:
            told.write(json.dumps({"event": event, "shard": self.shard_id, **more}) + "\n")

    def initialize(self, given: Any) -> None:
        self.shard_id = given.shard_id
        self._tell("initialized")

    def process_records(self, given: Any) -> None:
        if given.records:
            data = [record.binary_data.decode() for record in given.records]
            self._tell("batch", data=data, at_ns=time.monotonic_ns())
            given.checkpointer.checkpoint()

    def lease_lost(self, _given: Any) -> None:
        self._tell("leaseLost")

    def shard_ended(self, given: Any) -> None:
        self._tell("shardEnded")
        given.checkpointer.checkpoint()

    def shutdown_requested(self, given: Any) -> None:
        self._tell("shutdownRequested")
        given.checkpointer.checkpoint()


if __name__ == "__main__":
    kcl.KCLProcess(Processor()).run()
