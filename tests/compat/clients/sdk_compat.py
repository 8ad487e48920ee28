"""AWS's SDKs for Java, JavaScript and Go as they come, plain and over TLS."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from judgements import judge_calls, judge_pushed
from programs import Line, Program
from served import Server, server
from toolchains import GO, NODE, environment, java, trust_store

WITHIN_S = 180
SCHEMES = pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    directory = tmp_path_factory.mktemp("sdk")
    with server(directory / "data", "--transition-ms", "0", tls=True) as made:
        yield made


def run(command: list[str], variables: dict[str, str], directory: Path, *events: str) -> list[Line]:
    """Every line of a program of plain calls."""
    program = Program(command, variables, directory / "stderr")
    program.finish(WITHIN_S)
    return program.lines(*events)


CALLS = ("put", "putMany", "record", "tip", "refused", "pushed")


@pytest.mark.needs("java")
@pytest.mark.parametrize("cbor", [True, False], ids=["cbor", "json"])
@SCHEMES
def test_java_blocking_calls_work(running: Server, tmp_path: Path, tls: bool, cbor: bool) -> None:
    began_ms = time.time() * 1000  # noqa: TID251
    options = () if cbor else ("-Daws.cborEnabled=false",)
    command = java("SyncCalls", f"java-{tls}-{cbor}", trust=trust_store(running, tmp_path), options=options)
    judge_calls(run(command, environment(running, tls=tls), tmp_path, *CALLS), began_ms)


@pytest.mark.needs("java")
@SCHEMES
def test_java_asynchronous_calls_share_an_http2_connection(running: Server, tmp_path: Path, tls: bool) -> None:
    command = java("AsyncCalls", f"java-async-{tls}", trust=trust_store(running, tmp_path))
    lines = run(command, environment(running, tls=tls), tmp_path, "put", "record")
    puts = {line["sequence"] for line in lines if line["event"] == "put"}
    records = [line for line in lines if line["event"] == "record"]
    assert {line["sequence"] for line in records} == puts
    assert sorted(int(line["data"]) for line in records) == list(range(400))


@pytest.mark.needs("node")
@pytest.mark.parametrize("handler", ["default", "http1"])
@SCHEMES
def test_javascript_calls_and_subscriptions_work(running: Server, tmp_path: Path, tls: bool, handler: str) -> None:
    began_ms = time.time() * 1000  # noqa: TID251
    NODE.build()
    command = ["node", str(NODE.folder / "calls.mjs"), f"node-{handler}-{tls}", handler]
    lines = run(command, environment(running, tls=tls), tmp_path, *CALLS)
    judge_calls(lines, began_ms)
    judge_pushed(lines)


@pytest.mark.needs("go")
@SCHEMES
def test_go_calls_and_subscriptions_work(running: Server, tmp_path: Path, tls: bool) -> None:
    began_ms = time.time() * 1000  # noqa: TID251
    lines = run([str(GO.build()), f"go-{tls}"], environment(running, tls=tls), tmp_path, *CALLS)
    judge_calls(lines, began_ms)
    judge_pushed(lines)
