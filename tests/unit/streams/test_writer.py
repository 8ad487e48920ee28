"""The writer: which shard a record goes to, in which order, and what a refusal costs its neighbours."""

import logging
from collections.abc import Sequence

import pytest
from streams_world import START_MS, World, active, run

from penstock.core.errors import ServiceError
from penstock.core.limits import KIB, MIB
from penstock.engines.api import (
    Appended,
    AppendError,
    Batch,
    Indeterminate,
    Overloaded,
    Position,
    Sealed,
    TooLarge,
    Unavailable,
)
from penstock.engines.memory import MemoryLog
from penstock.services.metrics.registry import StreamMetrics
from penstock.services.streams import sequence
from penstock.services.streams.directory import StreamView
from penstock.services.streams.service import Streams
from penstock.services.streams.topology import HASH_KEY_MAX, hash_key
from penstock.services.streams.writer import Written

LAST = HASH_KEY_MAX  # a hash key of the last shard


async def write(
    streams: Streams, view: StreamView, *records: tuple[bytes, bytes], at: Sequence[int | None] | None = None
) -> list[Written | ServiceError]:
    """Write records, given in rows, at the places of their keys unless `at` names others."""
    places = at if at is not None else [None] * len(records)
    return await streams.writer.write(view, [key for key, _ in records], [data for _, data in records], places)


def codes(results: Sequence[Written | ServiceError]) -> list[str]:
    """The error code of each result, or an empty text for one that was written."""
    return [result.code if isinstance(result, ServiceError) else "" for result in results]


