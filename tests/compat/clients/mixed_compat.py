"""One application, half of it Java: KCL's workers and ours share a lease table, and either may be lost."""

import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from kcl_worlds import Feed, Fleet, LeaseTable, assert_in_order_by_key, data_of
from programs import Line
from served import server
from toolchains import java
from worlds import world

STREAM, APPLICATION = "orders", "mixed"
START_S, SHARE_S, READ_S = 200, 120, 120
TAKEOVER_S = 200  # ours waits for two minutes before it believes that KCL's leader is gone


class Seen(NamedTuple):
    """What was put, and what both kinds of workers tell."""

    put: set[str]
    batches: list[Line]


@world
def mixed(directory: Path) -> Seen:
    """KCL begins, ours joins and is killed, another of ours joins, KCL is killed."""
    with server(directory / "data", "--transition-ms", "0") as running:
        running.client().create_stream(StreamName=STREAM, ShardCount=4)
        feed, table, fleet = Feed(running.client(), STREAM), LeaseTable(running, APPLICATION), Fleet(running, directory)

        def shared(*workers: str) -> None:
            fleet.until(lambda: set(table.open_leases()) == set(workers), SHARE_S, f"leases of {workers}")

        fleet.start("java", java("KclWorker", APPLICATION, STREAM, "java", "polling"))
        fleet.until(lambda: bool(table.open_leases()), START_S, "KCL has leases")
        start_ours(fleet, "ours")
        shared("java", "ours")
        fleet.kill("ours")
        shared("java")
        start_ours(fleet, "ours-too")
        shared("java", "ours-too")
        fleet.kill("java")
        fleet.until(lambda: set(table.open_leases()) == {"ours-too"}, TAKEOVER_S, "ours has every lease")
        put = feed.stop()
        fleet.until(lambda: data_of(fleet.told("batch")) >= put, READ_S, "everything is read")
        fleet.kill("ours-too")
        return Seen(put, fleet.told("batch"))


def start_ours(fleet: Fleet, name: str) -> None:
    program = str(Path(__file__).with_name("our_worker.py"))
    fleet.start(name, [sys.executable, program, APPLICATION, STREAM, name])


@pytest.mark.needs("java")
@pytest.mark.plays(mixed)
def test_kcl_and_ours_on_one_lease_table_lose_nothing_when_either_is_killed() -> None:
    seen = mixed.outcome()
    assert data_of(seen.batches) == seen.put
    assert_in_order_by_key(seen.batches)
