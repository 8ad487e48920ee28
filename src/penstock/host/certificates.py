"""A local certificate authority and the server's certificate, made at the first start and kept in the data directory.

Clients trust one file, `<data-dir>/tls/ca.pem`, for as long as the directory lives; the server's certificate is renewed when it nears its
end or the host changes, and when `penstock certs renew` asks for it.  Names that were added by hand stay.
"""

import ipaddress
import os
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

CA_DAYS: Final = 3650
SERVER_DAYS: Final = 397  # what browsers accept
RENEW_DAYS: Final = 30
CLOCK_SLACK: Final = timedelta(days=1)
MARKER_FILE: Final = "server.names"  # what the certificate was made for
EXTRA_FILE: Final = "added.names"  # what was asked for beyond the server's own


class Certificates(NamedTuple):
    """PEM files."""

    ca: Path
    certificate: Path
    key: Path


def ensure_certificates(data_dir: Path, host: str) -> Certificates:
    """The files for a server on `host` (and always localhost), made or renewed where needed.  Keys are the owner's alone."""
    folder = data_dir / "tls"
    files = Certificates(folder / "ca.pem", folder / "server.pem", folder / "server-key.pem")
    names = _names(folder, host)
    marker = folder / MARKER_FILE
    if all(file.exists() for file in (*files, marker)) and _good(files.certificate, marker, names):
        return files
    folder.mkdir(parents=True, exist_ok=True)
    _make(folder, files, names)
    marker.write_text("\n".join(names))
    return files


def renew_certificate(data_dir: Path, host: str, added: Iterable[str]) -> Certificates:
    """A new certificate of the server from the authority that is there, with names added for good.

    Raises FileNotFoundError if there is no authority.  A running server takes the new files up by itself.
    """
    folder = data_dir / "tls"
    if not (folder / "ca-key.pem").exists():
        raise FileNotFoundError(folder)
    extra = folder / EXTRA_FILE
    kept = set(extra.read_text().split()) if extra.exists() else set()
    extra.write_text("\n".join(sorted(kept | set(added))))
    (folder / MARKER_FILE).unlink(missing_ok=True)
    return ensure_certificates(data_dir, host)


def _names(folder: Path, host: str) -> list[str]:
    extra = folder / EXTRA_FILE
    added = extra.read_text().split() if extra.exists() else []
    return sorted({"localhost", "127.0.0.1", "::1", host, *added} - {"0.0.0.0", "::"})  # noqa: S104 - names no host


def _good(certificate: Path, marker: Path, names: list[str]) -> bool:
    from cryptography import x509

    try:
        held = x509.load_pem_x509_certificate(certificate.read_bytes())
    except ValueError:  # half written, or no certificate
        return False
    return marker.read_text() == "\n".join(names) and held.not_valid_after_utc - datetime.now(UTC) > timedelta(
        days=RENEW_DAYS
    )


def _make(folder: Path, files: Certificates, names: list[str]) -> None:
    from cryptography.hazmat.primitives.asymmetric import ec

    ca_key_file = folder / "ca-key.pem"
    if not (ca_key_file.exists() and files.ca.exists()):
        ca_key = ec.generate_private_key(ec.SECP256R1())
        _write_private(ca_key_file, _key_pem(ca_key))
        files.ca.write_bytes(_pem(_certificate("Penstock local CA", ca_key, None, [], CA_DAYS)))
    authority = _load_authority(files.ca, ca_key_file)
    server_key = ec.generate_private_key(ec.SECP256R1())
    certificate = _pem(_certificate("Penstock", server_key, authority, names, SERVER_DAYS))
    new_key, new_certificate = files.key.with_suffix(".new"), files.certificate.with_suffix(".new")
    _write_private(new_key, _key_pem(server_key))
    new_certificate.write_bytes(certificate)
    new_key.replace(files.key)  # whoever reads between these two finds a pair that does not fit, and keeps what it has
    new_certificate.replace(files.certificate)


def _certificate(
    name: str,
    key: "ec.EllipticCurvePrivateKey",
    authority: "tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None",
    hosts: list[str],
    days: int,
) -> "x509.Certificate":
    """A certificate for `hosts`; without an authority, a self-signed one that may sign others."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    issuer, issuer_key = (authority[0].subject, authority[1]) if authority is not None else (subject, key)
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SLACK)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(
            x509.BasicConstraints(ca=authority is None, path_length=0 if authority is None else None), critical=True
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
        .add_extension(_key_usage(signs=authority is None), critical=True)
    )
    if hosts:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([_general_name(host) for host in hosts]), critical=False
        )
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def _key_usage(*, signs: bool) -> "x509.KeyUsage":
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=True, key_cert_sign=signs, crl_sign=signs, content_commitment=False, key_encipherment=False,
        data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _general_name(host: str) -> "x509.GeneralName":
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _load_authority(ca: Path, key: Path) -> "tuple[x509.Certificate, ec.EllipticCurvePrivateKey]":
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    private = load_pem_private_key(key.read_bytes(), None)
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    return x509.load_pem_x509_certificate(ca.read_bytes()), private


def _pem(certificate: "x509.Certificate") -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.PEM)


def _key_pem(key: "ec.EllipticCurvePrivateKey") -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _write_private(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
