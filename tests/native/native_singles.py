"""Calls of PutRecord that are gathered: what is taken is what every step of the long way would let pass, and it comes to the same."""

import asyncio
import json
import re
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import cbor2
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import example, given, settings
from hypothesis import strategies as st

from penstock.app import App, make_app
from penstock.core.errors import ServiceError
from penstock.core.limits import HEADERS_MAX
from penstock.core.settings import load
from penstock.engines.api import Appended, AppendError, Batch, Fan, Overloaded, Unavailable
from penstock.engines.local.log import LocalLog
from penstock.server.door import OpenDoor
from penstock.server.exchange import ID_DRAWN_BYTES, Exchange
from penstock.server.health import RequestMetrics
from penstock.server.http1 import Malformed, Request, parse_head_slowly
from penstock.server.replies import write_head
from penstock.services.streams import sequence
from penstock.services.streams.codec import CODECS
from penstock.services.streams.ops.record import PutRecordOutput
from penstock.services.streams.writer import ONES_SCATTERED_MIN
from penstock.wire.authorization import read_instant
from penstock.wire.native import NATIVE
from penstock.wire.nativeparts import Format, Placed, Spread
from penstock.wire.route import Router
from penstock.wire.signature import Expectation, Secret, usual_proof, verify

assert NATIVE is not None
CALL = NATIVE.PutCall
read = CALL.read
SECRET = "s" * 40
EXPECTED = Expectation("kinesis")
JSON = "application/x-amz-json-1.1"
CBOR = "application/x-amz-cbor-1.1"
DOCUMENT = {"StreamName": "orders", "PartitionKey": "a\u00e9\n", "Data": "SGVsbG8="}


def encoded(document: dict[str, str], kind: str = JSON) -> bytes:
    if kind == JSON:
        return json.dumps(document).encode()
    return cbor2.dumps(document | {"Data": b"Hello"})


def request(
    document: dict[str, str] = DOCUMENT,
    *more: tuple[str, str],
    kind: str = JSON,
    operation: str = "PutRecord",
    credentials: Credentials | None = None,
) -> bytes:
    """A call as botocore sends it."""
    body = encoded(document, kind)
    asked = AWSRequest("POST", "http://localhost/", data=body)
    for name, value in (("Content-Type", kind), ("X-Amz-Target", f"Kinesis_20131202.{operation}"), *more):
        asked.headers[name] = value
    asked.headers["User-Agent"] = "Boto3/1.44"
    SigV4Auth(credentials or Credentials("AKID", SECRET), "kinesis", "us-east-1").add_auth(asked)
    lines = "".join(f"{name}: {value}\r\n" for name, value in asked.headers.items())
    return f"POST / HTTP/1.1\r\nHost: localhost\r\n{lines}Content-Length: {len(body)}\r\n\r\n".encode() + body


USUAL = request()
ALTERED = USUAL.replace(b"SGVsbG8=", b"SGVsbG4=")  # and signed as it was
RARE = st.sampled_from(
    [b"Origin: x", b"Expect: 100-continue", b"Transfer-Encoding: chunked", b"Content-Encoding: gzip", b"Connection: close",
     b"Connection: Keep-Alive", b"X-Amz-Security-Token: t", b"X-Amz-Content-Sha256: UNSIGNED-PAYLOAD", b"smithy-protocol: rpc-v2-cbor",
     b"Host: again", b"X-Amz-Target: again", b"Content-Type: again", b"x-amz-date: again", b"Authorization: again", b"Content-Length: 9",
     b"X-Odd: \x80", b"X-Odd: a\rb", b" folded", b"X Y: 1", b"X-Usual: 1"]
)  # fmt: skip


def the_long_way(data: bytes) -> tuple[Request, bytes] | None:
    head, _, body = data.partition(b"\r\n\r\n")
    try:
        return parse_head_slowly(head, None, HEADERS_MAX), body
    except Malformed:
        return None


