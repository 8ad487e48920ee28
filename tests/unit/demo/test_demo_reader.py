"""The readers, against shards made of lists."""

from typing import Any

import msgspec
import pytest
from botocore.exceptions import ClientError

from penstock.demo import reader
from penstock.demo.progress import Progress
from penstock.demo.reader import Readers


@pytest.fixture(autouse=True)
def without_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "POLL_S", 0.0)
    monkeypatch.setattr(reader, "LINGER_S", 0.0)


def refusal(code: str, status: int) -> ClientError:
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "GetRecords")  # type: ignore[typeddict-item]


class Shelf:
    """Shards to read, one record a page; an iterator is `<shard>/<place>`.

    A shard with children is closed.  Each of `refusals` is raised once, instead of a page.
    """

    def __init__(self, shards: dict[str, list[tuple[str, int]]], parents: dict[str, list[str]]) -> None:
        self.shards = shards
        self.parents = parents
        self.refusals: list[ClientError] = []
        self.opened: list[str] = []

    def get_shard_iterator(self, **request: str) -> dict[str, str]:
        self.opened.append(f"{request['ShardId']} {request['ShardIteratorType']}")
        place = int(request.get("StartingSequenceNumber", "-1")) + 1
        return {"ShardIterator": f"{request['ShardId']}/{place}"}

    def get_records(self, *, ShardIterator: str) -> dict[str, Any]:  # noqa: N803
        if self.refusals:
            raise self.refusals.pop()
        shard_id, place_text = ShardIterator.split("/")
        records, place = self.shards[shard_id], int(place_text)
        page: dict[str, Any] = {"Records": [self._record(place, *stamp) for stamp in records[place : place + 1]]}
        page["MillisBehindLatest"] = 1 if place < len(records) else 0
        children = [child for child, parents in self.parents.items() if shard_id in parents]
        if place >= len(records) and children:
            page["ChildShards"] = [{"ShardId": child, "ParentShards": self.parents[child]} for child in children]
        else:
            page["NextShardIterator"] = f"{shard_id}/{place + len(page['Records'])}"
        return page

    def _record(self, place: int, key: str, count: int) -> dict[str, Any]:
        data = msgspec.json.encode({"key": key, "count": count})
        return {"Data": data, "PartitionKey": key, "SequenceNumber": str(place)}


def read_all(shelf: Shelf, first: list[str]) -> Progress:
    """What the readers make of a shelf on which every record of key `k` is expected."""
    progress = Progress()
    for _ in range(sum(map(len, shelf.shards.values()))):
        progress.made("k")
    progress.fed.set()
    readers = Readers(shelf, "s", progress)  # type: ignore[arg-type]
    readers.start(first)
    while readers.running:
        readers.join(30)
    return progress


def test_readers_across_a_split_and_a_merge_read_parents_first() -> None:
    shelf = Shelf(
        {"0": [("k", 1), ("k", 2)], "1": [("k", 3)], "2": [], "3": [("k", 4)]},
        parents={"1": ["0"], "2": ["0"], "3": ["1", "2"]},
    )
    progress = read_all(shelf, ["0"])

    assert progress.verdict().good, str(progress.verdict())
    assert sorted(shelf.opened) == [f"{shard} TRIM_HORIZON" for shard in "0123"]
    assert [shard.closed for shard in progress.snapshot().shards.values()] == [True, True, True, False]


def test_reader_whose_iterator_expires_goes_on_where_it_was() -> None:
    shelf = Shelf({"0": [("k", 1), ("k", 2)]}, parents={})
    read, expired = shelf.get_records, [refusal("ExpiredIteratorException", 400)]

    def get_records(*, ShardIterator: str) -> dict[str, Any]:  # noqa: N803
        if ShardIterator == "0/1" and expired:
            raise expired.pop()
        return read(ShardIterator=ShardIterator)

    shelf.get_records = get_records  # type: ignore[method-assign]
    progress = read_all(shelf, ["0"])

    assert progress.verdict().good, str(progress.verdict())
    assert shelf.opened == ["0 TRIM_HORIZON", "0 AFTER_SEQUENCE_NUMBER"]


def test_reader_that_is_throttled_tries_again() -> None:
    shelf = Shelf({"0": [("k", 1)]}, parents={})
    shelf.refusals = [refusal("ProvisionedThroughputExceededException", 400)]

    assert read_all(shelf, ["0"]).verdict().good


def test_reader_that_is_refused_for_good_ends_the_demo() -> None:
    shelf = Shelf({"0": [("k", 1)]}, parents={})
    shelf.refusals = [refusal("ResourceNotFoundException", 400)]
    progress = read_all(shelf, ["0"])

    assert progress.snapshot().failure == "cannot read 0: ResourceNotFoundException"
    assert progress.halt.is_set()


def test_reader_that_meets_a_damaged_record_reports_it() -> None:
    class Torn(Shelf):
        def _record(self, place: int, key: str, count: int) -> dict[str, Any]:
            return {**super()._record(place, key, count), "Data": b"{"}

    verdict = read_all(Torn({"0": [("k", 1)]}, parents={}), ["0"]).verdict()

    assert (verdict.good, verdict.foreign, verdict.lost) == (False, 1, 1)


def test_reader_that_meets_a_record_under_another_key_reports_it() -> None:
    class Mixed(Shelf):
        def _record(self, place: int, key: str, count: int) -> dict[str, Any]:
            return {**super()._record(place, key, count), "PartitionKey": "other"}

    verdict = read_all(Mixed({"0": [("k", 1)]}, parents={}), ["0"]).verdict()

    assert (verdict.good, verdict.foreign) == (False, 1)
