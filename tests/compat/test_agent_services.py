"""`penstock agent` and other services: Firehose, STS, CloudWatch; and servers that are slow or lie."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from agents import Reader, configure, made_stream, run, running
from firehose_standin import firehose

from penstock.testing import PenstockServer


def lines(*numbers: int) -> bytes:
    return b"".join(b"line %d\n" % number for number in numbers)


def numbered(*numbers: int) -> list[bytes]:
    return sorted(b"line %d\n" % number for number in numbers)


def test_agent_when_lines_go_to_firehose_then_each_request_is_as_the_model_says(tmp_path: Path) -> None:
    flow = {"kinesisStream": None, "deliveryStream": "to-s3", "retryInitialBackoffMillis": 1}
    long = b"x" * (1 << 20)
    (tmp_path / "app.log").write_bytes(lines(*range(3000)) + long + b"\n")
    with firehose() as (standin, url):
        standin.refuse_each = 7
        done = run(configure(tmp_path, "", flow, **{"firehose.endpoint": url}), "--once")
        assert done.returncode == 0, done.stderr
    assert not standin.problems
    assert sorted(standin.records) == sorted([*numbered(*range(3000)), long[: (1000 << 10) - 1] + b"\n"])


def test_agent_when_records_are_aggregated_then_several_lines_are_one(tmp_path: Path) -> None:
    flow = {"kinesisStream": None, "deliveryStream": "to-s3", "aggregatedRecordSizeBytes": 5000}
    (tmp_path / "app.log").write_bytes(lines(*range(3000)))
    with firehose() as (standin, url):
        assert run(configure(tmp_path, "", flow, **{"firehose.endpoint": url}), "--once").returncode == 0
    assert not standin.problems
    assert b"".join(standin.records) == lines(*range(3000))
    assert len(standin.records) == 6
    assert all(len(record) <= 5000 and record.endswith(b"\n") for record in standin.records)


def policy(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def test_agent_when_a_role_is_named_then_records_are_put_as_it(tmp_path: Path) -> None:
    with PenstockServer(auth="enforced") as server:
        made_stream(server)
        account, iam = server.account_id, server.client("iam")
        condition = {"StringEquals": {"sts:ExternalId": "shared"}}
        trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": account}, "Condition": condition}
        iam.create_role(RoleName="feeder", AssumeRolePolicyDocument=policy(trust))
        put = {"Effect": "Allow", "Action": "kinesis:PutRecords", "Resource": "*"}
        iam.put_role_policy(RoleName="feeder", PolicyName="put", PolicyDocument=policy(put))
        iam.create_user(UserName="ann")
        assume = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}
        iam.put_user_policy(UserName="ann", PolicyName="assume", PolicyDocument=policy(assume))
        key = iam.create_access_key(UserName="ann")["AccessKey"]
        (tmp_path / "app.log").write_bytes(lines(1))
        keys = {
            "awsAccessKeyId": key["AccessKeyId"],
            "awsSecretAccessKey": key["SecretAccessKey"],
            "shutdownTimeoutMillis": 500,
        }
        alone = configure(tmp_path, server.endpoint_url, **keys)
        with running(alone) as agent:
            assert agent.logged("AccessDeniedException"), agent.log
            agent.process.terminate()
            assert agent.process.wait(60) == 0
        role = {
            "assumeRoleARN": f"arn:aws:iam::{account}:role/feeder",
            "assumeRoleExternalId": "shared",
            "sts.endpoint": server.endpoint_url,
        }
        done = run(configure(tmp_path, server.endpoint_url, **keys, **role), "--once")
        assert done.returncode == 0, done.stderr
        assert Reader(server.client()).datas == numbered(1)


def test_agent_when_it_measures_then_cloudwatch_has_the_numbers(penstock: PenstockServer, tmp_path: Path) -> None:
    made_stream(penstock)
    (tmp_path / "app.log").write_bytes(lines(*range(10)))
    keys = {
        "cloudwatch.emitMetrics": True,
        "cloudwatch.endpoint": penstock.endpoint_url,
        "cloudwatch.namespace": "Fleet",
    }
    done = run(configure(tmp_path, penstock.endpoint_url, **keys), "--once", server=penstock)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = {
        series.metric.name: (series.total, series.unit, series.metric.namespace, tuple(series.metric.dimensions))
        for series in penstock._running._services.metrics.store.all()
    }
    where = ("Fleet", (("Destination", "logs"),))
    assert found["RecordsSent"] == (10, "Count", *where)
    assert found["BytesSent"] == (70, "Bytes", *where)
    assert found["RecordSendAttempts"] == (10, "Count", *where)
    assert {"RecordSendErrors", "ServiceErrors", "ConsecutiveProcessingErrors"} <= found.keys()


@contextmanager
def answering(answer: bytes) -> Iterator[str]:
    """A server that says the same to every connection and closes it; with no answer it only listens."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection:
                    if not answer:
                        held.append(connection.dup())
                        continue
                    connection.recv(1 << 20)
                    connection.sendall(answer)

        held: list[socket.socket] = []
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            for connection in held:
                connection.close()
            listening.shutdown(socket.SHUT_RDWR)


def test_agent_when_servers_lie_or_are_silent_then_it_says_so_and_sends_again(tmp_path: Path) -> None:
    (tmp_path / "app.log").write_bytes(lines(*range(20)))
    said = {
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}": "tells of 0 records instead of 20",
        b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{": "",
        b"HTTP/1.1 503 No\r\nContent-Length: 4\r\n\r\nbusy": "HTTP status 503: 'busy'",
        b"": "timeout",
    }
    for answer, text in said.items():
        keys = {"socketTimeoutMillis": 20_000 if answer else 300, "shutdownTimeoutMillis": 100}
        with answering(answer) as url, running(configure(tmp_path, url, **keys)) as agent:
            assert agent.logged("they go again"), agent.log
            agent.process.terminate()
            assert agent.process.wait(60) == 0
            log = "".join(agent.log)
            assert text in log, log
            assert "Traceback" not in log
            assert "20 records were not sent" in log
    with PenstockServer() as server:
        made_stream(server)
        assert run(configure(tmp_path, server.endpoint_url), "--once").returncode == 0
        assert sorted(Reader(server.client()).datas) == numbered(*range(20))


def test_agent_when_a_shard_is_throttled_for_a_while_then_everything_comes(
    penstock: PenstockServer, tmp_path: Path
) -> None:
    made_stream(penstock)
    penstock.faults.throttle("logs", "shardId-000000000000")
    (tmp_path / "app.log").write_bytes(lines(*range(100)))
    flow = {"retryInitialBackoffMillis": 1, "retryMaxBackoffMillis": 20}
    with running(configure(tmp_path, penstock.endpoint_url, flow), penstock) as agent:
        assert agent.logged("were refused: ProvisionedThroughputExceededException")
        penstock.faults.clear()
        assert sorted(Reader(penstock.client()).wait(lambda datas: len(datas) == 100)) == numbered(*range(100))
        assert agent.logged("records are taken again")
