"""Shards and prices, each worked out by hand."""

import pytest

from penstock.commands.estimate import BILL_GB, Load, Need, on_demand, provisioned, shards_needed, total
from penstock.commands.place import CommandError
from penstock.commands.plan import PRICE_FILE, Options, load_of, read_prices
from penstock.commands.traffic import StreamTraffic

PRICES = read_prices(PRICE_FILE)
HOUR_GB = BILL_GB / 3600  # bytes a second that make one GB an hour, 730 GB a month


@pytest.mark.parametrize(
    ("load", "need", "shards"),
    [
        (Load(12e6, 9000, 30e6, 3), Need(12, 9, 15), 15),
        (Load(12e6, 9000, 24e6), Need(12, 9, 12), 12),
        (Load(12_000_001, 9000, 0), Need(13, 9, 0), 13),
        (Load(1e3, 1001, 0), Need(1, 2, 0), 2),
        (Load(0, 0, 0), Need(0, 0, 0), 1),
        (Load(300e3 * 10, 1, 0), Need(3, 1, 0), 3),
        (Load((0.1 + 0.2) * 1e7, 3000, 6e6), Need(3, 3, 3), 3),  # floating point makes it 3000000.0000000005
    ],
)
def test_shards_needed_is_the_greatest_of_three(load: Load, need: Need, shards: int) -> None:
    assert shards_needed(load) == need
    assert need.shards == shards


def test_shards_needed_does_not_depend_on_fan_out() -> None:
    assert shards_needed(Load(5e6, 100, 0, consumers=20)).shards == 5


def test_reason_names_what_asks_for_the_most() -> None:
    assert [Need(2, 1, 1).reason, Need(1, 2, 1).reason, Need(1, 1, 2).reason] == [
        "bytes written", "records written", "shared reads",
    ]  # fmt: skip


def test_provisioned_at_its_simplest_is_shard_hours_and_put_units() -> None:
    # 100 records a second of 35 KB are two units each: 200 units * 2,628,000 s = 525.6 million; 4 shards * 730 h
    items = provisioned(Load(100 * 35 * 1024, 100, 0), 4, PRICES.provisioned)

    assert [(item.name, item.amount) for item in items] == [("shard hours", 2920.0), ("PUT payload units", 525.6)]
    assert total(items) == pytest.approx(2920 * 0.015 + 525.6 * 0.014)
    assert total(items) == pytest.approx(51.1584)


def test_provisioned_when_a_record_is_25_kb_is_one_unit_and_a_byte_more_is_two() -> None:
    def units(size: int) -> float:
        return provisioned(Load(size, 1, 0), 1, PRICES.provisioned)[1].amount

    assert units(25 * 1024) == pytest.approx(2.628)
    assert units(25 * 1024 + 1) == pytest.approx(2 * 2.628)
    assert units(1) == pytest.approx(2.628)


def test_provisioned_with_fan_out_and_a_long_retention() -> None:
    # one GB an hour, two consumers: 2 * 730 GB; 3 shards: 2,190 h; 200 h kept: 32 h beyond 7 days hold 32 GB
    items = provisioned(Load(HOUR_GB, 1000, 0, 2, 200), 3, PRICES.provisioned)
    costs = {item.name: item.cost for item in items}

    assert costs["shard hours"] == pytest.approx(2190 * 0.015)
    assert costs["fan-out consumers"] == pytest.approx(2 * 2190 * 0.015)
    assert costs["fan-out data"] == pytest.approx(2 * 730 * 0.013)
    assert costs["retention above 24 h"] == pytest.approx(2190 * 0.02)
    assert costs["retention above 7 days"] == pytest.approx(32 * 0.023)


def test_provisioned_for_a_week_pays_no_long_retention() -> None:
    names = [item.name for item in provisioned(Load(HOUR_GB, 1000, 0, 0, 168), 1, PRICES.provisioned)]

    assert names == ["shard hours", "PUT payload units", "retention above 24 h"]


def test_on_demand_counts_each_record_as_whole_kilobytes() -> None:
    # 1,000 records a second of 1,500 bytes count as 2 KB each: 2,048,000 B/s * 2,628,000 s = 5,012.5 GB of 2**30 bytes
    items = on_demand(Load(1.5e6, 1000, 3e6), PRICES.on_demand)

    assert [item.name for item in items] == ["stream hours", "data in", "data out"]
    assert [item.amount for item in items] == pytest.approx([730, 5012.512207, 7342.547178])
    assert total(items) == pytest.approx(730 * 0.04 + 5012.512207 * 0.08 + 7342.547178 * 0.04)


def test_on_demand_with_fan_out_and_a_long_retention() -> None:
    # one GB an hour: 144 GB lie between 24 h and 7 days, 32 GB beyond
    items = on_demand(Load(HOUR_GB, HOUR_GB / 1024, 0, 2, 200), PRICES.on_demand)
    costs = {item.name: item.cost for item in items}

    assert costs["data in"] == pytest.approx(730 * 0.08)
    assert costs["fan-out data"] == pytest.approx(2 * 730 * 0.05)
    assert costs["retention above 24 h"] == pytest.approx(144 * 0.1)
    assert costs["retention above 7 days"] == pytest.approx(32 * 0.023)


def test_load_of_takes_what_was_said_and_else_what_was_recorded() -> None:
    recorded = StreamTraffic(
        "s", consumers=2, retention_hours=48,
        peak_in_bytes_per_s_30d=5e6, peak_in_records_per_s_30d=700.0, peak_out_bytes_per_s_30d=9e6,
    )  # fmt: skip

    assert load_of(Options(stream="s"), recorded) == Load(5e6, 700, 9e6, 2, 48)
    assert load_of(Options(stream="s", write_mb=1, consumers=0), recorded) == Load(1e6, 700, 9e6, 0, 48)


def test_load_of_when_one_half_was_not_said_takes_records_for_1000_bytes() -> None:
    assert load_of(Options(write_mb=2), None) == Load(2e6, 2000, 0, 0, 24)
    assert load_of(Options(records=30), None) == Load(30e3, 30, 0, 0, 24)
    assert load_of(Options(read_mb=2), None) == Load(0, 0, 2e6, 0, 24)


def test_load_of_when_nothing_was_said_asks_for_a_load() -> None:
    with pytest.raises(CommandError, match="say a load"):
        load_of(Options(), None)
