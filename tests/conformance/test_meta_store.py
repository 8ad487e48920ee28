"""MetaStore: conditional commits of several keys, and watchers that see each of them."""

import asyncio

import pytest
from engine_table import World, begin, on_every_engine

from penstock.engines.api import Change, Conflict, MetaStore, Versioned, Write


async def version(meta: MetaStore, key: str) -> int:
    """The version that the next writer of a key must name."""
    held = await meta.get(key)
    return held.version if held is not None else 0


async def put(meta: MetaStore, key: str, value: bytes | None) -> None:
    """Write one key, whatever its version."""
    await meta.commit([Write(key, value, await version(meta, key))])


async def content(meta: MetaStore, prefix: str = "") -> dict[str, bytes]:
    """Every key under a prefix, with its value."""
    return {key: held.value for key, held in await meta.scan(prefix)}


@on_every_engine
async def test_get_when_the_key_is_absent_then_it_answers_none(world: World) -> None:
    assert await world.meta.get("a") is None
    await put(world.meta, "ab", b"1")
    assert await world.meta.get("a") is None


@on_every_engine
async def test_commit_when_the_key_is_new_then_it_has_a_version_of_at_least_1(world: World) -> None:
    await world.meta.commit([Write("a", b"1", 0)])
    held = await world.meta.get("a")
    assert held is not None
    assert held.value == b"1"
    assert held.version >= 1


@on_every_engine
async def test_commit_when_the_value_is_empty_then_the_key_exists(world: World) -> None:
    await world.meta.commit([Write("a", b"", 0)])
    assert await content(world.meta) == {"a": b""}
    with pytest.raises(Conflict):
        await world.meta.commit([Write("a", b"1", 0)])


@on_every_engine
async def test_commit_when_the_version_is_wrong_then_it_conflicts_and_changes_nothing(world: World) -> None:
    await put(world.meta, "a", b"1")
    old = await version(world.meta, "a")
    await put(world.meta, "a", b"2")
    new = await version(world.meta, "a")
    for expected in (0, old, new + 1):
        for value in (b"3", None):
            with pytest.raises(Conflict) as refused:
                await world.meta.commit([Write("a", value, expected)])
            assert refused.value.key == "a"
    assert await world.meta.get("a") == Versioned(b"2", new)
    with pytest.raises(Conflict):
        await world.meta.commit([Write("absent", b"1", new)])
    with pytest.raises(Conflict):
        await world.meta.commit([Write("absent", None, new)])


@on_every_engine
async def test_commit_when_one_key_conflicts_then_none_is_written(world: World) -> None:
    await put(world.meta, "b", b"1")
    for place in range(3):
        writes = [Write(key, b"new", 0) for key in ("x", "y")]
        writes.insert(place, Write("b", b"new", 0))
        with pytest.raises(Conflict) as refused:
            await world.meta.commit(writes)
        assert refused.value.key == "b"
        assert await content(world.meta) == {"b": b"1"}


@on_every_engine
async def test_commit_when_several_keys_conflict_then_the_first_is_named(world: World) -> None:
    for key in "abc":
        await put(world.meta, key, b"1")
    with pytest.raises(Conflict) as refused:
        await world.meta.commit([Write("new", b"2", 0), Write("c", b"2", 0), Write("a", b"2", 0)])
    assert refused.value.key == "c"


@on_every_engine
async def test_commit_when_keys_are_written_and_deleted_then_both_happen(world: World) -> None:
    await put(world.meta, "a", b"1")
    await put(world.meta, "b", b"1")
    await world.meta.commit(
        [
            Write("a", None, await version(world.meta, "a")),
            Write("b", b"2", await version(world.meta, "b")),
            Write("c", b"3", 0),
        ]
    )
    assert await content(world.meta) == {"b": b"2", "c": b"3"}


@on_every_engine
async def test_commit_when_a_key_is_deleted_and_written_again_then_no_version_repeats(world: World) -> None:
    seen: list[int] = []
    for turn in range(10):
        await put(world.meta, "a", b"%d" % turn)
        seen.append(await version(world.meta, "a"))
        if turn % 2:
            await put(world.meta, "a", None)
    assert len(set(seen)) == 10
    for old in seen:
        with pytest.raises(Conflict):
            await world.meta.commit([Write("a", b"late", old)])


@on_every_engine
async def test_commit_when_two_writers_race_then_one_wins(world: World) -> None:
    await put(world.meta, "a", b"0")
    expected = await version(world.meta, "a")
    racers = [
        world.meta.commit([Write("a", b"%d" % racer, expected), Write(f"won/{racer}", b"", 0)]) for racer in range(10)
    ]
    outcomes = await asyncio.gather(*racers, return_exceptions=True)
    winners = [racer for racer, outcome in enumerate(outcomes) if outcome is None]
    assert len(winners) == 1
    assert all(isinstance(outcome, Conflict) for outcome in outcomes if outcome is not None)
    assert await content(world.meta) == {"a": b"%d" % winners[0], f"won/{winners[0]}": b""}


