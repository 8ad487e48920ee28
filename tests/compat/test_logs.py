"""CloudWatch Logs by boto3, the AWS CLI and Terraform's calls."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from penstock.testing import PenstockServer

GROUP, STREAM = "/aws/lambda/hello", "2026/11/30/[$LATEST]0123456789abcdef"
NAMED = {"logGroupName": GROUP, "logStreamName": STREAM}
Refused = Callable[..., tuple[str, str]]
DAY_MS = 86_400_000


@pytest.fixture
def logs(penstock: PenstockServer) -> Any:
    client = penstock.client("logs", config=Config(retries={"total_max_attempts": 1}, parameter_validation=False))
    client.create_log_group(logGroupName=GROUP)
    client.create_log_stream(**NAMED)
    return client


def put(logs: Any, now_ms: int, *messages: str, stream: str = STREAM) -> dict[str, Any]:
    events = [{"timestamp": now_ms + number, "message": message} for number, message in enumerate(messages)]
    answer: dict[str, Any] = logs.put_log_events(logGroupName=GROUP, logStreamName=stream, logEvents=events)
    return answer


def texts(page: dict[str, Any]) -> list[str]:
    return [event["message"] for event in page["events"]]


def test_events_when_put_are_read_from_both_ends_with_tokens(penstock: PenstockServer, logs: Any) -> None:
    now_ms = penstock.clock.now_ms
    put(logs, now_ms, *map(str, range(10)))
    newest = logs.get_log_events(**NAMED, limit=3)
    assert texts(newest) == ["7", "8", "9"]
    assert newest["events"][0] == {
        "timestamp": now_ms + 7,
        "message": "7",
        "ingestionTime": pytest.approx(now_ms, abs=60_000),
    }
    before = logs.get_log_events(**NAMED, limit=3, nextToken=newest["nextBackwardToken"])
    assert texts(before) == ["4", "5", "6"]
    assert texts(logs.get_log_events(**NAMED, limit=3, nextToken=before["nextForwardToken"])) == ["7", "8", "9"]
    end = logs.get_log_events(**NAMED, nextToken=newest["nextForwardToken"])
    assert (texts(end), end["nextForwardToken"]) == ([], newest["nextForwardToken"])
    put(logs, now_ms + 100, "late")
    assert texts(logs.get_log_events(**NAMED, nextToken=end["nextForwardToken"])) == ["late"]
    head = logs.get_log_events(**NAMED, limit=2, startFromHead=True)
    assert texts(head) == ["0", "1"]
    start = logs.get_log_events(**NAMED, nextToken=head["nextBackwardToken"])
    assert (texts(start), start["nextBackwardToken"]) == ([], head["nextBackwardToken"])
    ranged = logs.get_log_events(**NAMED, startTime=now_ms + 2, endTime=now_ms + 5, startFromHead=True)
    assert texts(ranged) == ["2", "3", "4"]
    arn = logs.describe_log_groups()["logGroups"][0]["logGroupArn"]
    assert len(texts(logs.get_log_events(logGroupIdentifier=arn, logStreamName=STREAM))) == 11


def test_events_when_batches_come_out_of_order_are_read_in_the_order_of_time(
    penstock: PenstockServer, logs: Any
) -> None:
    now_ms = penstock.clock.now_ms
    put(logs, now_ms + 10, "c", "e")
    put(logs, now_ms, "a", "b")
    put(logs, now_ms + 10, "d", "f")
    assert texts(logs.get_log_events(**NAMED)) == ["a", "b", "c", "d", "e", "f"]


def test_filter_finds_matches_of_every_stream_in_order(penstock: PenstockServer, logs: Any) -> None:
    now_ms = penstock.clock.now_ms
    for name in ("a", "b", "z"):
        logs.create_log_stream(logGroupName=GROUP, logStreamName=name)
    put(logs, now_ms, "ERROR 1", "fine", "ERROR 3", stream="a")
    put(logs, now_ms + 1, "ERROR 2", '{"level": "error", "n": 5}', stream="b")
    put(logs, now_ms, "ERROR z", stream="z")
    found = logs.filter_log_events(logGroupName=GROUP, filterPattern="ERROR")
    assert texts(found) == ["ERROR 1", "ERROR z", "ERROR 2", "ERROR 3"]
    assert [event["logStreamName"] for event in found["events"]] == ["a", "z", "b", "a"]
    assert len({event["eventId"] for event in found["events"]}) == 4
    assert texts(logs.filter_log_events(logGroupName=GROUP, filterPattern="{ $.n > 4 }")) == [
        '{"level": "error", "n": 5}'
    ]
    named = logs.filter_log_events(logGroupName=GROUP, logStreamNames=["b", "z"], filterPattern="ERROR")
    assert texts(named) == ["ERROR z", "ERROR 2"]
    prefixed = logs.filter_log_events(logGroupName=GROUP, logStreamNamePrefix="a", startTime=now_ms + 1)
    assert texts(prefixed) == ["fine", "ERROR 3"]
    pages = logs.get_paginator("filter_log_events").paginate(
        logGroupName=GROUP, filterPattern="ERROR", PaginationConfig={"PageSize": 1}
    )
    assert [text for page in pages for text in texts(page)] == ["ERROR 1", "ERROR z", "ERROR 2", "ERROR 3"]
    until = logs.filter_log_events(logGroupName=GROUP, endTime=now_ms)
    assert texts(until) == ["ERROR 1", "ERROR z"]


def test_put_keeps_aws_limits(penstock: PenstockServer, logs: Any, refused: Refused) -> None:
    now_ms = penstock.clock.now_ms

    def events(*times: int, message: str = "m") -> list[dict[str, Any]]:
        return [{"timestamp": at_ms, "message": message} for at_ms in times]

    def refusal(batch: list[dict[str, Any]], **named: str) -> tuple[str, str]:
        return refused(logs.put_log_events, **{**NAMED, **named}, logEvents=batch)

    parameter = "InvalidParameterException"
    assert refusal(events(2, 1)) == (
        parameter,
        "Log events in a single PutLogEvents request must be in chronological order.",
    )
    assert refusal(events(now_ms - DAY_MS - 1, now_ms)) == (
        parameter, "The batch of log events in a single PutLogEvents request cannot span more than 24 hours.",
    )  # fmt: skip
    logs.put_log_events(**NAMED, logEvents=events(now_ms, message="x" * (1_048_576 - 26)))
    assert refusal(events(now_ms, message="é" * (524_288 - 12))) == (
        parameter, "Upload too large: 1048578 bytes exceeds limit of 1048576",
    )  # fmt: skip
    for batch in ([], events(*range(10_001))):
        code, message = refusal(batch)
        assert (code, "'logEvents' failed to satisfy constraint" in message) == (parameter, True)
    assert refusal(events(1), logGroupName="none") == (
        "ResourceNotFoundException",
        "The specified log group does not exist.",
    )
    assert refusal(events(1), logStreamName="none") == (
        "ResourceNotFoundException",
        "The specified log stream does not exist.",
    )
    old, new = now_ms - 14 * DAY_MS - 60_000, now_ms + 7_200_000 + 60_000
    answer = logs.put_log_events(**NAMED, logEvents=events(old, old + 1, old + 120_000))
    assert answer["rejectedLogEventsInfo"] == {"tooOldLogEventEndIndex": 2}
    answer = logs.put_log_events(**NAMED, logEvents=events(now_ms, new, new))
    assert answer["rejectedLogEventsInfo"] == {"tooNewLogEventStartIndex": 1}
    logs.put_retention_policy(logGroupName=GROUP, retentionInDays=1)
    answer = logs.put_log_events(**NAMED, logEvents=events(now_ms - DAY_MS - 60_000, now_ms - 120_000))
    assert answer["rejectedLogEventsInfo"] == {"expiredLogEventEndIndex": 1}


def test_events_when_they_expire_are_hidden_and_then_deleted(penstock: PenstockServer, logs: Any) -> None:
    put(logs, penstock.clock.now_ms, "old")
    penstock.clock.advance(hours=20)
    logs.put_retention_policy(logGroupName=GROUP, retentionInDays=1)
    put(logs, penstock.clock.now_ms, "new")
    assert texts(logs.filter_log_events(logGroupName=GROUP)) == ["old", "new"]
    penstock.clock.advance(hours=5)
    assert texts(logs.filter_log_events(logGroupName=GROUP)) == ["new"]
    assert texts(logs.get_log_events(**NAMED, startFromHead=True)) == ["new"]
    penstock.clock.advance(hours=30)

    def stored_bytes() -> int:
        [group] = logs.describe_log_groups()["logGroups"]
        return int(group["storedBytes"])

    assert next(looks for looks in range(1000) if not stored_bytes()) < 1000
    logs.delete_retention_policy(logGroupName=GROUP)
    assert texts(logs.filter_log_events(logGroupName=GROUP)) == []


def test_streams_are_described_by_name_and_by_their_last_event(
    penstock: PenstockServer, logs: Any, refused: Refused
) -> None:
    now_ms = penstock.clock.now_ms
    for number, name in enumerate(("b", "c", "a")):
        logs.create_log_stream(logGroupName=GROUP, logStreamName=name)
        put(logs, now_ms + number, "m", stream=name)

    def names(**options: Any) -> list[str]:
        pages = logs.get_paginator("describe_log_streams").paginate(
            logGroupName=GROUP, PaginationConfig={"PageSize": 2}, **options
        )
        return [stream["logStreamName"] for page in pages for stream in page["logStreams"]]

    assert names() == [STREAM, "a", "b", "c"]
    assert names(descending=True) == ["c", "b", "a", STREAM]
    assert names(orderBy="LastEventTime") == [STREAM, "b", "c", "a"]
    assert names(orderBy="LastEventTime", descending=True) == ["a", "c", "b", STREAM]
    assert names(logStreamNamePrefix="2026/") == [STREAM]
    code, message = refused(
        logs.describe_log_streams, logGroupName=GROUP, orderBy="LastEventTime", logStreamNamePrefix="a"
    )
    assert (code, message) == ("InvalidParameterException", "Cannot order by LastEventTime with a logStreamNamePrefix.")
    logs.delete_log_stream(logGroupName=GROUP, logStreamName="a")
    logs.create_log_stream(logGroupName=GROUP, logStreamName="a")
    assert texts(logs.get_log_events(logGroupName=GROUP, logStreamName="a")) == []


def test_groups_are_listed_by_prefix_and_deleted_with_all_in_them(logs: Any, refused: Refused) -> None:
    for name in ("x/1", "x/2", "x/3", "y"):
        logs.create_log_group(logGroupName=name)
    pages = logs.get_paginator("describe_log_groups").paginate(
        logGroupNamePrefix="x/", PaginationConfig={"PageSize": 2}
    )
    assert [group["logGroupName"] for page in pages for group in page["logGroups"]] == ["x/1", "x/2", "x/3"]
    assert [group["logGroupName"] for group in logs.describe_log_groups(logGroupNamePattern="LAMBDA")["logGroups"]] == [
        GROUP
    ]
    exists = ("ResourceAlreadyExistsException", "The specified log group already exists")
    assert refused(logs.create_log_group, logGroupName="y") == exists
    assert refused(logs.create_log_stream, **NAMED) == (exists[0], "The specified log stream already exists")
    logs.delete_log_group(logGroupName=GROUP)
    assert refused(logs.get_log_events, **NAMED) == (
        "ResourceNotFoundException",
        "The specified log group does not exist.",
    )
    logs.create_log_group(logGroupName=GROUP)
    assert logs.describe_log_streams(logGroupName=GROUP)["logStreams"] == []
    logs.put_log_group_deletion_protection(logGroupIdentifier="y", deletionProtectionEnabled=True)
    assert refused(logs.delete_log_group, logGroupName="y")[0] == "ValidationException"


@pytest.mark.parametrize(
    ("call", "arguments", "text"),
    [
        ("create_log_group", {"logGroupName": "a b"}, "1 validation error detected: Value 'a b' at 'logGroupName' failed to satisfy"),
        ("create_log_group", {"logGroupName": "a" * 513}, "less than or equal to 512"),
        ("create_log_stream", {"logGroupName": GROUP, "logStreamName": "a:b"}, "'logStreamName' failed to satisfy constraint"),
        ("put_retention_policy", {"logGroupName": GROUP, "retentionInDays": 2}, "Member must satisfy enum value set: [1, 3, 5, 7,"),
        ("get_log_events", {**NAMED, "nextToken": "f/1/s"}, "The specified nextToken is invalid."),
        ("filter_log_events", {"logGroupName": GROUP, "nextToken": "AAAA"}, "The specified nextToken is invalid."),
        ("filter_log_events", {"logGroupName": GROUP, "filterPattern": "{ $.a"}, "Invalid filter pattern: } is missing"),
        ("filter_log_events", {}, "Either logGroupName or logGroupIdentifier must be specified."),
        ("filter_log_events", {"logGroupName": GROUP, "logStreamNames": ["a"], "logStreamNamePrefix": "a"}, "mutually exclusive"),
        ("describe_log_streams", {"logGroupIdentifier": "arn:aws:s3:::x"}, "arn:aws:s3:::x is not a valid ARN of a log group."),
        ("describe_log_streams", {"logGroupName": GROUP, "nextToken": "x"}, "The specified nextToken is invalid."),
    ],
)  # fmt: skip
def test_bad_input_is_told_as_an_invalid_parameter(
    logs: Any, refused: Refused, call: str, arguments: dict[str, Any], text: str
) -> None:
    code, message = refused(getattr(logs, call), **arguments)
    assert code == "InvalidParameterException"
    assert text in message


def test_logs_outlive_their_server_also_what_other_services_put_last(tmp_path: Path) -> None:
    for start in range(2):
        with PenstockServer(data_dir=str(tmp_path), engine="local") as server:
            client = server.client("logs")
            if not start:
                client.create_log_group(logGroupName=GROUP)
                client.create_log_stream(**NAMED)
                put(client, server.clock.now_ms, "by a client")

                async def say() -> None:
                    from penstock.composition.logs import open_logs

                    logs = await server._running._services.room.open(open_logs)
                    logs.put(server.account_id, server.region, "made", "by itself", server.clock.now_ms, "by a service")

                server._call(say())
            else:
                assert texts(client.get_log_events(**NAMED)) == ["by a client"]
                assert texts(client.filter_log_events(logGroupName="made")) == ["by a service"]
                server.reset()
                assert client.describe_log_groups()["logGroups"] == []


def _aws(server: PenstockServer, *words: str) -> str:
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "AWS_PAGER": "", **server.environment()}
    command = [str(Path(sys.executable).with_name("aws")), *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_cli_puts_and_reads(penstock: PenstockServer, logs: Any) -> None:
    events = json.dumps([{"timestamp": penstock.clock.now_ms, "message": "from the CLI"}])
    _aws(
        penstock,
        "logs",
        "put-log-events",
        "--log-group-name",
        GROUP,
        "--log-stream-name",
        STREAM,
        "--log-events",
        events,
    )
    found = json.loads(
        _aws(penstock, "logs", "filter-log-events", "--log-group-name", GROUP, "--filter-pattern", "CLI")
    )
    assert texts(found) == ["from the CLI"]


def test_terraform_makes_reads_changes_and_destroys_a_log_group(penstock: PenstockServer) -> None:
    logs = penstock.client("logs")
    logs.create_log_group(logGroupName="app", logGroupClass="STANDARD", tags={"Name": "app"})
    logs.put_retention_policy(logGroupName="app", retentionInDays=14)

    def read() -> dict[str, Any]:
        found: dict[str, Any]
        [found] = logs.describe_log_groups(logGroupNamePrefix="app")["logGroups"]
        return found

    group = read()
    assert (group["retentionInDays"], group["logGroupClass"]) == (14, "STANDARD")
    arn = group["arn"].removesuffix(":*")
    assert logs.list_tags_for_resource(resourceArn=arn)["tags"] == {"Name": "app"}
    logs.tag_resource(resourceArn=arn, tags={"Owner": "me"})
    logs.untag_resource(resourceArn=arn, tagKeys=["Name"])
    assert logs.list_tags_for_resource(resourceArn=arn)["tags"] == {"Owner": "me"}
    logs.delete_retention_policy(logGroupName="app")
    assert "retentionInDays" not in read()
    logs.delete_log_group(logGroupName="app")
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        logs.list_tags_for_resource(resourceArn=arn)


def test_policies_decide_who_writes_to_which_stream(tmp_path: Path) -> None:
    statement = {"Effect": "Allow", "Action": ["logs:CreateLogStream", "logs:PutLogEvents"], "Resource": "arn:aws:logs:us-east-1:123456789012:log-group:app:*"}  # fmt: skip
    with PenstockServer(data_dir=str(tmp_path), auth="enforced") as server:
        root, iam = server.client("logs"), server.client("iam")
        for name in ("app", "other"):
            root.create_log_group(logGroupName=name)
        iam.create_user(UserName="ann")
        iam.put_user_policy(
            UserName="ann",
            PolicyName="p",
            PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
        )
        key = iam.create_access_key(UserName="ann")["AccessKey"]
        ann = server.client("logs", aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"])
        ann.create_log_stream(logGroupName="app", logStreamName="s")
        ann.put_log_events(
            logGroupName="app", logStreamName="s", logEvents=[{"timestamp": server.clock.now_ms, "message": "m"}]
        )
        resource = "arn:aws:logs:us-east-1:123456789012:log-group:other:log-stream:s"
        with pytest.raises(ClientError, match=f"logs:CreateLogStream on resource: {resource} because"):
            ann.create_log_stream(logGroupName="other", logStreamName="s")
        with pytest.raises(ClientError, match="AccessDenied"):
            ann.describe_log_groups()