def test_write_when_keys_go_to_several_shards_then_each_record_is_where_its_hash_key_is() -> None:
    async def scenario() -> None:
        world = World()
        streams = await world.start()
        view = await active(streams, shards=3)
        rows = [(b"key-%d" % number, b"%d" % number) for number in range(60)]
        results = await write(streams, view, *rows)
        assert len(results) == 60
        for (key, data), result in zip(rows, results, strict=True):
            assert isinstance(result, Written)
            held = next(
                held
                for held in view.shards.values()
                if held.shard.hash_range.start <= hash_key(key) <= held.shard.hash_range.end
            )
            assert result.shard_id == f"shardId-{held.shard.no:012d}"
            decoded = sequence.decode(result.sequence_number)
            assert decoded is not None
            assert (decoded.shard_no, decoded.arrived_s) == (held.shard.no, START_MS // 1000)
            page = await world.log.read(held.log, sequence.position_of(decoded.index_in_shard), 1, MIB)
            assert (list(page.keys), list(page.data)) == ([key], [data])
        await world.stop()

    run(scenario())


def test_write_when_a_key_repeats_then_its_records_keep_their_order() -> None:
    async def scenario() -> None:
        world = World()
        streams = await world.start()
        view = await active(streams, shards=2)
        for _ in range(3):
            results = await write(streams, view, *((b"k%d" % (number % 5), b"%d" % number) for number in range(50)))
            for first in range(5):
                numbers = [int(result.sequence_number) for result in results[first::5] if isinstance(result, Written)]
                assert len(numbers) == 10
                assert numbers == sorted(set(numbers))
        for held in view.shards.values():
            page = await world.log.read(held.log, Position(0, 0), 1000, MIB)
            for key in set(page.keys):
                data = [int(data) for own, data in zip(page.keys, page.data, strict=True) if own == key]
                assert data == [*range(data[0], 50, 5)] * 3
        await world.stop()

    run(scenario())


def test_write_when_a_hash_key_is_named_then_it_decides_and_the_key_does_not() -> None:
    async def scenario() -> None:
        world = World()
        streams = await world.start()
        view = await active(streams, shards=2)
        edge = 2**127
        results = await write(streams, view, *[(b"k", b"x")] * 4, at=[0, edge - 1, edge, LAST])
        shards = [result.shard_id[-1] for result in results if isinstance(result, Written)]
        assert shards == ["0", "0", "1", "1"]
        await world.stop()

    run(scenario())


def test_write_when_a_shard_is_throttled_then_only_its_records_are_refused() -> None:
    async def scenario() -> None:
        world = World()
        streams = await world.start()
        view = await active(streams, shards=2)
        streams.faults.throttle("orders", 1)
        results = await write(streams, view, *[(b"k", b"%d" % number) for number in range(4)], at=[0, LAST, LAST, 0])
        refused = "ProvisionedThroughputExceededException"
        assert codes(results) == ["", refused, refused, ""]
        assert isinstance(results[1], ServiceError)
        assert results[1].message == (
            "Rate exceeded for shard shardId-000000000001 in stream orders under account 123456789012."
        )
        first = await world.log.read(view.shards[0].log, Position(0, 0), 10, MIB)
        assert list(first.data) == [b"0", b"3"]
        assert (await world.log.bounds(view.shards[1].log)).end == Position(0, 0)
        await world.stop()

    run(scenario())


def test_write_when_every_record_is_to_fail_then_none_is_written() -> None:
    async def scenario() -> None:
        world = World()
        streams = await world.start()
        view = await active(streams)
        streams.faults.fail_puts("orders", 1)
        assert codes(await write(streams, view, (b"k", b"1"), (b"k", b"2"))) == ["InternalFailure"] * 2
        assert (await world.log.bounds(view.shards[0].log)).end == Position(0, 0)
        await world.stop()

    run(scenario())


def test_write_when_the_quota_is_used_up_then_records_that_still_fit_pass() -> None:
    async def scenario() -> None:
        world = World(enforce_limits=True)
        streams = await world.start()
        view = await active(streams, shards=2)
        key = b"0123456789"
        sizes = [700 * KIB, 400 * KIB, 324 * KIB, 10]  # of key and data together
        rows = [(key, b"x" * (size - len(key))) for size in sizes]
        results = await write(streams, view, *rows, (b"k", b"other shard"), at=[0, 0, 0, 0, LAST])
        refused = "ProvisionedThroughputExceededException"
        assert codes(results) == ["", refused, "", refused, ""]
        world.clock.ms += 1000
        assert codes(await write(streams, view, rows[1], at=[0])) == [""]
        await world.stop()

    run(scenario())


def test_write_when_limits_are_off_then_nothing_is_refused() -> None:
    async def scenario() -> None:
        world = World()
        streams = await world.start()
        view = await active(streams)
        assert set(codes(await write(streams, view, *[(b"k", b"x")] * 5000))) == {""}
        await world.stop()

    run(scenario())


def test_write_when_the_stream_was_deleted_meanwhile_then_it_is_not_found() -> None:
    async def scenario() -> None:
        world = World()
        streams = await world.start()
        view = await active(streams, shards=2)
        await world.log.drop([held.log for held in view.shards.values()])
        results = await write(streams, view, (b"a", b"1"), (b"b", b"2"))
        for result in results:
            assert isinstance(result, ServiceError)
            assert (result.code, result.message) == (
                "ResourceNotFoundException",
                "Stream orders under account 123456789012 not found.",
            )
        await world.stop()

    run(scenario())


class _RefusingLog(MemoryLog):
    """A log that refuses the batches of one shard."""

    refusal: AppendError
    refused_shard: str

    async def append(self, batches: Sequence[Batch]) -> Sequence[Appended | AppendError]:
        outcomes = await super().append(batches)
        return [
            self.refusal if batch.log.endswith(self.refused_shard) else outcome
            for batch, outcome in zip(batches, outcomes, strict=True)
        ]


REFUSALS = [Unavailable("disk"), Indeterminate("?"), TooLarge("!"), Sealed(Position(0, 0))]


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: type(refusal).__name__)
def test_write_when_the_engine_refuses_a_batch_then_the_others_are_answered_as_written(
    refusal: AppendError, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        world = World(log_type=_RefusingLog)
        assert isinstance(world.log, _RefusingLog)
        world.log.refusal, world.log.refused_shard = refusal, "/1"
        streams = await world.start()
        view = await active(streams, shards=2)
        results = await write(streams, view, (b"k", b"0"), (b"k", b"1"), (b"k", b"2"), at=[0, LAST, 0])
        assert codes(results) == ["", "InternalFailure", ""]
        await world.stop()

    with caplog.at_level(logging.ERROR):
        run(scenario())
    assert "shardId-000000000001" in caplog.text


def test_write_when_the_engine_is_behind_then_it_is_told_as_a_throttle() -> None:
    async def scenario() -> None:
        world = World(log_type=_RefusingLog)
        assert isinstance(world.log, _RefusingLog)
        world.log.refusal, world.log.refused_shard = Overloaded(10), "/1"
        streams = await world.start()
        view = await active(streams, shards=2)
        results = await write(streams, view, (b"k", b"0"), (b"k", b"1"), at=[0, LAST])
        assert codes(results) == ["", "ProvisionedThroughputExceededException"]
        await world.stop()

    run(scenario())


def test_write_when_records_are_counted_then_refused_ones_are_not_among_them() -> None:
    async def scenario() -> None:
        metrics = StreamMetrics()
        world = World()
        streams = await world.start()
        view = await active(streams, shards=2)
        streams.writer._metrics = metrics
        streams.faults.throttle("orders", 1)
        await write(streams, view, (b"key", b"12345"), (b"k", b""), (b"k", b"x"), at=[0, 0, LAST])
        counted = metrics.records_in.value, metrics.bytes_in.value, metrics.refused_writes.value
        assert counted == (2, 9, 1)
        await world.stop()

    run(scenario())
