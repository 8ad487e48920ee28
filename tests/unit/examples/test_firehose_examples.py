"""The sample transformations, run through the transformation that calls functions: each is a handler that keeps the contract."""

import csv
import gzip
import importlib.util
import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import pytest
from processing_world import FUNCTION, World, entries, play, processor

ROOT = Path(__file__).parents[3]

APACHE = (
    b'127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /a?b=\\"c\\",d HTTP/1.0" 200 2326 "http://x/" "Mozilla, 4"\n'
)
COMMON = b'::1 - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.0" 304 -'
SYSLOG = b"<34>Oct 11 22:14:15 mymachine su[231]: 'su root' failed, \"twice\""
MODERN = b"2026-10-11T22:14:15.003Z host app: hello"
EXAMPLES = sorted(path.stem for path in (ROOT / "examples" / "firehose").glob("*.py"))


def example(name: str) -> ModuleType:
    """A sample, loaded as Lambda loads it: from its file, by itself."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "examples" / "firehose" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def through(name: str, *data: bytes) -> tuple[list[bytes], list[int], int]:
    """What a sample makes of records: what is kept, the places of what failed, how many are dropped."""
    kept: list[bytes] = []
    failed: list[int] = []
    dropped = 0
    module = example(name)

    async def scenario(world: World) -> None:
        nonlocal dropped
        world.functions.handler = lambda event: module.handler(event, None)
        done = await world.through(world.steps(processor("Lambda", LambdaArn=FUNCTION)), *entries(*data))
        kept.extend(entry.data for entry in done.kept)
        assert {failure.code for failure in done.failed} <= {"Lambda.ProcessingFailedStatus"}
        failed.extend(failure.entry.place for failure in done.failed)
        dropped = done.dropped

    play(scenario)
    return kept, failed, dropped


def test_general_when_records_come_then_each_ends_a_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert through("general", b"a", b"b\n", b"") == ([b"a\n", b"b\n", b"\n"], [], 0)
    module = example("general")
    monkeypatch.setattr(module, "transform", lambda data: None if data == b"drop" else data[10])
    module_answers = [module.answer({"recordId": "1", "data": data}) for data in ("ZHJvcA==", "YQ==")]
    assert [answer["result"] for answer in module_answers] == ["Dropped", "ProcessingFailed"]
    assert "1: " in capsys.readouterr().out


def test_apache_to_json_when_lines_are_read_then_fields_have_names_and_numbers() -> None:
    kept, failed, _ = through("apache_log_to_json", APACHE, COMMON, b"no log", b"\xff\xfe")
    first, second = map(json.loads, kept)
    assert first == {
        "host": "127.0.0.1",
        "ident": "-",
        "authuser": "frank",
        "datetime": "10/Oct/2000:13:55:36 -0700",
        "request": 'GET /a?b=\\"c\\",d HTTP/1.0',
        "response": 200,
        "bytes": 2326,
        "referer": "http://x/",
        "agent": "Mozilla, 4",
    }
    assert (second["response"], second["bytes"], second["agent"]) == (304, None, None)
    assert failed == [2, 3]


def test_syslog_to_json_when_lines_are_read_then_both_forms_are_known() -> None:
    kept, failed, _ = through("syslog_to_json", SYSLOG, MODERN, b"none")
    first, second = map(json.loads, kept)
    assert (first["priority"], first["processid"], first["program"], first["hostname"]) == (34, 231, "su", "mymachine")
    assert (second["timestamp"], second["message"], second["priority"]) == ("2026-10-11T22:14:15.003Z", "hello", None)
    assert failed == [2]


@pytest.mark.parametrize(
    ("name", "line", "row"),
    [
        (
            "apache_log_to_csv",
            COMMON,
            ["::1", "-", "-", "10/Oct/2000:13:55:36 -0700", "GET / HTTP/1.0", "304", "-", "", ""],
        ),
        ("syslog_to_csv", SYSLOG, ["34", "Oct 11 22:14:15", "mymachine", "su", "231", "'su root' failed, \"twice\""]),
    ],
)
def test_csv_when_lines_are_read_then_a_reader_of_csv_finds_the_fields(
    name: str, line: bytes, row: Sequence[str]
) -> None:
    kept, failed, _ = through(name, line, b"none")
    assert list(csv.reader(io.StringIO(kept[0].decode()))) == [list(row)]
    assert failed == [1]


def test_cloudwatch_logs_when_messages_come_then_events_are_lines_and_control_messages_are_dropped() -> None:
    def packed(**message: object) -> bytes:
        return gzip.compress(json.dumps(message).encode())

    events = [{"id": "1", "timestamp": 1, "message": "one"}, {"id": "2", "timestamp": 2, "message": "zwei é"}]
    data = packed(messageType="DATA_MESSAGE", logEvents=events, logGroup="g")
    control, other = packed(messageType="CONTROL_MESSAGE", logEvents=events), packed(messageType="X")
    kept, failed, dropped = through("cloudwatch_logs_processor", data, control, other, b"plain")
    assert (kept, failed, dropped) == (["one\nzwei é\n".encode()], [2, 3], 1)


def test_cloudwatch_logs_when_the_answer_would_be_too_large_then_what_does_not_fit_fails() -> None:
    message = {"messageType": "DATA_MESSAGE", "logEvents": [{"message": "x" * 1_000_000}] * 3}
    data = gzip.compress(json.dumps(message).encode())
    kept, failed, _ = through("cloudwatch_logs_processor", data, data)
    assert (len(kept), failed) == (1, [1])


@pytest.mark.parametrize("name", EXAMPLES)
def test_example_when_it_is_deployed_then_it_stands_by_itself(name: str) -> None:
    imports = {
        line.split()[1]
        for line in Path(str(example(name).__file__)).read_text().splitlines()
        if line.startswith(("import ", "from "))
    }
    assert {module.partition(".")[0] for module in imports} <= sys.stdlib_module_names