def check_taken(data: bytes) -> None:
    """What is taken is, to every step of the long way, a plain PutRecord."""
    call = read(data)
    if call is None:
        return
    long = the_long_way(data)
    assert long is not None
    (head, body_bytes, keep_alive, minor, expects), body = long
    assert (head.method, head.target, minor, keep_alive, expects, body_bytes) == (
        "POST",
        b"/",
        1,
        True,
        False,
        len(body),
    )
    assert head.headers["x-amz-target"] == "Kinesis_20131202.PutRecord"
    assert head.headers["content-type"] == {"json": JSON, "cbor": CBOR}[call.form]
    assert head.headers["x-amz-date"] == call.date
    assert head.headers["authorization"][:-64] == call.claim
    names = [name for name, _ in head.raw_headers]
    rare = {b"origin", b"content-encoding", b"x-amz-security-token", b"x-amz-content-sha256", b"smithy-protocol"}
    assert not rare & set(names)
    assert NATIVE is not None
    found = NATIVE.read_record(call.form, body)
    assert found is not None
    assert found[0] == call.stream
    assert [[each] for each in (found[1].encode(), found[2], found[3])] == list(CALL.rows([call]).lists())


@settings(max_examples=4000, derandomize=True)
@given(at=st.integers(0, len(USUAL)), cut=st.integers(0, 3), put=st.binary(max_size=3))
def test_call_when_a_usual_one_is_damaged_and_taken_then_the_long_way_reads_the_same(
    at: int, cut: int, put: bytes
) -> None:
    check_taken(USUAL[:at] + put + USUAL[at + cut :])


@settings(max_examples=1000, derandomize=True)
@given(lines=st.lists(RARE, max_size=3), at=st.integers(1, 8))
@example(lines=[b"X-Usual: 1"] * 12, at=1)
def test_call_when_it_has_odd_headers_and_is_taken_then_the_long_way_reads_the_same(
    lines: list[bytes], at: int
) -> None:
    head, _, rest = USUAL.partition(b"\r\n\r\n")
    split = head.split(b"\r\n")
    check_taken(b"\r\n".join([*split[:at], *lines, *split[at:]]) + b"\r\n\r\n" + rest)


@pytest.mark.parametrize("kind", [JSON, CBOR])
def test_call_when_botocore_sends_it_is_taken(kind: str) -> None:
    call = read(request(kind=kind))
    assert call is not None
    assert (call.stream, call.form) == ("orders", "json" if kind == JSON else "cbor")
    assert re.fullmatch(
        r"AWS4-HMAC-SHA256 Credential=AKID/\d{8}/us-east-1/kinesis/aws4_request, SignedHeaders=\S+, Signature=",
        call.claim,
    )


@pytest.mark.parametrize(
    "data",
    [
        USUAL[:-1], USUAL + b" ", USUAL + USUAL, b"\r\n" + USUAL, USUAL.replace(b"HTTP/1.1", b"HTTP/1.0"),
        USUAL.replace(b"POST / ", b"POST /?a=b "), USUAL.replace(b"Host: localhost\r\n", b""), USUAL.replace(b"PutRecord", b"PutRecords"),
        request(kind="application/x-amz-json-1.0"), request(DOCUMENT | {"ExplicitHashKey": "1"}), b"", b"\r\n\r\n",
    ],
)  # fmt: skip
def test_call_when_it_is_not_a_plain_put_record_is_left_alone(data: bytes) -> None:
    assert read(data) is None


def test_origin_when_form_claim_date_or_stream_differ_is_another() -> None:
    variants = [
        USUAL, request(kind=CBOR), request(DOCUMENT | {"StreamName": "other"}), USUAL.replace(b"Credential=AKID", b"Credential=AKIE"),
        re.sub(rb"X-Amz-Date: \d{4}", b"X-Amz-Date: 1999", USUAL), USUAL.replace(b"SignedHeaders=content", b"SignedHeaders=dontent"),
    ]  # fmt: skip
    calls = [call for data in variants if (call := read(data)) is not None]
    assert CALL.by_origin(calls) == [[number] for number in range(len(variants))]
    alike, again, other = read(USUAL), read(ALTERED), read(request(DOCUMENT | {"StreamName": "other"}))
    assert alike is not None
    assert again is not None
    assert other is not None
    assert CALL.by_origin([alike, other, again]) == [[0, 2], [1]]


