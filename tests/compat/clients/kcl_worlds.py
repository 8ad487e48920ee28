"""What worlds of consumers share: a feed that goes on while they work, their lease table, and how what they saw is judged."""

import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import boto3
from programs import Line, Program, eventually
from served import Server
from toolchains import environment

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient

KEYS = 20
PAUSE_S = 0.2
SHARD_END = "SHARD_END"


class Feed:
    """Puts records for ever, one for each key a round: `key:number`, where the numbers of a key rise."""

    def __init__(self, kinesis: "KinesisClient", stream: str) -> None:
        self._kinesis = kinesis
        self._stream = stream
        self._over = threading.Event()
        self._failure: Exception | None = None
        self.rounds = 0  # that were acknowledged
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            while not self._over.wait(PAUSE_S):
                left = [f"key{key}" for key in range(KEYS)]
                while left:
                    entries: Any = [{"PartitionKey": key, "Data": f"{key}:{self.rounds}".encode()} for key in left]
                    answers = self._kinesis.put_records(StreamName=self._stream, Records=entries)["Records"]
                    left = [key for key, answer in zip(left, answers, strict=True) if "ErrorCode" in answer]
                self.rounds += 1
        except Exception as failure:  # noqa: BLE001 - raised again by stop
            self._failure = failure

    def stop(self) -> set[str]:
        """Put no more; all that was put."""
        self._over.set()
        self._thread.join()
        if self._failure is not None:
            raise self._failure
        return {f"key{key}:{number}" for key in range(KEYS) for number in range(self.rounds)}


class Lease(NamedTuple):
    """A row of KCL's lease table."""

    owner: str | None
    checkpoint: str


class LeaseTable:
    """KCL's own table, read as it keeps it."""

    def __init__(self, server: Server, application: str) -> None:
        self._application = application
        self._dynamodb: Any = boto3.client(
            "dynamodb",
            endpoint_url=server.url,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )

    def items(self) -> list[dict[str, Any]]:
        """Every item; nothing while there is no table."""
        try:
            return list(self._dynamodb.scan(TableName=self._application, ConsistentRead=True)["Items"])
        except self._dynamodb.exceptions.ResourceNotFoundException:
            return []

    def leases(self) -> dict[str, Lease]:
        """Leases by shard."""
        return {
            item["leaseKey"]["S"]: Lease(item.get("leaseOwner", {}).get("S"), item["checkpoint"]["S"])
            for item in self.items()
            if item["leaseKey"]["S"].startswith("shardId-")
        }

    def open_leases(self) -> Counter[str]:
        """How many shards that go on each worker has."""
        return Counter(lease.owner for lease in self.leases().values() if lease.owner and lease.checkpoint != SHARD_END)

    def leader(self) -> str | None:
        """Who assigns the leases."""
        owners = [item["ownerName"]["S"] for item in self.items() if item["leaseKey"]["S"] == "Leader"]
        return owners[0] if owners else None


class Fleet:
    """Workers of one application, those that were killed among them."""

    def __init__(self, server: Server, directory: Path) -> None:
        self._server = server
        self._directory = directory
        directory.mkdir(exist_ok=True)
        self._programs: list[Program] = []
        self._living: dict[str, Program] = {}

    def start(self, name: str, command: list[str], *, tls: bool = False) -> None:
        """One worker more."""
        log = self._directory / f"worker-{len(self._programs)}.stderr"
        self._living[name] = Program(command, environment(self._server, tls=tls), log)
        self._programs.append(self._living[name])

    def kill(self, name: str) -> None:
        """One worker less, without a word."""
        self._living.pop(name).kill()

    def stop(self, name: str, within_s: float) -> list[Line]:
        """End a worker in good order; what it says of that."""
        program = self._living.pop(name)
        program.close_input()
        program.finish(within_s)
        return program.lines("stopped")

    def until(self, condition: Callable[[], bool], within_s: float, what: str) -> None:
        """Wait for what the living make true."""
        eventually(condition, within_s, what, *self._living.values())

    def told(self, *events: str) -> list[Line]:
        """What every worker has told."""
        return [line for program in self._programs for line in program.lines(*events)]

    def shards(self, event: str) -> set[str]:
        """The shards of which something was told."""
        return {line["shard"] for line in self.told(event)}


def data_of(batches: Iterable[Line]) -> set[str]:
    """Every record that was processed."""
    return {text for line in batches for text in line["data"]}


def assert_in_order_by_key(batches: Iterable[Line]) -> None:
    """Of each key, records come first in the order in which they were put, whoever processes them."""
    last: dict[str, int] = defaultdict(lambda: -1)
    seen: set[str] = set()
    for line in sorted(batches, key=lambda line: line["at_ns"]):
        for text in line["data"]:
            if text in seen:
                continue  # again, after a worker was lost
            seen.add(text)
            key, number = text.split(":")
            assert int(number) == last[key] + 1, f"{text} after {last[key]} in {line['shard']}"
            last[key] = int(number)
