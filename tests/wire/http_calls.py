"""A tiny client of the tests' own: it signs nothing, sends anything, and shows the whole answer."""

import http.client
import json
import re
import socket
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import cbor2

from penstock.testing import PenstockServer

JSON = "application/x-amz-json-1.1"
CBOR = "application/x-amz-cbor-1.1"
SCOPE = "test/20260101/us-east-1/kinesis/aws4_request"
AUTHORIZATION = f"AWS4-HMAC-SHA256 Credential={SCOPE}, SignedHeaders=host;x-amz-date, Signature=00"
SIGNED = {"Authorization": AUTHORIZATION, "X-Amz-Date": "20260101T000000Z"}
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
ANSWER_S = 60  # no answer takes longer, unless the server hangs


class Reply(NamedTuple):
    """One answer."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def document(self) -> Any:
        """The body, read in the answer's own format."""
        if self.headers["content-type"] == CBOR:
            return cbor2.loads(self.body, semantic_decoders={1: lambda value, _immutable: value})
        return json.loads(self.body)

    @property
    def refusal(self) -> tuple[int, str, str | None]:
        """Status, code and message of an error in JSON or CBOR."""
        document = self.document
        assert self.headers["x-amzn-errortype"] == document["__type"]
        return self.status, document["__type"], document.get("message", document.get("Message"))


def address(server: PenstockServer) -> tuple[str, int]:
    """Host and port of a server."""
    parts = urlsplit(server.endpoint_url)
    assert parts.hostname is not None
    assert parts.port is not None
    return parts.hostname, parts.port


class Wire:
    """One keep-alive connection."""

    def __init__(self, server: PenstockServer) -> None:
        self._connection = http.client.HTTPConnection(*address(server), timeout=ANSWER_S)

    def __enter__(self) -> "Wire":
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def send(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None, *, chunked: bool = False
    ) -> Reply:
        """Any request."""
        content = iter([body]) if chunked else body
        self._connection.request(method, path, content, headers or {}, encode_chunked=chunked)
        answer = self._connection.getresponse()
        return Reply(answer.status, answer.headers, answer.read())

    def call(self, operation: str, document: object = None, **headers: str) -> Reply:
        """An operation with a JSON body: a document, or the bytes themselves."""
        body = document if isinstance(document, bytes) else json.dumps({} if document is None else document).encode()
        chosen = {**SIGNED, "Content-Type": JSON, "X-Amz-Target": f"Kinesis_20131202.{operation}"}
        return self.send("POST", "/", body, {**chosen, **{name.replace("_", "-"): it for name, it in headers.items()}})

    def call_cbor(self, operation: str, document: object) -> Reply:
        """An operation with a CBOR body: a document, or the bytes themselves."""
        body = document if isinstance(document, bytes) else cbor2.dumps(document)
        chosen = {**SIGNED, "Content-Type": CBOR, "X-Amz-Target": f"Kinesis_20131202.{operation}"}
        return self.send("POST", "/", body, chosen)


def healthy(server: PenstockServer) -> bool:
    """Whether a fresh connection is answered."""
    with Wire(server) as wire:
        return wire.send("GET", "/_penstock/health").status == 200


def raw(server: PenstockServer, sent: bytes, *, then_end: bool = False) -> bytes:
    """Everything that comes back for raw bytes until the server hangs up; `then_end` ends our side once they are sent."""
    received = b""
    with socket.create_connection(address(server), timeout=ANSWER_S) as link:
        try:
            link.sendall(sent)
            if then_end:
                link.shutdown(socket.SHUT_WR)
            while piece := link.recv(65536):
                received += piece
        except TimeoutError:
            raise
        except OSError:  # the server has hung up already
            pass
    return received
