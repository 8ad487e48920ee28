"""`penstock demo`, end to end, as its user runs it."""

import os
import re
import select
import signal
import subprocess
import sys
from itertools import islice
from pathlib import Path

import psutil

from penstock.testing import PenstockServer

SECONDS_MAX = 120  # each tells a line: then no consumer was killed that had somebody to follow it
VERDICT = re.compile(r"OK: ([\d,]+) records of [\d,]+ keys read back once each and in order \((.*)\)$")


def run_demo(*options: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "penstock", "demo", *options], capture_output=True, text=True, timeout=90, check=False
    )


def test_demo_against_a_server_counts_every_record_and_removes_its_stream(penstock: PenstockServer) -> None:
    done = run_demo("--seconds", "2", "--rate", "1000")

    assert (done.returncode, done.stderr) == (0, ""), done
    first, *lines, last = done.stdout.splitlines()
    assert penstock.endpoint_url in first
    assert lines, "a line per second"
    assert all(re.match(r" +\d+ s  put [\d,]+/s .* read [\d,]+/s .* age [\d,]+ ms ", line) for line in lines)
    verdict = VERDICT.match(last)
    assert verdict is not None, last
    assert int(verdict[1].replace(",", "")) > 200, "a slow machine makes fewer than 2,000, but not none"
    assert penstock.client().list_streams()["StreamNames"] == []


def test_demo_when_a_consumer_is_killed_then_its_shards_go_on_and_the_counts_match(penstock: PenstockServer) -> None:
    command = [sys.executable, "-m", "penstock", "demo", "--rate", "500"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as demo:
        assert demo.stdout is not None
        told = [next(line for line in islice(demo.stdout, SECONDS_MAX) if "went on" in line)]
        demo.send_signal(signal.SIGINT)
        told += demo.stdout

    assert demo.returncode == 0, told
    verdict = VERDICT.match(told[-1])
    assert verdict is not None, told
    assert re.search(r"consumer [123] was killed; its shards went on after [\d.]+ s", verdict[2])


def test_demo_while_half_of_the_puts_fail_still_ends_well(penstock: PenstockServer) -> None:
    penstock.faults.fail_puts("ill-fated", 0.5)

    done = run_demo("--seconds", "2", "--rate", "500", "--stream", "ill-fated")

    assert done.returncode == 0, done
    verdict = VERDICT.match(done.stdout.splitlines()[-1])
    assert verdict is not None, done.stdout
    again = re.search(r"([\d,]+) put again after a refusal", verdict[2])
    assert again is not None, verdict
    assert int(again[1].replace(",", "")) > 100


def test_demo_that_reads_what_it_never_sent_fails(penstock: PenstockServer) -> None:
    client = penstock.client()  # made beforehand: a busy machine takes the whole run for it
    command = [sys.executable, "-m", "penstock", "demo", "--seconds", "4", "--rate", "100", "--stream", "shared"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as demo:
        assert demo.stdout is not None
        demo.stdout.readline()  # from here on the stream exists
        client.put_record(StreamName="shared", PartitionKey="cpu:0", Data=b'{"key":"cpu:0","count":99999}')
        *_, last = demo.stdout

    assert demo.returncode == 1
    assert re.match(r"FAILED: of [\d,]+ records of [\d,]+ keys: 1 never sent; first, a record 99,999 of cpu:0", last), (
        last
    )


def test_demo_when_interrupted_still_reads_and_checks(penstock: PenstockServer) -> None:
    with subprocess.Popen([sys.executable, "-m", "penstock", "demo"], stdout=subprocess.PIPE, text=True) as demo:
        assert demo.stdout is not None
        next(line for line in demo.stdout if re.search(r"in all [1-9][\d,]* put", line))
        demo.send_signal(signal.SIGINT)
        *_, last = demo.stdout

    assert VERDICT.match(last), last
    assert demo.returncode == 0
    assert penstock.client().list_streams()["StreamNames"] == []


def test_demo_without_an_endpoint_starts_a_server_of_its_own() -> None:
    assert "AWS_ENDPOINT_URL" not in os.environ

    done = run_demo("--seconds", "0.5")

    assert (done.returncode, done.stderr) == (0, ""), done
    first, *lines = done.stdout.splitlines()
    assert "(started for the demo)" in first
    [sent] = [match[1] for line in lines if (match := VERDICT.match(line))]
    found = re.match(r"OK: DuckDB finds ([\d,]+) records in [\d,]+ Parquet files", lines[-1])
    assert found is not None, lines
    assert found[1] == sent
    assert any("cpu" in line for line in lines), "a table by kind"


def test_demo_when_killed_then_what_it_started_ends_too(tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}  # its files stay
    command = [sys.executable, "-m", "penstock", "demo"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as demo:
        assert demo.stdout is not None
        assert "(started for the demo)" in demo.stdout.readline()
        demo.stdout.readline()
        demo.send_signal(signal.SIGSTOP)  # it ends none of them by itself any more
        started = {os.pidfd_open(each.pid): each for each in psutil.Process(demo.pid).children()}
        assert len(started) >= 3, "a server and three consumers, of which it may have killed one"
        demo.kill()
    for descriptor, process in started.items():
        ended = select.select([descriptor], [], [], 60)[0]
        os.close(descriptor)
        if not ended:
            process.kill()
        assert ended


def test_demo_given_a_folder_for_its_files_leaves_them_there(tmp_path: Path) -> None:
    done = run_demo("--seconds", "0.5", "--stream", "mine", "--lake", str(tmp_path / "new"))

    assert done.returncode == 0, done
    assert list((tmp_path / "new").rglob("mine/**/*.parquet"))
    again = run_demo("--seconds", "0.5", "--stream", "mine", "--lake", str(tmp_path / "new"))
    assert again.returncode == 2
    assert "has files already" in again.stderr


def test_demo_given_a_folder_and_a_server_says_that_they_do_not_go_together(penstock: PenstockServer) -> None:
    done = run_demo("--lake", "x")

    assert (done.returncode, done.stdout) == (2, "")
    assert "a server of the demo's own" in done.stderr
    assert penstock.client().list_streams()["StreamNames"] == []


def test_demo_with_no_server_at_the_endpoint_says_so_in_a_line() -> None:
    done = run_demo("--endpoint", "http://127.0.0.1:1")

    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(r"penstock: no server answers at http://127\.0\.0\.1:1; .*\n", done.stderr)


def test_demo_given_a_stream_that_exists_leaves_it_alone(penstock: PenstockServer) -> None:
    penstock.client().create_stream(StreamName="mine", ShardCount=1)

    done = run_demo("--stream", "mine", "--seconds", "1")

    assert done.returncode == 2
    assert re.fullmatch(r"penstock: stream mine exists already; .*\n", done.stderr)
    assert penstock.client().list_streams()["StreamNames"] == ["mine"]


def test_demo_without_its_extra_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['psutil'] = None; sys.argv = ['penstock', 'demo']; import penstock.cli as c; c.main()"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=90, check=False)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "penstock: the demo needs psutil: pip install 'penstock[demo]'\n"
