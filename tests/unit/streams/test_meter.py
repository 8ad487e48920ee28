"""The meter: AWS's rates under --limits aws, the server's and a stream's own whatever it says, and nothing without any."""

import pytest
from msgspec.structs import replace
from streams_world import START_MS, World, active, run

from penstock.services.streams.directory import StreamView
from penstock.services.streams.meter import Meter
from penstock.services.streams.quota import UNLIMITED, ShardRates, is_rate, tagged_rates

RECORDS = "penstock:write-records-per-second"
BYTES = "penstock:write-bytes-per-second"
READS = "penstock:read-calls-per-second"
READ_BYTES = "penstock:read-bytes-per-second"


def with_stream(tags: dict[str, str], check: object) -> None:
    """Run `check` with a view of an ACTIVE stream that has the tags."""

    async def scenario() -> None:
        world = World()
        streams = await world.start()
        assert callable(check)
        check(await active(streams, tags=tags))
        await world.stop()

    run(scenario())


def taken(meter: Meter, view: StreamView, count: int, size_bytes: int = 1) -> int:
    """How many of `count` records are admitted at once."""
    return sum(meter.admit_write(view, view.shards[0], size_bytes, START_MS) for _ in range(count))


def test_meter_when_nothing_is_limited_then_no_bucket_is_made() -> None:
    def check(view: StreamView) -> None:
        meter = Meter(False)
        assert not meter.meters(view)
        assert taken(meter, view, 3000) == 3000
        assert meter.admit_read(view, view.shards[0], START_MS)
        meter.count_read(view, view.shards[0], 10**9, START_MS)
        assert meter.admit_iterator(view, view.shards[0], START_MS)
        assert meter._quotas == {}

    with_stream({"team": "x"}, check)


@pytest.mark.parametrize(
    ("enforcing", "rates", "tags", "admitted"),
    [
        (True, UNLIMITED, {}, 1000),
        (False, ShardRates(write_records=7), {}, 7),
        (True, ShardRates(write_records=2000), {}, 2000),
        (False, UNLIMITED, {RECORDS: "3"}, 3),
        (True, ShardRates(write_records=7), {RECORDS: "1500"}, 1500),
        (False, ShardRates(write_records=7), {BYTES: "5"}, 5),  # the server's for what the tags leave open
        (False, UNLIMITED, {READS: "1"}, 3000),
    ],
)
def test_meter_when_rates_come_from_several_places_then_the_nearest_wins(
    enforcing: bool, rates: ShardRates, tags: dict[str, str], admitted: int
) -> None:
    with_stream(tags, lambda view: check_equal(taken(Meter(enforcing, rates), view, 3000), admitted))


def check_equal(found: int, wanted: int) -> None:
    assert found == wanted


def test_meter_when_reads_are_tagged_then_calls_and_bytes_are_bounded() -> None:
    def check(view: StreamView) -> None:
        meter, held = Meter(False), view.shards[0]
        assert [meter.admit_read(view, held, START_MS) for _ in range(4)] == [True, True, True, False]
        meter.count_read(view, held, 5000, START_MS)
        assert not meter.admit_read(view, held, START_MS + 4_999)
        assert meter.admit_read(view, held, START_MS + 5_000)
        assert all(meter.admit_iterator(view, held, START_MS) for _ in range(100))

    with_stream({READS: "3", READ_BYTES: "1000"}, check)


def test_meter_when_tags_change_then_the_new_rates_hold_at_once() -> None:
    async def scenario() -> None:
        world = World()
        streams = await world.start()
        view = await active(streams, tags={RECORDS: "3"})
        meter = streams.meter
        assert taken(meter, view, 10) == 3
        await streams.directory.update(view, replace(view.stream, retention_hours=48))
        assert taken(meter, view, 10) == 0, "another change of the stream fills no bucket"
        await streams.directory.update(view, replace(view.stream, tags={RECORDS: "5"}))
        assert taken(meter, view, 10) == 5
        await streams.directory.update(view, replace(view.stream, tags={}))
        assert taken(meter, view, 3000) == 3000
        await world.stop()

    run(scenario())


@pytest.mark.parametrize("text", ["", "0", "01", "-1", "1.5", "1e3", " 1", "1 ", "\u0661", "1" * 14, "many"])
def test_tagged_rates_when_a_value_is_no_rate_then_it_gives_none(text: str) -> None:
    assert not is_rate(text)
    assert tagged_rates({RECORDS: text}) is None
    assert tagged_rates({RECORDS: text, BYTES: "9"}) == ShardRates(write_bytes=9)
