"""HTTP as it should not be: the server refuses or hangs up, and goes on for everybody else."""

import socket

import pytest
from http_calls import ANSWER_S, JSON, SIGNED, address, healthy, raw

from penstock.testing import PenstockServer

HOST = b"Host: localhost\r\n"
GET = b"GET /_penstock/health HTTP/1.1\r\n" + HOST
LAST = b"Connection: close\r\n\r\n"
POST = b"POST / HTTP/1.1\r\n" + HOST
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"\r\n\r\n",
        b"\0" * 1000,
        b"\xff" * 1000,
        b"hello\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET / HTTP/1.1\r\nNo colon\r\n\r\n",
        b"GET / HTTP/1.1\r\nA\0b: c\r\n\r\n",
        b"G" * 100_000,
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
        b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 100,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\x05\x01\x05\0\0\0\x01\xff\xff\xff\xff\xff",
    ],
    ids=lambda sent: repr(sent[:20]),
)
def test_connection_when_what_is_sent_is_no_request_is_not_answered_with_success(
    penstock: PenstockServer, sent: bytes
) -> None:
    received = raw(penstock, sent, then_end=True)
    assert b"HTTP/1.1 200" not in received
    assert b"Traceback" not in received
    assert healthy(penstock)


@pytest.mark.parametrize("length", [b"abc", b"-1", b"+2", b"1e3", b"9" * 30, b"9" * 5000, b"\xc2\xb2", b"2, 3", b"0x2"])
def test_request_when_its_content_length_is_bad_is_a_bad_request(penstock: PenstockServer, length: bytes) -> None:
    assert raw(penstock, POST + b"Content-Length: " + length + b"\r\n\r\n{}").startswith(b"HTTP/1.1 400 ")
    assert healthy(penstock)


def test_request_when_it_has_two_content_lengths_is_a_bad_request(penstock: PenstockServer) -> None:
    sent = POST + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}x"
    assert raw(penstock, sent).startswith(b"HTTP/1.1 400 ")


def test_request_when_it_has_both_length_and_chunks_is_not_two_requests(penstock: PenstockServer) -> None:
    hidden = b"GET /_penstock/health HTTP/1.1\r\nHost: x\r\n\r\n"
    sent = POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hidden
    received = raw(penstock, sent)
    assert received.count(b"HTTP/1.1 ") == 1
    assert b"HTTP/1.1 200" not in received


@pytest.mark.parametrize("chunk", [b"zz\r\n{}\r\n0\r\n\r\n", b"f" * 20 + b"\r\n", b"-1\r\n", b"2\r\n{}xx0\r\n\r\n"])
def test_request_when_a_chunk_is_bad_is_a_bad_request_or_no_answer(penstock: PenstockServer, chunk: bytes) -> None:
    received = raw(penstock, CHUNKED + chunk)
    assert received == b"" or received.startswith(b"HTTP/1.1 400 ")
    assert healthy(penstock)


def test_request_when_it_has_a_thousand_headers_is_refused(penstock: PenstockServer) -> None:
    many = b"".join(b"X-%d: v\r\n" % number for number in range(1000))
    assert raw(penstock, GET + many + b"\r\n").startswith(b"HTTP/1.1 431 ")
    assert healthy(penstock)


def test_request_when_it_has_as_many_headers_as_an_sdk_sends_is_read(penstock: PenstockServer) -> None:
    many = b"".join(b"X-%d: v\r\n" % number for number in range(60))
    assert raw(penstock, GET + many + LAST).startswith(b"HTTP/1.1 200 ")


def test_request_when_a_header_is_huge_is_refused(penstock: PenstockServer) -> None:
    assert raw(penstock, GET + b"X: " + b"v" * 2_000_000 + b"\r\n\r\n").startswith(b"HTTP/1.1 431 ")
    assert healthy(penstock)


def test_request_when_a_header_is_not_ascii_is_read_all_the_same(penstock: PenstockServer) -> None:
    odd = b"Origin: \xff\xc3\xa9\r\nAuthorization: \xfe\r\nContent-Type: \xfd\r\nX-Amz-Target: \xfc\r\n"
    for method in (b"POST", b"OPTIONS", b"GET"):
        received = raw(penstock, method + b" / HTTP/1.1\r\n" + HOST + b"Content-Length: 0\r\n" + odd + LAST)
        assert received.startswith(b"HTTP/1.1 ")
        assert not received.startswith(b"HTTP/1.1 5")


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_request_when_it_names_no_host_is_answered(penstock: PenstockServer, version: bytes) -> None:
    assert b" 200 OK\r\n" in raw(penstock, b"GET /_penstock/health HTTP/" + version + b"\r\n" + LAST)


def test_request_when_its_target_is_absolute_is_answered(penstock: PenstockServer) -> None:
    sent = b"GET http://other.example/_penstock/health HTTP/1.1\r\n" + HOST + LAST
    assert raw(penstock, sent).startswith(b"HTTP/1.1 200 ")


def test_requests_when_pipelined_are_answered_in_order(penstock: PenstockServer) -> None:
    signed = "".join(f"{name}: {value}\r\n" for name, value in {**SIGNED, "Content-Type": JSON}.items()).encode()
    sent, count = b"", 20
    for number in range(count):
        body = b'{"StreamName":"nope-%d"}' % number
        operation = b"DescribeStream" if number % 3 else b"DescribeStreamSummary"
        sent += POST + signed + b"X-Amz-Target: Kinesis_20131202." + operation
        sent += b"\r\nContent-Length: %d\r\n" % len(body) + (LAST if number == count - 1 else b"\r\n") + body
    received = raw(penstock, sent)
    assert received.count(b"HTTP/1.1 400 ") == count
    places = [received.index(b"Stream nope-%d under" % number) for number in range(count)]
    assert places == sorted(places)


def test_requests_when_one_of_a_pipeline_is_broken_answers_those_before_it(penstock: PenstockServer) -> None:
    received = raw(penstock, (GET + b"\r\n") * 2 + b"garbage\r\n\r\n" + GET + b"\r\n")
    assert received.count(b"HTTP/1.1 200 ") == 2
    assert received.count(b"HTTP/1.1 400 ") == 1


def test_connection_when_the_client_asks_to_close_is_closed(penstock: PenstockServer) -> None:
    assert raw(penstock, GET + LAST).count(b"HTTP/1.1 200 ") == 1


def test_connections_when_hundreds_are_idle_leave_room_for_others(penstock: PenstockServer) -> None:
    links = [socket.create_connection(address(penstock), timeout=ANSWER_S) for _ in range(300)]
    try:
        for link in links[::2]:
            link.sendall(b"POST / HTTP/1.1\r\n")
        assert healthy(penstock)
    finally:
        for link in links:
            link.close()
