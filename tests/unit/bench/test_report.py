"""What the report of a benchmark says of measurements."""

from pathlib import Path
from xml.etree import ElementTree

import pytest
from bench import limits, plots, report
from bench.audit import Audit
from bench.report import LIMITS, MACHINE, NULL, Machine, Result, Run, Subject
from bench.scenarios import FIGURES, Measured, Timing
from bench.servers import US, Part

FIGURE = FIGURES["put-records"]
LATENCY = FIGURES["put-record-1 p50"]
MACHINE_LIMITS = {
    "SHA-256 MB/s": 1000.0, "JSON records/s": 600_000.0, "CBOR records/s": 900_000.0, "JSON page MB/s": 800.0,
    "loopback MB/s": 2000.0, "JSON wire bytes": 1411.0, "CBOR wire bytes": 1060.0, "disk MB/s": 512.0, "sync p50 ms": 0.1,
    "sync p99 ms": 0.2, "interpreter start s": 0.02, "interpreter MiB": 9.0,
}  # fmt: skip


def result(**values: list[float]) -> Result:
    """A run of put-records on servers, a value for each round."""
    runs = [Run(round=1, scenario=LIMITS, server=MACHINE, measured=Measured(values=MACHINE_LIMITS))]
    for server, held in values.items():
        runs += [
            Run(round=turn, scenario="put-records", server=server, measured=Measured(values={"put-records": value}))
            for turn, value in enumerate(held, 1)
        ]
    parts = {US: Part.US, NULL: Part.NULL}
    return Result(
        date="2026-01-01", command="python -m bench", commit="abc", rounds=3, timing=Timing(1, 2), runs=runs,
        machine=Machine(processor="p", cores=2, memory_gib=8, system="Linux", python="3.11", load_average=0.1),
        subjects=[Subject(name=name, part=parts.get(name, Part.PEER), version="1", how=name) for name in values],
    )  # fmt: skip


def test_ratio_when_less_is_better_then_is_above_one_for_the_smaller() -> None:
    run = Result(
        date="", command="", commit="", rounds=1, timing=Timing(1, 1),
        machine=Machine(processor="", cores=1, memory_gib=1, system="", python="", load_average=0),
        runs=[
            Run(round=1, scenario="put-record-1", server=server, measured=Measured(values={LATENCY.name: value}))
            for server, value in ((US, 0.5), ("peer", 2.0))
        ],
    )  # fmt: skip
    assert run.ratios(LATENCY, US, "peer") == [4.0]


def test_ratio_when_a_round_is_missing_on_one_side_then_is_of_the_others() -> None:
    run = result(penstock=[10.0, 20.0, 30.0], peer=[5.0, 5.0])
    assert run.ratios(FIGURE, US, "peer") == [2.0, 4.0]


def test_best_peer_when_several_then_is_that_of_the_best_median() -> None:
    assert result(penstock=[1.0], slow=[5.0, 90.0, 6.0], fast=[7.0, 8.0, 9.0]).best_peer(FIGURE) == "fast"


@pytest.mark.parametrize(
    ("value", "verdict"), [(100_000.0, "BELOW THE FLOOR"), (150_000.0, "floor held"), (300_000.0, "aim reached")]
)
def test_targets_when_reached_or_not_then_say_so(value: float, verdict: str) -> None:
    [_, row] = report.targets(result(penstock=[value]))
    assert row[5] == verdict


def test_nearest_limit_when_the_disk_is_slowest_then_is_the_disk_with_the_share_reached() -> None:
    [_, row] = report.targets(result(penstock=[250_000.0], null=[4_000_000.0]))
    assert row[6:] == ["disk: 500,000", "50%"]


def test_bounds_of_a_latency_when_a_null_is_known_then_are_loopback_and_sync_together() -> None:
    assert limits.bounds("put-record-1 p99", MACHINE_LIMITS, 0.3) == [limits.Bound("loopback and sync", 0.5)]


def test_audits_when_a_record_is_missing_then_say_how_many() -> None:
    assert report.audit_cells([Audit(10, 8), Audit(5, 5)])[2].startswith("2 of the acknowledged records are MISSING")


def test_audits_when_cut_off_then_count_only_whole_ones() -> None:
    cells = report.audit_cells([Audit(10, 3, "stopped after 15 s"), Audit(5, 5)])
    assert cells[:2] == ["5", "5"]
    assert "1 of 2 audits not counted to the end" in cells[2]


def test_spread_when_rounds_differ_then_is_the_farthest_in_per_cent() -> None:
    assert report.spread([90.0, 100.0, 130.0]) == "100 ±30%"


def test_problems_when_one_fails_in_every_round_then_are_told_once() -> None:
    run = result(penstock=[1.0])
    run.runs += [
        Run(round=turn, scenario="push", server="moto", measured=Measured(failure="no push")) for turn in (1, 2)
    ]
    assert report.problems(run) == ["moto, push, round 1: no push"]


def test_result_when_written_then_reads_back_the_same(tmp_path: Path) -> None:
    run = result(penstock=[1.0, 2.0], null=[9.0])
    report.write_json(run, tmp_path / "kept" / "run.json")
    assert report.read_json(tmp_path / "kept" / "run.json") == run


def test_page_when_little_was_measured_then_is_whole() -> None:
    text = report.page(result(penstock=[250_000.0], peer=[1000.0], null=[4_000_000.0]))
    assert "PutRecords 500 x 1 KB, JSON" in text
    assert "250x" in text


def test_pictures_when_drawn_then_are_xml_and_escape_names() -> None:
    bars = [plots.Bar("<us>", 10.0, [9.0, 11.0], True), plots.Bar("them", 0.0, [], False)]
    for picture in (
        plots.panels([plots.Panel("a & b", "x/s", "higher", bars)], "title"),
        plots.shares([plots.Share("row", "disk", 1.4, [0.5, 2.0])], "title"),
    ):
        ElementTree.fromstring(picture)
