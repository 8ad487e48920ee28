"""`penstock top`, `tail`, `put`, `shards` and `plan`, end to end, as their user runs them."""

import base64
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from penstock.testing import PenstockServer
from penstock.wire.aggregate import Aggregate

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient

COMMAND = [sys.executable, "-m", "penstock"]
NOBODY = "http://127.0.0.1:1"
LAST_KEY = 2**128 - 1


def run(*words: str, stdin: str = "", **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*COMMAND, *words],
        input=stdin,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@contextmanager
def running(*words: str, **streams: Any) -> "Iterator[subprocess.Popen[str]]":
    arguments = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams}
    environment = {**os.environ, "TERM": "xterm-256color"}
    with subprocess.Popen([*COMMAND, *words], text=True, env=environment, **arguments) as process:
        try:
            yield process
        finally:
            process.kill()


def made(kinesis: "KinesisClient", name: str, shards: int) -> None:
    kinesis.create_stream(StreamName=name, ShardCount=shards)
    settle(kinesis, name)


def settle(kinesis: "KinesisClient", name: str) -> None:
    while kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]["StreamStatus"] != "ACTIVE":
        pass


def split(kinesis: "KinesisClient", name: str, number: int, at: int) -> None:
    kinesis.split_shard(StreamName=name, ShardToSplit=f"shardId-{number:012d}", NewStartingHashKey=str(at))
    settle(kinesis, name)


def merge(kinesis: "KinesisClient", name: str, number: int, adjacent: int) -> None:
    kinesis.merge_shards(
        StreamName=name, ShardToMerge=f"shardId-{number:012d}", AdjacentShardToMerge=f"shardId-{adjacent:012d}"
    )
    settle(kinesis, name)


def put_round(kinesis: "KinesisClient", name: str, number: int) -> None:
    """One record of each of twenty keys."""
    records: Any = [{"Data": b"%d" % number, "PartitionKey": f"key-{key}"} for key in range(20)]
    assert kinesis.put_records(StreamName=name, Records=records)["FailedRecordCount"] == 0


