"""POST requests whose every byte the test decides, over HTTP/1.1 and HTTP/2, plain and TLS."""

import http.client
import json
import socket
import ssl
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import h2.config
import h2.connection
import h2.events

WAIT_S = 60


class Reply(NamedTuple):
    """An answer."""

    status: int
    body: bytes

    def json(self) -> Any:
        """Its document."""
        return json.loads(self.body)


def post(
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    http2: bool = False,
    ca: str | None = None,
    client_cert: tuple[str, str] | None = None,
) -> Reply:
    """Send a request; an `https` url needs the CA's path, and `client_cert` are files of a certificate and its key."""
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    trusting = ssl.create_default_context(cafile=ca) if parts.scheme == "https" else None
    if trusting is not None and client_cert is not None:
        trusting.load_cert_chain(*client_cert)
    if http2:
        return _over_http2(parts.hostname or "", parts.port or 0, target, headers, body, trusting)
    plain = http.client.HTTPConnection(parts.netloc, timeout=WAIT_S)
    made = plain if trusting is None else http.client.HTTPSConnection(parts.netloc, timeout=WAIT_S, context=trusting)
    try:
        made.request("POST", target, body, dict(headers))
        answer = made.getresponse()
        return Reply(answer.status, answer.read())
    finally:
        made.close()


def _over_http2(
    host: str, port: int, target: str, headers: Mapping[str, str], body: bytes, trusting: ssl.SSLContext | None
) -> Reply:
    connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding=False))
    sock = socket.create_connection((host, port), timeout=WAIT_S)
    if trusting is not None:
        trusting.set_alpn_protocols(["h2"])
        sock = trusting.wrap_socket(sock, server_hostname=host)
    with sock:
        connection.initiate_connection()
        scheme = "http" if trusting is None else "https"
        pseudo = [(":method", "POST"), (":path", target), (":scheme", scheme), (":authority", f"{host}:{port}")]
        connection.send_headers(1, [*pseudo, *((name.lower(), value) for name, value in headers.items())])
        connection.send_data(1, body, end_stream=True)
        sock.sendall(connection.data_to_send())
        status, pieces = 0, b""
        while True:
            for event in connection.receive_data(sock.recv(65536)):
                if isinstance(event, h2.events.ResponseReceived):
                    status = int(dict(event.headers)[b":status"])
                elif isinstance(event, h2.events.DataReceived):
                    pieces += event.data
                elif isinstance(event, h2.events.StreamEnded):
                    return Reply(status, pieces)
            sock.sendall(connection.data_to_send())
