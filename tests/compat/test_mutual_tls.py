"""Mutual TLS, and certificates that change or end under a running server."""

import http.client
import json
import os
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import BotoCoreError
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from plain_calls import post
from test_tls_files import der, given, looked, pair, secure_client

from penstock.host import certificates
from penstock.host.certificate_facts import read_certificate
from penstock.host.certificates import Certificates, renew_certificate
from penstock.host.clock import SystemClock
from penstock.server.trust import LOOK_MS, RENEW_LOOKS
from penstock.testing import PenstockServer

LIST = {
    "x-amz-target": "Kinesis_20131202.ListStreams",
    "content-type": "application/x-amz-json-1.1",
    "authorization": "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/kinesis/aws4_request, SignedHeaders=host, Signature=00",
    "x-amz-date": "20260101T000000Z",
}
DAYS_LEFT = 10
WAIT_S = 60


def health(url: str) -> Any:
    """The page of health, over plain HTTP."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=WAIT_S)
    connection.request("GET", "/_penstock/health")
    answer = json.loads(connection.getresponse().read())
    connection.close()
    return answer


def client_pair(authority: Certificates) -> tuple[str, str]:
    """A client's certificate from an authority, and its key."""
    signer = x509.load_pem_x509_certificate(authority.ca.read_bytes())
    signing_key = load_pem_private_key(authority.ca.with_name("ca-key.pem").read_bytes(), None)
    assert isinstance(signing_key, ec.EllipticCurvePrivateKey)
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "alice")])
    now = datetime.fromtimestamp(SystemClock().now_ms() / 1000, UTC)
    made = (
        x509.CertificateBuilder(signer.subject, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signing_key.public_key()), critical=False)
        .sign(signing_key, hashes.SHA256())
    )
    certificate, private = authority.ca.with_name("client.pem"), authority.ca.with_name("client-key.pem")
    certificate.write_bytes(made.public_bytes(Encoding.PEM))
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return str(certificate), str(private)


def test_mutual_tls_when_a_client_shows_a_good_certificate_is_answered_and_named(tmp_path: Path) -> None:
    files, clients = given(tmp_path, "server"), given(tmp_path, "clients")
    known, log = client_pair(clients), tmp_path / "audit.log"
    with PenstockServer(tls=True, tls_client_ca=str(clients.ca), audit_log=str(log), **pair(files)) as server:
        assert secure_client(server, files.ca, client_cert=known).list_streams()["StreamNames"] == []
        for http2 in (False, True):
            url, ca = server.tls_endpoint_url, str(files.ca)
            assert post(url, LIST, b"{}", http2=http2, ca=ca, client_cert=known).status == 200
        assert health(server.endpoint_url)["tls"]["client_certificates"] is True
    lines = [json.loads(text) for text in log.read_text().splitlines()]
    assert [one["additionalEventData"] for one in lines] == [{"clientCertificateSubject": "commonName=alice"}] * 3


def test_mutual_tls_when_a_client_shows_no_certificate_or_a_strangers_is_refused(tmp_path: Path) -> None:
    files, clients, strangers = (given(tmp_path, name) for name in ("server", "clients", "strangers"))
    with PenstockServer(tls=True, tls_client_ca=str(clients.ca), **pair(files)) as server:
        for shown_by in (None, client_pair(strangers)):
            with pytest.raises(BotoCoreError):
                secure_client(server, files.ca, client_cert=shown_by).list_streams()


@contextmanager
def served(tmp_path: Path, files: Certificates, *more: str) -> Iterator[tuple["subprocess.Popen[bytes]", str, str]]:
    """A server process: it, its plain endpoint and its secure one."""
    command = [sys.executable, "-m", "penstock", "serve", "--engine", "memory", "--port", "0", "--tls-port", "0"]
    command += ["--data-dir", str(tmp_path / "data"), "--tls-cert", str(files.certificate), "--tls-key", str(files.key)]
    process = subprocess.Popen([*command, *more], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path)
    try:
        assert process.stdout is not None
        while b"is ready" not in (said := process.stdout.readline()):
            assert said or process.poll() is None, process.communicate()[1].decode()
        told = json.loads((tmp_path / "data" / "endpoint.json").read_text())
        yield process, told["http"], told["https"]
    finally:
        process.kill()
        process.communicate()


def presented(url: str) -> bytes:
    """The certificate that a new connection is shown."""
    parts = urlsplit(url)
    return ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate((str(parts.hostname), int(parts.port or 0))))


def test_certificate_when_it_changes_and_a_process_gets_sighup_is_shown_at_once(tmp_path: Path) -> None:
    files, took_s = given(tmp_path, "a"), []
    with served(tmp_path, files) as (process, _, secure):
        assert presented(secure) == der(files.certificate)
        assert process.stderr is not None
        for turn in range(10):  # it looks by itself as well, but not so soon each time
            renew_certificate(tmp_path / "a", "127.0.0.1", [f"new{turn}.example"])
            began_s = perf_counter()
            os.kill(process.pid, signal.SIGHUP)
            assert b"new connections get the changed certificate" in process.stderr.readline()
            took_s.append(perf_counter() - began_s)
            assert presented(secure) == der(files.certificate)
            if took_s[-1] < LOOK_MS / 2000:
                break
    assert min(took_s) < LOOK_MS / 2000


def test_certificate_when_it_changes_under_a_process_is_found_by_itself(tmp_path: Path) -> None:
    files = given(tmp_path, "a")
    with served(tmp_path, files, "--testing") as (process, plain, secure):
        renew_certificate(tmp_path / "a", "127.0.0.1", ["new.example"])
        body = json.dumps({"advance_seconds": 6}).encode()
        assert post(plain + "/_penstock/clock", {}, body).status == 200
        assert process.stderr is not None
        assert b"new connections get the changed certificate" in process.stderr.readline()
        assert presented(secure) == der(files.certificate)


def test_certificate_when_it_is_near_its_end_is_renewed_by_a_running_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificates, "SERVER_DAYS", DAYS_LEFT)
    with PenstockServer(tls=True) as server:
        file = Path(server.ca_bundle).with_name("server.pem")
        before = der(file)
        [warned] = health(server.endpoint_url)["tls"]["warnings"]
        assert f"server.pem ends on {read_certificate(file).ends:%Y-%m-%d}" in warned
        monkeypatch.undo()
        for _ in range(4 * RENEW_LOOKS):
            server.clock.advance(seconds=LOOK_MS / 1000)
            if der(file) != before:
                break
        assert looked(server, der(file))
        assert der(file) != before
        assert health(server.endpoint_url)["tls"]["warnings"] == []


def test_certificate_when_given_and_near_its_end_is_warned_of_at_the_start_and_in_health(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(certificates, "SERVER_DAYS", DAYS_LEFT)
    files = given(tmp_path, "a")
    with PenstockServer(tls=True, **pair(files)) as server:
        assert caplog.text.count(f"the certificate {files.certificate} ends on 20") == 1
        server.clock.advance(hours=24 * DAYS_LEFT)
        [text] = health(server.endpoint_url)["tls"]["warnings"]
        assert text.startswith(f"the certificate {files.certificate} ended on 20")
