"""The server's own pages: health, metrics, and the controls that only --testing serves."""

from collections.abc import Iterator
from importlib.metadata import version

import pytest
from http_calls import Wire, healthy
from prometheus_client.parser import text_string_to_metric_families

from penstock.testing import PenstockServer
from penstock.wire.native import NATIVE

CONTROLS = [
    ("POST", "/_penstock/reset"),
    ("POST", "/moto-api/reset"),
    ("GET", "/_penstock/clock"),
    ("POST", "/_penstock/clock"),
    ("POST", "/_penstock/faults"),
    ("DELETE", "/_penstock/faults"),
]


@pytest.fixture(scope="module")
def plain() -> Iterator[PenstockServer]:
    """A server as users run it, without --testing."""
    with PenstockServer(testing=False) as server:
        yield server


def metrics(wire: Wire) -> dict[str, float]:
    """Every sample by its name and labels."""
    reply = wire.send("GET", "/metrics")
    assert reply.status == 200
    assert reply.headers["content-type"].startswith("text/plain; version=0.0.4")
    return {
        sample.name + "".join(f"[{value}]" for _, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(reply.body.decode())
        for sample in family.samples
    }


def test_health_when_asked_tells_how_the_server_runs(penstock: PenstockServer, plain: PenstockServer) -> None:
    for server in (penstock, plain):
        with Wire(server) as wire:
            reply = wire.send("GET", "/_penstock/health")
        uptime = reply.document.pop("uptime_seconds")
        document = {name: value for name, value in reply.document.items() if name != "uptime_seconds"}
        assert (reply.status, reply.headers["content-type"]) == (200, "application/json")
        assert document == {
            "status": "ok",
            "version": version("penstock"),
            "engine": "memory",
            "limits": "off",
            "auth": "open",
            "workers": server._settings.workers,
            "native": NATIVE is not None,
            "storage": {"writable": True, "damage": []},
            "tls": None,
        }
        assert uptime >= 0


def test_traffic_when_asked_tells_of_streams_and_of_the_shards_of_one(penstock: PenstockServer) -> None:
    with Wire(penstock) as wire:
        for name in ("a", "b"):
            wire.call("CreateStream", {"StreamName": name, "ShardCount": 2})
        wire.call("PutRecord", {"StreamName": "a", "Data": "AAE=", "PartitionKey": "key"})
        wire.send("POST", "/_penstock/clock", b'{"advance_seconds":5}')
        reply = wire.send("GET", "/_penstock/traffic")
        named = wire.send("GET", "/_penstock/traffic?stream=a&window=60").document
        none = wire.send("GET", "/_penstock/traffic?stream=%00").document
    assert (reply.status, reply.headers["content-type"]) == (200, "application/json")
    assert [(one["name"], one["in_bytes_per_s"], "shards" in one) for one in reply.document["streams"]] == [
        ("a", 0.5, False),
        ("b", 0, False),
    ]
    [told] = named["streams"]
    assert (named["window_s"], told["in_bytes_per_s"]) == (60, 0.083)
    assert sorted((one["records"], one["heat"]) for one in told["shards"]) == [(0, 0), (1, 0)]
    assert none["streams"] == []


@pytest.mark.parametrize("window", ["0", "61", "x", "-1", "1.5", "", "9" * 5000])
def test_traffic_when_the_window_is_no_number_of_seconds_refuses(penstock: PenstockServer, window: str) -> None:
    with Wire(penstock) as wire:
        reply = wire.send("GET", f"/_penstock/traffic?window={window}")
        posted = wire.send("POST", "/_penstock/traffic", b"{}")
    assert reply.status == 400
    assert "must be a number of seconds from 1 to 60" in reply.document["message"]
    assert posted.status == 405


def test_metrics_when_calls_were_made_count_them_by_operation_and_outcome(penstock: PenstockServer) -> None:
    with Wire(penstock) as wire:
        before = metrics(wire)
        wire.call("CreateStream", {"StreamName": "a", "ShardCount": 1})
        wire.call("PutRecord", {"StreamName": "a", "Data": "AAE=", "PartitionKey": "key"})
        wire.call("PutRecord", {"StreamName": "nope", "Data": "", "PartitionKey": "k"})
        wire.call("Nope")
        wire.call("ListStreams", b"junk")
        after = metrics(wire)
    gained = {name: value - before.get(name, 0) for name, value in after.items()}
    assert gained["penstock_requests_total[CreateStream][ok]"] == 1
    assert gained["penstock_requests_total[PutRecord][ok]"] == 1
    assert gained["penstock_requests_total[PutRecord][ResourceNotFoundException]"] == 1
    assert gained["penstock_requests_total[unknown][UnknownOperationException]"] == 1
    assert gained["penstock_requests_total[ListStreams][SerializationException]"] == 1
    assert gained["penstock_request_seconds_count[PutRecord]"] == 2
    assert gained["penstock_streams_records_in_total"] == 1
    assert gained["penstock_streams_bytes_in_total"] == 5


def test_metrics_when_targets_are_made_up_do_not_grow(penstock: PenstockServer) -> None:
    with Wire(penstock) as wire:
        wire.call("MadeUp0")
        before = set(metrics(wire))
        for number in range(20):
            wire.call(f"MadeUp{number}")
        assert set(metrics(wire)) == before


def test_clock_when_advanced_moves_and_iterators_expire(penstock: PenstockServer) -> None:
    with Wire(penstock) as wire:
        wire.call("CreateStream", {"StreamName": "a", "ShardCount": 1})
        asked = {"StreamName": "a", "ShardId": "0", "ShardIteratorType": "LATEST"}
        iterator = wire.call("GetShardIterator", asked).document
        before = wire.send("GET", "/_penstock/clock").document["now_ms"]
        reply = wire.send("POST", "/_penstock/clock", b'{"advance_seconds":300.5}')
        assert reply.status == 200
        assert 300_500 <= reply.document["now_ms"] - before < 310_000
        assert penstock.clock.now_ms >= reply.document["now_ms"]
        assert wire.call("GetRecords", iterator).refusal[1] == "ExpiredIteratorException"


@pytest.mark.parametrize("path", ["/_penstock/reset", "/moto-api/reset"])
@pytest.mark.parametrize("body", [b"", b"{}", b"junk"])
def test_reset_when_posted_forgets_streams_faults_and_the_advanced_clock(
    penstock: PenstockServer, path: str, body: bytes
) -> None:
    with Wire(penstock) as wire:
        before = wire.send("GET", "/_penstock/clock").document["now_ms"]
        wire.call("CreateStream", {"StreamName": "a", "ShardCount": 1})
        wire.send("POST", "/_penstock/clock", b'{"advance_seconds":86400}')
        wire.send("POST", "/_penstock/faults", b'{"stream":"a","throttle":true}')
        assert wire.send("POST", path, body).document == {"status": "ok"}
        assert wire.call("ListStreams").document["StreamNames"] == []
        assert wire.send("GET", "/_penstock/clock").document["now_ms"] - before < 60_000
        wire.call("CreateStream", {"StreamName": "a", "ShardCount": 1})
        assert wire.call("PutRecord", {"StreamName": "a", "Data": "", "PartitionKey": "k"}).status == 200


def test_faults_when_set_and_cleared_by_http_begin_and_end(penstock: PenstockServer) -> None:
    put = {"StreamName": "a", "Data": "", "PartitionKey": "k"}
    with Wire(penstock) as wire:
        wire.call("CreateStream", {"StreamName": "a", "ShardCount": 2})
        for fault, code in (
            (b'{"stream":"a","throttle":true}', "ProvisionedThroughputExceededException"),
            (
                b'{"stream":"a","shard_id":"shardId-000000000001","throttle":true}',
                "ProvisionedThroughputExceededException",
            ),
            (b'{"stream":"a","fail_puts":1}', "InternalFailure"),
        ):
            assert wire.send("POST", "/_penstock/faults", fault).document == {"status": "ok"}
            upper = wire.call("PutRecord", {**put, "ExplicitHashKey": str(2**128 - 1)})
            lower = wire.call("PutRecord", {**put, "ExplicitHashKey": "0"})
            assert upper.document["__type"] == code
            assert (lower.status == 200) == (b"shard_id" in fault)
            assert wire.send("DELETE", "/_penstock/faults").document == {"status": "ok"}
            assert wire.call("PutRecord", put).status == 200


BAD_CLOCK = [
    b"",
    b"x",
    b"[]",
    b"{}",
    b'{"advance_seconds":"1"}',
    b'{"advance_seconds":null}',
    b'{"advance_seconds":true}',
]
BAD_CLOCK += [b'{"advance_seconds":NaN}', b'{"advance_seconds":1e400}', b'{"advance_seconds":1,"x":1}', b'{"\xff":1}']
BAD_CLOCK += [b'{"advance_seconds":-1}', b'{"advance_seconds":1e308}', b'{"advance_seconds":1e300}', b"[" * 50_000]
BAD_FAULTS = [b"", b"x", b"[]", b"{}", b'{"stream":null}', b'{"stream":1}', b'{"stream":"a","throttle":"yes"}']
BAD_FAULTS += [b'{"stream":"a","shard_id":"x"}', b'{"stream":"a","shard_id":1}', b'{"stream":"a","nope":1}']
BAD_FAULTS += [b'{"stream":"a","fail_puts":"x"}', b'{"stream":"a","fail_puts":2}', b'{"stream":"a","fail_puts":-0.1}']
BAD_FAULTS += [b'{"stream":"a\xff"}', b'{"stream":"a","fail_puts":1e400}']


@pytest.mark.parametrize(
    ("path", "body"),
    [*(("/_penstock/clock", body) for body in BAD_CLOCK), *(("/_penstock/faults", body) for body in BAD_FAULTS)],
)
def test_control_when_its_body_is_bad_is_a_400_of_one_line_and_changes_nothing(
    penstock: PenstockServer, path: str, body: bytes
) -> None:
    with Wire(penstock) as wire:
        before = wire.send("GET", "/_penstock/clock").document["now_ms"]
        reply = wire.send("POST", path, body)
        assert (reply.status, list(reply.document)) == (400, ["message"])
        message = reply.document["message"]
        assert message
        assert "\n" not in message
        assert wire.send("GET", "/_penstock/clock").document["now_ms"] - before < 60_000
        assert wire.call("CreateStream", {"StreamName": "a", "ShardCount": 1}).status == 200
        assert wire.call("PutRecord", {"StreamName": "a", "Data": "", "PartitionKey": "k"}).status == 200


@pytest.mark.parametrize(("method", "path"), CONTROLS)
def test_control_when_the_server_is_not_for_testing_is_not_there(plain: PenstockServer, method: str, path: str) -> None:
    with Wire(plain) as wire:
        reply = wire.send(method, path, b'{"advance_seconds":60,"stream":"a"}')
    assert reply.status == 404
    assert "--testing" in reply.document["message"]
    assert healthy(plain)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/_penstock/health", 405),
        ("DELETE", "/metrics", 405),
        ("GET", "/_penstock/reset", 405),
        ("DELETE", "/_penstock/clock", 405),
        ("GET", "/_penstock/nope", 404),
        ("GET", "/_penstock/", 404),
        ("GET", "/moto-api/data.json", 404),
        ("GET", "/_penstock/health/", 404),
        ("GET", "/_penstock", 403),
        ("GET", "/metrics/", 403),
    ],
)
def test_page_when_method_or_path_is_wrong_is_refused(
    penstock: PenstockServer, method: str, path: str, status: int
) -> None:
    with Wire(penstock) as wire:
        assert wire.send(method, path).status == status


def test_metrics_when_asked_tell_how_the_storage_is(penstock: PenstockServer) -> None:
    with Wire(penstock) as wire:
        found = metrics(wire)
    assert (found["penstock_storage_writable"], found["penstock_storage_damaged_places"]) == (1, 0)
