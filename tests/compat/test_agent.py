"""`penstock agent` end to end: processes, files, a server."""

import os
import signal
from pathlib import Path

from agents import STREAM, Reader, configure, made_stream, run, running
from free_ports import free_port

from penstock.testing import PenstockServer


def lines(*numbers: int) -> bytes:
    return b"".join(b"line %d\n" % number for number in numbers)


def numbered(*numbers: int) -> list[bytes]:
    return sorted(b"line %d\n" % number for number in numbers)


def test_agent_when_run_once_then_every_line_is_a_record_and_a_second_run_sends_nothing(
    penstock: PenstockServer, tmp_path: Path
) -> None:
    made_stream(penstock)
    (tmp_path / "app.log").write_bytes(lines(*range(2000)) + b"without an end")
    config = configure(tmp_path, penstock.endpoint_url)
    done = run(config, "--once", server=penstock)
    assert done.returncode == 0, done.stderr
    assert "2,001 sent" in done.stderr
    assert run(config, "--once", server=penstock).returncode == 0
    reader = Reader(penstock.client())
    assert sorted(reader.datas) == sorted([*numbered(*range(2000)), b"without an end"])
    keys = {record["PartitionKey"] for record in reader.records}
    assert len(keys) == 2001
    assert all(len(key) == 16 for key in keys)


def test_agent_when_it_runs_then_lines_come_as_they_are_written_and_sigterm_flushes(
    penstock: PenstockServer, tmp_path: Path
) -> None:
    made_stream(penstock)
    log, reader = tmp_path / "app.log", Reader(penstock.client())
    log.write_bytes(lines(1))
    config = configure(tmp_path, penstock.endpoint_url, {}, {"kinesisStream": "other", "maxBufferAgeMillis": 900_000})
    made_stream(penstock, "other")
    with running(config, penstock) as agent:
        reader.wait(lambda datas: len(datas) == 1)
        with log.open("ab") as file:
            file.write(lines(2))
        log.rename(tmp_path / "app.log.1")
        log.write_bytes(lines(3))
        assert sorted(reader.wait(lambda datas: len(datas) == 3)) == numbered(1, 2, 3)
        agent.process.send_signal(signal.SIGTERM)
        assert agent.process.wait(60) == 0
    assert sorted(Reader(penstock.client(), "other").datas) == numbered(1, 2, 3), "the second flow had not sent before"


def test_agent_when_a_share_of_puts_fails_then_every_line_still_comes(penstock: PenstockServer, tmp_path: Path) -> None:
    made_stream(penstock)
    penstock.faults.fail_puts(STREAM, 0.3)
    (tmp_path / "app.log").write_bytes(lines(*range(3000)))
    config = configure(tmp_path, penstock.endpoint_url, {"retryInitialBackoffMillis": 1, "retryMaxBackoffMillis": 20})
    done = run(config, "--once", server=penstock)
    assert done.returncode == 0, done.stderr
    assert "were refused: InternalFailure" in done.stderr
    assert sorted(Reader(penstock.client()).datas) == numbered(*range(3000)), (
        "each once: only what was refused goes again"
    )


def test_agent_when_nobody_answers_for_a_while_then_lines_wait_and_come(tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / "app.log").write_bytes(lines(*range(1000)))
    flow = {"retryInitialBackoffMillis": 10, "retryMaxBackoffMillis": 100}
    with running(configure(tmp_path, f"127.0.0.1:{port}".join(("http://", "")), flow)) as agent:
        assert agent.logged("they go again")
        with PenstockServer(port=port) as server:
            made_stream(server)
            datas = Reader(server.client()).wait(lambda datas: len(datas) >= 1000)
            assert sorted(datas) == numbered(*range(1000))
            assert agent.logged("records are taken again")


def test_agent_when_it_is_told_to_reload_then_new_flows_begin_and_a_bad_configuration_is_refused(
    penstock: PenstockServer, tmp_path: Path
) -> None:
    made_stream(penstock)
    (tmp_path / "app.log").write_bytes(lines(1))
    (tmp_path / "more.log").write_bytes(lines(2))
    config, reader = configure(tmp_path, penstock.endpoint_url), Reader(penstock.client())
    with running(config, penstock) as agent:
        assert agent.logged("follows app.log")
        config.write_text('{"flows": 7}')
        agent.process.send_signal(signal.SIGHUP)
        assert agent.logged("the old one stays")
        configure(tmp_path, penstock.endpoint_url, {}, {"filePattern": str(tmp_path / "more.log")})
        agent.process.send_signal(signal.SIGHUP)
        assert sorted(reader.wait(lambda datas: len(datas) == 2)) == numbered(1, 2)


def test_agent_when_the_configuration_is_wrong_then_every_problem_is_a_line_and_nothing_runs(tmp_path: Path) -> None:
    flow = {
        "maxBufferAgeMillis": 1,
        "kinesisStream": None,
        "fileePattern": "x",
        "dataProcessingOptions": [{"optionName": "USINGPLUGGIN"}],
    }
    config = configure(tmp_path, "ftp://nowhere", flow)
    for words in ((), ("--check",)):
        done = run(config, *words)
        assert done.returncode == 2
        told = done.stderr.splitlines()
        assert all(line.startswith("penstock: ") for line in told)
        for text in (
            "kinesis.endpoint must be",
            "flows[0]: maxBufferAgeMillis must be a whole number from 1000 to 900000, not 1",
            "flows[0]: say kinesisStream or deliveryStream",
            "warning: " + str(config) + ": flows[0]: fileePattern is no key",
            "dataProcessingOptions[0] USINGPLUGGIN: not supported",
        ):
            assert sum(text in line for line in told) == 1, (text, told)


def test_agent_when_asked_to_check_then_it_shows_what_would_be_read_and_touches_nothing(tmp_path: Path) -> None:
    (tmp_path / "app.log").write_bytes(lines(1))
    done = run(configure(tmp_path, "http://127.0.0.1:1"), "--check")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{tmp_path}/app.log" in done.stdout
    assert "kinesis:logs" in done.stdout
    assert not (tmp_path / "state").exists()


def test_agent_when_another_has_the_checkpoints_then_it_refuses(penstock: PenstockServer, tmp_path: Path) -> None:
    made_stream(penstock)
    (tmp_path / "app.log").write_bytes(lines(1))
    config = configure(tmp_path, penstock.endpoint_url)
    with running(config, penstock) as first:
        assert first.logged("follows app.log")
        done = run(config, server=penstock)
        assert done.returncode == 1
        assert done.stderr.splitlines() == [
            f"penstock: checkpointFile {tmp_path}/state/checkpoints is in use by another agent"
        ]


def test_agent_when_it_runs_then_the_server_is_not_imported(tmp_path: Path) -> None:
    import subprocess
    import sys

    program = (
        "import sys, penstock.cli, penstock.commands.agent, penstock.agent.running; print('\\n'.join(sys.modules))"
    )
    listed = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    heavy = (
        "penstock.server",
        "penstock.services",
        "penstock.engines",
        "boto3",
        "rich",
        "uvloop",
    )
    assert not [name for name in listed.stdout.split() if name.startswith(heavy)]
