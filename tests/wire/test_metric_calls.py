"""CloudWatch's protocols by hand: bodies that no SDK sends, and hostile ones, are answered and kept alike."""

import gzip
import json
import struct
from typing import Any
from urllib.parse import urlencode
from xml.etree import ElementTree

import cbor2
import pytest
from http_calls import SIGNED, Reply, Wire
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penstock.testing import PenstockServer

SERVICE = "GraniteServiceVersion20100801"
RPC = {**SIGNED, "Content-Type": "application/cbor", "smithy-protocol": "rpc-v2-cbor"}
PATH = f"/service/{SERVICE}/operation/"


def rpc(wire: Wire, body: bytes, operation: str = "PutMetricData", **headers: str) -> Reply:
    return wire.send("POST", PATH + operation, body, {**RPC, **headers})


def query(wire: Wire, fields: dict[str, Any], operation: str = "PutMetricData") -> Reply:
    form = {"Action": operation, "Version": "2010-08-01", **fields}
    return wire.send(
        "POST", "/", urlencode(form).encode(), {**SIGNED, "Content-Type": "application/x-www-form-urlencoded"}
    )


def in_json(wire: Wire, document: Any, operation: str = "PutMetricData") -> Reply:
    head = {**SIGNED, "Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": f"{SERVICE}.{operation}"}
    return wire.send("POST", "/", json.dumps(document).encode(), head)


def state(server: PenstockServer) -> set[tuple[Any, ...]]:
    """Everything that is kept."""

    async def read() -> set[tuple[Any, ...]]:
        store = server._running._services.metrics.store
        found = set()
        for one in list(store.all()):
            for minute, data in (await store.read([one], 0, 2**40)).items():
                buckets = None if data.buckets is None else tuple(sorted(data.buckets.items()))
                found.add(
                    (*one.place, *one.metric, one.unit, minute, data.count, data.total, data.low, data.high, buckets)
                )
        return found

    return server._call(read())


def indefinite(document: Any) -> bytes:
    """A document as the Java SDK writes it: maps and lists of indefinite length."""
    match document:
        case dict():
            return b"\xbf" + b"".join(indefinite(key) + indefinite(each) for key, each in document.items()) + b"\xff"
        case list():
            return b"\x9f" + b"".join(map(indefinite, document)) + b"\xff"
        case _:
            return cbor2.dumps(document)


def spelled(value: Any, path: str = "") -> dict[str, str]:
    match value:
        case dict():
            return {k: v for name, each in value.items() for k, v in spelled(each, f"{path}.{name}".strip(".")).items()}
        case list():
            return {
                k: v
                for number, each in enumerate(value, 1)
                for k, v in spelled(each, f"{path}.member.{number}").items()
            }
        case _:
            return {path: str(value)}


FLOATS = st.floats(-1e6, 1e6, allow_nan=False).map(lambda value: round(value, 3))
TEXTS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=8).filter(
    lambda it: it[0] != ":"
)
DATA = st.fixed_dictionaries(
    {"MetricName": st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=8)},
    optional={
        "Dimensions": st.lists(st.fixed_dictionaries({"Name": TEXTS, "Value": TEXTS}), max_size=3, unique_by=lambda it: it["Name"]),
        "Unit": st.sampled_from(["Count", "Bytes/Second", "None"]),
        "StorageResolution": st.sampled_from([1, 60]),
    },
)  # fmt: skip
FORMS = st.one_of(
    st.fixed_dictionaries({"Value": FLOATS}),
    st.lists(st.tuples(FLOATS, st.integers(1, 9)), min_size=1, max_size=4).map(
        lambda rows: {"Values": [row[0] for row in rows], "Counts": [row[1] for row in rows]}
    ),
    st.tuples(FLOATS, FLOATS, st.integers(1, 9)).map(
        lambda row: {
            "StatisticValues": {"Minimum": min(row[:2]), "Maximum": max(row[:2]), "Sum": row[0], "SampleCount": row[2]}
        }
    ),
)


@settings(max_examples=40, suppress_health_check=list(HealthCheck))
@given(
    st.lists(st.tuples(DATA, FORMS).map(lambda parts: {**parts[0], **parts[1]}), min_size=1, max_size=5),
    st.integers(0, 86400),
)
def test_put_when_a_request_comes_in_each_protocol_then_the_same_is_kept(
    penstock: PenstockServer, data: list[dict[str, Any]], ago_s: int
) -> None:
    moment = penstock.clock.now_ms // 1000 - ago_s
    text = f"{_utc(moment)}"
    found = []
    for protocol in ("rpc", "java", "json", "query"):
        penstock.reset()
        stamp: Any = {
            "rpc": cbor2.CBORTag(1, moment),
            "java": cbor2.CBORTag(1, float(moment)),
            "json": moment,
            "query": text,
        }[protocol]
        document = {"Namespace": "App", "MetricData": [{**each, "Timestamp": stamp} for each in data]}
        with Wire(penstock) as wire:
            match protocol:
                case "rpc":
                    reply = rpc(wire, cbor2.dumps(document))
                case "java":
                    reply = rpc(wire, gzip.compress(indefinite(document)), **{"Content-Encoding": "gzip"})
                case "json":
                    reply = in_json(wire, document)
                case _:
                    reply = query(wire, spelled(document))
        assert reply.status == 200, reply.body
        found.append(state(penstock))
    assert found[0]
    assert all(each == found[0] for each in found)