@settings(max_examples=3000, derandomize=True)
@given(at=st.integers(0, len(USUAL)), cut=st.integers(0, 2), put=st.binary(max_size=2))
@example(at=0, cut=0, put=b"")
def test_signature_when_it_is_believed_then_python_believes_it(at: int, cut: int, put: bytes) -> None:
    data = USUAL[:at] + put + USUAL[at + cut :]
    call = read(data)
    moment = re.search(rb"X-Amz-Date: (\d{8}T\d{6}Z)", USUAL)
    assert moment is not None
    now_ms = read_instant(moment[1].decode()).at_s * 1000
    proof = None if call is None else usual_proof(call.claim, call.date, now_ms, EXPECTED, lambda _: Secret(SECRET))
    believed = call is not None and proof is not None
    if call is not None and proof is not None:
        believed = CALL.proven([call], [0], proof.names, proof.key, proof.before) == [0]
    assert believed or data != USUAL
    if believed:
        long = the_long_way(data)
        assert long is not None
        try:
            verify(long[0].head, long[1], now_ms, EXPECTED, lambda _: Secret(SECRET))
        except ServiceError as refused:
            pytest.fail(f"{refused.code} for {data!r}")


def test_signatures_when_one_of_many_is_wrong_leave_its_place_out() -> None:
    calls = [call for data in (USUAL, ALTERED, USUAL) if (call := read(data)) is not None]
    now_ms = read_instant(calls[0].date).at_s * 1000
    proof = usual_proof(calls[0].claim, calls[0].date, now_ms, EXPECTED, lambda _: Secret(SECRET))
    assert proof is not None
    assert CALL.proven(calls, [0, 1, 2], proof.names, proof.key, proof.before) == [0, 2]
    assert CALL.proven(calls, [2, 1], proof.names, proof.key, proof.before) == [2]


def test_rows_when_there_are_too_many_calls_are_refused() -> None:
    call = read(USUAL)
    assert call is not None
    assert len(CALL.rows([call] * 500)) == 500
    with pytest.raises(ValueError, match="too many calls"):
        CALL.rows([call] * 501)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    rows=st.lists(st.tuples(st.booleans(), st.integers(0, 2), st.binary(min_size=ID_DRAWN_BYTES, max_size=ID_DRAWN_BYTES)), max_size=9),
    number=st.integers(0, 2**186 - 2**84),
    lines=st.sampled_from(["", "server: Penstock\r\ndate: Mon, 30 Nov 2026 19:00:00 GMT\r\n"]),
)  # fmt: skip
@example(rows=[(False, 1, bytes(range(ID_DRAWN_BYTES))), (True, 0, bytes(ID_DRAWN_BYTES))], number=9 * 10**55, lines="")
def test_answers_when_python_words_them_are_the_same(
    rows: list[tuple[bool, int, bytes]], number: int, lines: str
) -> None:
    json_call, cbor_call = read(USUAL), read(request(kind=CBOR))
    assert json_call is not None
    assert cbor_call is not None
    shards = [("shardId-000000000000", number.to_bytes(24, "little")), None, ("shardId-000000000012", bytes(24))]
    calls = [cbor_call if is_cbor else json_call for is_cbor, _, _ in rows]
    order = b"".join(place.to_bytes(2, "little") for _, place, _ in rows)
    answers = CALL.answers(calls, order, shards, b"".join(drawn for _, _, drawn in rows))
    numbers = [number, 0, 0]
    for (is_cbor, place, drawn), answer in zip(rows, answers, strict=True):
        shard = shards[place]
        if shard is None:
            assert answer is None
            continue
        form: Format = "cbor" if is_cbor else "json"
        body = CODECS["PutRecord"].encode[form](PutRecordOutput(shard[0], str(numbers[place])))
        numbers[place] += sequence.NEXT_RECORD
        exchange = Exchange(Router(()), _Drawn(drawn), RequestMetrics(), lambda: 0.0, OpenDoor(""))
        request_id, extended_id = exchange.draw_ids()
        headers = [("content-type", CBOR if is_cbor else JSON), ("x-amzn-RequestId", request_id), ("x-amz-id-2", extended_id)]  # fmt: skip
        assert answer is not None
        assert answer.parts == (headers, body)
        assert answer.whole(lines) == write_head(200, headers, f"{lines}content-length: {len(body)}\r\n") + body


