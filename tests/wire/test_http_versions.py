"""HTTP versions and TLS, by curl: the same answers over HTTP/1.1, cleartext HTTP/2 and HTTP/2 over TLS."""

import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from urllib.parse import urlsplit

import h2.config
import h2.connection
import h2.events
import pytest
from http_calls import ANSWER_S, JSON, SIGNED, address

from penstock.testing import PenstockServer

assert shutil.which("curl"), "these tests run the real curl"


@pytest.fixture(scope="module")
def secure() -> Iterator[PenstockServer]:
    """A server that also listens for TLS."""
    with PenstockServer(tls=True) as server:
        yield server


def curl(*arguments: str) -> tuple[str, str, str]:
    """HTTP version, status and body of one call."""
    shown = ["--write-out", "\n%{http_version} %{http_code}"]
    done = subprocess.run(
        ["curl", "--silent", "--show-error", "--max-time", "10", *shown, *arguments],
        capture_output=True,
        text=True,
        check=True,
    )
    body, _, tail = done.stdout.rpartition("\n")
    version, status = tail.split()
    return version, status, body


def signed(operation: str, body: str) -> list[str]:
    headers = {**SIGNED, "Content-Type": JSON, "X-Amz-Target": f"Kinesis_20131202.{operation}"}
    return [*(part for name, value in headers.items() for part in ("-H", f"{name}: {value}")), "--data-binary", body]


@pytest.mark.parametrize(
    ("options", "tls", "version"),
    [
        (["--http1.1"], False, "1.1"),
        (["--http1.0"], False, "1.1"),
        (["--http2-prior-knowledge"], False, "2"),
        (["--http1.1"], True, "1.1"),
        (["--http2"], True, "2"),
        ([], True, "2"),
        (["--tls-max", "1.2"], True, "2"),
        (["--tlsv1.3"], True, "2"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_call_when_made_over_any_http_is_answered_alike(
    secure: PenstockServer, options: list[str], tls: bool, version: str
) -> None:
    base = ["--cacert", secure.ca_bundle, secure.tls_endpoint_url] if tls else [secure.endpoint_url]
    found, status, body = curl(*options, *signed("ListStreams", "{}"), *base)
    assert (found, status) == (version if "--http1.0" not in options else found, "200")
    assert body == '{"StreamNames":[],"HasMoreStreams":false,"StreamSummaries":[]}'
    _, status, body = curl(*options, *signed("DescribeStream", '{"StreamName":"!"}'), *base)
    assert status == "400"
    assert '"__type":"ValidationException"' in body


def test_call_when_many_share_one_http_2_connection_are_all_answered(secure: PenstockServer) -> None:
    count = 20
    headers = {"content-type": JSON, **{name.lower(): value for name, value in SIGNED.items()}}
    client = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
    client.initiate_connection()
    fields = [(":method", "POST"), (":scheme", "http"), (":authority", "localhost"), (":path", "/"), *headers.items()]
    for number in range(count):
        client.send_headers(1 + 2 * number, [*fields, ("x-amz-target", "Kinesis_20131202.DescribeStream")])
    for number in reversed(range(count)):
        client.send_data(1 + 2 * number, b'{"StreamName":"nope-%d"}' % number, end_stream=True)
    bodies: dict[int, bytes] = {}
    ended = 0
    with socket.create_connection(address(secure), timeout=ANSWER_S) as link:
        while ended < count:
            link.sendall(client.data_to_send())
            for event in client.receive_data(link.recv(65536)):
                assert not isinstance(event, h2.events.StreamReset | h2.events.ConnectionTerminated)
                if isinstance(event, h2.events.DataReceived):
                    bodies[event.stream_id] = bodies.get(event.stream_id, b"") + event.data
                ended += isinstance(event, h2.events.StreamEnded)
    for number in range(count):
        assert b"Stream nope-%d under" % number in bodies[1 + 2 * number]


def test_call_when_many_share_one_tls_connection_are_all_answered(secure: PenstockServer) -> None:
    urls = [f"{secure.tls_endpoint_url}/?{number}" for number in range(20)]
    options = ["--http2", "--parallel", "--cacert", secure.ca_bundle]
    done = subprocess.run(
        ["curl", "-sS", "-m", "10", *options, *signed("ListStreams", "{}"), *urls],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.count('"StreamNames":[]') == 20


def handshake(server: PenstockServer, context: ssl.SSLContext) -> ssl.SSLSocket:
    parts = urlsplit(server.tls_endpoint_url)
    assert parts.port is not None
    with socket.create_connection((str(parts.hostname), parts.port), timeout=60) as link:
        return context.wrap_socket(link, server_hostname="localhost")


def test_tls_when_the_client_knows_1_1_only_is_refused(secure: PenstockServer) -> None:
    command = ["curl", "-sS", "-m", "10", "--tls-max", "1.1", "--ciphers", "DEFAULT@SECLEVEL=0"]
    done = subprocess.run(
        [*command, "--cacert", secure.ca_bundle, secure.tls_endpoint_url], capture_output=True, text=True, check=False
    )
    assert done.returncode == 35, done.stderr  # the handshake failed
    assert "alert" in done.stderr, "the server refused, not the client"


@pytest.mark.parametrize(("offered", "chosen"), [(["h2", "http/1.1"], "h2"), (["http/1.1"], "http/1.1"), ([], None)])
def test_tls_when_protocols_are_offered_chooses_http_2_first(
    secure: PenstockServer, offered: list[str], chosen: str | None
) -> None:
    context = ssl.create_default_context(cafile=secure.ca_bundle)
    if offered:
        context.set_alpn_protocols(offered)
    with handshake(secure, context) as link:
        assert link.selected_alpn_protocol() == chosen
        assert link.version() in ("TLSv1.2", "TLSv1.3")


def test_tls_when_the_client_does_not_know_our_authority_is_not_trusted(secure: PenstockServer) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(secure, ssl.create_default_context())


def test_tls_when_plain_http_is_sent_to_its_port_answers_nothing_and_lives_on(secure: PenstockServer) -> None:
    parts = urlsplit(secure.tls_endpoint_url)
    assert parts.port is not None
    with socket.create_connection((str(parts.hostname), parts.port), timeout=60) as link:
        link.sendall(b"GET /_penstock/health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert not link.recv(65536).startswith(b"HTTP/")
    health = secure.tls_endpoint_url + "/_penstock/health"
    assert curl("--cacert", secure.ca_bundle, health)[:2] == ("2", "200")