def resharded(kinesis: "KinesisClient", name: str) -> Iterator[int]:
    """A stream of two shards that is split and merged over four generations, with a round of records in each."""
    yield 0
    split(kinesis, name, 0, LAST_KEY // 4)  # 0 -> 2, 3
    yield 1
    merge(kinesis, name, 3, 1)  # -> 4
    yield 2
    split(kinesis, name, 4, LAST_KEY // 2)  # -> 5, 6
    yield 3
    merge(kinesis, name, 2, 5)  # -> 7
    yield 4


def by_key(lines: list[str]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for line in lines:
        record = json.loads(line)
        found.setdefault(record["partition_key"], []).append(int(record["data"]))
    return found


def test_put_takes_arguments_and_tail_shows_them(penstock: PenstockServer, kinesis: "KinesisClient") -> None:
    made(kinesis, "orders", 1)

    put = run("put", "orders", "hello", "world", "--key", "a")
    shown = run("tail", "orders", "--from", "trim", "--no-follow")

    assert (put.returncode, put.stderr) == (0, "")
    assert re.fullmatch(r"2 records \(12 B\) put into orders in [\d.]+ s: shard 0: 2\n", put.stdout)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert [line.split("\t")[1:] for line in shown.stdout.splitlines()] == [
        ["shardId-000000000000", "a", "hello"], ["shardId-000000000000", "a", "world"],
    ]  # fmt: skip


def test_put_takes_json_lines_with_their_keys_from_standard_input(
    penstock: PenstockServer, kinesis: "KinesisClient"
) -> None:
    made(kinesis, "orders", 4)
    lines = [json.dumps({"user": f"u{number % 50}", "n": number}) for number in range(1200)]

    put = run("put", "orders", "--key-field", "user", stdin="\n".join(lines))
    shown = run("tail", "orders", "--from", "trim", "--no-follow", "--json")

    assert (put.returncode, put.stderr) == (0, "")
    assert put.stdout.startswith("1,200 records (")
    records = [json.loads(line) for line in shown.stdout.splitlines()]
    assert sorted(record["data"] for record in records) == sorted(lines)
    assert all(json.loads(record["data"])["user"] == record["partition_key"] for record in records)
    assert len({record["shard_id"] for record in records}) == 4


def test_put_takes_a_file_and_a_hash_key(penstock: PenstockServer, kinesis: "KinesisClient", tmp_path: Path) -> None:
    made(kinesis, "orders", 4)
    (tmp_path / "lines").write_bytes(b"one\n\n\xff\x00two\r\nthree")

    put = run("put", "orders", "--file", str(tmp_path / "lines"), "--hash-key", str(LAST_KEY))
    shown = run("tail", "orders", "--from", "trim", "--no-follow", "--json")

    assert put.returncode == 0
    assert ": shard 3: 3\n" in put.stdout
    assert [json.loads(line).get("data") for line in shown.stdout.splitlines()] == ["one", None, "three"]


def test_put_of_a_file_shows_a_bar_on_a_terminal(
    penstock: PenstockServer, kinesis: "KinesisClient", tmp_path: Path
) -> None:
    made(kinesis, "orders", 1)
    (tmp_path / "lines").write_text("line\n" * 1000)

    with terminal() as (ours, theirs), running(
        "put", "orders", "--file", str(tmp_path / "lines"), stdin=theirs, stderr=theirs
    ) as put:  # fmt: skip
        seen(ours, "4.9/4.9 KiB")
        out, _ = put.communicate(timeout=60)

    assert put.returncode == 0
    assert re.fullmatch(
        r"1,000 records \(20 KiB\) put into orders in [\d.]+ s, [\d,]+ records/s: shard 0: 1,000\n", out
    )


def test_put_sends_what_is_there_while_its_input_stays_open(penstock: PenstockServer, kinesis: "KinesisClient") -> None:
    made(kinesis, "orders", 1)

    with running("put", "orders") as put, running("tail", "orders", "--from", "trim", "--limit", "1") as tail:
        assert put.stdin is not None
        put.stdin.write("first\n")
        put.stdin.flush()
        out, _ = tail.communicate(timeout=60)
        assert out.endswith("\tfirst\n")
        out, _ = put.communicate("second\n", timeout=60)

    assert out.startswith("2 records")


def test_put_while_half_of_the_records_fail_puts_each_once(penstock: PenstockServer, kinesis: "KinesisClient") -> None:
    made(kinesis, "orders", 2)
    penstock.faults.fail_puts("orders", 0.5)

    put = run("put", "orders", stdin="\n".join(map(str, range(600))))
    penstock.faults.clear()
    shown = run("tail", "orders", "--from", "trim", "--no-follow", "--json")

    assert put.returncode == 0, put
    assert re.search(r"600 records .*; [\d,]+ put again after a refusal\n", put.stdout)
    assert sorted(int(json.loads(line)["data"]) for line in shown.stdout.splitlines()) == list(range(600))


def test_put_when_a_line_is_bad_puts_what_came_before_and_fails(
    penstock: PenstockServer, kinesis: "KinesisClient"
) -> None:
    made(kinesis, "orders", 1)

    put = run("put", "orders", "--json", stdin='{"n":1}\n{"n":2}\noops\n{"n":4}\n')

    assert put.returncode == 1
    assert put.stdout.startswith("2 records")
    assert put.stderr.startswith("penstock: line 3 is no JSON object: ")
    assert put.stderr.count("\n") == 1


def test_put_when_a_record_is_refused_for_good_says_why_and_fails(
    penstock: PenstockServer, kinesis: "KinesisClient"
) -> None:
    made(kinesis, "orders", 1)

    put = run("put", "orders", "x", "--hash-key", "-1")

    assert (put.returncode, put.stdout) == (1, "")
    assert re.fullmatch(r"penstock: 1 records were not put: \w+Exception: .*\n", put.stderr)


@pytest.mark.parametrize("verb", [["tail"], ["put"], ["shards"], ["plan", "--stream"]])
def test_a_stream_that_is_not_there_is_one_line_with_those_that_are(
    penstock: PenstockServer, kinesis: "KinesisClient", verb: list[str]
) -> None:
    made(kinesis, "orders", 1)

    done = run(*verb, "order", stdin="x\n")

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"penstock: there is no stream order in us-east-1 at {penstock.endpoint_url}; there is orders\n"
    )


@pytest.mark.parametrize("verb", [["top"], ["tail", "s"], ["put", "s"], ["shards", "s"], ["plan", "--stream", "s"]])
def test_no_server_is_one_line_that_says_what_to_do(verb: list[str]) -> None:
    done = run(*verb, "--endpoint", NOBODY, stdin="x\n")

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"penstock: no server answers at {NOBODY}; start one with `penstock serve`, or say --endpoint URL\n"
    )


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["tail", "s", "--from", "soon"], "--from: 'soon' is no time; say trim, latest, -10m"),
        (["put", "s", "x", "--file", "y"], "say DATA or --file, not both"),
        (["put", "s", "--file", "/nowhere"], "/nowhere: No such file or directory"),
        (["plan"], "say a load, such as --write-mb 12"),
        (["plan", "--write-mb", "1", "--prices", "/nowhere"], "--prices: /nowhere: No such file or directory"),
        (["top", "--account", "12"], "Invalid value for '--account': '12' must be 12 digits"),
        (["top", "--data-dir", "/nowhere"], "no server runs on /nowhere: there is no endpoint.json; start one with"),
        (["shards", "s", "--endpoint", "aws", "--account", "123456789012"], "--account names an account of Penstock's"),
        (["tail"], "Missing argument 'STREAM'."),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(words: list[str], line: str) -> None:
    done = run(*words)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"penstock: {line}")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("verb", ["top", "tail", "put", "shards", "plan"])