class _Drawn:
    """Randomness that was drawn before: of each kind of id the first is the last that is taken."""

    def __init__(self, drawn: bytes) -> None:
        self._drawn = drawn

    def bytes(self, count: int) -> bytes:
        each = count // ID_DRAWN_BYTES
        return self._drawn[:16] * each + self._drawn[16:] * each

    def fraction(self) -> float:
        raise AssertionError("only bytes are drawn")


@pytest.mark.parametrize(
    ("order", "drawn"),
    [(b"\1\0", bytes(ID_DRAWN_BYTES)), (b"\0", bytes(ID_DRAWN_BYTES)), (b"\0\0", bytes(ID_DRAWN_BYTES - 1)), (b"", b"")],
)  # fmt: skip
def test_answers_when_what_is_given_does_not_fit_the_calls_are_refused(order: bytes, drawn: bytes) -> None:
    call = read(USUAL)
    assert call is not None
    with pytest.raises(ValueError, match=r"no such shard|something of each call"):
        CALL.answers([call], order, [None], drawn)


class Served:
    """A server in this process, and what went the long way."""

    def __init__(self, app: App, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.app = app
        self._port = port
        self.long: list[str] = []
        handle = Exchange._attempt

        async def told(exchange: Exchange, route: Any, *rest: Any) -> Any:
            self.long.append(route.operation.model.name)
            return await handle(exchange, route, *rest)

        monkeypatch.setattr(Exchange, "_attempt", told)

    async def send(self, *requests: bytes) -> list[bytes]:
        """Each on a connection of its own, at once; the answers."""
        return await asyncio.gather(*map(self._send, requests))

    async def _send(self, data: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        writer.write(data)
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head)
        assert length is not None
        body = await reader.readexactly(int(length[1]))
        writer.close()
        return head + body

    async def active(self) -> None:
        """Wait until the stream is ACTIVE, or deleted."""
        for view in self.app.streams.directory.all():
            async with asyncio.timeout(60):
                while view.stream.status not in ("ACTIVE", "DELETING"):
                    await view.change()

    async def call(self, operation: str, document: dict[str, Any], credentials: Credentials | None = None) -> Any:
        [answer] = await self.send(request(document, operation=operation, credentials=credentials))
        return json.loads(answer.partition(b"\r\n\r\n")[2] or b"null")


def served(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    scenario: Callable[[Served], Coroutine[Any, Any, None]],
    shards: int = 3,
    **options: str,
) -> None:
    async def whole() -> None:
        app = make_app(load({"port": "0", "no_tls": "true", "data_dir": str(folder), **options}, {}, None))
        endpoint = await app.start()
        server = Served(app, int(endpoint.http.rpartition(":")[2]), monkeypatch)
        try:
            await server.call("CreateStream", {"StreamName": "orders", "ShardCount": shards}, root(app))
            await server.active()
            server.long.clear()
            await scenario(server)
        finally:
            await app.stop()

    asyncio.run(whole())


def root(app: App) -> Credentials | None:
    return None if app.root_key is None else Credentials(app.root_key.record.id, app.root_key.secret)


def shown(answer: bytes) -> tuple[list[bytes], Any]:
    """Status line and headers without what differs by call, and the body's members."""
    head, _, body = answer.partition(b"\r\n\r\n")
    ids = re.compile(rb"(x-amzn-RequestId|x-amz-id-2|date|content-length): .*")
    document = json.loads(body) if body.startswith(b"{") else cbor2.loads(body)
    assert re.fullmatch(r"\d{56}", document.pop("SequenceNumber"))
    return [ids.sub(rb"\1", line) for line in head.split(b"\r\n")], document


@pytest.mark.parametrize("workers", ["0", "2"])
@pytest.mark.parametrize("auth", ["open", "enforced"])
@pytest.mark.parametrize("kind", [JSON, CBOR])
def test_put_when_gathered_is_answered_as_the_long_way_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, auth: str, kind: str, workers: str
) -> None:
    async def scenario(server: Served) -> None:
        credentials = root(server.app)
        if auth == "enforced":  # the first decision of the policies is not remembered yet
            await server.send(request(credentials=credentials))
        server.long.clear()
        many = [(f"X-Odd-{number}", "1") for number in range(20)]
        [short] = await server.send(request(kind=kind, credentials=credentials))
        assert server.long == []
        [long] = await server.send(request(DOCUMENT, *many, kind=kind, credentials=credentials))
        assert server.long == ["PutRecord"]
        assert shown(short) == shown(long)

    served(tmp_path, monkeypatch, scenario, auth=auth, workers=workers)


