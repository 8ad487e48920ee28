"""Seeds: real requests and documents, from which the fuzzer begins; and the words that it may use."""

import base64
import json
import struct
import zlib
from collections.abc import Iterator
from typing import Final

import cbor2
from documented import SERVICES
from frames import (
    CALL,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PING,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    block,
    frame,
    headers,
)  # fmt: skip
from fuzz_documents import CBOR_OPERATIONS, FORM_OPERATIONS, JSON_OPERATIONS, RPC_OPERATIONS
from fuzz_world import ACCOUNT, FORM, POLICY, RPC, TARGETS, TRUST, call_head
from generated import form_fields, plausible
from rest_calls import rest_call

from penstock.wire import aggregate, eventstream
from penstock.wire.route import Head

STREAM: Final = f"arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/a"
CALLS: Final[list[tuple[str, str, dict[str, object]]]] = [
    ("kinesis", "ListStreams", {}),
    ("kinesis", "PutRecord", {"StreamName": "a", "Data": "AAEC", "PartitionKey": "k"}),
    ("kinesis", "PutRecords", {"StreamName": "a", "Records": [{"Data": "AAEC", "PartitionKey": "k"}]}),
    (
        "kinesis",
        "GetShardIterator",
        {"StreamName": "a", "ShardId": "shardId-000000000000", "ShardIteratorType": "LATEST"},
    ),
    ("kinesis", "ListShards", {"StreamName": "a", "ShardFilter": {"Type": "AT_TIMESTAMP", "Timestamp": 1}}),
    ("kinesis", "SplitShard", {"StreamName": "a", "ShardToSplit": "shardId-000000000000", "NewStartingHashKey": "9"}),
    ("kinesis", "PutResourcePolicy", {"ResourceARN": STREAM, "Policy": POLICY}),
    ("kms", "GenerateRandom", {"NumberOfBytes": 8}),
    ("kms", "Encrypt", {"KeyId": "alias/k", "Plaintext": "AAEC", "EncryptionContext": {"a": "b"}}),
    ("cloudwatch", "PutMetricData", {"Namespace": "App", "MetricData": [{"MetricName": "m", "Value": 1}]}),
    ("iam", "ListUsers", {"PathPrefix": "/"}),
    ("iam", "PutRolePolicy", {"RoleName": "reader", "PolicyName": "p", "PolicyDocument": POLICY}),
    ("iam", "TagUser", {"UserName": "ann", "Tags.member.1.Key": "k", "Tags.member.1.Value": "v"}),
    ("sts", "AssumeRole", {"RoleArn": f"arn:aws:iam::{ACCOUNT}:role/reader", "RoleSessionName": "me"}),
    (
        "sts",
        "AssumeRoleWithWebIdentity",
        {"RoleArn": "a", "RoleSessionName": "me", "WebIdentityToken": "e30.eyJpc3MiOiJcdWQ4MDAifQ.AA"},
    ),
]
CONDITIONS: Final = {
    "StringLike": {"aws:UserAgent": ["curl*", "${aws:username, 'x'}?"]},
    "IpAddress": {"aws:SourceIp": "10.0.0.0/8"},
    "DateLessThan": {"aws:CurrentTime": "2030-01-01T00:00:00Z"},
    "ForAllValues:StringEquals": {"aws:TagKeys": ["a", "b"]},
    "NumericLessThanEqualsIfExists": {"aws:EpochTime": 1e3},
    "Bool": {"aws:SecureTransport": True},
    "Null": {"aws:TokenIssueTime": "true"},
}


def raw(head: Head, body: bytes) -> bytes:
    """A request as bytes."""
    lines = [f"{head.method} {head.path} HTTP/1.1", *(f"{name}: {value}" for name, value in head.headers.items())]
    return "\n".join(lines).encode() + b"\n\n" + body


def _requests() -> Iterator[bytes]:
    for service, operation, document in CALLS:
        head = call_head(service, operation)
        if service not in TARGETS:
            yield raw(head, form_fields(service, operation, document))
        else:
            yield raw(head, json.dumps(document).encode())
    yield raw(call_head("kinesis", "ListStreams", "application/x-amz-cbor-1.1"), cbor2.dumps({"Limit": 3}))
    yield raw(call_head("cloudwatch", "ListMetrics", RPC), cbor2.dumps({"Namespace": "App"}))
    yield b"GET /?Action=GetCallerIdentity&Version=2011-06-15 HTTP/1.1\n\n"
    yield b"OPTIONS / HTTP/1.1\norigin: x\naccess-control-request-headers: a\n\n"
    packed = zlib.compressobj(wbits=31)
    body = packed.compress(b"{}") + packed.flush()
    yield b"POST / HTTP/1.1\nContent-Encoding: gzip\ncontent-type: application/x-amz-json-1.1\n\n" + body


def _connections() -> Iterator[bytes]:
    yield b"\5GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    yield b"\1\r\nPOST /a?b=c HTTP/1.1\r\nContent-Length: 5\r\n\r\nhelloGET / HTTP/1.0\r\n\r\n"
    yield b"\2POST /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nA: b\r\n\r\n"
    yield b"\3HEAD /e HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi"
    yield b"\4PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    yield b"\6OPTIONS * HTTP/1.1\r\n\r\nPOST http://h/p HTTP/1.1\r\nContent-Length: 70000\r\n\r\n"


