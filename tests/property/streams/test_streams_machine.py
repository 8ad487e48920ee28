"""The streams service against a simple model: any order of puts, gets, reshards, retentions, deletes and passing time.

The model is a list of records per shard and a family tree; it knows MD5 and retention, and nothing of logs, iterators or the directory.
"""

import asyncio
import hashlib
import sys
from collections.abc import Awaitable
from pathlib import Path
from typing import Any, Final, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

sys.path.insert(0, str(Path(__file__).parents[2] / "unit" / "streams"))
from streams_world import CALLER, ManualClock, World

from penstock.core.errors import ServiceError
from penstock.core.ids import parse_shard_id, shard_id
from penstock.services.streams import sequence
from penstock.services.streams.ops import record, reshard, setting, shard, stream
from penstock.services.streams.writer import ScatteredRows, WrittenRows

HOUR_MS: Final = 3_600_000
SWEEP_MS: Final = 60_000
NAMES: Final = ("a", "b")
KEYS: Final = [f"key-{number}" for number in range(12)]
TOP: Final = 2**128 - 1

Answer = TypeVar("Answer")


class Held:
    """A shard of the model."""

    def __init__(self, described: shard.ShardDescription, now_ms: int) -> None:
        held = described.hash_key_range
        self.start, self.end = int(held.starting_hash_key), int(held.ending_hash_key)
        self.parents = [
            parse_shard_id(parent)
            for parent in (described.parent_shard_id, described.adjacent_parent_shard_id)
            if parent is not None
        ]
        self.starting_number = int(described.sequence_number_range.starting_sequence_number)
        self.created_ms = now_ms
        self.closed_ms: int | None = None
        self.records: list[tuple[int, bytes, str, int]] = []  # number, data, key, arrival

    def visible(self, horizon_ms: int) -> list[tuple[int, bytes, str, int]]:
        """The records that have not expired."""
        return [row for row in self.records if row[3] >= horizon_ms]


class Model:
    """A stream of the model."""

    def __init__(self) -> None:
        self.hours = 24
        self.shards: dict[int, Held] = {}

    @property
    def open(self) -> dict[int, Held]:
        """Its open shards."""
        return {number: held for number, held in self.shards.items() if held.closed_ms is None}


