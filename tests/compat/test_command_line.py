"""`penstock serve` as a user runs it: start, hints, files, stop, and mistakes."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import boto3
import pytest

PENSTOCK = str(Path(sys.executable).with_name("penstock"))


def _run(*words: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PENSTOCK, *words], cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True, timeout=60, check=False
    )  # fmt: skip


def _started(folder: Path, *words: str) -> tuple[subprocess.Popen[str], str]:
    """A server on free ports, and all that it printed until it was ready."""
    process = subprocess.Popen(
        [PENSTOCK, "serve", "--port", "0", "--data-dir", "data", *words],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith("Ctrl-C"):
            break
    return process, "".join(lines)


def _ended(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


@contextmanager
def _server(folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server without TLS, and its endpoint."""
    process, printed = _started(folder, "--no-tls")
    try:
        endpoint = re.search(r"http://127\.0\.0\.1:\d+", printed)
        assert endpoint is not None, printed
        yield process, endpoint[0]
    finally:
        _ended(process)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server with TLS, and what it printed."""
    process, printed = _started(tmp_path, "--tls-port", "0")
    yield process, printed
    _ended(process)


def test_serve_tells_where_everything_is(served: tuple[subprocess.Popen[str], str], tmp_path: Path) -> None:
    _, printed = served
    endpoint = json.loads((tmp_path / "data" / "endpoint.json").read_text())
    for expected in (
        endpoint["http"], endpoint["https"], endpoint["ca"], "AWS_ENDPOINT_URL=" + endpoint["http"], "AWS_DEFAULT_REGION=us-east-1",
        "123456789012", str(tmp_path / "data"), "local: ", "aws kinesis create-stream",
    ):  # fmt: skip
        assert expected in printed
    with urllib.request.urlopen(endpoint["http"] + "/_penstock/health") as answer:
        assert json.load(answer)["status"] == "ok"
    assert (tmp_path / "data" / "tls" / "ca-key.pem").stat().st_mode & 0o077 == 0


def test_serve_puts_endpoint_json_in_its_place_whole(tmp_path: Path) -> None:
    file = tmp_path / "data" / "endpoint.json"
    file.parent.mkdir()
    file.write_text("of a server that was killed")
    with file.open() as held, _server(tmp_path) as (_, endpoint):
        assert held.read() == "of a server that was killed"
        assert json.loads(file.read_text())["http"] == endpoint
        assert not file.with_name(".endpoint.json.new").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serve_stops_cleanly(served: tuple[subprocess.Popen[str], str], tmp_path: Path, number: signal.Signals) -> None:
    process, _ = served
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    assert (process.returncode, output.strip()) == (0, "Stopping.")
    assert not (tmp_path / "data" / "endpoint.json").exists()


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--port", "x"], "penstock: --port: 'x' must be a whole number from 0 to 65535"),
        (["--limits", "some"], "penstock: --limits: 'some' must be one of aws, off"),
        (["--engine", "paper"], "penstock: --engine: 'paper' must be one of memory, local"),
        (["--auth", "some"], "penstock: --auth: 'some' must be one of open, enforced"),
        (["--cache", "lots"], "penstock: --cache: 'lots' must be a size from 0 to 1T, such as 64M or 2G"),
        (["--host", "0.0.0.0"], "penstock: --host: 0.0.0.0 is reachable from other machines"),
        (["--nonsense"], "penstock: No such option"),
        (["--data-dir", "/dev/null/x"], "penstock: cannot use --data-dir /dev/null/x"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(words: list[str], line: str, tmp_path: Path) -> None:
    done = _run("serve", *words, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(line)
    assert done.stderr.count("\n") == 1


def test_a_bad_environment_or_file_is_named(tmp_path: Path) -> None:
    assert _run("serve", cwd=tmp_path, PENSTOCK_PORT="no").stderr.startswith("penstock: PENSTOCK_PORT: 'no' must be")
    (tmp_path / "penstock.toml").write_text('ports = "1"\n')
    assert _run("serve", cwd=tmp_path).stderr.startswith("penstock: penstock.toml: unknown key 'ports'")


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = _run("serve", "--port", str(port), "--no-tls", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == (
        f"penstock: cannot listen on 127.0.0.1:{port}: another program listens there;"
        " choose another --port, or 0 for any free one\n"
    )


def test_version_and_help(tmp_path: Path) -> None:
    assert _run("--version", cwd=tmp_path).stdout.startswith("penstock 0.")
    text = _run("serve", "--help", cwd=tmp_path).stdout
    for option in (
        "--host", "--port", "--tls-port", "--no-tls", "--data-dir", "--engine", "--limits", "--auth", "--account-id",
        "--transition-ms", "--testing", "--insecure", "--log-level",
    ):  # fmt: skip
        assert option in text


def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    numbers: list[str] = []
    for round_no in range(3):
        with _server(tmp_path) as (process, endpoint):
            kinesis = boto3.client(
                "kinesis", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="t", aws_secret_access_key="t"
            )  # fmt: skip
            if round_no == 0:
                kinesis.create_stream(StreamName="kept", ShardCount=1, Tags={"a": "b"})
                kinesis.create_stream(StreamName="gone", ShardCount=1)
                kinesis.delete_stream(StreamName="gone")
            iterator = kinesis.get_shard_iterator(
                StreamName="kept", ShardId="shardId-000000000000", ShardIteratorType="TRIM_HORIZON"
            )["ShardIterator"]
            found = kinesis.get_records(ShardIterator=iterator)["Records"]
            assert [record["SequenceNumber"] for record in found] == numbers
            assert kinesis.list_streams()["StreamNames"] == ["kept"]
            assert kinesis.list_tags_for_stream(StreamName="kept")["Tags"] == [{"Key": "a", "Value": "b"}]
            for _ in range(20):
                put = kinesis.put_record(StreamName="kept", Data=b"d", PartitionKey="k")
                numbers.append(put["SequenceNumber"])
            process.kill()


def test_a_second_server_on_the_same_directory_is_refused(tmp_path: Path) -> None:
    with _server(tmp_path) as (process, _):
        done = _run("serve", "--port", "0", "--no-tls", "--data-dir", "data", cwd=tmp_path)
        assert done.returncode == 2
        assert done.stderr == f"penstock: data is in use by another server (process {process.pid})\n"


def test_damaged_metadata_is_refused_rather_than_silently_forgotten(tmp_path: Path) -> None:
    with _server(tmp_path) as (process, endpoint):
        kinesis = boto3.client(
            "kinesis", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="t", aws_secret_access_key="t"
        )  # fmt: skip
        kinesis.create_stream(StreamName="kept", ShardCount=1)
        kinesis.put_record(StreamName="kept", Data=b"d", PartitionKey="k")
        for number in range(5):
            kinesis.add_tags_to_stream(StreamName="kept", Tags={"number": str(number)})
        process.kill()
        process.wait()
    log = tmp_path / "data" / "meta.sqlite-wal"
    content = bytearray(log.read_bytes())
    content[len(content) // 2] ^= 1
    log.write_bytes(content)
    done = _run("serve", "--port", "0", "--no-tls", "--data-dir", "data", cwd=tmp_path)
    assert done.returncode == 2
    assert "acknowledged changes lie behind them" in done.stderr
    assert done.stderr.count("\n") == 1


def test_check_inspect_backup_and_restore_work_as_verbs(tmp_path: Path) -> None:
    with _server(tmp_path) as (_, endpoint):
        kinesis = boto3.client(
            "kinesis", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="t", aws_secret_access_key="t"
        )  # fmt: skip
        kinesis.create_stream(StreamName="kept", ShardCount=1)
        kinesis.put_record(StreamName="kept", Data=b"d", PartitionKey="k")
        assert _run("check", "data", cwd=tmp_path).returncode == 0
        assert _run("backup", "data", "copy", cwd=tmp_path).returncode == 0
        assert "kept" in _run("inspect", "data", cwd=tmp_path).stdout
    assert _run("restore", "copy", "again", cwd=tmp_path).returncode == 0
    assert _run("check", "again", cwd=tmp_path).returncode == 0
    assert _run("check", ".", cwd=tmp_path).returncode == 2
