"""Large bodies of many connections of one key, and somebody else who wants an answer too."""

import select
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from http_calls import ANSWER_S, JSON, Wire, address

from penstock.core.limits import MIB, REQUEST_BODY_MAX_BYTES
from penstock.testing import PenstockServer

FLOOD = 32
BODIES_MAX_BYTES = 4 * REQUEST_BODY_MAX_BYTES
LARGE_BYTES = 8 * MIB
SHARE_BODIES = 7  # of 80 MiB: an eighth would be more than three times what were left
CONTINUE = b"HTTP/1.1 100 Continue"


def head(key_id: str, length: int) -> bytes:
    """A ListStreams request of a key, up to its body."""
    return (
        f"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: {JSON}\r\nX-Amz-Target: Kinesis_20131202.ListStreams\r\n"
        f"Authorization: AWS4-HMAC-SHA256 Credential={key_id}/20260101/us-east-1/kinesis/aws4_request,"
        f" SignedHeaders=host;x-amz-date, Signature=00\r\nX-Amz-Date: 20260101T000000Z\r\n"
        f"Content-Length: {length}\r\nExpect: 100-continue\r\n\r\n"
    ).encode()


def connect(server: PenstockServer) -> socket.socket:
    return socket.create_connection(address(server), timeout=ANSWER_S)


def status(link: socket.socket) -> bytes:
    """The first line of what comes next."""
    received = b""
    while b"\r\n\r\n" not in received:
        piece = link.recv(65536)
        assert piece, received
        received += piece
    return received.split(b"\r\n")[0]


@pytest.fixture
def server() -> Iterator[PenstockServer]:
    with PenstockServer(max_bodies=BODIES_MAX_BYTES) as started:
        yield started


def test_flood_when_one_key_sends_large_bodies_on_many_connections_leaves_room_for_another(
    server: PenstockServer,
) -> None:
    with ExitStack() as held:
        flood = [held.enter_context(connect(server)) for _ in range(FLOOD)]
        for link in flood[:SHARE_BODIES]:  # none of them ever sends its body, so that whoever has room keeps it
            link.sendall(head("111111111111", LARGE_BYTES))
            assert status(link) == CONTINUE
        for link in flood[SHARE_BODIES:]:
            link.sendall(head("111111111111", LARGE_BYTES))
        with Wire(server) as wire:
            for _ in range(3):  # small bodies need no room; by then the heads were read, too
                assert wire.call("ListStreams").status == 200
        other = held.enter_context(connect(server))
        other.sendall(head("222222222222", LARGE_BYTES))
        assert status(other) == CONTINUE
        other.sendall(b"{}".ljust(LARGE_BYTES))
        assert status(other) == b"HTTP/1.1 200 OK"
        assert not select.select(flood, [], [], 0)[0], (
            "the share of the first is full, and nobody of it was let in since"
        )
        flood[0].sendall(b"{}".ljust(LARGE_BYTES))
        assert status(flood[0]) == b"HTTP/1.1 200 OK"
        assert select.select(flood[SHARE_BODIES:], [], [], ANSWER_S)[0], "whoever goes makes room for the next"
