"""What a certificate says of itself: whose it is, for which names, until when.

Rule of this file: it reads certificates and never keys.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from cryptography import x509

WARN_DAYS: Final = 30


class CertificateFacts(NamedTuple):
    """One certificate."""

    file: Path
    subject: str
    issuer: str
    names: tuple[str, ...]  # DNS names and addresses
    begins: datetime
    ends: datetime
    fingerprint: str  # SHA-256, as `openssl x509 -fingerprint -sha256` writes it


def read_certificate(file: Path) -> CertificateFacts:
    """The first certificate of a PEM file.  Raises OSError, and ValueError where there is none."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    held = x509.load_pem_x509_certificate(file.read_bytes())
    return CertificateFacts(
        file=file,
        subject=held.subject.rfc4514_string(),
        issuer=held.issuer.rfc4514_string(),
        names=_names(held),
        begins=held.not_valid_before_utc,
        ends=held.not_valid_after_utc,
        fingerprint=held.fingerprint(hashes.SHA256()).hex(":").upper(),
    )


def warning(facts: CertificateFacts, now_ms: int) -> str | None:
    """What to tell of a certificate that has ended, or will within WARN_DAYS."""
    now = datetime.fromtimestamp(now_ms / 1000, UTC)
    day = f"{facts.ends:%Y-%m-%d %H:%M} UTC"
    if facts.ends <= now:
        return f"the certificate {facts.file} ended on {day}"
    if facts.begins > now:
        return f"the certificate {facts.file} is not valid before {facts.begins:%Y-%m-%d %H:%M} UTC"
    return f"the certificate {facts.file} ends on {day}" if facts.ends - now < timedelta(days=WARN_DAYS) else None


def _names(certificate: "x509.Certificate") -> tuple[str, ...]:
    from cryptography import x509

    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    addresses = names.get_values_for_type(x509.IPAddress)
    return (*names.get_values_for_type(x509.DNSName), *map(str, addresses))
