"""The directory: a projection of the MetaStore, and the races that its changes can lose."""

from typing import Any

import pytest
from msgspec.structs import replace
from streams_world import CALLER, SlowMeta, begin, make_shards, make_stream, names, run

from penstock.core.errors import ServiceError
from penstock.core.ids import Millis, StreamUid
from penstock.engines.api import Conflict, MetaStore, Write
from penstock.engines.memory import MemoryMeta
from penstock.services.streams.directory import Directory, StreamView
from penstock.services.streams.state import Shard, encode
from penstock.services.streams.topology import HASH_KEY_MAX


async def opened(meta: MetaStore) -> Directory:
    """A directory on a store."""
    directory = Directory(meta)
    await directory.open()
    return directory


async def created(
    directory: Directory, name: str = "orders", uid: str = "u1", shards: int = 2, **of: Any
) -> StreamView:
    """A stream in the directory."""
    stream = make_stream(name, uid, **of)
    return await directory.create(stream, make_shards(stream, shards))


def looked_up(directory: Directory, name: str = "orders") -> StreamView | None:
    return directory.find(CALLER.account, CALLER.region, name)


def test_create_when_the_name_is_free_then_it_is_found_by_name_and_by_uid() -> None:
    async def scenario() -> None:
        directory = await opened(MemoryMeta())
        view = await created(directory, shards=3)
        assert looked_up(directory) is view is directory.find_uid("u1")
        assert list(view.shards) == [0, 1, 2]
        assert view.ring.find(0) is view.shards[0]
        assert view.ring.find(HASH_KEY_MAX) is view.shards[2]
        assert looked_up(directory, "order") is None
        assert directory.find("000000000000", CALLER.region, "orders") is None
        assert directory.find(CALLER.account, "us-east-1", "orders") is None

    run(scenario())


def test_create_when_the_name_is_taken_then_it_is_refused_and_nothing_of_it_is_kept() -> None:
    async def scenario() -> None:
        meta = MemoryMeta()
        directory = await opened(meta)
        first = await created(directory)
        before = await meta.scan("")
        with pytest.raises(ServiceError) as refused:
            await created(directory, uid="u2")
        assert (refused.value.code, refused.value.message) == (
            "ResourceInUseException",
            "Stream orders under account 123456789012 already exists.",
        )
        assert await meta.scan("") == before
        assert looked_up(directory) is first
        assert directory.find_uid("u2") is None

    run(scenario())


def test_create_when_two_race_for_a_name_then_one_wins() -> None:
    async def scenario() -> None:
        directory = await opened(SlowMeta())
        racers = [begin(created(directory, uid=f"u{number}")) for number in range(3)]
        winner = await racers[0]
        for loser in racers[1:]:
            with pytest.raises(ServiceError, match="already exists"):
                await loser
        assert looked_up(directory) is winner

    run(scenario())


def test_update_when_the_view_is_fresh_then_who_holds_it_sees_the_change() -> None:
    async def scenario() -> None:
        directory = await opened(MemoryMeta())
        view = await created(directory)
        shard = view.shards[0]
        for hours in (48, 72):
            await directory.update(view, replace(view.stream, retention_hours=hours))
            assert looked_up(directory) is view
            assert view.stream.retention_hours == hours
        assert view.shards[0] is shard

    run(scenario())


def test_update_when_two_race_then_the_loser_is_told_that_the_stream_is_in_use() -> None:
    async def scenario() -> None:
        directory = await opened(SlowMeta())
        view = await created(directory)
        first = begin(directory.update(view, replace(view.stream, retention_hours=48)))
        second = begin(directory.update(view, replace(view.stream, max_record_kib=2048)))
        await first
        with pytest.raises(ServiceError) as refused:
            await second
        assert refused.value.code == "ResourceInUseException"
        assert (view.stream.retention_hours, view.stream.max_record_kib) == (48, 1024)

    run(scenario())


def test_update_when_the_stream_was_deleted_then_it_is_refused_and_stays_deleted() -> None:
    async def scenario() -> None:
        meta = MemoryMeta()
        directory = await opened(meta)
        view = await created(directory)
        await directory.remove(view)
        with pytest.raises(ServiceError) as refused:
            await directory.update(view, replace(view.stream, retention_hours=48))
        assert refused.value.code == "ResourceInUseException"
        assert await meta.scan("") == []

    run(scenario())


