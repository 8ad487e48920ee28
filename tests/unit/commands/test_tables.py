"""The tables of top and shards, as text."""

from collections.abc import Callable

import pytest
from rich.console import Console
from rich.table import Table

from penstock.commands.family import HASH_KEYS, Shard, draw
from penstock.commands.paper import bar, tame
from penstock.commands.shards import flat, tree_table
from penstock.commands.top import STREAM_ORDERS, age_text, shard_table, stream_table
from penstock.commands.traffic import ShardTraffic, StreamTraffic

BUSY = StreamTraffic(
    "busy", "1", "r", "ACTIVE", "ON_DEMAND", 4, 2, in_bytes_per_s=2e6, in_records_per_s=1500.0, refused_writes_per_s=0.4
)
SLOW = StreamTraffic("slow", "1", "r", "UPDATING", "PROVISIONED", 9, out_bytes_per_s=10.0, iterator_age_ms=90_000)
IDLE = StreamTraffic("idle", "1", "r", "ACTIVE", "PROVISIONED", 1)


def printed(table: Table) -> list[str]:
    console = Console(width=300, color_system=None)
    with console.capture() as capture:
        console.print(table)
    return [" ".join(line.split()) for line in capture.get().splitlines() if line.strip() and "──" not in line]


def test_stream_table_shows_each_stream_in_a_row() -> None:
    assert printed(stream_table([IDLE, BUSY], "in")) == [
        "stream status mode shards in/s bytes/s out/s bytes/s refused w/s r/s age consumers",
        "busy active on-demand 4 1,500 1.9 MiB 0 0 B 0.4 0 - 2",
        "idle active provisioned 1 0 0 B 0 0 B 0 0 - 0",
    ]


@pytest.mark.parametrize(
    ("sort", "names"),
    [
        ("in", ["busy", "idle", "slow"]),
        ("out", ["slow", "busy", "idle"]),
        ("throttles", ["busy", "idle", "slow"]),
        ("age", ["slow", "busy", "idle"]),
        ("shards", ["slow", "busy", "idle"]),
        ("name", ["busy", "idle", "slow"]),
    ],
)
def test_stream_table_sorts(sort: str, names: list[str]) -> None:
    assert [row.split()[0] for row in printed(stream_table([SLOW, IDLE, BUSY], sort))[1:]] == names
    assert sort in STREAM_ORDERS


def test_stream_table_when_there_is_no_room_says_how_many_are_left_out() -> None:
    assert printed(stream_table([SLOW, IDLE, BUSY], "name", 1))[-1] == "+2"


def test_stream_table_when_narrow_keeps_what_matters() -> None:
    assert printed(stream_table([BUSY], "name", wide=False)) == [
        "stream shards in/s bytes/s out/s bytes/s age",
        "busy 4 1,500 1.9 MiB 0 0 B -",
    ]


def test_stream_table_of_several_accounts_names_them() -> None:
    other = StreamTraffic("busy", "2", "r", "ACTIVE", "PROVISIONED", 1)

    rows = printed(stream_table([BUSY, other], "name"))

    assert [row.split()[:3] for row in rows] == [
        ["stream", "account", "region"],
        ["busy", "1", "r"],
        ["busy", "2", "r"],
    ]


def test_shard_table_shows_open_shards_first_with_their_heat() -> None:
    shards = [
        ShardTraffic("shardId-000000000000", open=False, records=7),
        ShardTraffic("shardId-000000000001", in_records_per_s=500.0, heat=0.5, iterator_age_ms=1500),
    ]

    assert printed(shard_table(shards, "in"))[1:] == [
        "1 open 500 0 B 0 0 B 0 0 1.5 s █████····· 50 %",
        "0 closed 0 0 B 0 0 B 0 0 - 7",
    ]


def test_tree_table_without_traffic_has_no_columns_for_it() -> None:
    parent = Shard("shardId-000000000000", 0, HASH_KEYS - 1, open=False)
    child = Shard("shardId-000000000001", 0, HASH_KEYS // 2 - 1, (parent.shard_id,))

    assert printed(tree_table(list(draw([parent, child])), None, whole_keys=False)) == [
        "shard hash keys from–to where",
        "0 closed 0.00 – 100.00 % 00000000…–ffffffff… ████████████████",
        "└─ 1 open 0.00 – 50.00 % 00000000…–7fffffff… ████████········",
    ]
    assert [line.shard for line in flat([parent, child])] == [child]


def test_tree_table_with_traffic_tells_records_and_heat() -> None:
    shard = Shard("shardId-000000000000", 0, HASH_KEYS - 1)
    traffic = StreamTraffic("s", shards=(ShardTraffic(shard.shard_id, records=1234, in_records_per_s=10.0, heat=1.5),))

    assert printed(tree_table(list(draw([shard])), traffic, whole_keys=False))[1].endswith(
        "1,234 10 0 B ██████████ 150 %"
    )


@pytest.mark.parametrize(
    ("age_ms", "text"),
    [(None, "-"), (0, "0 ms"), (999, "999 ms"), (1000, "1.0 s"), (90_000, "1.5 min"), (2 * 86_400_000, "2.0 d")],
)
def test_age_text_takes_the_unit_that_suits(age_ms: float | None, text: str) -> None:
    assert age_text(age_ms).plain == text


@pytest.mark.parametrize(
    ("draw_bar", "text"),
    [
        (lambda: bar(0, 4), "····"),
        (lambda: bar(0.5, 4), "██··"),
        (lambda: bar(0.53125, 4), "██▏·"),
        (lambda: bar(7, 4), "████"),
        (lambda: tame("a\x07"), "a\\x07"),
    ],
)
def test_bars_fill_by_eighths_and_texts_are_tamed(draw_bar: Callable[[], str], text: str) -> None:
    assert draw_bar() == text