@pytest.mark.parametrize("shards", [ONES_SCATTERED_MIN - 1, ONES_SCATTERED_MIN + 1])
def test_puts_when_gathered_are_each_where_the_answer_says_and_counted_as_puts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shards: int
) -> None:
    async def scenario(server: Served) -> None:
        puts = [DOCUMENT | {"PartitionKey": f"key-{number}"} for number in range(100)]
        answers = [json.loads(answer.partition(b"\r\n\r\n")[2]) for answer in await server.send(*map(request, puts))]
        assert server.long == []
        told = {
            each["PartitionKey"]: (answer["ShardId"], answer["SequenceNumber"])
            for each, answer in zip(puts, answers, strict=True)
        }
        found: dict[str, tuple[str, str]] = {}
        for shard in sorted({shard for shard, _ in told.values()}):
            asked = {"StreamName": "orders", "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON"}
            iterator = (await server.call("GetShardIterator", asked))["ShardIterator"]
            records = (await server.call("GetRecords", {"ShardIterator": iterator}))["Records"]
            assert all(record["Data"] == "SGVsbG8=" for record in records)
            found |= {record["PartitionKey"]: (shard, record["SequenceNumber"]) for record in records}
        assert len({shard for shard, _ in told.values()}) == shards
        assert found == told
        [view] = server.app.streams.directory.all()
        traffic = server.app.streams.traffic
        tallies = [counts.tally.ones for counts in traffic.of(view)]
        traffic.take_scattered(view.stream.uid, alone=True)
        tallies += [traffic.taken_scattered(view.stream.uid, number, alone=True) for number in range(shards)]
        tallies = [ones for ones in tallies if ones.count]
        assert traffic.take_scattered(view.stream.uid, alone=False).count == 0
        assert sum(ones.count for ones in tallies) == sum(ones.records for ones in tallies) == 100
        sizes = [len(each["PartitionKey"]) + 5 for each in puts]
        assert sum(ones.size_bytes for ones in tallies) == sum(sizes)
        assert (min(ones.bytes_low for ones in tallies), max(ones.bytes_high for ones in tallies)) == (
            min(sizes),
            max(sizes),
        )
        assert sum(counts.seconds(60, server.app.clock.now_ms() + 1000).in_records for counts in traffic.of(view)) > 1

    served(tmp_path, monkeypatch, scenario, shards=shards)


def test_put_when_its_signature_is_wrong_its_key_unknown_or_a_policy_denies_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(server: Served) -> None:
        good = root(server.app)
        assert good is not None
        await server.send(request(credentials=good))
        wrong, unknown = Credentials(good.access_key, "w" * 40), Credentials("AKIDUNKNOWN", good.secret_key)
        tampered = request(credentials=good).replace(b"SGVsbG8=", b"SGVsbG4=")
        answers = await server.send(
            request(credentials=good), request(credentials=wrong), request(credentials=unknown), tampered
        )
        assert [answer[9:12] for answer in answers] == [b"200", b"400", b"400", b"400"]
        codes = [json.loads(answer.partition(b"\r\n\r\n")[2])["__type"] for answer in answers[1:]]
        assert codes == ["InvalidSignatureException", "UnrecognizedClientException", "InvalidSignatureException"]
        assert server.long[1:] == ["PutRecord"] * 3

    served(tmp_path, monkeypatch, scenario, auth="enforced")


@pytest.mark.parametrize(
    ("operation", "document"),
    [
        ("StartStreamEncryption", {"StreamName": "orders", "EncryptionType": "KMS", "KeyId": "alias/aws/kinesis"}),
        ("DeleteStream", {"StreamName": "orders"}),
    ],
)
def test_put_when_the_stream_is_no_longer_plain_goes_the_long_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, operation: str, document: dict[str, Any]
) -> None:
    async def scenario(server: Served) -> None:
        await server.call(operation, document)
        await server.active()
        server.long.clear()
        await server.send(request())
        assert server.long == ["PutRecord"]

    served(tmp_path, monkeypatch, scenario)