def _utc(moment: int) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def test_rpc_when_an_input_has_no_body_then_it_is_empty(penstock: PenstockServer) -> None:
    with Wire(penstock) as wire:
        head = {name: value for name, value in RPC.items() if name != "Content-Type"}
        reply = wire.send("POST", PATH + "ListMetrics", b"", head)
    assert (reply.status, reply.headers["content-type"], reply.headers["smithy-protocol"]) == (
        200,
        "application/cbor",
        "rpc-v2-cbor",
    )
    assert cbor2.loads(reply.body) == {"Metrics": []}


def test_rpc_when_an_operation_answers_nothing_then_there_is_no_content_type(penstock: PenstockServer) -> None:
    with Wire(penstock) as wire:
        reply = rpc(wire, cbor2.dumps({"Namespace": "App", "MetricData": []}))
    assert (reply.status, reply.body, reply.headers["content-type"], reply.headers["smithy-protocol"]) == (
        200,
        b"",
        None,
        "rpc-v2-cbor",
    )


def test_rpc_when_it_is_refused_then_error_and_status_are_in_cbor(penstock: PenstockServer) -> None:
    with Wire(penstock) as wire:
        reply = rpc(wire, cbor2.dumps({"Namespace": "AWS/X", "MetricData": []}))
    assert (reply.status, reply.headers["content-type"]) == (400, "application/cbor")
    assert cbor2.loads(reply.body)["__type"] == "InvalidParameterValueException"
    assert reply.headers["x-amzn-query-error"] == "InvalidParameterValue;Sender"


def test_rpc_when_timestamps_are_answered_then_they_are_seconds_under_tag_1(penstock: PenstockServer) -> None:
    penstock.clock.stand()
    start = penstock.clock.now_ms // 60_000 * 60
    wanted = {"Namespace": "App", "MetricName": "m", "Period": 60, "Statistics": ["Sum"]}
    times = {"StartTime": cbor2.CBORTag(1, start), "EndTime": cbor2.CBORTag(1, start + 120.5)}
    with Wire(penstock) as wire:
        rpc(wire, cbor2.dumps({"Namespace": "App", "MetricData": [{"MetricName": "m", "Value": 1}]}))
        reply = rpc(wire, cbor2.dumps({**wanted, **times}), "GetMetricStatistics")
    found = cbor2.loads(reply.body, semantic_decoders={1: lambda value, _: ("tag 1", value)})
    assert found["Datapoints"][0]["Timestamp"] == ("tag 1", start)


DATUM = {"MetricName": "m", "Value": 1}
ODD = {
    "no cbor": b"\xff\xff",
    "a list": cbor2.dumps([1]),
    "deep": b"\x81" * 10_000,
    "deep data": cbor2.dumps({"Namespace": "App", "MetricData": []})[:-1] + b"\x81" * 5000,
    "a long list that is not there": b"\xa1\x6aMetricData\x9b\x00\xff\xff\xff\xff\xff\xff\xff",
    "trailing": cbor2.dumps({"Namespace": "App", "MetricData": [DATUM]}) + b"\0",
    "a set": cbor2.dumps({"Namespace": "App", "MetricData": cbor2.CBORTag(258, [1])}),
    "a bignum": cbor2.dumps({"Namespace": "App", "MetricData": [{**DATUM, "Value": 2**200}]}),
    "no moment": cbor2.dumps({"Namespace": "App", "MetricData": [{**DATUM, "Timestamp": "now"}]}),
    "endless moment": b"\xa2\x69NamespacecApp\x6aMetricData\x81\xa2\x6aMetricNameam\x69Timestamp\xc1\xfb" + struct.pack(">d", float("inf")),
    "text keys": cbor2.dumps({1: "App"}),
    "a text": cbor2.dumps({"Namespace": "App", "MetricData": "x"}),
    "a text as value": cbor2.dumps({"Namespace": "App", "MetricData": [{**DATUM, "Value": "1"}]}),
    "half a character": b"\xa1\x69Namespace\x62\xc3\x28",
}  # fmt: skip