def test_update_when_the_stream_was_deleted_and_created_anew_then_the_new_one_is_left_alone() -> None:
    async def scenario() -> None:
        directory = await opened(MemoryMeta())
        old = await created(directory, uid="u1")
        await directory.remove(old)
        new = await created(directory, uid="u2", shards=1)
        with pytest.raises(ServiceError) as refused:
            await directory.update(old, replace(old.stream, retention_hours=48))
        assert refused.value.code == "ResourceInUseException"
        with pytest.raises(Conflict):
            await directory.remove(old)
        assert looked_up(directory) is new is directory.find_uid("u2")
        assert new is not old
        assert (new.stream.retention_hours, list(new.shards)) == (24, [0])
        assert directory.find_uid("u1") is None

    run(scenario())


def test_remove_when_the_stream_is_gone_then_nothing_of_it_is_left() -> None:
    async def scenario() -> None:
        meta = MemoryMeta()
        directory = await opened(meta)
        kept = await created(directory, "kept", "u1")
        await directory.remove(await created(directory, "gone", "u2"))
        assert looked_up(directory, "gone") is None
        assert directory.find_uid("u2") is None
        assert names(list(directory.all())) == ["kept"]
        assert {key for key, _ in await meta.scan("")} == {
            kept.stream.key,
            *(held.shard.key for held in kept.shards.values()),
        }

    run(scenario())


def test_of_when_streams_are_many_then_those_of_the_place_come_by_name() -> None:
    async def scenario() -> None:
        directory = await opened(MemoryMeta())
        for number, name in enumerate(("b", "a.b", "B", "a-b", "a", "ab")):
            await created(directory, name, f"u{number}")
        await created(directory, "elsewhere", "u8", region="eu-west-10")
        await created(directory, "another", "u9", account="210987654321")
        assert names(directory.of(CALLER.account, CALLER.region)) == sorted(("b", "a.b", "B", "a-b", "a", "ab"))
        assert len(list(directory.all())) == 8

    run(scenario())


def test_open_when_the_store_holds_streams_then_they_are_as_they_were() -> None:
    async def scenario() -> None:
        meta = MemoryMeta()
        before = await opened(meta)
        await created(before, "a", "u1", shards=12, tags={"k": "v"})
        await created(before, "b", "u2", status="DELETING")
        await meta.commit([Write("of/others", b"\xff", 0)])
        after = await opened(meta)
        assert names(list(after.all())) == ["a", "b"]
        for old, new in zip(before.all(), after.all(), strict=True):
            assert (new.stream, new.version, list(new.shards)) == (old.stream, old.version, list(old.shards))
        await after.update(next(after.all()), make_stream("a", "u1", retention_hours=48))
        assert next(before.all()).stream.retention_hours == 48  # two processes on one store see each other's changes

    run(scenario())


def test_watch_when_a_shard_is_split_then_the_ring_and_the_open_shards_follow() -> None:
    async def scenario() -> None:
        meta = MemoryMeta()
        view = await created(await opened(meta), shards=1)
        ring = view.ring
        assert view.ring is ring  # made once
        parent = view.shards[0]
        half = 2**127
        child = replace(parent.shard, parent_no=0, created_s=parent.shard.created_s + 1)
        left = replace(child, no=1, hash_end=str(half - 1))
        right = replace(child, no=2, hash_start=str(half))
        closed = replace(parent.shard, closed_ms=Millis(1))
        await meta.commit([Write(closed.key, encode(closed), parent.version), _new(left), _new(right)])
        assert [held.shard.no for held in view.open_shards()] == [1, 2]
        assert [view.ring.find(key).shard.no for key in (0, half - 1, half, HASH_KEY_MAX)] == [1, 1, 2, 2]
        await meta.commit([Write(closed.key, None, view.shards[0].version)])
        assert list(view.shards) == [1, 2]

    run(scenario())


def _new(shard: Shard) -> Write:
    return Write(shard.key, encode(shard), 0)


def test_watch_when_a_shard_of_an_unknown_stream_appears_then_it_is_passed_over() -> None:
    async def scenario() -> None:
        meta = MemoryMeta()
        directory = await opened(meta)
        orphan = replace(make_shards(make_stream(), 1)[0], uid=StreamUid("nobody"))
        await meta.commit([_new(orphan)])
        assert list(directory.all()) == []

    run(scenario())
