"""agent.json: every key, what is refused, and agent.d."""

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest

from penstock.agent.configuration import Configuration, configure, read_files
from penstock.agent.pattern import BadPattern, read_pattern
from penstock.agent.settings import FLOW_KEYS, GLOBAL_KEYS, WITHOUT_EFFECT, FlowSettings, GlobalSettings
from penstock.host.clock import SystemClock

FLOW = {"filePattern": "/var/log/app.log", "kinesisStream": "logs"}
DOCUMENTATION = Path(__file__).parents[3] / "docs" / "agent.md"


def read(folder: Path, document: Any, **extra: Any) -> Configuration:
    path = folder / "agent.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    (folder / "agent.d").mkdir(exist_ok=True)
    for name, content in extra.items():
        (folder / "agent.d" / f"{name}.json").write_text(json.dumps(content))
    documents, problems = read_files(path)
    made = configure(documents, SystemClock())
    return dataclasses.replace(made, problems=(*problems, *made.problems))


def texts(made: Configuration) -> list[str]:
    return [problem.text for problem in made.problems]


def test_configuration_when_it_says_little_then_the_rest_is_as_documented(tmp_path: Path) -> None:
    made = read(tmp_path, {"flows": [FLOW]})
    assert not made.problems
    assert made.settings == GlobalSettings()
    flow = made.plans[0].settings
    assert (flow.buffer_age_ms, flow.buffer_records, flow.batch_bytes, flow.initial_position) == (
        60_000, 500, 5 << 20, "END_OF_FILE",
    )  # fmt: skip
    assert flow.flow_id == "kinesis:logs:/var/log/app.log"
    assert made.plans[0].rules.max_bytes == (1 << 20) - 16, "Kinesis counts the key"


def test_configuration_when_it_is_a_real_one_then_it_is_taken_unchanged(tmp_path: Path) -> None:
    document = {
        "cloudwatch.emitMetrics": "true",
        "kinesis.endpoint": "",
        "firehose.endpoint": "firehose.us-west-2.amazonaws.com",
        "maxSendingThreads": "15",
        "flows": [
            {**FLOW, "maxBufferAgeMillis": "1000", "initialPosition": "START_OF_FILE"},
            {
                "filePattern": "/tmp/ap[ip]*.{log,txt}",
                "deliveryStream": "yours",
                "dataProcessingOptions": [{"optionName": "LOGTOJSON", "logFormat": "SYSLOG"}],
            },
        ],
    }
    made = read(tmp_path, document)
    assert not made.problems
    assert made.settings.firehose_endpoint == "https://firehose.us-west-2.amazonaws.com"
    assert made.settings.senders(2) == 15
    second = made.plans[1]
    assert (second.settings.batch_bytes, second.rules.max_bytes) == (4 << 20, 1000 << 10)
    assert second.pattern.covers("api-1.log")
    assert not second.pattern.covers("api-1.csv")


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ({"maxBufferAgeMillis": 999}, "maxBufferAgeMillis must be a whole number from 1000 to 900000, not 999"),
        ({"maxBufferAgeMillis": True}, "maxBufferAgeMillis must be"),
        ({"maxBufferSizeRecords": 501}, "maxBufferSizeRecords must be a whole number from 1 to 500"),
        ({"maxBufferSizeBytes": 6 << 20}, "maxBufferSizeBytes must be"),
        ({"initialPosition": "MIDDLE"}, "initialPosition must be one of END_OF_FILE, START_OF_FILE, not 'MIDDLE'"),
        ({"partitionKeyOption": 7}, "partitionKeyOption must be one of"),
        ({"filePattern": ""}, "filePattern must be a string that is not empty, not ''"),
        ({"filePattern": "relative.log"}, "filePattern 'relative.log' must be an absolute path"),
        ({"filePattern": "/var/*/app.log"}, "has wildcards in a directory"),
        ({"filePattern": "/var/log/"}, "names a directory"),
        ({"deliveryStream": "x"}, "say kinesisStream or deliveryStream, one of them"),
        ({"multiLineStartPattern": "(?!x)"}, "multiLineStartPattern '(?!x)': "),
        ({"dataProcessingOptions": {"optionName": "SINGLELINE"}}, "dataProcessingOptions must be an array of objects"),
        ({"retryInitialBackoffMillis": 20_000}, "retryInitialBackoffMillis must not be above retryMaxBackoffMillis"),
        ({"truncatedRecordTerminator": "x" * 2000}, "truncatedRecordTerminator must be at most"),
    ],
)
def test_flow_when_a_key_is_wrong_then_one_problem_names_it(tmp_path: Path, keys: dict[str, Any], text: str) -> None:
    made = read(tmp_path, {"flows": [{**FLOW, **keys}]})
    assert not made.usable
    assert sum(text in problem for problem in texts(made)) == 1, texts(made)
    assert all("flows[0]" in problem.where for problem in made.problems)


