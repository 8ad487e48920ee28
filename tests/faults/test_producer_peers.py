"""The producer and endpoints that are slow, cut connections, or say what is not so: each record has a result, and none is taken for put."""

import base64
import json
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any, Final

import pytest

from penstock.clients.aws import Connection
from penstock.core.hashkeys import HASH_KEY_MAX
from penstock.producer import Producer, UserRecordFailed

WHOLE: Final = {
    "HashKeyRange": {"StartingHashKey": "0", "EndingHashKey": str(HASH_KEY_MAX)},
    "ShardId": "shardId-000000000000",
}
ANSWER_S: Final = 60

Answer = Callable[["Handler", dict[str, Any]], None]


class Handler(BaseHTTPRequestHandler):
    """One request, answered as the test says."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Answer a call."""
        document = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        peer: Peer = self.server  # type: ignore[assignment]
        if self.headers["X-Amz-Target"].endswith(".ListShards"):
            peer.listings += 1
            peer.list_shards(self, document)
            return
        peer.requests.append([base64.b64decode(record["Data"]) for record in document["Records"]])
        (peer.script.pop(0) if peer.script else well)(self, document)

    def tell(self, status: int, body: bytes) -> None:
        """Send an answer."""
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


class Peer(ThreadingHTTPServer):
    """An endpoint that answers PutRecords by a script, and well when that has ended."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.script: list[Answer] = []
        self.requests: list[list[bytes]] = []
        self.listings = 0
        self.list_shards: Answer = lambda handler, _: told(handler, {"Shards": [WHOLE]})
        self.stopped = Event()


def told(handler: Handler, document: object, status: int = 200) -> None:
    handler.tell(status, json.dumps(document).encode())


def rows(document: dict[str, Any]) -> list[dict[str, str]]:
    return [{"SequenceNumber": "49", "ShardId": "shardId-000000000000"} for _ in document["Records"]]


def well(handler: Handler, document: dict[str, Any]) -> None:
    told(handler, {"FailedRecordCount": 0, "Records": rows(document)})


def too_many(handler: Handler, document: dict[str, Any]) -> None:
    told(handler, {"FailedRecordCount": 0, "Records": rows(document) * 2})


def none(handler: Handler, document: dict[str, Any]) -> None:
    told(handler, {})


def cut(handler: Handler, document: dict[str, Any]) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.1\r\nContent-Length: 900\r\n\r\n{")
    handler.close_connection = True


def hung_up(handler: Handler, document: dict[str, Any]) -> None:
    handler.close_connection = True


def silent(handler: Handler, document: dict[str, Any]) -> None:
    peer: Peer = handler.server  # type: ignore[assignment]
    peer.stopped.wait(ANSWER_S)
    handler.close_connection = True


def failed(handler: Handler, document: dict[str, Any]) -> None:
    told(handler, {"__type": "InternalFailure"}, 500)


def no_json(handler: Handler, document: dict[str, Any]) -> None:
    handler.tell(200, b"<html>\xff")


def wrong_shapes(handler: Handler, document: dict[str, Any]) -> None:
    told(handler, {"Records": [7] * len(document["Records"])})


def wrong_records(handler: Handler, document: dict[str, Any]) -> None:
    told(handler, {"Records": "all of them"})


def nowhere(handler: Handler, document: dict[str, Any]) -> None:
    told(handler, {"Records": [{"SequenceNumber": "49"} for _ in document["Records"]]})


@pytest.fixture
def peer() -> Iterator[Peer]:
    made = Peer()
    thread = Thread(target=made.serve_forever, args=(0.02,))
    thread.start()
    yield made
    made.stopped.set()
    made.shutdown()
    thread.join()
    made.server_close()


def producer(peer: Peer, **config: object) -> Producer:
    where = Connection(
        endpoint=f"http://127.0.0.1:{peer.server_port}", region="us-east-1", access_key_id="a", secret_access_key="b"
    )
    return Producer("orders", {"RecordMaxBufferedTime": 10, "RequestTimeout": 60_000, **config}, connection=where)


def warm_up(running: Producer, peer: Peer) -> None:
    """Put records until it is known where they go."""
    while not running._core.pipeline.shards.is_ready:
        assert running.put("k", b"warm").result(ANSWER_S).successful
    peer.requests.clear()


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (cut, "Invalid Response|ResponseStreamingError"),
        (hung_up, "ConnectionClosedError"),
        (silent, "ReadTimeoutError"),
        (failed, "InternalFailure"),
        (no_json, "Invalid Response"),
        (none, "Invalid Response"),
        (wrong_shapes, "Invalid Response"),
        (wrong_records, "Invalid Response"),
    ],
)
def test_record_when_an_answer_cannot_be_used_is_put_again(peer: Peer, answer: Answer, code: str) -> None:
    patience = {"RequestTimeout": 200} if answer is silent else {}
    with producer(peer, **patience) as running:
        warm_up(running, peer)
        peer.script = [answer, answer]
        result = running.put("k", b"x").result(ANSWER_S)
    attempts = [attempt.error_code or "" for attempt in result.attempts]
    assert len(attempts) == 3 or answer is silent, "who has little patience may lose it once more on a busy machine"
    assert set(attempts[:-1]) <= set(code.split("|"))
    assert attempts[-1] == ""
    assert peer.requests == [[b"x"]] * max(3, len(attempts))


def test_record_when_an_answer_names_no_shard_is_put_again_and_then_believed(peer: Peer) -> None:
    with producer(peer) as running:
        warm_up(running, peer)
        peer.script = [nowhere]
        result = running.put("k", b"x").result(ANSWER_S)
    assert [attempt.error_code for attempt in result.attempts] == ["Wrong Shard", None]


def test_records_when_an_answer_has_another_number_of_them_fail(peer: Peer) -> None:
    with producer(peer) as running:
        warm_up(running, peer)
        peer.script = [too_many]
        error = running.put("k", b"x").exception(ANSWER_S)
    assert isinstance(error, UserRecordFailed)
    assert [attempt.error_code for attempt in error.result.attempts] == ["Record Count Mismatch"]


def test_records_when_nothing_is_ever_answered_expire(peer: Peer) -> None:
    with producer(peer, RecordTtl=300, MaxConnections=2, RequestTimeout=100) as running:
        peer.script = [silent] * 1000
        futures = [running.put("k", b"%d" % number) for number in range(100)]
        errors = [future.exception(ANSWER_S) for future in futures]
    assert all(
        isinstance(error, UserRecordFailed) and error.result.attempts[-1].error_code == "Expired" for error in errors
    )


@pytest.mark.parametrize(
    "page",
    [
        {"Shards": [WHOLE], "NextToken": "again"},
        {"Shards": [{**WHOLE, "HashKeyRange": {"StartingHashKey": "0", "EndingHashKey": "5"}}]},
        {"Shards": [{**WHOLE, "HashKeyRange": None}]},
        {"Shards": 7},
        [],
        {},
    ],
)
def test_records_when_shards_are_listed_wrong_are_put_all_the_same(
    peer: Peer, page: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("penstock.producer.driver.PAGES_MAX", 5)
    peer.list_shards = lambda handler, _: told(handler, page)
    with producer(peer) as running:
        futures = [running.put("k", b"%d" % number) for number in range(10)]
        assert all(future.result(ANSWER_S).successful for future in futures)
    assert peer.listings <= 20


def test_shards_when_listing_fails_are_listed_again_after_a_pause(peer: Peer) -> None:
    peer.list_shards = failed
    with producer(peer) as running:
        for _ in range(5):
            running.put("k", b"x").result(ANSWER_S)
        assert peer.listings <= 2
