"""The feeder keeps its pace, and the order of each key."""

from collections.abc import Iterator
from typing import Any

import msgspec

from penstock.demo.feeder import Feeder, Pacer
from penstock.demo.machine import Reading
from penstock.demo.outbox import Stamp
from penstock.demo.progress import Progress


class Lossy:
    """A stream of one shard that refuses every third entry it is offered."""

    def __init__(self) -> None:
        self.offered = 0
        self.taken: list[Stamp] = []

    def put_records(self, *, StreamName: str, Records: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
        return {"Records": [self._put(record["Data"]) for record in Records]}

    def _put(self, data: bytes) -> dict[str, str]:
        self.offered += 1
        if self.offered % 3 == 0:
            return {"ErrorCode": "InternalFailure", "ErrorMessage": "no"}
        self.taken.append(msgspec.json.decode(data, type=Stamp))
        return {"ShardId": "shardId-000000000000", "SequenceNumber": "1"}


def test_feeder_when_entries_are_refused_keeps_each_keys_order() -> None:
    progress, stream = Progress(), Lossy()

    def readings() -> Iterator[Reading]:
        for number in range(300):
            yield Reading("abcde"[number % 7 % 5], {"number": number})
        progress.stop_feeding.set()

    feeder = Feeder(stream, "s", 1_000_000, progress, readings())  # type: ignore[arg-type]
    feeder.start()
    feeder.join(30)
    progress.read("shardId-000000000000", stream.taken, 0, 0, None)

    verdict = progress.verdict()
    assert (verdict.good, verdict.sent) == (True, 300), str(verdict)
    assert progress.snapshot().refused == stream.offered - 300 > 0
    assert progress.fed.is_set()


def test_feeder_when_its_source_breaks_ends_the_demo() -> None:
    progress = Progress()

    def broken(_number: int) -> Reading:
        raise OSError("no such sensor")

    feeder = Feeder(Lossy(), "s", 1_000_000, progress, map(broken, range(10)))  # type: ignore[arg-type]
    feeder.start()
    feeder.join(30)

    assert progress.halt.is_set()
    assert "no such sensor" in (progress.snapshot().failure or "")


def test_pacer_gives_the_rate_whatever_the_ticks() -> None:
    pacer = Pacer(1000, 0.0)
    made = 0
    for tick in range(1, 701):
        due = pacer.due(tick / 700)
        pacer.made(due)
        made += due

    assert made in (999, 1000)


def test_pacer_waives_what_is_overdue_by_more_than_a_second() -> None:
    pacer = Pacer(1000, 0.0)

    assert pacer.due(0.5) == 500
    assert pacer.due(60.0) == 1000