@pytest.mark.parametrize(
    ("document", "text"),
    [
        ("{", "is no JSON"),
        ("[]", "must hold a JSON object"),
        ("[" * 100_000, "is no JSON"),
        ({}, "flows is missing or empty"),
        ({"flows": {}}, "flows must be an array of objects"),
        ({"flows": [FLOW, FLOW]}, "is there twice"),
        ({"flows": [FLOW], "kinesis.endpoint": "ftp://x"}, "kinesis.endpoint must be a host name"),
        ({"flows": [FLOW], "awsAccessKeyId": "x"}, "must be given together"),
        ({"flows": [FLOW], "cloudwatch.emitMetrics": "perhaps"}, "cloudwatch.emitMetrics must be true or false"),
        ({"flows": [FLOW], "maxSendingThreads": 1e99}, "maxSendingThreads must be"),
    ],
)
def test_configuration_when_it_cannot_be_used_then_it_says_why(tmp_path: Path, document: Any, text: str) -> None:
    made = read(tmp_path, document)
    assert not made.usable
    assert sum(text in problem for problem in texts(made)) == 1, texts(made)


def test_configuration_when_keys_are_unknown_or_do_nothing_then_each_is_warned_about_once(tmp_path: Path) -> None:
    made = read(
        tmp_path, {"flows": [{**FLOW, "fileePattern": 1, "waitOnFullRetryQueueMillis": 5}], "kinesis.endpont": ""}
    )
    assert made.usable
    assert [problem.fatal for problem in made.problems] == [False] * 3
    told = " ".join(texts(made))
    assert "fileePattern is no key" in told
    assert "kinesis.endpont is no key" in told
    assert "waitOnFullRetryQueueMillis has no effect" in told


def test_agent_d_when_it_has_files_then_flows_are_added_and_the_first_file_wins(tmp_path: Path) -> None:
    more = {"flows": [{**FLOW, "kinesisStream": "more"}], "log.level": "ERROR", "log.file": "/x"}
    made = read(tmp_path, {"flows": [FLOW], "log.level": "DEBUG"}, b=more, a={"flows": [{"x": 1}]})
    assert [plan.settings.target for plan in made.plans] == ["logs", "more"]
    assert (made.settings.log_level, made.settings.log_file) == ("DEBUG", "/x")
    assert any(problem.where.endswith("agent.d/a.json: flows[0]") for problem in made.problems)


@pytest.mark.parametrize(
    ("glob", "yes", "no"),
    [
        ("app.log", ["app.log"], ["appxlog", "app.log.1", "xapp.log"]),
        ("app.log*", ["app.log", "app.log.1"], ["app.log.1.gz", "app.log.bz2", "app.log.zip"]),
        ("a?c-[0-9][!x].{log,txt}", ["abc-1y.log", "a.c-9-.txt"], ["abc-1x.log", "abc-1y.csv", "ac-1y.log"]),
        (r"a\*b", ["a*b"], ["axb"]),
        ("a[b", ["a[b"], ["ab"]),
    ],
)
def test_pattern_when_names_are_held_against_it_then_the_glob_decides(glob: str, yes: list[str], no: list[str]) -> None:
    pattern = read_pattern("/var/log/" + glob)
    assert [name for name in yes + no if pattern.covers(name)] == yes


def test_pattern_when_a_brace_is_left_open_then_it_is_refused() -> None:
    with pytest.raises(BadPattern, match="brace"):
        read_pattern("/var/log/{a,b")


def test_documentation_when_it_is_read_then_every_key_is_there_with_its_default() -> None:
    keys = DOCUMENTATION.read_text().partition("## Keys")[2].partition("\n## ")[0]
    told = dict(re.findall(r"^\| `([\w.]+)` \|([^|]*)\|", keys, re.MULTILINE))
    names = {**GLOBAL_KEYS.keys, **FLOW_KEYS.keys}
    assert set(told) == set(names) | set(WITHOUT_EFFECT)
    for settings, known in ((GlobalSettings(), GLOBAL_KEYS), (FlowSettings(), FLOW_KEYS)):
        for name, (field, _) in known.keys.items():
            default = getattr(settings, field)
            if default not in ("", 0, ()):
                shown = json.dumps(default).strip('"')
                assert told[name].strip().strip("`") == shown, name