@pytest.mark.parametrize("name", ODD)
def test_rpc_when_a_body_is_odd_then_it_is_refused_and_nothing_is_kept(penstock: PenstockServer, name: str) -> None:
    with Wire(penstock) as wire:
        reply = rpc(wire, ODD[name])
        assert (reply.status, reply.headers["content-type"]) == (400, "application/cbor")
        assert cbor2.loads(reply.body)["__type"] in ("SerializationException", "ValidationException")
        assert rpc(wire, b"", "ListMetrics").status == 200
    assert state(penstock) == set()


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", PATH + "Nope", 400),
        ("POST", "/service/Other/operation/PutMetricData", 400),
        ("POST", "/service//operation/", 400),
        ("POST", PATH + "PutMetricData/x", 400),
        ("POST", PATH + "PutMetricAlarm", 400),
        ("POST", "/", 400),
        ("GET", PATH + "PutMetricData", 403),
    ],
)
def test_rpc_when_the_path_is_no_operation_then_it_is_refused(
    penstock: PenstockServer, method: str, path: str, status: int
) -> None:
    with Wire(penstock) as wire:
        assert wire.send(method, path, b"", RPC).status == status


FIRST = "MetricData.member.1"
FIELDS = {"Namespace": "App", f"{FIRST}.MetricName": "m", f"{FIRST}.Value": "1"}


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({f"{FIRST}.Value": "one"}, "MalformedInput"),
        ({f"{FIRST}.Value": "1_000"}, "MalformedInput"),
        ({f"{FIRST}.Value": "0x10"}, "MalformedInput"),
        ({f"{FIRST}.Value": "9" * 5000}, "MalformedInput"),
        ({f"{FIRST}.Value": "1e999"}, "InvalidParameterValue"),
        ({f"{FIRST}.Value": "NaN"}, "InvalidParameterValue"),
        ({f"{FIRST}.Timestamp": "yesterday"}, "MalformedInput"),
        ({f"{FIRST}.Timestamp": "2026-02-30T00:00:00Z"}, "MalformedInput"),
        ({f"{FIRST}.Timestamp": "0000-00-00"}, "MalformedInput"),
        ({f"{FIRST}.Timestamp": "1700000000"}, "MalformedInput"),
        ({f"{FIRST}.Timestamp": "0001-01-01T00:00:00+23:59"}, "InvalidParameterValue"),
        ({f"{FIRST}.Timestamp": "9999-12-31T23:59:59-23:59"}, "InvalidParameterValue"),
        ({f"{FIRST}.MetricName": "<m>\0]]>" * 60}, "ValidationError"),
        ({"Namespace": "]]>\x1b&<a/>é"}, "InvalidParameterValue"),
    ],
)  # fmt: skip
def test_query_when_a_field_is_odd_then_it_is_refused_in_xml(
    penstock: PenstockServer, changed: dict[str, str], code: str
) -> None:
    with Wire(penstock) as wire:
        reply = query(wire, {**FIELDS, **changed})
    root = ElementTree.fromstring(reply.body)
    assert reply.status == 400
    assert next(each.text for each in root.iter() if each.tag.endswith("Code")) == code
    assert state(penstock) == set()


@pytest.mark.parametrize(
    "moment", ["2026-11-30T10:00:00Z", "2026-11-30T10:00:00.123456Z", "2026-11-30T12:00:00+02:00", "2026-11-30T10:00"]
)
def test_query_when_a_moment_is_iso_8601_then_it_is_read(penstock: PenstockServer, moment: str) -> None:
    wanted = {"Namespace": "App", "MetricName": "m", "Period": 60, "Statistics.member.1": "Sum"}
    with Wire(penstock) as wire:
        reply = query(wire, {**wanted, "StartTime": moment, "EndTime": "2026-11-30T10:01:00Z"}, "GetMetricStatistics")
    assert reply.status == 200, reply.body


def test_gzip_when_it_expands_without_end_then_it_is_refused(penstock: PenstockServer) -> None:
    with Wire(penstock) as wire:
        reply = rpc(wire, gzip.compress(bytes(64 << 20)), **{"Content-Encoding": "gzip"})
        assert reply.status == 413
        reply = rpc(wire, b"no gzip", **{"Content-Encoding": "gzip"})
        assert reply.status == 400


def test_form_when_it_has_a_thousand_data_then_all_are_kept(penstock: PenstockServer) -> None:
    data = [{"MetricName": f"m{number}", "Value": 1, "Unit": "Count"} for number in range(1000)]
    with Wire(penstock) as wire:
        assert query(wire, spelled({"Namespace": "App", "MetricData": data})).status == 200
    assert len(state(penstock)) == 1000
