"""What every client must have seen."""

import time
from collections import defaultdict
from collections.abc import Iterable

from programs import Line

COUNT = 501  # records that a program of plain calls puts: "0" to "500"


def judge_calls(lines: list[Line], began_ms: float) -> None:
    """Plain calls: two puts, pages of a hundred to the tip of each shard, a refusal."""
    seen: dict[str, list[Line]] = defaultdict(list)
    for line in lines:
        seen[line["event"]].append(line)
    [put], [many], [refused] = seen["put"], seen["putMany"], seen["refused"]
    assert (many["failed"], many["answers"]) == (0, COUNT - 1)
    assert sorted(int(line["data"]) for line in seen["record"]) == list(range(COUNT))
    assert {line["data"]: line["key"] for line in seen["record"] if int(line["data"]) < 3} == {
        "0": "key", "1": "odd", "2": "even",
    }  # fmt: skip
    [first] = [line for line in seen["record"] if line["data"] == "0"]
    assert (first["sequence"], first["shard"]) == (put["sequence"], put["shard"])
    for line in seen["record"]:
        assert began_ms - 1000 < line["arrived"] < time.time() * 1000 + 1000  # noqa: TID251
    assert_in_order(seen["record"])
    assert [line["behind"] for line in seen["tip"]] == [0, 0]
    assert refused["type"] == refused["code"] == "ResourceNotFoundException"
    assert refused["message"] == "Stream missing under account 123456789012 not found."
    assert refused["status"] == 400
    assert len(refused["request"]) == 36


def judge_pushed(lines: list[Line]) -> None:
    """A subscription from the trim horizon gives what pages of the same shard gave."""
    [put] = [line for line in lines if line["event"] == "put"]
    paged = [
        (line["data"], line["sequence"])
        for line in lines
        if line["event"] == "record" and line["shard"] == put["shard"]
    ]
    assert [(line["data"], line["sequence"]) for line in lines if line["event"] == "pushed"] == paged


def assert_in_order(records: Iterable[Line]) -> None:
    """Sequence numbers rise in each shard."""
    last: dict[str, int] = defaultdict(int)
    for record in records:
        number = int(record["sequence"])
        assert number > last[record["shard"]], record
        last[record["shard"]] = number