def test_help_of_each_verb_has_an_example(verb: str) -> None:
    text = run(verb, "--help").stdout

    assert f"penstock {verb} " in text[text.index("Example") :]


def test_tail_without_follow_reads_a_resharded_stream_in_the_order_of_each_key(
    penstock: PenstockServer, kinesis: "KinesisClient"
) -> None:
    made(kinesis, "orders", 2)
    for number in resharded(kinesis, "orders"):
        put_round(kinesis, "orders", number)

    shown = run("tail", "orders", "--from", "trim", "--no-follow", "--json")

    assert (shown.returncode, shown.stderr) == (0, "")
    assert by_key(shown.stdout.splitlines()) == {f"key-{key}": [0, 1, 2, 3, 4] for key in range(20)}
    assert len({json.loads(line)["shard_id"] for line in shown.stdout.splitlines()}) > 4


def test_tail_reads_a_parent_to_its_end_before_its_child_however_long_that_takes(
    penstock: PenstockServer, kinesis: "KinesisClient"
) -> None:
    made(kinesis, "orders", 1)
    assert run("put", "orders", "--key", "k", stdin="\n".join(map(str, range(12_000)))).returncode == 0  # two pages
    split(kinesis, "orders", 0, LAST_KEY // 2)
    assert run("put", "orders", "--key", "k", "12000", "12001").returncode == 0

    shown = run("tail", "orders", "--from", "trim", "--no-follow", "--json")

    assert by_key(shown.stdout.splitlines()) == {"k": list(range(12_002))}


def test_tail_follows_reshards_under_way_in_the_order_of_each_key(
    penstock: PenstockServer, kinesis: "KinesisClient"
) -> None:
    made(kinesis, "orders", 2)

    with running("tail", "orders", "--from", "trim", "--json", "--limit", "100") as tail:
        assert tail.stdout is not None
        lines: list[str] = []
        for number in resharded(kinesis, "orders"):
            put_round(kinesis, "orders", number)
            if number == 1:  # from here on it follows
                lines += [tail.stdout.readline() for _ in range(40)]
        out, err = tail.communicate(timeout=60)

    assert (tail.returncode, err) == (0, "")
    assert by_key(lines + out.splitlines()) == {f"key-{key}": [0, 1, 2, 3, 4] for key in range(20)}


def test_tail_from_latest_shows_what_comes_then_and_follows_into_new_shards(
    penstock: PenstockServer, kinesis: "KinesisClient"
) -> None:
    made(kinesis, "orders", 1)
    kinesis.put_record(StreamName="orders", PartitionKey="k", Data=b"old")

    with running("tail", "orders", "--json") as tail:
        assert tail.stdout is not None
        while not select.select([tail.stdout], [], [], 0.1)[0]:  # until it has begun
            kinesis.put_record(StreamName="orders", PartitionKey="k", Data=b"new")
        split(kinesis, "orders", 0, LAST_KEY // 2)
        kinesis.put_record(StreamName="orders", PartitionKey="k", Data=b"last")
        found = [json.loads(tail.stdout.readline())["data"]]
        while found[-1] != "last":
            found.append(json.loads(tail.stdout.readline())["data"])
        tail.send_signal(signal.SIGINT)
        assert tail.wait(60) == 0

    assert set(found) == {"new", "last"}


def test_tail_chooses_by_time_shard_key_and_number(penstock: PenstockServer, kinesis: "KinesisClient") -> None:
    made(kinesis, "orders", 4)
    put_round(kinesis, "orders", 0)
    first = kinesis.put_record(StreamName="orders", PartitionKey="key-7", Data=b"1")

    def tail(*words: str) -> list[dict[str, str]]:
        done = run("tail", "orders", "--from", "-10m", "--no-follow", "--json", *words)
        assert done.returncode == 0, done
        return [json.loads(line) for line in done.stdout.splitlines()]

    assert len(tail()) == 21
    assert [record["data"] for record in tail("--key", "key-7")] == ["0", "1"]
    assert {record["shard_id"] for record in tail("--shard", first["ShardId"][-1])} == {first["ShardId"]}
    assert len(tail("--limit", "3")) == 3
    assert tail("--from", "latest") == []
    after = tail("--key", "key-7")[1]["arrived"]
    assert all(record["arrived"] >= after for record in tail("--from", after))
    missing = run("tail", "orders", "--shard", "9", "--no-follow")
    assert (missing.returncode, missing.stderr) == (2, "penstock: --shard: there is no shard 9; there is 0, 1, 2, 3\n")


@pytest.mark.parametrize("begin", ["trim", "latest"])
def test_tail_whose_iterators_expired_goes_on_where_it_was(
    penstock: PenstockServer, kinesis: "KinesisClient", begin: str
) -> None:
    made(kinesis, "orders", 2)
    shards = [shard["ShardId"] for shard in kinesis.list_shards(StreamName="orders")["Shards"]]

    with running("tail", "orders", "--json", "--from", begin) as tail:
        assert tail.stdout is not None
        while not select.select([tail.stdout], [], [], 0.1)[0]:  # until it reads; of one shard it has seen no record
            kinesis.put_record(StreamName="orders", PartitionKey="k", Data=b"before", ExplicitHashKey="0")
        penstock.clock.advance(minutes=6)
        kinesis.put_record(StreamName="orders", PartitionKey="k", Data=b"after", ExplicitHashKey="0")
        kinesis.put_record(StreamName="orders", PartitionKey="k", Data=b"after", ExplicitHashKey=str(LAST_KEY))
        found: list[tuple[str, str, str]] = []
        while [data for _, data, _ in found].count("after") < 2:
            record = json.loads(tail.stdout.readline())
            found.append((record["shard_id"], record["data"], record["sequence_number"]))

    assert len(set(found)) == len(found), "none twice"
    assert {shard for shard, data, _ in found if data == "after"} == set(shards)


def test_tail_shows_the_records_of_an_aggregate_or_itself_when_told_to(
    penstock: PenstockServer, kinesis: "KinesisClient"
) -> None:
    made(kinesis, "orders", 2)
    aggregate, astray = Aggregate(51200), Aggregate(51200)
    for number in range(3):
        aggregate.add(f"k{number}", b"%d" % number, "0")
        astray.add("k9", b"9", str(LAST_KEY * (number % 2)))
    sent = aggregate.pack().data
    for data in (sent, astray.pack().data):
        kinesis.put_record(StreamName="orders", Data=data, PartitionKey="a", ExplicitHashKey="0")

    words = ("tail", "orders", "--from", "trim", "--no-follow", "--json")
    opened = [json.loads(line) for line in run(*words).stdout.splitlines()]
    keyed = run(*words, "--key", "k1").stdout.splitlines()
    raw = [json.loads(line) for line in run(*words, "--raw").stdout.splitlines()]

    shown = [(record["partition_key"], record["sub_sequence_number"], record["data"]) for record in opened]
    assert shown == [("k0", 0, "0"), ("k1", 1, "1"), ("k2", 2, "2")], "none of what holds a record of another shard's"
    assert {record["sequence_number"] for record in opened} == {raw[0]["sequence_number"]}
    assert [json.loads(line)["data"] for line in keyed] == ["1"]
    assert [record["partition_key"] for record in raw] == ["a", "a"]
    assert base64.b64decode(raw[0]["data_base64"]) == sent
    assert "sub_sequence_number" not in raw[0]


def test_tail_whose_stream_is_deleted_says_so_in_a_line(penstock: PenstockServer, kinesis: "KinesisClient") -> None:
    made(kinesis, "orders", 1)
    put_round(kinesis, "orders", 0)

    with running("tail", "orders", "--from", "trim") as tail:
        assert tail.stdout is not None
        assert tail.stderr is not None
        tail.stdout.readline()
        kinesis.delete_stream(StreamName="orders")
        assert tail.wait(60) == 1
        assert re.fullmatch(
            r"penstock: cannot read orders any longer: ResourceNotFoundException: .*\n", tail.stderr.read()
        )


def test_put_when_interrupted_tells_what_was_put(penstock: PenstockServer, kinesis: "KinesisClient") -> None:
    made(kinesis, "orders", 1)

    with running("put", "orders") as put, running("tail", "orders", "--from", "trim", "--limit", "1") as tail:
        assert put.stdin is not None
        put.stdin.write("first\n")
        put.stdin.flush()
        assert tail.wait(60) == 0
        put.send_signal(signal.SIGINT)
        out, err = put.communicate(timeout=60)

    assert (put.returncode, err) == (130, "")
    assert out.startswith("1 record ")


def test_shards_shows_more_shards_than_a_listing_has(penstock: PenstockServer, kinesis: "KinesisClient") -> None:
    made(kinesis, "wide", 1003)

    rows = run("shards", "wide", "--open").stdout.splitlines()[4:]

    assert [row.split()[0] for row in rows if row.strip()] == [str(number) for number in range(1003)]


def test_tail_whose_reader_leaves_ends_quietly(penstock: PenstockServer, kinesis: "KinesisClient") -> None:
    made(kinesis, "orders", 1)
    put_round(kinesis, "orders", 0)

    with running("tail", "orders", "--from", "trim") as tail:
        assert tail.stdout is not None
        assert tail.stderr is not None
        tail.stdout.readline()
        tail.stdout.close()
        put_round(kinesis, "orders", 1)
        assert tail.wait(60) == 0
        assert tail.stderr.read() == ""


@pytest.mark.parametrize("verb", [["put", "orders", "x"], ["shards", "orders"], ["top"], ["plan", "--records", "1"]])
def test_a_verb_whose_reader_has_left_does_not_complain(
    penstock: PenstockServer, kinesis: "KinesisClient", verb: list[str]
) -> None:
    made(kinesis, "orders", 1)
    read_end, write_end = os.pipe()
    os.close(read_end)

    with running(*verb, stdout=write_end) as process:
        os.close(write_end)
        _, err = process.communicate(timeout=60)

    assert err == ""


def test_tail_on_a_terminal_spreads_json_out(penstock: PenstockServer, kinesis: "KinesisClient") -> None:
    made(kinesis, "orders", 1)
    kinesis.put_record(StreamName="orders", PartitionKey="k", Data=b'{"a":{"b":1}}')

    with terminal() as (ours, theirs), running(
        "tail", "orders", "--from", "trim", "--limit", "1", stdout=theirs, stdin=theirs
    ) as tail:  # fmt: skip
        text = seen(ours, "}\r\n}")
        assert tail.wait(60) == 0

    assert re.search(r"shard 0  k  13 B\r\n\{\r\n  \"a\": \{\r\n    \"b\": 1\r\n  \}\r\n\}", text)


def test_shards_draws_the_family_of_a_resharded_stream(penstock: PenstockServer, kinesis: "KinesisClient") -> None:
    made(kinesis, "orders", 2)
    for number in resharded(kinesis, "orders"):
        put_round(kinesis, "orders", number)

    done = run("shards", "orders")
    still = run("shards", "orders", "--open")

    assert (done.returncode, done.stderr) == (0, "")
    heading, _, _, *rows = [line.rstrip() for line in done.stdout.splitlines() if line.strip()]
    assert heading.startswith("orders  us-east-1  2 open, 6 closed  in ")
    trees = [re.match(r" ([ │├└─→]*\d+)", row) for row in rows]
    assert [tree[1].rstrip() for tree in trees if tree is not None] == [
        "0", "├─ 2", "│  └─ 7", "└─ 3", "   └─ 4", "      ├─ 5", "      │  └─ → 7", "      └─ 6", "1", "└─ → 4",
    ]  # fmt: skip
    assert any("merge of 2 and 5" in row for row in rows)
    assert "50.00 – 100.00 %" in next(row for row in rows if "─ 6 " in row)
    assert [line.split()[:2] for line in still.stdout.splitlines()[4:] if line.strip()] == [
        ["7", "open"],
        ["6", "open"],
    ]


class _OnlyKinesis(BaseHTTPRequestHandler):
    """Passes POST on to a server, and has no page: as AWS."""

    upstream = ""

    def do_POST(self) -> None:
        place = urlsplit(self.upstream)
        connection = HTTPConnection(place.hostname or "", place.port)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        connection.request("POST", "/", body, {**dict(self.headers.items()), "Host": place.netloc})
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.headers["Content-Type"])
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def only_kinesis(penstock: PenstockServer) -> Iterator[str]:
    """An endpoint that has Kinesis' operations and nothing else."""
    handler = type("Handler", (_OnlyKinesis,), {"upstream": penstock.endpoint_url})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_without_the_traffic_page_all_but_top_and_recorded_plans_work(
    kinesis: "KinesisClient", only_kinesis: str
) -> None:
    made(kinesis, "orders", 2)
    there = ("--endpoint", only_kinesis)

    assert run("put", "orders", "x", *there).returncode == 0
    assert run("tail", "orders", "--from", "trim", "--no-follow", *there).stdout.endswith("\tx\n")
    drawn = run("shards", "orders", *there)
    assert (drawn.returncode, drawn.stderr) == (0, "")
    assert drawn.stdout.startswith("orders  us-east-1  2 open, 0 closed\n")
    assert "heat" not in drawn.stdout
    for verb in (["top"], ["plan", "--stream", "orders"]):
        done = run(*verb, *there)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith(f"penstock: {only_kinesis} has no /_penstock/traffic: `penstock {verb[0]}")
        assert done.stderr.count("\n") == 1


def test_top_prints_a_table_of_streams_or_of_shards(penstock: PenstockServer, kinesis: "KinesisClient") -> None:
    made(kinesis, "orders", 2)
    made(kinesis, "clicks", 1)
    put_round(kinesis, "orders", 0)

    streams = run("top", "--sort", "name")
    shards = run("top", "--once", "--stream", "orders", "--sort", "name")
    missing = run("top", "--stream", "order")

    assert (streams.returncode, streams.stderr) == (0, "")
    assert [line.split()[:4] for line in streams.stdout.splitlines()[4:] if line.strip()] == [
        ["clicks", "active", "provisioned", "1"], ["orders", "active", "provisioned", "2"],
    ]  # fmt: skip
    assert [line.split()[:2] for line in shards.stdout.splitlines()[4:] if line.strip()] == [
        ["0", "open"],
        ["1", "open"],
    ]
    assert (missing.returncode, missing.stdout) == (2, "")
    assert missing.stderr.startswith("penstock: there is no stream order at ")


@contextmanager
def terminal() -> Iterator[tuple[int, int]]:
    """A terminal: our end and the program's."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (40, 160))
    try:
        yield ours, theirs
    finally:
        os.close(theirs)
        os.close(ours)


def seen(ours: int, text: str) -> str:
    """What a terminal shows, colours left out, until it has shown a text."""
    shown = ""
    while text not in shown:
        assert select.select([ours], [], [], 60)[0], shown
        shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown + os.read(ours, 65536).decode())
    return shown


def test_top_on_a_terminal_sorts_and_ends_at_a_key_and_gives_the_terminal_back(
    penstock: PenstockServer, kinesis: "KinesisClient"
) -> None:
    made(kinesis, "orders", 1)

    with terminal() as (ours, theirs):
        before = termios.tcgetattr(theirs)
        with running("top", "--every", "0.1", stdin=theirs, stdout=theirs) as top:
            assert "orders" in seen(ours, "sorted by in:")
            os.write(ours, b"a")
            seen(ours, "sorted by age:")
            os.write(ours, b"q")
            assert top.wait(60) == 0
            assert top.stderr is not None
            assert top.stderr.read() == ""
        assert termios.tcgetattr(theirs) == before


def test_top_when_interrupted_ends_cleanly(penstock: PenstockServer) -> None:
    with terminal() as (ours, theirs), running("top", stdin=theirs, stdout=theirs) as top:
        seen(ours, "sorted by")
        top.send_signal(signal.SIGINT)
        assert top.wait(60) == 0
        assert top.stderr is not None
        assert top.stderr.read() == ""


def test_top_whose_server_goes_says_so_in_a_line() -> None:
    server = PenstockServer().start()
    words = ("top", "--endpoint", server.endpoint_url, "--every", "0.1")
    with terminal() as (ours, theirs), running(*words, stdin=theirs, stdout=theirs) as top:
        try:
            seen(ours, "sorted by")
        finally:
            server.stop()
        assert top.stderr is not None
        assert top.stderr.read() == (
            f"penstock: no server answers at {server.endpoint_url}; start one with `penstock serve`, or say --endpoint URL\n"
        )
        assert top.wait(60) == 1


def test_plan_tells_shards_and_prices() -> None:
    done = run("plan", "--write-mb", "12", "--records", "9000", "--read-mb", "30", "--consumers", "3")

    assert (done.returncode, done.stderr) == (0, "")
    assert "Shards  15, because of shared reads" in done.stdout
    rows = {" ".join(line.split()) for line in done.stdout.splitlines()}
    assert "provisioned shard hours 10,950 shard-hours 164.25" in rows
    assert "provisioned, in all 2,133.57" in rows


def test_plan_measures_what_the_disk_takes_and_leaves_nothing(tmp_path: Path) -> None:
    done = run("plan", "--records", "100", "--measure", "0.2", "--data-dir", str(tmp_path))

    assert done.returncode == 0, done
    assert re.search(
        r"This machine  [\d,]+ records/s of 1,000 bytes \(\d[\d,]* MB/s\), each on the disk of ", done.stdout
    )
    assert list(tmp_path.iterdir()) == []


def test_plan_with_prices_of_its_own(tmp_path: Path) -> None:
    from penstock.commands.plan import PRICE_FILE

    (tmp_path / "mine.toml").write_text(PRICE_FILE.read_text().replace("shard_hour = 0.015", "shard_hour = 1.0", 1))
    (tmp_path / "bad.toml").write_text("region = 'x'\n")

    mine = run("plan", "--records", "1", "--prices", str(tmp_path / "mine.toml"))
    bad = run("plan", "--records", "1", "--prices", str(tmp_path / "bad.toml"))

    assert "730.00" in mine.stdout
    assert (bad.returncode, bad.stderr.count("\n")) == (2, 1)
    assert bad.stderr.startswith(f"penstock: --prices: {tmp_path}/bad.toml: ")


def test_plan_of_a_stream_tells_what_was_recorded(penstock: PenstockServer, kinesis: "KinesisClient") -> None:
    made(kinesis, "orders", 3)
    put_round(kinesis, "orders", 0)

    done = run("plan", "--stream", "orders")

    assert (done.returncode, done.stderr) == (0, "")
    assert "(stream orders: the peaks that the server has recorded)" in done.stdout
    assert "; it has 3" in done.stdout


def test_verbs_see_the_account_and_the_region_that_they_were_told(
    penstock: PenstockServer, kinesis: "KinesisClient"
) -> None:
    other = penstock.client(region_name="eu-west-1", aws_access_key_id="210987654321")
    made(other, "theirs", 1)
    there = ("--region", "eu-west-1", "--account", "210987654321")

    assert run("put", "theirs", "x", *there).returncode == 0
    assert run("tail", "theirs", "--from", "trim", "--no-follow", *there).stdout.endswith("\tx\n")
    assert "theirs" in run("top", *there).stdout
    assert "theirs" not in run("top", "--region", "us-east-1").stdout
    assert run("shards", "theirs").returncode == 2
    made(penstock.client(region_name="ap-south-1"), "theirs", 2)
    made(kinesis, "theirs", 3)
    assert "; it has 3\n" in run("plan", "--stream", "theirs").stdout
    assert "; it has 1\n" in run("plan", "--stream", "theirs", *there).stdout