def _http2() -> Iterator[bytes]:
    post = headers(1, (b"content-length", b"3"), flags=END_HEADERS)
    yield b"\5" + headers(1) + headers(3, (b"x-amz-target", b"a"))
    yield b"\7" + post + frame(DATA, END_STREAM, 1, b"abc") + frame(PING, 0, 0, bytes(8))
    yield b"\1" + post + frame(DATA, 8, 1, b"\1abc\0") + frame(HEADERS, 5, 1, block([(b"x", b"y")]))
    yield b"\2" + frame(SETTINGS, payload=b"\0\4\0\0\0\1") + headers(1) + frame(WINDOW_UPDATE, 0, 1, b"\0\0\0\1")
    yield b"\3" + frame(HEADERS, 1, 1, block(CALL)) + frame(CONTINUATION, 4, 1) + frame(RST_STREAM, 0, 1, bytes(4))
    yield b"\4" + frame(HEADERS, 0x25, 1, bytes(3) + b"\3\1" + b"\x83\x86\x84") + frame(GOAWAY, 0, 0, bytes(8))
    yield b"\6" + headers(1, (b"content-length", b"70000"), flags=END_HEADERS) + frame(2, 0, 1, bytes(3) + b"\2\0")


def _policies() -> Iterator[bytes]:
    everyone = {"Effect": "Deny", "NotPrincipal": {"AWS": [ACCOUNT]}, "Action": "kinesis:Put*", "Resource": STREAM}
    named = {**everyone, "Effect": "Allow", "Principal": {"AWS": "*"}, "Condition": CONDITIONS}
    del named["NotPrincipal"]
    own = {"Sid": "a", "Effect": "Allow", "NotAction": ["iam:*"], "NotResource": "arn:aws:s3", "Condition": CONDITIONS}
    for kind, text in (
        (0, POLICY),
        (0, json.dumps({"Version": "2012-10-17", "Id": "i", "Statement": [own]})),
        (1, json.dumps({"Version": "2012-10-17", "Statement": [everyone, named]})),
        (1, json.dumps({"Version": "2008-10-17", "Statement": named})),
        (2, TRUST),
        (2, '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Federated":"x"},"Action":"sts:*"}}'),
    ):
        yield bytes([kind]) + text.encode()


def _tokens() -> Iterator[bytes]:
    sealed = base64.b64encode(bytes(60))
    for kind in range(3):
        yield bytes([kind]) + (b"ASIAKEY/" if kind == 2 else b"") + sealed
    header = b'{"alg":"RS256","kid":"r"}'
    yield b"\3" + b".".join(
        base64.urlsafe_b64encode(part).rstrip(b"=") for part in (header, b'{"iss":"https://x"}', b"s")
    )
    yield b'\4{"keys":[{"kid":"e","kty":"EC","crv":"P-256","x":"AA","y":"AA"},{"kty":"RSA","n":"AQAB","e":"AQAB"}]}'
    yield b"\5\x50\x01" + bytes(60)
    yield b'\6{"iss":"https://x","sub":"s","aud":["sts.amazonaws.com"],"exp":-1e999}'
    yield b'\6{"iss":"https://x","sub":"s","aud":"sts.amazonaws.com","exp":1e300,"nbf":0}'


def _documents() -> Iterator[tuple[str, bytes]]:
    for number, operation in enumerate(JSON_OPERATIONS):
        yield "json", bytes([number]) + json.dumps(plausible(operation.model.input)).encode()
    for number, operation in enumerate(CBOR_OPERATIONS):
        yield "cbor", bytes([number]) + cbor2.dumps(plausible(operation.model.input, cbor=True))
    for number, operation in enumerate(RPC_OPERATIONS):
        yield "rpc", bytes([number]) + cbor2.dumps(plausible(operation.model.input, cbor=True))
    for expression in ("m1 / m2 * 100", "SUM(METRICS('m')) - AVG([m1, m2])", "FILL(m1, REPEAT) + FILL(METRICS(), 0)",
                       "-(1.5e3 + PERIOD(m1)) / FLOOR(none)", "FILL(m2, LINEAR) * MAX(m1)", "SEARCH('{A} b', 'Sum')"):  # fmt: skip
        yield "expression", expression.encode()
    for number, operation in enumerate(FORM_OPERATIONS):
        yield "form", bytes([number]) + form_fields("iam", "x", plausible(operation.model.input))


