"""The table, the lines and their words."""

import io

import pytest
from rich.console import Console

from penstock.demo.progress import Shard, Snapshot
from penstock.demo.screen import LineView, Window, live_table, record_text


def snapshot(*read: int, refused: int = 0, waiting: str | None = None) -> Snapshot:
    shards = {
        f"shardId-{number:012d}": Shard(put_records=count, put_bytes=100 * count, read_records=count, age_ms=number)
        for number, count in enumerate(read)
    }
    return Snapshot(shards, keys=2, refused=refused, waiting=waiting)


def drawn(state: Snapshot, *, wide: bool, rows: int) -> list[str]:
    out = Console(file=io.StringIO(), width=110)
    rates, rate = Window(1.0).rates(1.0, state)
    out.print(live_table(state, rates, rate, wide=wide, rows=rows))
    assert isinstance(out.file, io.StringIO)
    return [" ".join(line.split()) for line in out.file.getvalue().splitlines()]


def test_window_tells_rates_over_its_length_only() -> None:
    window = Window(2.0)
    seen = [window.rates(float(second), snapshot(1000 * second))[1].put_records for second in range(1, 5)]

    assert seen == [1000, 1000, 1000, 1000]
    assert window.rates(5.0, snapshot(4000))[1].put_records == 500
    assert window.rates(6.0, snapshot(4000))[1].put_records == 0


def test_live_table_has_a_row_for_each_shard_and_one_for_all() -> None:
    assert drawn(snapshot(20, 1000), wide=False, rows=10) == [
        "shard by put/s bytes/s read/s bytes/s age read in all",
        "0 20 2.0 KiB 20 0 B 0 ms 20",
        "1 1,000 98 KiB 1,000 0 B 1 ms 1,000",
        "all 1,020 100 KiB 1,020 0 B 1 ms 1,020",
    ]


def test_live_table_with_more_shards_than_rows_says_how_many_it_hides() -> None:
    lines = drawn(snapshot(*range(1, 11)), wide=True, rows=3)

    assert [line.split()[0] for line in lines[1:]] == ["0", "1", "2", "+7", "all"]


def test_line_view_prints_once_a_second(capsys: pytest.CaptureFixture[str]) -> None:
    with LineView("title") as view:
        view.show(0.5, snapshot(500), feeding=True)
        view.show(1.0, snapshot(1000), feeding=True)
        view.show(1.5, snapshot(1500), feeding=True)
        view.show(2.0, snapshot(2500, waiting="no such luck"), feeding=False)

    assert capsys.readouterr().out.splitlines() == [
        "title",
        "   1 s  put 1,000/s 98 KiB/s  read 1,000/s 0 B/s  age 0 ms  in all 1,000 put, 1,000 read",
        "   2 s  put 1,500/s 146 KiB/s  read 1,500/s 0 B/s  age 0 ms  in all 2,500 put, 2,500 read"
        "  (reading what is left; trying again: no such luck)",
    ]


def test_record_text_is_for_people() -> None:
    data = b'{"key":"proc:7","count":3,"at_ms":1,"name":"bash","cpu_s":1.5,"resident_bytes":2048,"threads":1}'

    assert record_text(data) == "proc:7  bash, cpu 1.50 s, resident 2.0 KiB, threads 1"
    assert record_text(b'{"key":"cpu:0","percent":12.5}') == "cpu:0  12.5 %"
    assert record_text(b"") == ""
    assert record_text(b"\xff") == r"b'\xff'"