def test_puts_while_their_shard_is_split_are_all_written_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(server: Served) -> None:
        puts = [DOCUMENT | {"PartitionKey": f"key-{number}"} for number in range(300)]
        split = {"StreamName": "orders", "TargetShardCount": 5, "ScalingType": "UNIFORM_SCALING"}
        first, _, second = await asyncio.gather(
            server.send(*map(request, puts[:150])),
            server.call("UpdateShardCount", split),
            server.send(*map(request, puts[150:])),
        )
        assert {answer[9:12] for answer in (*first, *second)} == {b"200"}
        keys: list[str] = []
        for shard in (await server.call("ListShards", {"StreamName": "orders"}))["Shards"]:
            asked = {"StreamName": "orders", "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
            iterator = (await server.call("GetShardIterator", asked))["ShardIterator"]
            keys += [
                each["PartitionKey"]
                for each in (await server.call("GetRecords", {"ShardIterator": iterator}))["Records"]
            ]
        assert sorted(keys) == sorted(each["PartitionKey"] for each in puts)

    served(tmp_path, monkeypatch, scenario)


@pytest.mark.parametrize(
    ("refusal", "told"),
    [(Unavailable("disk"), "InternalFailure"), (Overloaded(1), "ProvisionedThroughputExceededException")],
)
@pytest.mark.parametrize("puts", [2, 64])
def test_put_when_the_engine_refuses_is_refused_by_the_long_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refusal: AppendError, told: str, puts: int
) -> None:
    async def refuse(_log: LocalLog, batches: Sequence[Batch]) -> Sequence[Appended | AppendError]:
        return [refusal for _ in batches]

    async def refuse_all(_log: LocalLog, fan: Fan, _: Spread) -> AppendError:
        return refusal

    async def scenario(server: Served) -> None:
        monkeypatch.setattr(LocalLog, "append", refuse)
        monkeypatch.setattr(LocalLog, "scatter", refuse_all)
        answers = await server.send(*[request(DOCUMENT | {"PartitionKey": f"key-{number}"}) for number in range(puts)])
        assert [json.loads(answer.partition(b"\r\n\r\n")[2])["__type"] for answer in answers] == [told] * puts
        assert server.long == ["PutRecord"] * puts

    served(tmp_path, monkeypatch, scenario, shards=8)


@pytest.mark.parametrize(("shards", "is_scattered"), [(3, False), (4, True), (700, True)])
def test_puts_when_few_shards_are_written_to_are_no_scatter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shards: int, is_scattered: bool
) -> None:
    scattered: list[int] = []
    scatter = LocalLog.scatter

    async def told(log: LocalLog, fan: Fan, spread: Spread) -> Placed | AppendError | None:
        scattered.append(len(spread))
        return await scatter(log, fan, spread)

    async def scenario(server: Served) -> None:
        singles = server.app._services.room.singles
        assert singles is not None
        keys = [f"key-{number}" for number in range(9 if shards > 64 else 64)]
        calls = [call for key in keys if (call := read(request(DOCUMENT | {"PartitionKey": key}))) is not None]
        [(lot, _)] = singles.lots(calls)
        monkeypatch.setattr(LocalLog, "scatter", told)
        answers = await lot.carry_out(bytes(ID_DRAWN_BYTES * len(calls)))
        assert None not in answers
        assert bool(scattered) == is_scattered

    served(tmp_path, monkeypatch, scenario, shards=shards, account_shards="1000")


@pytest.mark.parametrize("option", [{"limits": "aws"}, {"shard_write_records": "1000"}])
def test_put_when_every_shard_has_a_quota_is_not_even_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: dict[str, str]
) -> None:
    async def scenario(server: Served) -> None:
        assert server.app._services.room.singles is None
        await server.send(request())
        assert server.long == ["PutRecord"]

    served(tmp_path, monkeypatch, scenario, 3, **option)


def test_put_when_calls_are_told_to_an_audit_log_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(server: Served) -> None:
        await server.send(request())
        assert server.long == ["PutRecord"]

    served(tmp_path, monkeypatch, scenario, audit_log=str(tmp_path / "audit"), audit_data="true")
