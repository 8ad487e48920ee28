"""`penstock agent` as its user runs it: in a process of its own, over real files, against a server."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from penstock.testing import PenstockServer

COMMAND = [sys.executable, "-m", "penstock", "agent"]
STREAM = "logs"
PATIENCE_S = 60


def configure(folder: Path, endpoint: str, *flows: dict[str, Any], **keys: Any) -> Path:
    """Write agent.json; a flow needs to say only what is not usual."""
    usual = {
        "filePattern": str(folder / "app.log"),
        "kinesisStream": STREAM,
        "initialPosition": "START_OF_FILE",
        "maxBufferAgeMillis": 1000,
        "minTimeBetweenFilePollsMillis": 20,
    }
    document = {
        "kinesis.endpoint": endpoint,
        "checkpointFile": str(folder / "state" / "checkpoints"),
        "cloudwatch.emitMetrics": False,
        "flows": [
            {name: value for name, value in {**usual, **flow}.items() if value is not None} for flow in flows or ({},)
        ],
        **keys,
    }
    path = folder / "agent.json"
    path.write_text(json.dumps(document))
    return path


def environment(server: PenstockServer | None = None) -> dict[str, str]:
    named = (
        server.environment() if server is not None else {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    )
    return {**os.environ, **named}


def run(config: Path, *words: str, server: PenstockServer | None = None) -> "subprocess.CompletedProcess[str]":
    """Run it to its end."""
    command = [*COMMAND, "--config", str(config), *words]
    return subprocess.run(
        command, env=environment(server), capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )


@contextmanager
def running(config: Path, server: PenstockServer | None = None) -> "Iterator[Watched]":
    """Run it for a while."""
    command = [*COMMAND, "--config", str(config)]
    with subprocess.Popen(command, env=environment(server), stderr=subprocess.PIPE, text=True) as process:
        try:
            yield Watched(process)
        finally:
            process.kill()


class Watched:
    """A running agent and what it logs."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.log: list[str] = []
        self._told = threading.Condition()
        threading.Thread(target=self._listen, daemon=True).start()

    def logged(self, text: str) -> bool:
        """Wait until a line has this text; False when the agent ends without it."""
        with self._told:
            self._told.wait_for(
                lambda: any(text in line for line in self.log) or self.process.poll() is not None, PATIENCE_S
            )
            return any(text in line for line in self.log)

    def _listen(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._told:
                self.log.append(line)
                self._told.notify_all()
        with self._told:
            self._told.notify_all()


def made_stream(server: PenstockServer, name: str = STREAM, shards: int = 2) -> None:
    server.client().create_stream(StreamName=name, ShardCount=shards)
    server.clock.advance(minutes=1)


class Reader:
    """Everything in a stream, read on from where the last reading ended."""

    def __init__(self, client: Any, stream: str = STREAM) -> None:
        self._client = client
        self.records: list[dict[str, Any]] = []
        shards = client.list_shards(StreamName=stream)["Shards"]
        self._iterators = [
            client.get_shard_iterator(StreamName=stream, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
            for shard in shards
        ]  # fmt: skip

    @property
    def datas(self) -> list[bytes]:
        return [record["Data"] for record in self.read()]

    def read(self) -> list[dict[str, Any]]:
        for place, iterator in enumerate(self._iterators):
            while True:
                page = self._client.get_records(ShardIterator=iterator)
                self.records += page["Records"]
                iterator = page["NextShardIterator"]
                if not page["MillisBehindLatest"] and not page["Records"]:
                    break
            self._iterators[place] = iterator
        return self.records

    def wait(self, enough: Callable[[list[bytes]], bool]) -> list[bytes]:
        """Read until it is enough; gives up after PATIENCE_S."""
        pause = threading.Event()
        for _ in range(PATIENCE_S * 20):
            if enough(datas := self.datas):
                return datas
            pause.wait(0.05)
        return self.datas
