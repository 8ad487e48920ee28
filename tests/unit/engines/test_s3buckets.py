"""S3Buckets beyond the contract: what S3 refuses, what does not answer, and a missing extra.

The refusals are S3's documented errors, told by a server of ours: moto takes any credentials.
"""

import asyncio
import hmac
import subprocess
import sys
import threading
from collections.abc import Iterator
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest

from penstock.engines import s3buckets
from penstock.engines.buckets import BucketDenied, BucketsUnavailable, NoSuchBucket, ObjectHead
from penstock.engines.s3buckets import STORES_MAX, S3Buckets


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3buckets, "RETRIES_MAX", 0)
    monkeypatch.setattr(s3buckets, "TIMEOUT", "1s")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalr")


class Refusing(BaseHTTPRequestHandler):
    """Answers every request with `answer`: a status and a body."""

    answer: ClassVar[tuple[int, bytes]] = (500, b"")

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        status, body = self.answer
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        self.headers["content-length"] = "0"
        self.do_PUT()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def endpoint() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def error(code: str, message: str) -> bytes:
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>'.encode()


def refusals_of(endpoint: str) -> list[Exception]:
    """What each method raises."""

    async def run() -> list[Exception]:
        buckets = S3Buckets(endpoint, "us-east-1")
        listing = buckets.list("logs", "a/")
        found: list[Exception] = []
        for use in (buckets.put("logs", "a", b"x"), buckets.get("logs", "a", 1 << 20), anext(listing, None)):
            try:
                await use
            except Exception as refusal:  # noqa: BLE001 - it is what the test looks at
                found.append(refusal)
        return found

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("status", "code", "message", "kind"),
    [
        (403, "AccessDenied", "Access Denied", BucketDenied),
        (403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.", BucketDenied),
        (403, "SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided.", BucketDenied),
        (403, "RequestTimeTooSkewed", "The difference between the request time and the current time is too large.", BucketDenied),
        (400, "ExpiredToken", "The provided token has expired.", BucketDenied),
        (400, "InvalidToken", "The provided token is malformed or otherwise invalid.", BucketDenied),
        (400, "KMS.NotFoundException", "Invalid keyId", BucketDenied),
        (400, "AuthorizationHeaderMalformed", "the region 'us-east-1' is wrong; expecting 'eu-west-1'", BucketDenied),
        (404, "NoSuchBucket", "The specified bucket does not exist", NoSuchBucket),
        (400, "RequestTimeout", "Your socket connection to the server was not read from", BucketsUnavailable),
        (409, "OperationAborted", "A conflicting conditional operation is currently in progress", BucketsUnavailable),
        (429, "TooManyRequests", "Slow down", BucketsUnavailable),
        (500, "InternalError", "An internal error occurred. Try again.", BucketsUnavailable),
        (503, "SlowDown", "Please reduce your request rate.", BucketsUnavailable),
    ],
)  # fmt: skip
def test_every_method_when_s3_refuses_then_the_kind_tells_whether_to_try_again(
    endpoint: str, monkeypatch: pytest.MonkeyPatch, status: int, code: str, message: str, kind: type[Exception]
) -> None:
    monkeypatch.setattr(Refusing, "answer", (status, error(code, message)))
    found = refusals_of(endpoint)
    assert [type(each) for each in found] == [kind] * 3
    if kind is not NoSuchBucket:
        assert {str(each) for each in found} == {f"bucket logs: {status} {code}: {message}"}


@pytest.mark.parametrize("body", [b"", b"<html>\n\nlogin</html>", b"\xff\x00" * 50, b"<Error>" * 10_000])
def test_every_method_when_a_server_answers_nonsense_then_it_is_unavailable_in_one_line(
    endpoint: str, monkeypatch: pytest.MonkeyPatch, body: bytes
) -> None:
    for status in (200, 502):
        monkeypatch.setattr(Refusing, "answer", (status, body))
        for refusal in refusals_of(endpoint):
            assert isinstance(refusal, BucketsUnavailable)
            assert "\n" not in str(refusal)
            assert len(str(refusal)) < 1000


def test_every_method_when_nothing_answers_then_it_is_unavailable_in_one_line() -> None:
    found = refusals_of("http://127.0.0.1:9")
    assert [type(each) for each in found] == [BucketsUnavailable] * 3
    for refusal in found:
        assert "127.0.0.1" in str(refusal)
        assert "\n" not in str(refusal)
        assert "wJalr" not in str(refusal)


def test_put_when_obstore_is_missing_then_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "obstore.store", None)
    with pytest.raises(BucketsUnavailable, match=r"pip install 'penstock\[s3\]'"):
        asyncio.run(S3Buckets().put("logs", "a", b""))


def test_import_when_nothing_is_used_then_obstore_is_not_loaded() -> None:
    code = "import sys, penstock.engines.s3buckets as s; s.S3Buckets(); sys.exit('obstore' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_put_when_there_are_many_buckets_then_few_are_held_open(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Refusing, "answer", (503, error("SlowDown", "")))

    async def run() -> None:
        buckets = S3Buckets(endpoint, "us-east-1")
        for number in range(STORES_MAX + 5):
            with pytest.raises(BucketsUnavailable):
                await buckets.put("logs", "a", b"", ObjectHead(sse="aws:kms", sse_key=str(number)))
        assert len(buckets._stores) == STORES_MAX

    asyncio.run(run())


class Verifying(Refusing):
    """Answers a PUT as S3 would: 200 where the signature is right, over the path as it came."""

    paths: ClassVar[list[tuple[str, bool]]] = []

    def do_PUT(self) -> None:
        given = dict(part.split("=", 1) for part in self.headers["authorization"].split(" ", 1)[1].split(", "))
        signed = given["SignedHeaders"].split(";")
        lines = [f"{name}:{self.headers[name].strip()}" for name in signed]
        path, _, query = self.path.partition("?")
        text = "\n".join(["PUT", path, query, *lines, "", ";".join(signed), self.headers["x-amz-content-sha256"]])
        scope = given["Credential"].split("/", 1)[1]
        to_sign = "\n".join(["AWS4-HMAC-SHA256", self.headers["x-amz-date"], scope, sha256(text.encode()).hexdigest()])
        key = b"AWS4wJalr"
        for part in scope.split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        self.paths.append((path, hmac.digest(key, to_sign.encode(), "sha256").hex() == given["Signature"]))
        self.send_response(200)
        self.send_header("etag", '"x"')
        self.send_header("content-length", "0")
        self.rfile.read(int(self.headers["content-length"]))
        self.end_headers()


def test_put_when_keys_are_odd_then_the_signature_is_over_the_path_that_is_sent() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Verifying)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()

    async def run() -> None:
        buckets = S3Buckets(f"http://127.0.0.1:{server.server_port}", "us-east-1")
        for key in ("plain/a b+c%é", "a//b", "/lead ing/x", "lögs =//2026/é+%2F"):
            await buckets.put("logs", key, b"x")

    asyncio.run(run())
    server.shutdown()
    thread.join()
    server.server_close()
    assert Verifying.paths == [
        ("/logs/plain/a%20b%2Bc%25%C3%A9", True),
        ("/logs/a//b", True),
        ("/logs//lead%20ing/x", True),
        ("/logs/l%C3%B6gs%20%3D//2026/%C3%A9%2B%252F", True),
    ]
