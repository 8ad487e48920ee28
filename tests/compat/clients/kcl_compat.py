"""KCL as it comes: two workers, a reshard in the middle, one worker killed; by polling and by enhanced fan-out, at the same time."""

from pathlib import Path
from typing import NamedTuple

import pytest
from kcl_worlds import SHARD_END, Feed, Fleet, Lease, LeaseTable, assert_in_order_by_key, data_of
from programs import Line
from served import Server, server
from toolchains import java
from worlds import World, world

STREAM, APPLICATION = "orders", "billing"
START_S, BALANCE_S, RESHARD_S, TAKEOVER_S, STOP_S = 200, 120, 120, 120, 120
WORKERS = ("a", "b")
PARENTS = ("shardId-000000000000", "shardId-000000000002", "shardId-000000000003")


class Seen(NamedTuple):
    """What was put, what the workers tell, and the leases at the end."""

    put: set[str]
    batches: list[Line]
    ended: set[str]
    leases: dict[str, Lease]
    graceful: bool


def play(directory: Path, mode: str) -> Seen:
    """The leader is killed where records are polled, the other worker where they are pushed."""
    with server(directory / "data", "--transition-ms", "0") as running:
        running.client().create_stream(StreamName=STREAM, ShardCount=4)
        feed, table, fleet = Feed(running.client(), STREAM), LeaseTable(running, APPLICATION), Fleet(running, directory)
        for name in WORKERS:  # the second when the first has made the table
            fleet.start(name, java("KclWorker", APPLICATION, STREAM, name, mode))
            fleet.until(lambda: bool(table.open_leases()), START_S, "the first worker has leases")
        fleet.until(lambda: table.open_leases() == {"a": 2, "b": 2}, BALANCE_S, "leases are balanced")
        reshard(running)
        fleet.until(lambda: fleet.shards("shardEnded") >= set(PARENTS), RESHARD_S, "shards have ended")
        leader = table.leader()
        victim = next(name for name in WORKERS if (name == leader) == (mode == "polling"))
        survivor = next(name for name in WORKERS if name != victim)
        fleet.kill(victim)
        fleet.until(lambda: set(table.open_leases()) == {survivor}, TAKEOVER_S, "the survivor has every lease")
        put = feed.stop()
        fleet.until(lambda: data_of(fleet.told("batch")) >= put, TAKEOVER_S, "everything is read")
        [stopped] = fleet.stop(survivor, STOP_S)
        batches, ended = fleet.told("batch"), fleet.shards("shardEnded")
        return Seen(put, batches, ended, table.leases(), stopped["gracefully"])


def reshard(running: Server) -> None:
    """Two shards merged, one split: of four shards one goes on."""
    kinesis = running.client()
    kinesis.merge_shards(StreamName=STREAM, ShardToMerge=PARENTS[1], AdjacentShardToMerge=PARENTS[2])
    kinesis.split_shard(StreamName=STREAM, ShardToSplit=PARENTS[0], NewStartingHashKey=str(2**125))


@world
def polling(directory: Path) -> Seen:
    return play(directory, "polling")


@world
def fan_out(directory: Path) -> Seen:
    return play(directory, "fanout")


def judge(scenario: World[Seen]) -> None:
    seen = scenario.outcome()
    assert data_of(seen.batches) == seen.put
    assert_in_order_by_key(seen.batches)
    assert seen.ended == set(PARENTS)
    assert {lease.checkpoint for shard, lease in seen.leases.items() if shard in PARENTS} <= {SHARD_END}
    assert seen.graceful


@pytest.mark.needs("java")
@pytest.mark.plays(polling)
def test_kcl_polling_loses_nothing_over_a_reshard_and_a_killed_leader() -> None:
    judge(polling)


@pytest.mark.needs("java")
@pytest.mark.plays(fan_out)
def test_kcl_fan_out_loses_nothing_over_a_reshard_and_a_killed_worker() -> None:
    judge(fan_out)
