"""Metadata extraction: keys by simple queries and by jq, and queries that do harm."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from processing_world import World, entries, play, processor

from penstock.host import jqprocess
from penstock.services.firehose.entries import Route
from penstock.services.firehose.processing.extraction import NO_JSON, NO_UTF8, TOO_SLOW
from penstock.services.firehose.processing.routing import EMPTY, WRONG
from penstock.services.firehose.processing.simplequery import compile_simple


def query(text: str) -> dict[str, object]:
    return processor("MetadataExtraction", MetadataExtractionQuery=text, JsonParsingEngine="JQ-1.6")


@pytest.mark.parametrize(
    ("text", "data", "keys"),
    [
        ("{a: .a}", b'{"a": "x", "b": 1}', {"a": "x"}),
        ("{a:.a.b, c : .c}", b'{"a": {"b": 7}, "c": "y"}', {"a": "7", "c": "y"}),
        ("{a: .a}", b'{"a": 1.5}', {"a": "1.5"}),
        ("{a: .a}", b'{"a": 2.0}', {"a": "2"}),
        ("{a: .a}", b'{"a": 1e1000}', {"a": "1.7976931348623157e+308"}),
        ("{a: .a}", b'{"a": 12345678901234567}', {"a": "12345678901234568"}),
        ('{y: .t | strftime("%Y")}', b'{"t": 1500000000}', {"y": "2017"}),
        ("{a: .a, b: .b[1]}", '{"a": "é", "b": [1, 2]}'.encode(), {"a": "é", "b": "2"}),
        ("{}", b"{}", {}),
    ],
)
def test_query_when_it_finds_keys_then_they_are_texts(text: str, data: bytes, keys: dict[str, str]) -> None:
    async def scenario(world: World) -> None:
        done = await world.through(world.steps(query(text)), *entries(data))
        assert [one.partition_keys for one in done.kept] == [keys]
        assert dict(world.told.values).keys() == {"JQProcessing.Duration"}

    play(scenario)


@pytest.mark.parametrize(
    ("text", "data", "message"),
    [
        ("{a: .a}", b"{}", EMPTY),
        ("{a: .a}", b'{"a": ""}', EMPTY),
        ("{a: .a}", b'{"a": null}', EMPTY),
        ("{a: .a}", b'{"a": [1]}', WRONG),
        ("{a: .a}", b'{"a": true}', WRONG),
        (".a", b'{"a": 1}', WRONG),
        ("{a: .a}", b"text", NO_JSON),
        ("{a: .a}", b"", NO_JSON),
        ("{a: .a}", b'{"a": 1} {"a": 2}', NO_JSON),
        ("{a: .a}", b'{"a": "\xff"}', NO_UTF8),
        ("{a: .a.b}", b'{"a": 1}', 'Cannot index number with string ("b")'),
        ("{a: .a}", b'{"a":' * 20_000, NO_JSON),
        (
            '{a: "x", operation: .a, destinationDatabaseName: .d, destinationTableName: .d}',
            b'{"a":"x","d":"t"}',
            "operation",
        ),
    ],
)
def test_query_when_it_finds_none_then_the_record_has_failed_with_the_reason(
    text: str, data: bytes, message: str
) -> None:
    async def scenario(world: World) -> None:
        done = await world.through(world.steps(query(text)), *entries(data, b'{"a": {"b": "y"}}'))
        failure = done.failed[0]
        assert (failure.entry.data, failure.kind) == (data, "processing-failed")
        assert failure.code == "DynamicPartitioning.MetadataExtractionFailed"
        assert failure.message.startswith(message)

    play(scenario)


def test_query_when_it_names_a_table_then_the_record_has_a_route() -> None:
    async def scenario(world: World) -> None:
        text = '{destinationDatabaseName: .d, destinationTableName: (.t + "s"), operation: "update"}'
        done = await world.through(world.steps(query(text)), *entries(b'{"d": "db", "t": "row"}'))
        assert done.kept[0].route == Route("db", "rows", "update")

    play(scenario)


@pytest.mark.parametrize("text", ["{a: last(range(1e12))}", '{a: ("x" * 1000000000)}', "{a: [limit(1e9; repeat(.))]}"])
def test_query_when_it_never_ends_or_wants_all_memory_then_its_records_fail_and_others_go_on(text: str) -> None:
    async def scenario(world: World) -> None:
        done = await world.through(world.steps(query(text)), *entries(b"1", b"2"))
        assert [failure.message for failure in done.failed] == [TOO_SLOW] * 2
        done = await world.through(world.steps(query("{a: (.a)}")), *entries(b'{"a": 1}'))
        assert done.kept[0].partition_keys == {"a": "1"}

    play(scenario)


def test_record_when_the_query_never_ends_for_it_then_it_fails_alone() -> None:
    async def scenario(world: World) -> None:
        text = "{a: (if .a == 7 or .a == 300 then last(range(1e12)) elif .a == 9 then .s * 1000000000 else .a end)}"
        many = entries(*(b'{"a": %d, "s": "x"}' % number for number in range(600)))
        done = await world.through(world.steps(query(text)), *many)
        assert [(failure.entry.place, failure.message) for failure in done.failed] == [
            (place, TOO_SLOW) for place in (7, 9, 300)
        ]
        assert [one.partition_keys["a"] for one in done.kept] == [str(n) for n in range(600) if n not in (7, 9, 300)]

    play(scenario)


def test_query_when_it_never_ends_for_any_record_then_it_is_given_up_after_some(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(jqprocess, "ENDS_MAX", 3)

    async def scenario(world: World) -> None:
        asked: list[int] = []
        ask = world.queries._ask

        async def counted(program: str, records: Sequence[str]) -> Any:
            asked.append(len(records))
            return await ask(program, records)

        monkeypatch.setattr(world.queries, "_ask", counted)
        done = await world.through(world.steps(query("{a: last(range(1e12))}")), *entries(*[b"1"] * 600))
        assert [failure.message for failure in done.failed] == [TOO_SLOW] * 600
        assert asked == [256, 255, 254]

    play(scenario)


def test_process_when_it_is_ended_by_somebody_else_then_no_record_fails_for_it() -> None:
    async def scenario(world: World) -> None:
        steps = world.steps(query("{a: (.a)}"))
        await world.through(steps, *entries(b'{"a": 1}'))
        process = world.queries._process
        assert process is not None
        process.kill()
        with pytest.raises(RuntimeError, match="exit code -9"):
            await world.through(steps, *entries(b'{"a": 1}'))
        done = await world.through(steps, *entries(b'{"a": 2}'))
        assert done.kept[0].partition_keys == {"a": "2"}

    play(scenario)


def test_query_when_records_are_large_then_jq_is_asked_about_some_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(world: World) -> None:
        many = entries(*(b'{"a": %d, "b": "%b"}' % (number, b"x" * 1_000_000) for number in range(9)))
        asked: list[int] = []
        run = world.queries.run

        async def counted(program: str, records: Sequence[str]) -> Any:
            asked.append(len(records))
            return await run(program, records)

        monkeypatch.setattr(world.queries, "run", counted)
        done = await world.through(world.steps(query("{a: (.a)}")), *many)
        assert [one.partition_keys["a"] for one in done.kept] == list("012345678")
        assert asked == [4, 4, 1]

    play(scenario)


def test_query_when_jq_does_not_run_at_all_then_no_record_fails_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jqprocess, "WORKER", Path("/none/jqworker.py"))

    async def scenario(world: World) -> None:
        with pytest.raises(RuntimeError, match="exit code 2"):
            await world.through(world.steps(query("{a: (.a)}")), *entries(b'{"a": 1}'))

    play(scenario)


def test_query_when_it_asks_for_the_servers_environment_then_there_is_none() -> None:
    async def scenario(world: World) -> None:
        done = await world.through(
            world.steps(query('{a: (env.HOME // "none"), b: ($ENV.PATH // "none")}')), *entries(b"1")
        )
        assert done.kept[0].partition_keys == {"a": "none", "b": "none"}

    play(scenario)


@pytest.mark.parametrize(
    "text",
    ["{a: .a}", "{a:.a.b.c}", '{a: .a["b c"].d}', '{"a-b": ."x"}', '{ a : .["x"] , b: .b }'],
)
def test_query_when_it_is_simple_then_it_needs_no_jq(text: str) -> None:
    assert compile_simple(text) is not None


@pytest.mark.parametrize(
    "text", ["{a}", ".a", "{a: .a[0]}", "{a: .a?}", "{a: .a | f}", "{a: .and}", "{}", '{"\\(1)": .a}', "{a: .a,}"]
)
def test_query_when_it_is_more_than_paths_then_jq_is_asked(text: str) -> None:
    assert compile_simple(text) is None
