"""The small steps: decompression, messages of logs, de-aggregation, delimiters; and the chain's order."""

import base64
import gzip
import json

import pytest
from processing_world import World, entries, play, processor

from penstock.services.firehose.processing.decompression import BATCH_MAX_BYTES, DECOMPRESSED_MAX_BYTES, gunzip

GUNZIP = processor("Decompression", CompressionFormat="GZIP")
LOGS = processor("CloudWatchLogProcessing", DataMessageExtraction="true")
JSON = processor("RecordDeAggregation", SubRecordType="JSON")


def test_gzip_when_it_is_opened_then_several_members_are_one_content() -> None:
    async def scenario(world: World) -> None:
        two = gzip.compress(b"a") + gzip.compress(b"b")
        cut = gzip.compress(b"abcdef" * 100)[:-9]
        done = await world.through(world.steps(GUNZIP), *entries(two, b"plain", cut, b"", gzip.compress(b"")))
        assert [(one.place, one.data) for one in done.kept] == [(0, b"ab"), (4, b"")]
        assert [failure.entry.data for failure in done.failed] == [b"plain", cut, b""]
        assert {failure.code for failure in done.failed} == {"Decompression.Failed"}

    play(scenario)


def test_gzip_when_it_is_a_bomb_then_no_more_than_the_bound_is_made_of_it() -> None:
    bomb = gzip.compress(bytes(DECOMPRESSED_MAX_BYTES + 1), 9)
    assert len(bomb) < 100_000
    with pytest.raises(ValueError, match="more than"):
        gunzip(bomb, DECOMPRESSED_MAX_BYTES)
    with pytest.raises(ValueError, match="more than"):
        gunzip(gzip.compress(b"x" * 60) * 2, 100)
    assert len(gunzip(gzip.compress(b"x" * 50) * 2, 100)) == 100


def test_gzip_when_a_batch_is_of_bombs_then_what_is_beyond_its_bound_fails() -> None:
    async def scenario(world: World) -> None:
        bomb = gzip.compress(bytes(DECOMPRESSED_MAX_BYTES), 9)
        many = BATCH_MAX_BYTES // DECOMPRESSED_MAX_BYTES + 2
        done = await world.through(world.steps(GUNZIP), *entries(*[bomb] * many))
        assert (len(done.kept), len(done.failed)) == (many - 2, 2)

    play(scenario)


def logged(*messages: str, kind: str = "DATA_MESSAGE") -> bytes:
    events = [{"id": str(number), "timestamp": 1, "message": text} for number, text in enumerate(messages)]
    document = {"messageType": kind, "owner": "1", "logGroup": "g", "logStream": "s", "logEvents": events}
    return json.dumps(document).encode()


def test_log_messages_when_they_are_extracted_then_each_is_a_line_and_control_messages_are_empty() -> None:
    async def scenario(world: World) -> None:
        data = [logged('{"a":1}', "été"), logged("health", kind="CONTROL_MESSAGE"), b"no json"]
        done = await world.through(world.steps(GUNZIP, LOGS), *entries(*map(gzip.compress, data)))
        assert [one.data for one in done.kept] == ['{"a":1}\nété\n'.encode(), b""]
        assert [failure.code for failure in done.failed] == ["CloudWatchLogProcessing.Failed"]

    play(scenario)


@pytest.mark.parametrize(
    ("data", "parts"),
    [
        (b'{"a":1}', [b'{"a":1}']),
        (b'{"a":1}{"b":2}', [b'{"a":1}', b'{"b":2}']),
        (b' {"a": "}{"}\n\n{"b":2}\t', [b'{"a": "}{"}', b'{"b":2}']),
        (b'[{"a":1}, {"b":[2]}]', [b'{"a":1}', b'{"b":[2]}']),
        (b'{"a":1} 2', None),
        (b'{"a":1}{"b"', None),
        (b"[1,2]", None),
        (b"[]", None),
        (b"", None),
        (b"text", None),
        (b'{"a":"\xff"}{}', None),
        (b'{"a":' * 100_000, None),
        (b"{}" * 500, [b"{}"] * 500),
        (b"{}" * 501, None),
        (b"[" + b"{}," * 500 + b"{}]", None),
    ],
)
def test_json_when_it_is_taken_apart_then_parts_keep_their_bytes_or_it_stays_whole(
    data: bytes, parts: list[bytes] | None
) -> None:
    async def scenario(world: World) -> None:
        done = await world.through(world.steps(JSON), *entries(data))
        assert [one.data for one in done.kept] == (parts or [data])
        assert len({one.record_id for one in done.kept}) == len(done.kept)

    play(scenario)


@pytest.mark.parametrize(
    ("data", "parts"),
    [(b"a##b##", [b"a", b"b"]), (b"ab", [b"ab"]), (b"##", [b"##"]), (b"a##" * 501, [b"a##" * 501]), (b"", [b""])],
)
def test_delimited_when_it_is_taken_apart_then_delimiters_are_gone(data: bytes, parts: list[bytes]) -> None:
    async def scenario(world: World) -> None:
        given = base64.b64encode(b"##").decode()
        step = processor("RecordDeAggregation", SubRecordType="DELIMITED", Delimiter=given)
        done = await world.through(world.steps(step), *entries(data))
        assert [one.data for one in done.kept] == parts

    play(scenario)


@pytest.mark.parametrize(
    ("parameters", "end"), [({}, b"\n"), ({"Delimiter": r"\r\n"}, b"\r\n"), ({"Delimiter": ";"}, b";")]
)
def test_delimiter_when_it_is_appended_then_escapes_stand_for_one_character(
    parameters: dict[str, str], end: bytes
) -> None:
    async def scenario(world: World) -> None:
        done = await world.through(world.steps(processor("AppendDelimiterToRecord", **parameters)), *entries(b"a", b""))
        assert [one.data for one in done.kept] == [b"a" + end, end]

    play(scenario)


def test_chain_when_processors_come_in_any_order_then_they_work_in_theirs() -> None:
    async def scenario(world: World) -> None:
        query = processor("MetadataExtraction", MetadataExtractionQuery="{k: .k}", JsonParsingEngine="JQ-1.6")
        steps = world.steps(processor("AppendDelimiterToRecord"), query, JSON, LOGS, GUNZIP)
        data = gzip.compress(logged('{"k":"a"}', '{"k":2}'))
        done = await world.through(steps, *entries(data))
        assert [(one.data, one.partition_keys) for one in done.kept] == [
            (b'{"k":"a"}\n', {"k": "a"}),
            (b'{"k":2}\n', {"k": "2"}),
        ]

    play(scenario)


def test_chain_when_processing_is_off_then_there_are_no_steps() -> None:
    async def scenario(world: World) -> None:
        assert world.steps(ProcessingConfiguration={"Enabled": False, "Processors": [processor("Lambda")]}) == []

    play(scenario)
