"""Bodies: gzip, chunks, slow pieces, and what is over the limit."""

import gzip
import json
import socket
import zlib

import h2.config
import h2.connection
import h2.events
import pytest
from http_calls import ANSWER_S, CBOR, JSON, SIGNED, Wire, address, healthy

from penstock.core.limits import MIB, REQUEST_BODY_MAX_BYTES
from penstock.testing import PenstockServer

LIST = {**SIGNED, "Content-Type": JSON, "X-Amz-Target": "Kinesis_20131202.ListStreams"}
TOO_LARGE = f"The request body is larger than {REQUEST_BODY_MAX_BYTES} bytes."


def head(**headers: str) -> bytes:
    """The head of a ListStreams request, as raw HTTP/1.1."""
    lines = {**LIST, "Host": "localhost", **{name.replace("_", "-"): value for name, value in headers.items()}}
    return b"POST / HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines.items()).encode() + b"\r\n"


def receive_answer(link: socket.socket) -> tuple[bytes, bytes]:
    """Head and body of one answer with a Content-Length."""
    received = b""
    while b"\r\n\r\n" not in received:
        piece = link.recv(65536)
        assert piece, received
        received += piece
    top, _, body = received.partition(b"\r\n\r\n")
    [length] = [int(line[15:]) for line in top.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    while len(body) < length:
        body += link.recv(65536)
    return top, body


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", " gzip "])
def test_body_when_gzipped_is_read(penstock: PenstockServer, encoding: str) -> None:
    body = gzip.compress(json.dumps({"StreamName": "a", "ShardCount": 1}).encode(), mtime=0)
    with Wire(penstock) as wire:
        assert wire.call("CreateStream", body, Content_Encoding=encoding).status == 200
        assert wire.call("ListStreams").document["StreamNames"] == ["a"]


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", b"{}"),
        ("gzip", b""),
        ("gzip", gzip.compress(b"{}", mtime=0)[:-3]),
        ("br", b"{}"),
        ("gzip, gzip", gzip.compress(gzip.compress(b"{}", mtime=0), mtime=0)),
    ],
)
def test_body_when_its_encoding_is_bad_is_refused(penstock: PenstockServer, encoding: str, body: bytes) -> None:
    with Wire(penstock) as wire:
        reply = wire.call("ListStreams", body, Content_Encoding=encoding)
    assert reply.refusal == (400, "SerializationException", f"The body is not valid {encoding}.")


def test_body_when_it_is_a_gzip_bomb_is_refused(penstock: PenstockServer) -> None:
    packed = zlib.compressobj(wbits=31)
    bomb = b"".join(packed.compress(bytes(MIB)) for _ in range(64)) + packed.flush()
    with Wire(penstock) as wire:
        reply = wire.call("ListStreams", bomb, Content_Encoding="gzip")
        assert reply.refusal == (413, "RequestEntityTooLarge", TOO_LARGE)
        assert wire.call("ListStreams").status == 200


@pytest.mark.parametrize("content_type", [JSON, CBOR])
@pytest.mark.parametrize("expect", [{}, {"Expect": "100-continue"}])
def test_body_when_its_announced_length_is_over_the_limit_is_refused_before_it_is_sent(
    penstock: PenstockServer, content_type: str, expect: dict[str, str]
) -> None:
    with socket.create_connection(address(penstock), timeout=ANSWER_S) as link:
        link.sendall(head(Content_Length=str(REQUEST_BODY_MAX_BYTES + 1), Content_Type=content_type, **expect))
        top, body = receive_answer(link)
    assert top.startswith(b"HTTP/1.1 413 ")
    assert b"x-amzn-errortype: requestentitytoolarge" in top.lower()
    assert b"x-amzn-requestid: " in top.lower()
    assert f"content-type: {content_type}".encode() in top.lower()
    assert TOO_LARGE.encode() in body
    assert healthy(penstock)


