"""What the fleet makes of what its consumers tell."""

from types import SimpleNamespace
from typing import Any

from penstock.demo.fleet import Fleet
from penstock.demo.outbox import Stamp
from penstock.demo.progress import Progress
from penstock.demo.worker import Told

SHARD = "shardId-000000000000"


def fleet_of(progress: Progress) -> Fleet:
    client: Any = SimpleNamespace(meta=SimpleNamespace(endpoint_url="http://127.0.0.1:1", region_name="us-east-1"))
    return Fleet(client, "orders", progress, ours=True)


def told(first: int, last: int) -> Told:
    counts = range(first, last + 1)
    return Told(
        SHARD,
        numbers=[str(10**30 + count) for count in counts],
        stamps=[Stamp("cpu:0", count) for count in counts],
        size_bytes=10,
    )


def made(progress: Progress, count: int) -> None:
    for _ in range(count):
        progress.made("cpu:0")


def test_fleet_when_a_successor_reads_again_then_each_record_counts_once() -> None:
    progress = Progress()
    made(progress, 6)
    fleet = fleet_of(progress)
    fleet._heard(1, told(1, 4))
    fleet._heard(2, told(3, 6))
    assert progress.verdict().good
    assert (progress.snapshot().again, progress.snapshot().shards[SHARD].read_records) == (2, 6)


def test_fleet_when_a_successor_begins_too_late_then_the_loss_is_seen() -> None:
    progress = Progress()
    made(progress, 6)
    fleet = fleet_of(progress)
    fleet._heard(1, told(1, 2))
    fleet._heard(2, told(4, 6))
    assert not progress.verdict().good
    assert progress.verdict().lost == 1


def test_fleet_when_shards_are_begun_then_it_is_known_by_whom() -> None:
    progress = Progress()
    fleet = fleet_of(progress)
    fleet._heard(2, Told(SHARD, begun=True))
    assert progress.snapshot().shards[SHARD].holder == 2
    fleet._heard(3, Told(SHARD, begun=True))
    assert progress.snapshot().shards[SHARD].holder == 3


def test_fleet_when_everything_is_read_and_fed_then_it_is_done() -> None:
    progress = Progress()
    fleet = fleet_of(progress)
    assert fleet.running
    made(progress, 1)
    progress.fed.set()
    assert fleet.running
    fleet._heard(1, told(1, 1))
    assert not fleet.running
