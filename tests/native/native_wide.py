"""PutRecords over many shards, or with much for each, from the native part through the durable log and back."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from data_directory import engine
from msgspec.structs import replace
from streams_world import CALLER, World, active, begin, close_shard, data_in, run

from penstock.core.errors import ServiceError
from penstock.engines.api import AppendError, Fan, Unavailable
from penstock.engines.local import blocks
from penstock.engines.local.columns import cut_one_run
from penstock.engines.local.log import LocalLog, Options
from penstock.services.streams.codec import CODECS
from penstock.services.streams.directory import StreamView
from penstock.services.streams.measures import Measure, Measures
from penstock.services.streams.ops import record
from penstock.services.streams.service import Streams
from penstock.services.streams.tally import Sample
from penstock.services.streams.traffic import NOTHING
from penstock.services.streams.writer import SCATTERED_MIN, SCATTERED_MIN_BYTES, ScatteredRows, Written, WrittenRows
from penstock.wire import cbor
from penstock.wire.native import NATIVE
from penstock.wire.nativeparts import Placed, Spread

SHARDS = 2 * SCATTERED_MIN
Rows = list[tuple[bytes, bytes]]
ROWS: Rows = [(b"key-%d" % number, b"%d" % number) for number in range(500)]
FEW: Final = 3
LARGE: Rows = [(key, blob * 100) for key, blob in ROWS]
assert sum(len(key) + len(blob) for key, blob in LARGE) > FEW * SCATTERED_MIN_BYTES

both_ways = pytest.mark.parametrize(("shards", "rows"), [(SHARDS, ROWS), (FEW, LARGE)], ids=["many", "large"])


def framed(rows: Rows = ROWS) -> record.PutRecordsRequest:
    """A request of some rows, as it comes from the wire."""
    assert NATIVE is not None
    records = [{"Data": data, "PartitionKey": key.decode()} for key, data in rows]
    found = NATIVE.read_cbor(cbor.encode_document({"StreamName": "orders", "Records": records}))
    assert found is not None
    return record.PutRecordsRequest(stream_name="orders", framed=found[1])


def with_streams(folder: Path, scenario: Any, shards: int = SHARDS) -> None:
    """Play on a stream in the durable log."""

    async def whole() -> None:
        world = World()
        async with engine(folder, options=Options(journal_file_bytes=1 << 20)) as log:
            world.log = log
            streams = await world.start()
            await scenario(world, streams, log, await active(streams, shards=shards))
            await world.stop()

    run(whole())


def answered(output: record.PutRecordsOutput) -> list[tuple[str, int]]:
    """Shard and number of each record, as the client sees them."""
    document: Any = cbor.decode_document(CODECS["PutRecords"].encode["cbor"](output))
    assert document["FailedRecordCount"] == 0
    return [(each["ShardId"], int(each["SequenceNumber"])) for each in document["Records"]]


async def read_back(log: LocalLog, view: StreamView) -> dict[str, list[bytes]]:
    return {held.shard_id: await data_in(log, held.log) for held in view.shards.values()}


@both_ways
def test_put_records_when_they_are_scattered_then_each_is_where_python_puts_it(
    tmp_path: Path, shards: int, rows: Rows
) -> None:
    async def scenario(world: World, streams: Streams, log: LocalLog, view: StreamView) -> None:
        output = await record.put_records(streams, CALLER, framed(rows))
        assert isinstance(output.results, ScatteredRows)
        first = answered(output)
        second = answered(await record.put_records(streams, CALLER, framed(rows)))
        keys, data = [key for key, _ in rows], [blob for _, blob in rows]
        plain = await streams.writer.write(view, keys, data, [None] * len(rows))
        assert [name for name, _ in first] == [each.shard_id for each in plain if isinstance(each, Written)]
        expected: dict[str, list[bytes]] = {held.shard_id: [] for held in view.shards.values()}
        for (name, _), blob in zip(first, data, strict=True):
            expected[name].append(blob)
        assert await read_back(log, view) == {name: blobs * 3 for name, blobs in expected.items()}
        in_turn = zip(first, second, plain, strict=True)
        assert all(one < two < int(three.sequence_number) for (_, one), (_, two), three in in_turn)  # type: ignore[union-attr]
        counted = [streams.traffic.find(held) for held in view.shards.values()]
        rates = [each.seconds(1, world.clock.ms + 1000) if each else NOTHING for each in counted]
        assert [rate.in_records for rate in rates] == [3 * len(blobs) for blobs in expected.values()]
        assert sum(rate.in_bytes for rate in rates) == 3 * sum(map(len, keys + data))

    with_streams(tmp_path, scenario, shards)


@both_ways
def test_put_records_when_a_shard_is_closed_under_them_then_its_records_go_to_its_child(
    tmp_path: Path, shards: int, rows: Rows
) -> None:
    async def scenario(world: World, streams: Streams, log: LocalLog, view: StreamView) -> None:
        held = view.ring.owners[0]
        putting = begin(record.put_records(streams, CALLER, framed(rows)))
        await close_shard(world, streams, view, held)
        places = [name for name, _ in answered(await putting)]
        again = [name for name, _ in answered(await record.put_records(streams, CALLER, framed(rows)))]
        child = view.ring.owners[0].shard_id
        assert again == [child if name == held.shard_id else name for name in places]
        assert child in again
        read = await read_back(log, view)
        assert sorted(blob for blobs in read.values() for blob in blobs) == sorted(2 * [blob for _, blob in rows])

    with_streams(tmp_path, scenario, shards)


def test_put_records_when_the_engine_refuses_then_every_record_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(_log: LocalLog, _fan: Fan, _spread: Spread) -> Placed | AppendError | None:
        return Unavailable("disk")

    async def scenario(world: World, streams: Streams, log: LocalLog, view: StreamView) -> None:
        monkeypatch.setattr(LocalLog, "scatter", refuse)
        results = (await record.put_records(streams, CALLER, framed())).results
        assert not isinstance(results, ScatteredRows)
        assert isinstance(results, list)
        assert [each.code for each in results if isinstance(each, ServiceError)] == ["InternalFailure"] * len(ROWS)
        assert streams.traffic.of(view) == []

    with_streams(tmp_path, scenario)


class _Told:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.shards: dict[str, Sample] = {}
        self.stream: dict[str, Sample] = {}

    def take(self, _account: str, _region: str, dimensions: Mapping[str, str], _at_ms: int, measure: Measure) -> None:
        if "ShardId" in dimensions:
            self.shards[dimensions["ShardId"]] = measure.sample
        else:
            self.stream[measure.name] = measure.sample


def test_measures_when_records_went_to_many_shards_then_the_stream_and_each_shard_have_theirs(tmp_path: Path) -> None:
    async def scenario(world: World, streams: Streams, _log: LocalLog, view: StreamView) -> None:
        view.stream = replace(view.stream, shard_level_metrics=("IncomingRecords",))
        answers = [answered(await record.put_records(streams, CALLER, framed())) for _ in range(2)]
        told = _Told()
        Measures(streams.directory, streams.traffic, told, world.clock).collect()
        expected = Counter(name for name, _ in answers[0])
        assert {name: (sample.count, sample.total) for name, sample in told.shards.items()} == {
            name: (2, 2 * records) for name, records in expected.items()
        }
        incoming = told.stream["IncomingRecords"]
        assert (incoming.count, incoming.total) == (2 * len(expected), 2 * len(ROWS))
        assert (incoming.low, incoming.high) == (min(expected.values()), max(expected.values()))
        assert told.stream["PutRecords.SuccessfulRecords"].total == 2 * len(ROWS)

    with_streams(tmp_path, scenario)


def test_measures_when_single_puts_went_to_many_shards_then_they_are_those_of_put_record(tmp_path: Path) -> None:
    async def scenario(world: World, streams: Streams, _log: LocalLog, view: StreamView) -> None:
        view.stream = replace(view.stream, shard_level_metrics=("IncomingRecords",))
        rows = framed().framed
        assert rows is not None
        written = await streams.writer.write_ones(view, rows)
        assert isinstance(written, ScatteredRows)
        told = _Told()
        Measures(streams.directory, streams.traffic, told, world.clock).collect()
        assert len(told.shards) > SCATTERED_MIN
        assert sum(sample.count for sample in told.shards.values()) == len(ROWS)
        assert {(sample.low, sample.high) for sample in told.shards.values()} == {(1, 1)}
        sizes = [len(key) + len(data) for key, data in ROWS]
        sample = told.stream["PutRecord.Bytes"]
        assert (sample.count, sample.total, sample.low, sample.high) == (len(ROWS), sum(sizes), min(sizes), max(sizes))
        assert told.stream["IncomingRecords"].total == len(ROWS)
        assert not [name for name in told.stream if name.startswith("PutRecords")]

    with_streams(tmp_path, scenario)


def test_put_records_when_they_are_few_and_small_are_joined_with_others(tmp_path: Path) -> None:
    async def scenario(_world: World, streams: Streams, _log: LocalLog, _view: StreamView) -> None:
        output = await record.put_records(streams, CALLER, framed())
        assert isinstance(output.results, WrittenRows)

    with_streams(tmp_path, scenario, FEW)


@pytest.mark.parametrize(
    ("rows", "shards", "cuts"), [(LARGE, FEW, FEW), (ROWS, SHARDS, 2 * SHARDS)], ids=["large", "many"]
)
def test_blocks_when_they_are_large_are_cut_from_a_scatter_once_for_all_readers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: Rows, shards: int, cuts: int
) -> None:
    counted = 0

    def cut(*place: Any) -> Any:
        nonlocal counted
        counted += 1
        return cut_one_run(*place)

    async def scenario(_world: World, streams: Streams, log: LocalLog, view: StreamView) -> None:
        await record.put_records(streams, CALLER, framed(rows))
        monkeypatch.setattr(blocks, "cut_one_run", cut)
        first, second = await read_back(log, view), await read_back(log, view)
        assert first == second
        assert sorted(blob for blobs in first.values() for blob in blobs) == sorted(blob for _, blob in rows)

    with_streams(tmp_path, scenario, shards)
    assert counted <= cuts
    assert counted > 0