class StreamsMachine(RuleBasedStateMachine):
    """Operations of the API, each held against the model."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.world = World(clock=ManualClock(), transition_ms=0)
        self.streams = self.run(self.world.start())
        self.models: dict[str, Model] = {}
        self.written = 0

    def run(self, work: Awaitable[Answer]) -> Answer:
        """Carry out a call."""
        return self.loop.run_until_complete(asyncio.wait_for(work, 20))

    def teardown(self) -> None:
        """End the service."""
        self.run(self.world.stop())
        self.loop.close()

    @property
    def now_ms(self) -> int:
        """The time."""
        return self.world.clock.ms

    def horizon_ms(self, model: Model) -> int:
        """Before this, records have expired."""
        return self.now_ms - model.hours * HOUR_MS

    def describe(self, name: str) -> dict[int, shard.ShardDescription]:
        """The shards that ListShards shows."""
        answer = self.run(shard.list_shards(self.streams, CALLER, shard.ListShardsRequest(stream_name=name)))
        return {parse_shard_id(one.shard_id) or 0: one for one in answer.shards}

    @rule(name=st.sampled_from(NAMES), count=st.integers(1, 4))
    def create(self, name: str, count: int) -> None:
        request = stream.CreateStreamRequest(stream_name=name, shard_count=count)
        if name in self.models:
            with pytest.raises(ServiceError, match="already exists"):
                self.run(stream.create_stream(self.streams, CALLER, request))
            return
        self.run(stream.create_stream(self.streams, CALLER, request))
        self.models[name] = Model()
        self.grown(name, list(range(count)), parents=set())

    @precondition(lambda self: self.models)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        if data.draw(st.integers(0, 3)):
            return
        name = self.a_stream(data)
        self.run(stream.delete_stream(self.streams, CALLER, stream.DeleteStreamRequest(stream_name=name)))
        del self.models[name]

    def a_stream(self, data: st.DataObject) -> str:
        """One of the streams that exist."""
        return data.draw(st.sampled_from(sorted(self.models)))

    @precondition(lambda self: self.models)
    @rule(data=st.data(), keys=st.lists(st.sampled_from(KEYS), min_size=1, max_size=8))
    def put(self, data: st.DataObject, keys: list[str]) -> None:
        name = self.a_stream(data)
        rows = [b"%d" % (self.written + number) for number in range(len(keys))]
        self.written += len(keys)
        request = record.PutRecordsRequest(
            stream_name=name, data=rows, partition_keys=list(keys), explicit_hash_keys=[None] * len(keys)
        )
        results = self.run(record.put_records(self.streams, CALLER, request)).results
        assert not isinstance(results, WrittenRows | ScatteredRows)
        for key, row, result in zip(keys, rows, results, strict=True):
            assert not isinstance(result, ServiceError)
            place = int.from_bytes(hashlib.md5(key.encode(), usedforsecurity=False).digest(), "big")
            [number] = [no for no, held in self.models[name].open.items() if held.start <= place <= held.end]
            assert result.shard_id == shard_id(number)
            held = self.models[name].shards[number]
            sequence_number = int(result.sequence_number)
            assert sequence_number > (held.records[-1][0] if held.records else held.starting_number)
            held.records.append((sequence_number, row, key, self.now_ms))

    @precondition(lambda self: self.models)
    @rule(data=st.data(), limit=st.sampled_from((1, 3, 10_000)))
    def get(self, data: st.DataObject, limit: int) -> None:
        name = self.a_stream(data)
        model = self.models[name]
        number = data.draw(st.sampled_from(sorted(model.shards)))
        seen, children = self.read(name, number, limit)
        held = model.shards[number]
        assert seen == held.visible(self.horizon_ms(model))
        if held.closed_ms is None:
            assert children is None
        else:
            assert children == {no for no, child in model.shards.items() if number in child.parents}

    def read(self, name: str, number: int, limit: int) -> tuple[list[tuple[int, bytes, str, int]], set[int] | None]:
        """A shard from its trim horizon on, and the children that its end names."""
        request = record.GetShardIteratorRequest(
            stream_name=name, shard_id=shard_id(number), shard_iterator_type="TRIM_HORIZON"
        )
        iterator: str | None = self.run(record.get_shard_iterator(self.streams, CALLER, request)).shard_iterator
        seen: list[tuple[int, bytes, str, int]] = []
        while iterator is not None:
            answer = self.run(
                record.get_records(self.streams, CALLER, record.GetRecordsRequest(shard_iterator=iterator, limit=limit))
            )
            page = answer.page
            for count, (key, row, at_ms) in enumerate(zip(page.keys, page.data, page.arrivals_ms, strict=True)):
                base = answer.number_base + sequence.tail(page.first, at_ms) + count * sequence.NEXT_RECORD
                seen.append((base, row, key.decode(), at_ms))
            iterator = answer.next_shard_iterator
            if iterator is None:
                assert answer.child_shards is not None
                return seen, {parse_shard_id(child.shard_id) or 0 for child in answer.child_shards}
            if not page.data:
                break
        return seen, None

    @precondition(lambda self: self.models)
    @rule(data=st.data())
    def split(self, data: st.DataObject) -> None:
        name = self.a_stream(data)
        number, held = data.draw(st.sampled_from(sorted(self.models[name].open.items(), key=lambda one: one[0])))
        if held.end - held.start < 4 or len(self.models[name].open) > 12:
            return
        cut = data.draw(st.integers(held.start + 2, held.end - 1))
        request = reshard.SplitShardRequest(
            stream_name=name, shard_to_split=shard_id(number), new_starting_hash_key=str(cut)
        )
        self.run(reshard.split_shard(self.streams, CALLER, request))
        fresh = self.grown(name, [max(self.models[name].shards) + 1, max(self.models[name].shards) + 2], {number})
        assert [(one.start, one.end) for one in fresh] == [(held.start, cut - 1), (cut, held.end)]

    @precondition(lambda self: any(len(model.open) > 1 for model in self.models.values()))
    @rule(data=st.data())
    def merge(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(name for name, model in self.models.items() if len(model.open) > 1)))
        row = sorted(self.models[name].open, key=lambda number: self.models[name].shards[number].start)
        at = data.draw(st.integers(0, len(row) - 2))
        pair = [row[at], row[at + 1]]
        request = reshard.MergeShardsRequest(
            stream_name=name, shard_to_merge=shard_id(pair[0]), adjacent_shard_to_merge=shard_id(pair[1])
        )
        self.run(reshard.merge_shards(self.streams, CALLER, request))
        self.grown(name, [max(self.models[name].shards) + 1], set(pair))

    @precondition(lambda self: self.models)
    @rule(data=st.data())
    def count(self, data: st.DataObject) -> None:
        name = self.a_stream(data)
        now = len(self.models[name].open)
        target = data.draw(st.integers((now + 1) // 2, now * 2))
        if target > 12:
            return
        request = reshard.UpdateShardCountRequest(
            stream_name=name, target_shard_count=target, scaling_type="UNIFORM_SCALING"
        )
        self.run(reshard.update_shard_count(self.streams, CALLER, request))
        self.grown(name, None, None)
        widths = [held.end - held.start for held in self.models[name].open.values()]
        assert len(widths) == target
        assert max(widths) - min(widths) < 2**44

    def grown(self, name: str, numbers: list[int] | None, parents: set[int] | None) -> list[Held]:
        """Take over the shards that an operation has made; where they can be foretold, they must be these."""
        model = self.models[name]
        described = self.describe(name)
        fresh = {number: Held(one, self.now_ms) for number, one in described.items() if number not in model.shards}
        assert numbers is None or list(fresh) == numbers
        assert not fresh or min(fresh) > max(model.shards, default=-1)
        model.shards |= fresh
        closing = {parent for held in fresh.values() for parent in held.parents if parent is not None}
        assert parents is None or closing == parents
        for ended in closing:
            model.shards[ended].closed_ms = self.now_ms
        for number, held in fresh.items():
            for parent in held.parents:
                assert parent is not None
                assert parent < number
                assert held.starting_number > max([model.shards[parent].starting_number, *self.numbers(model, parent)])
        return list(fresh.values())

    def numbers(self, model: Model, number: int) -> list[int]:
        """The sequence numbers of a shard's records."""
        return [row[0] for row in model.shards[number].records]

    @precondition(lambda self: self.models)
    @rule(data=st.data(), hours=st.sampled_from((24, 25, 48, 168, 8760)))
    def retain(self, data: st.DataObject, hours: int) -> None:
        name = self.a_stream(data)
        model = self.models[name]
        longer = hours >= model.hours
        operation = setting.increase_stream_retention_period if longer else setting.decrease_stream_retention_period
        self.run(
            operation(self.streams, CALLER, setting.RetentionRequest(stream_name=name, retention_period_hours=hours))
        )
        for held in model.shards.values():  # what has expired stays expired
            held.records = held.visible(self.horizon_ms(model))
        model.hours = hours

    @rule(ms=st.sampled_from((1, 999, 60_000, HOUR_MS, 7 * HOUR_MS)))
    def advance(self, ms: int) -> None:
        self.run(self.world.clock.advance(ms))

    @invariant()
    def shards_are_those_of_the_model(self) -> None:
        for name, model in self.models.items():
            described = self.describe(name)
            for lost in sorted(model.shards.keys() - described.keys()):
                gone = model.shards.pop(lost)
                assert gone.closed_ms is not None
                assert gone.closed_ms < self.horizon_ms(model)
                assert not gone.visible(self.horizon_ms(model))
            assert described.keys() == model.shards.keys()
            for number, held in model.shards.items():
                swept_ms = self.horizon_ms(model) - SWEEP_MS - 1
                due = held.closed_ms is not None and held.closed_ms < swept_ms and not held.visible(swept_ms)
                assert not due, "a closed shard outlives its records"
                ended = described[number].sequence_number_range.ending_sequence_number
                assert (ended is None) == (held.closed_ms is None)
                assert ended is None or int(ended) >= max(self.numbers(model, number), default=0)
            row = sorted((held.start, held.end) for held in model.open.values())
            assert [start for start, _ in row] == [0, *(end + 1 for _, end in row[:-1])]
            assert row[-1][1] == TOP


StreamsMachine.TestCase.settings = settings(max_examples=25, stateful_step_count=40)
TestStreamsMachine: Any = StreamsMachine.TestCase