def test_body_when_its_announced_length_is_over_the_limit_is_refused_over_http_2(penstock: PenstockServer) -> None:
    fields = [(":method", "POST"), (":scheme", "http"), (":authority", "localhost"), (":path", "/")]
    fields += [(name.lower(), value) for name, value in LIST.items()]
    fields.append(("content-length", str(REQUEST_BODY_MAX_BYTES + 1)))
    client = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
    client.initiate_connection()
    client.send_headers(1, fields)
    headers: dict[str, str] = {}
    body, ended = b"", False
    with socket.create_connection(address(penstock), timeout=ANSWER_S) as link:
        while not ended:
            link.sendall(client.data_to_send())
            for event in client.receive_data(link.recv(65536)):
                if isinstance(event, h2.events.ResponseReceived):
                    headers = {str(name): str(value) for name, value in event.headers}
                elif isinstance(event, h2.events.DataReceived):
                    body += event.data
                ended = ended or isinstance(event, h2.events.StreamEnded | h2.events.StreamReset)
    assert headers[":status"] == "413"
    assert "connection" not in headers
    assert json.loads(body) == {"__type": "RequestEntityTooLarge", "message": TOO_LARGE}


def test_body_when_its_chunks_grow_over_the_limit_is_refused(penstock: PenstockServer) -> None:
    chunk = b"%x\r\n" % MIB + bytes(MIB) + b"\r\n"
    with socket.create_connection(address(penstock), timeout=ANSWER_S) as link:
        link.sendall(head(Transfer_Encoding="chunked"))
        for _ in range(REQUEST_BODY_MAX_BYTES // MIB):
            link.sendall(chunk)
        link.sendall(b"1\r\nx\r\n")
        top, body = receive_answer(link)
    assert top.startswith(b"HTTP/1.1 413 ")
    assert TOO_LARGE.encode() in body
    assert healthy(penstock)


def test_body_when_it_is_exactly_at_the_limit_is_read(penstock: PenstockServer) -> None:
    body = b"{}".ljust(REQUEST_BODY_MAX_BYTES)
    with Wire(penstock) as wire:
        assert wire.call("ListStreams", body).status == 200


@pytest.mark.parametrize("pieces", [[b"{}"], [b"{", b"}"], [b"{", b" ", b'"Limit"', b":", b"1", b"}"]])
def test_body_when_sent_in_chunks_is_put_together(penstock: PenstockServer, pieces: list[bytes]) -> None:
    sent = head(Transfer_Encoding="chunked")
    sent += b"".join(b"%x;ext=1\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\nTrailer: x\r\n\r\n"
    with socket.create_connection(address(penstock), timeout=ANSWER_S) as link:
        link.sendall(sent)
        assert receive_answer(link)[0].startswith(b"HTTP/1.1 200 ")


def test_body_when_it_comes_in_slow_pieces_holds_up_nobody_else(penstock: PenstockServer) -> None:
    sent = head(Content_Length="2") + b"{}"
    with socket.create_connection(address(penstock), timeout=ANSWER_S) as link, Wire(penstock) as other:
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(len(sent)):
            link.sendall(sent[at : at + 1])
            if at % 40 == 0 or at == len(sent) - 2:
                assert other.call("ListStreams").status == 200
        assert receive_answer(link)[0].startswith(b"HTTP/1.1 200 ")


def test_body_when_the_client_leaves_in_its_middle_costs_nobody_anything(penstock: PenstockServer) -> None:
    for sent in (b"", b"POST", head(Content_Length="100"), head(Content_Length="100") + b"{", head(Content_Length="2")):
        with socket.create_connection(address(penstock), timeout=ANSWER_S) as link:
            link.sendall(sent)
    assert healthy(penstock)


def test_body_when_the_client_resets_the_connection_costs_nobody_anything(penstock: PenstockServer) -> None:
    for sent in (head(Content_Length="100") + b"{", head(Content_Length="2") + b"{}"):
        with socket.create_connection(address(penstock), timeout=ANSWER_S) as link:
            link.sendall(sent)
            link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    assert healthy(penstock)