def _resources() -> Iterator[bytes]:
    for name, operation in sorted(SERVICES["lambda"].operations.items()):
        document = plausible(operation.model.input)
        if name.startswith(("Create", "Update", "Add", "Untag", "Invoke", "ListF")):
            head, body = rest_call(operation.model, document)
            yield f"{head.method} {head.target.decode()} HTTP/1.1\n\n".encode() + body
    yield b"POST /2015-03-31/functions/a%2Fb%ff/invocations?Qualifier=%24LATEST HTTP/1.1\nx-amz-invocation-type: Event\n\n[]"
    yield b"DELETE /2017-03-31/tags/arn%3Aaws?tagKeys=a&tagKeys=b&tagKeys HTTP/1.1\n\n"
    yield b"GET /2018-10-31/layers/?find=LayerVersion&Arn=x HTTP/1.1\n\n"
    yield b"GET /2015-03-31/functions//policy?MaxItems=1e9 HTTP/1.1\n\n{"


def _frames() -> Iterator[bytes]:
    event = eventstream.encode(
        eventstream.event_headers("SubscribeToShardEvent", "application/json"), b'{"Records":[]}'
    )
    yield b"\5" + event
    yield b"\xff" + event + eventstream.encode(eventstream.exception_headers("InternalFailure", "x"), b"")
    yield b"\2" + eventstream.encode((), b"")
    yield b"\2" + event[:20]
    block = b"\1a\4" + struct.pack(">I", 7)  # a header of another type
    start = struct.pack(">II", 16 + len(block), len(block))
    checked = start + struct.pack(">I", zlib.crc32(start)) + block
    yield b"\7" + checked + struct.pack(">I", zlib.crc32(checked))


def _aggregates() -> Iterator[bytes]:
    made = aggregate.Aggregate(1000)
    for number in range(3):
        made.add(f"key-{number}", bytes(number), None if number else "7", f"id-{number}" if number else None)
    data = made.pack().data
    yield b"\0" + data
    yield b"\1" + data[len(aggregate.MAGIC) : -aggregate.DIGEST_BYTES]
    yield b"\0\x0a\1k\x1a\4\x08\1\x1a\0"  # a place beyond the table
    yield b"\1\x0a\1k\x12\1x\x1a\6\x08\0\x10\0\x1a\0"  # an explicit hash key that is no number
    yield b"\0\x1a\x7f\x08"
    yield b"\1" + b"\x2b" * 40


def _signatures() -> Iterator[bytes]:
    scope = "AKIDEXAMPLE/20150830/us-east-1/kinesis/aws4_request"
    date = b"X-Amz-Date: 20150830T123600Z\n"
    claim = f"authorization: AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host;x-amz-date, Signature=00".encode()
    yield b"POST / HTTP/1.1\nHost: x\n" + date + claim + b"\n\n{}"
    yield b"POST /a%20/../b?c=d+e&f HTTP/1.1\nHost: x\nDate: Sun, 30 Aug 2015 12:36:00 GMT\n" + claim + b"\n\n{}"
    streaming = b"x-amz-content-sha256: STREAMING-AWS4-HMAC-SHA256-PAYLOAD\n"
    yield b"POST / HTTP/1.1\nHost: x\n" + date + streaming + claim + b"\n\n0;chunk-signature=" + b"0" * 64 + b"\r\n\r\n"
    query = f"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={scope}&X-Amz-Date=20150830T123600Z"
    yield f"GET /?{query}&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature=00 HTTP/1.1\nHost: x\n\n".encode()
    session = claim.replace(b"AKIDEXAMPLE", b"ASIASESSION")
    yield b"POST / HTTP/1.1\n:authority: x\nx-amz-security-token: token\n" + date + session + b"\n\n"
    yield b"POST / HTTP/1.1\nHost: x\n" + date + claim + b"\n\n3\r\nabc\r\n0\r\nx-amz-checksum: y\r\n\r\n"


def seeds() -> Iterator[tuple[str, bytes]]:
    """Each target with an input to begin from."""
    for request in _requests():
        yield "exchange", request
        yield "enforced", b"\0" + request
    yield from (("enforced", b"\1" + request) for request in list(_requests())[:9])
    yield "enforced", b"\2" + next(_requests())
    yield from (("connection", each) for each in _connections())
    yield from (("http2", each) for each in _http2())
    yield from (("policy", each) for each in _policies())
    yield from (("tokens", each) for each in _tokens())
    yield from _documents()
    yield from (("rest", each) for each in _resources())
    yield from (("eventstream", each) for each in _frames())
    yield from (("aggregate", each) for each in _aggregates())
    yield from (("signature", each) for each in _signatures())


def words() -> set[str]:
    """What requests are made of: operations, members, values of enumerations, and what HTTP, policies and signatures spell out."""
    found = {
        "X-Amz-Target",
        "Kinesis_20131202.",
        "TrentService.",
        "application/x-amz-cbor-1.1",
        FORM,
        "Action=",
        "\\ud800",
    }
    found |= {"Content-Length", "Transfer-Encoding", "chunked", "Statement", "Principal", "Condition", "arn:aws:iam::"}
    found |= {
        ".member.1.",
        ".entry.1.key",
        "1e999",
        "TRIM_HORIZON",
        "X-Amz-Expires=",
        "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
    }
    for service in SERVICES.values():
        for name, operation in service.operations.items():
            shape = operation.model.input
            found.add(name)
            if shape is not None:
                found.update(shape.members)
                found.update(value for member in shape.members.values() for value in member.enum[:8])
    return found
