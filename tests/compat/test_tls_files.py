"""Given certificates, renewal under a running server, and the audit log, as boto3 and the command line meet them."""

import json
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from penstock.host.certificates import Certificates, ensure_certificates, renew_certificate
from penstock.testing import PenstockServer

PENSTOCK = str(Path(sys.executable).with_name("penstock"))


def given(tmp_path: Path, name: str) -> Certificates:
    return ensure_certificates(tmp_path / name, "127.0.0.1")


def pair(files: Certificates) -> dict[str, str]:
    return {"tls_cert": str(files.certificate), "tls_key": str(files.key)}


def secure_client(server: PenstockServer, ca: Path, **more: Any) -> Any:
    config = Config(retries={"total_max_attempts": 1}, **more)
    return server.client(endpoint_url=server.tls_endpoint_url, verify=str(ca), config=config)


def shown(server: PenstockServer) -> bytes:
    """The certificate that a new connection is shown."""
    host, port = server.tls_endpoint_url.removeprefix("https://").split(":")
    return ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate((host, int(port))))


def der(file: Path) -> bytes:
    return ssl.PEM_cert_to_DER_cert(file.read_text())


def looked(server: PenstockServer, expected: bytes) -> bool:
    """Whether a new connection gets this certificate, once the server has looked."""
    server.clock.advance(seconds=6)
    return any(shown(server) == expected for _ in range(50))


def test_certificates_when_given_and_changed_are_shown_to_new_connections_and_broken_ones_are_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = given(tmp_path, "a")
    with PenstockServer(tls=True, **pair(files)) as server:
        client = secure_client(server, files.ca)
        assert client.list_streams()["StreamNames"] == []
        before = der(files.certificate)
        assert shown(server) == before
        renew_certificate(tmp_path / "a", "127.0.0.1", ["new.example"])
        assert der(files.certificate) != before
        assert looked(server, der(files.certificate))
        assert client.list_streams()["StreamNames"] == [], "the old connection lives on"
        good = der(files.certificate)
        files.certificate.write_text("no certificate")
        assert looked(server, good)
        for _ in range(3):
            assert looked(server, good)
        assert caplog.text.count("the certificate that was loaded before stays") == 1


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--tls-cert", "x"], "--tls-cert: --tls-cert and --tls-key go together"),
        (["--tls-cert", "x", "--tls-key", "x"], "cannot use x and x for TLS: No such file or directory"),
        (["--tls-client-ca", "x", "--no-tls"], "--tls-client-ca: there is no TLS with --no-tls"),
        (["--audit-data"], "--audit-data: there is no audit log without --audit-log"),
        (["--audit-log", "/dev/null/x"], "cannot use --audit-log /dev/null/x: Not a directory"),
        (["--host", "::"], "--host: :: is reachable from other machines"),
        (["--host", "example.org"], "--host: example.org is reachable from other machines"),
    ],
)
def test_serve_when_files_or_addresses_cannot_be_used_says_so_in_a_line(
    tmp_path: Path, words: list[str], line: str
) -> None:
    command = [
        PENSTOCK,
        "serve",
        "--port",
        "0",
        "--engine",
        "memory",
        *(["--tls-port", "0"] if "--no-tls" not in words else []),
    ]
    done = subprocess.run([*command, *words], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith(f"penstock: {line}")


def test_certs_when_renewed_shows_the_names_that_were_added_and_keeps_them(tmp_path: Path) -> None:
    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [PENSTOCK, "certs", "--data-dir", "d", *words],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    assert (run().returncode, run("renew").returncode) == (2, 2), "there is nothing yet"
    ensure_certificates(tmp_path / "d", "127.0.0.1")
    before = run()
    assert before.returncode == 0
    assert "names    localhost, 127.0.0.1, ::1\n" in before.stdout
    assert before.stdout.count("sha-256") == 2
    assert run("renew", "--host", "a.example", "--host", "10.0.0.1").returncode == 0
    assert run("renew", "--host", "a b").returncode == 2
    ensure_certificates(tmp_path / "d", "127.0.0.1")
    assert "names    a.example, localhost, 10.0.0.1, 127.0.0.1, ::1\n" in run().stdout


def test_audit_when_calls_are_made_tells_who_did_what_and_no_secret(tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    with PenstockServer(audit_log=str(log)) as server:
        client = server.client(config=Config(retries={"total_max_attempts": 1}))
        client.create_stream(StreamName="s", ShardCount=1, Tags={"Env": "x"})
        client.put_record(StreamName="s", Data=b"customer", PartitionKey="customer")
        with pytest.raises(ClientError):
            client.describe_stream(StreamName="none")
        log.rename(tmp_path / "old.log")
        client.list_streams()
    old = [json.loads(line) for line in (tmp_path / "old.log").read_text().splitlines()]
    lines = old + [json.loads(line) for line in (log.read_text() if log.exists() else "").splitlines()]
    assert [line["eventName"] for line in lines] == ["CreateStream", "DescribeStream", "ListStreams"]
    created, described, _ = lines
    assert created["requestParameters"].items() >= {"streamName": "s", "shardCount": 1, "tags": {"Env": "x"}}.items()
    assert created["userIdentity"] == {
        "type": "Root", "arn": "arn:aws:iam::123456789012:root", "accountId": "123456789012", "accessKeyId": "test",
    }  # fmt: skip
    assert (created["readOnly"], created["sourceIPAddress"], created["awsRegion"]) == (False, "127.0.0.1", "us-east-1")
    assert created["eventSource"] == "kinesis.amazonaws.com"
    assert (described["errorCode"], described["readOnly"]) == ("ResourceNotFoundException", True)
    assert "customer" not in json.dumps(lines)