@on_every_engine
async def test_scan_when_keys_share_a_prefix_then_they_come_in_order_and_no_others(world: World) -> None:
    for key in ("b/2", "b/10", "b", "b/", "a/1", "b0", "c", "b/\u00e9", "b/\U0001f600"):
        await put(world.meta, key, key.encode())
    assert [key for key, _ in await world.meta.scan("b/")] == ["b/", "b/10", "b/2", "b/\u00e9", "b/\U0001f600"]
    assert [key for key, _ in await world.meta.scan("b")] == sorted(
        ["b", "b/", "b/10", "b/2", "b/\u00e9", "b/\U0001f600", "b0"]
    )
    assert len(await world.meta.scan("")) == 9
    assert list(await world.meta.scan("b/3")) == []


@on_every_engine
async def test_scan_when_the_prefix_has_characters_of_patterns_then_they_stand_for_themselves(world: World) -> None:
    for key in ("a%b", "a_b", "axb", "a*b", "A%b"):
        await put(world.meta, key, b"")
    for prefix in ("a%", "a_", "a*", "A"):
        assert [key[:2] for key, _ in await world.meta.scan(prefix)] == [(prefix + "%")[:2]]


@on_every_engine
async def test_page_when_keys_are_asked_for_then_they_are_the_first_or_last_of_the_range(world: World) -> None:
    keys = ["a", "a/", "a/1", "a/2", "a0", "b", "é", "\U0001f600", "\uffee"]
    await world.meta.commit([Write(key, key.encode(), 0) for key in keys])
    ordered = sorted(keys, key=str.encode)
    for start, end in (("", "\U0010ffff"), ("a/", "a0"), ("a/1", "b"), ("a1", "a/"), ("c", "d"), ("b", "\U0001f601")):
        within = [key for key in ordered if start.encode() <= key.encode() < end.encode()]
        for limit in (1, 2, 100):
            for backwards in (False, True):
                found = await world.meta.page(start, end, limit, backwards=backwards)
                assert [key for key, _ in found] == (within[::-1] if backwards else within)[:limit]
                assert [held.value for _, held in found] == [key.encode() for key, _ in found]
                assert all([await world.meta.get(key) == held for key, held in found])


@on_every_engine
async def test_watch_when_commits_follow_then_each_is_one_call_in_order(world: World) -> None:
    calls: list[dict[str, Versioned | None]] = []
    world.meta.watch("s/", lambda changes: calls.append(dict(changes)))
    await world.meta.commit([Write("s/a", b"1", 0), Write("other", b"1", 0), Write("s/b", b"1", 0)])
    first = dict(await world.meta.scan("s/"))
    assert calls == [first]
    await put(world.meta, "other", b"2")
    await put(world.meta, "s/a", None)
    await put(world.meta, "s/b", b"2")
    assert calls == [first, {"s/a": None}, {"s/b": await world.meta.get("s/b")}]


@on_every_engine
async def test_watch_when_a_commit_conflicts_then_nothing_is_seen(world: World) -> None:
    await put(world.meta, "a", b"1")
    calls: list[object] = []
    world.meta.watch("", calls.append)
    with pytest.raises(Conflict):
        await world.meta.commit([Write("b", b"1", 0), Write("a", b"1", 0)])
    assert calls == []


@on_every_engine
async def test_watch_when_a_commit_has_returned_then_every_watcher_has_seen_it(world: World) -> None:
    seen: list[str] = []
    for name in "xyz":
        world.meta.watch("", lambda changes, name=name: seen.append(name))  # type: ignore[misc]
    await put(world.meta, "a", b"1")
    assert sorted(seen) == ["x", "y", "z"]


@on_every_engine
async def test_watch_when_stopped_then_it_sees_no_more_and_the_others_do(world: World) -> None:
    gone: list[object] = []
    kept: list[object] = []
    stop = world.meta.watch("", gone.append)
    world.meta.watch("", kept.append)
    await put(world.meta, "a", b"1")
    stop()
    await put(world.meta, "a", b"2")
    assert (len(gone), len(kept)) == (1, 2)


@on_every_engine
async def test_watch_when_a_watcher_stops_itself_then_the_others_still_see_the_commit(world: World) -> None:
    seen: list[str] = []

    def once(changes: object) -> None:
        seen.append("once")
        stop()

    stop = world.meta.watch("", once)
    world.meta.watch("", lambda changes: seen.append("always"))
    await put(world.meta, "a", b"1")
    await put(world.meta, "a", b"2")
    assert sorted(seen) == ["always", "always", "once"]


@on_every_engine
async def test_watch_when_writers_race_then_the_order_of_calls_is_that_of_versions(world: World) -> None:
    history: list[Change] = []
    world.meta.watch("counter", history.extend)

    async def count_up(times: int) -> None:
        for _ in range(times):
            while True:
                held = await world.meta.get("counter")
                now = int(held.value) if held is not None else 0
                try:
                    await world.meta.commit([Write("counter", b"%d" % (now + 1), held.version if held else 0)])
                except Conflict:
                    continue
                break

    await asyncio.gather(*(begin(count_up(10)) for _ in range(5)))
    values = [change.now.value for change in history if change.now is not None]
    assert values == [b"%d" % number for number in range(1, 51)]
