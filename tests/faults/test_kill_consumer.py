"""Two workers of an application, one of them killed: on every store nothing is missed, and each key's records come in their order."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from postgres_server import postgres_server

from penstock.host.clock import monotonic_s
from penstock.testing import PenstockServer

STREAM = "orders"
SOON_S = 60
KEYS = 20
pause = threading.Event().wait


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    match request.param:
        case "sqlite":
            yield str(tmp_path / "leases.db")
        case "dynamodb":
            yield "dynamodb"
        case _:
            with postgres_server() as url:
                yield url


class Fleet:
    """Workers in processes, and what they have told so far."""

    def __init__(self, server: PenstockServer, where: str, folder: Path) -> None:
        self._server = server
        self._where = where
        self._folder = folder
        self._workers: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, *fan_out: str) -> None:
        command = [sys.executable, str(Path(__file__).parent / "consumer_worker.py"), self._server.endpoint_url]
        with (self._folder / f"{name}.log").open("wb") as log:
            self._workers[name] = subprocess.Popen(
                [*command, self._where, str(self._folder / f"{name}.told"), *fan_out], stderr=log
            )

    def kill(self, name: str) -> None:
        worker = self._workers.pop(name)
        worker.kill()
        worker.wait(SOON_S)

    def told(self, name: str) -> list[tuple[str, int]]:
        path = self._folder / f"{name}.told"
        lines = path.read_text().splitlines() if path.exists() else []
        return [(key, int(number)) for key, _, number in (line.partition(" ") for line in lines)]

    def until(self, truth: Callable[[], bool], what: str) -> None:
        until_s = monotonic_s() + SOON_S
        while not truth():
            logs = {name: (self._folder / f"{name}.log").read_text()[-2000:] for name in self._workers}
            assert monotonic_s() < until_s, f"{what} did not happen: {logs}"
            pause(0.05)

    def stop(self) -> list[int]:
        for worker in self._workers.values():
            worker.terminate()
        return [worker.wait(SOON_S) for worker in self._workers.values()]


class Feed:
    """Puts a record of each key, round after round."""

    def __init__(self, kinesis: Any) -> None:
        self._kinesis = kinesis
        self.rounds = 0

    def put(self, rounds: int) -> None:
        for _ in range(rounds):
            entries = [{"Data": b"%d" % self.rounds, "PartitionKey": f"key{key}"} for key in range(KEYS)]
            assert self._kinesis.put_records(StreamName=STREAM, Records=entries)["FailedRecordCount"] == 0
            self.rounds += 1

    @property
    def all(self) -> set[tuple[str, int]]:
        return {(f"key{key}", number) for key in range(KEYS) for number in range(self.rounds)}


@pytest.mark.parametrize(
    ("place", "fan_out"),
    [("sqlite", ()), ("postgres", ()), ("dynamodb", ("billing",))],
    ids=["sqlite", "postgres", "dynamodb, and one is pushed to"],
    indirect=["place"],
)
def test_fleet_when_a_worker_is_killed_then_the_other_goes_on_where_it_was(
    place: str, fan_out: tuple[str, ...], tmp_path: Path
) -> None:
    with PenstockServer() as server:
        kinesis = server.client()
        kinesis.create_stream(StreamName=STREAM, ShardCount=4)
        feed, fleet = Feed(kinesis), Fleet(server, place, tmp_path)
        fleet.start("first")
        fleet.start("second", *fan_out)

        def both_work() -> bool:
            feed.put(1)
            return bool(fleet.told("first") and fleet.told("second"))

        fleet.until(both_work, "that both have shards")
        kinesis.update_shard_count(StreamName=STREAM, TargetShardCount=3, ScalingType="UNIFORM_SCALING")
        feed.put(20)
        fleet.kill("first")
        feed.put(20)
        fleet.until(lambda: {*fleet.told("first"), *fleet.told("second")} >= feed.all, "that everything is processed")
        assert fleet.stop() == [0]
        assert {*fleet.told("first"), *fleet.told("second")} == feed.all
        for name in ("first", "second"):
            assert_no_gaps(fleet.told(name))


def assert_no_gaps(told: list[tuple[str, int]]) -> None:
    """What one worker saw of a key goes up by one, but where it begins anew or takes a shard over."""
    last: dict[str, int] = {}
    jumps: dict[str, int] = {}
    for key, number in told:
        if number != last.get(key, number - 1) + 1:
            jumps[key] = jumps.get(key, 0) + 1
        last[key] = number
    assert max(jumps.values(), default=0) <= 3, jumps
