"""The fleet: consumers in processes of their own that share the stream's shards, and one of them is killed.

Theory.  A consumer tells of a batch and then checkpoints it.  One that is killed between the two leaves a batch that its successor reads
again; by its shard and sequence number each record is known, so what was read before counts as that, and as nothing else.
Rules of this file:
  1. A line that a killed process did not finish was not told; its records come again.
  2. A consumer that ends without being asked to ends the demo.
"""

import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from penstock.demo.progress import Progress
from penstock.demo.worker import Told
from penstock.host.clock import monotonic_s

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient

CONSUMERS: Final = 3
KILL_AFTER_S: Final = 3.0  # of feeding
STOP_MAX_S: Final = 5.0

_decode = msgspec.json.Decoder(Told).decode


class Fleet:
    """The consumers of one stream."""

    def __init__(self, client: "KinesisClient", stream: str, progress: Progress, *, ours: bool) -> None:
        self._endpoint = client.meta.endpoint_url
        self._region = client.meta.region_name
        self._stream = stream
        self._progress = progress
        self._ours = ours  # the server: any credentials do
        self._folder: tempfile.TemporaryDirectory[str] | None = None  # for leases and logs, from `start` to `stop`
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._holders: dict[str, int] = {}  # by shard
        self._last: dict[str, int] = {}  # sequence number, by shard
        self._killed: int | None = None
        self._killed_s = 0.0
        self._waiting: set[str] = set()  # shards of the killed one that nobody has begun yet
        self._stopping = False

    def start(self) -> None:
        """Start them all."""
        self._folder = tempfile.TemporaryDirectory(prefix="penstock-demo-leases-")
        for number in range(1, CONSUMERS + 1):
            command = [sys.executable, "-m", "penstock.demo.worker", self._endpoint, self._region, self._stream]
            with self._log(number).open("wb") as log:
                self._processes[number] = subprocess.Popen(  # noqa: S603
                    [*command, str(self._path("leases.db"))],
                    stdin=subprocess.PIPE,  # its end is ours
                    stdout=subprocess.PIPE,
                    stderr=log,
                    env=self._environment(),
                    start_new_session=True,  # the terminal's Ctrl-C is for us; they read on to the end
                )
            thread = threading.Thread(target=self._listen, args=(number,), name=f"consumer {number}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _environment(self) -> dict[str, str]:
        credentials = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
        if self._ours:
            return {**os.environ, **credentials, "AWS_SESSION_TOKEN": ""}
        return {**credentials, **os.environ}

    def _log(self, number: int) -> Path:
        return self._path(f"consumer-{number}.log")

    def _path(self, name: str) -> Path:
        assert self._folder is not None
        return Path(self._folder.name) / name

    @property
    def running(self) -> bool:
        """Whether there is something left to read, or somebody to follow the one that was killed."""
        return not self._progress.fed.is_set() or self._progress.outstanding > 0 or bool(self._waiting)

    def kill_one(self, fed_for_s: float) -> None:
        """Kill the consumer that has most shards, once there are two that have some; once."""
        with self._lock:
            working = set(self._holders.values())
            if self._killed is not None or fed_for_s < KILL_AFTER_S or len(working) < 2:
                return
            victim = max(working, key=lambda number: list(self._holders.values()).count(number))
            self._killed, self._killed_s = victim, monotonic_s()
            self._waiting = {shard_id for shard_id, number in self._holders.items() if number == victim}
            self._processes[victim].kill()
        self._progress.happened(f"consumer {victim} was killed (kill -9) and had {len(self._waiting)} shards")

    def stop(self) -> None:
        """End them, each in its own good time."""
        self._stopping = True
        for process in self._processes.values():
            process.terminate()
        for process in self._processes.values():
            try:
                process.wait(STOP_MAX_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            assert process.stdin is not None
            process.stdin.close()
        for thread in self._threads:
            thread.join(STOP_MAX_S)
        if self._folder is not None:
            self._folder.cleanup()

    def _listen(self, number: int) -> None:
        process = self._processes[number]
        assert process.stdout is not None
        with process.stdout as lines:
            for line in lines:
                if line.endswith(b"\n"):
                    self._heard(number, _decode(line))
        if not self._stopping and number != self._killed:
            last = self._log(number).read_text(errors="replace").strip().rpartition("\n")[2]
            self._progress.fail(f"consumer {number} has ended: {last or f'exit code {process.wait()}'}")

    def _heard(self, number: int, told: Told) -> None:
        if told.begun:
            self._begun(number, told.shard_id)
        elif told.ended:
            self._over(told.shard_id)
        else:
            with self._lock:
                last = self._last.get(told.shard_id, -1)
                fresh = sum(int(sequence) > last for sequence in told.numbers)
                self._last[told.shard_id] = max(last, int(told.numbers[-1]))
            stamps = told.stamps[len(told.stamps) - fresh :]
            self._progress.read(told.shard_id, stamps, told.size_bytes if fresh else 0, told.age_ms, told.latest)
            self._progress.read_again(len(told.stamps) - fresh)

    def _begun(self, number: int, shard_id: str) -> None:
        with self._lock:
            self._holders[shard_id] = number
            missed = shard_id in self._waiting
            self._waiting.discard(shard_id)
            over = missed and not self._waiting
        self._progress.held(shard_id, number)
        if over:
            took_s = monotonic_s() - self._killed_s
            self._progress.happened(f"consumer {self._killed} was killed; its shards went on after {took_s:.1f} s")

    def _over(self, shard_id: str) -> None:
        with self._lock:
            self._holders.pop(shard_id, None)
            self._waiting.discard(shard_id)
        self._progress.closed(shard_id)
