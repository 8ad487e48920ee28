"""`penstock certs`: the certificates of a data directory or of the settings, shown and renewed.

Rule of this file: it never asks a server; files are all there is.
"""

import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from penstock.core.settings import SettingError, Settings
from penstock.host.certificate_facts import CertificateFacts, read_certificate, warning
from penstock.host.certificates import renew_certificate
from penstock.host.clock import SystemClock

NAME: Final = re.compile(r"(\*\.)?[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*")


def show(settings: Settings) -> int:
    """Print a table of the certificates; the exit code.  Raises SettingError where one cannot be read."""
    now_ms = SystemClock().now_ms()
    found = [(title, _read(file)) for title, file in _files(settings)]
    sys.stdout.write("\n\n".join(_table(title, facts) for title, facts in found) + "\n")
    told = [text for _, facts in found if (text := warning(facts, now_ms)) is not None]
    for text in told:
        sys.stderr.write(f"penstock: {text}\n")
    return int(bool(told))


def renew(settings: Settings, hosts: Sequence[str]) -> int:
    """Renew the server's certificate with names added; the exit code.  Raises SettingError."""
    for host in hosts:
        if NAME.fullmatch(host) is None:
            raise SettingError(f"--host: {host[:80]!r} must be a name or an address")
    if settings.tls_cert:
        raise SettingError(f"{settings.tls_cert} was given (--tls-cert): whoever made it must renew it")
    try:
        made = renew_certificate(Path(settings.data_dir), settings.host, hosts)
    except FileNotFoundError:
        raise SettingError(f"no local authority in {settings.data_dir}/tls; penstock serve makes one") from None
    except OSError as error:
        raise SettingError(f"cannot renew in {settings.data_dir}/tls: {error.strerror}") from None
    sys.stdout.write(_table("server", _read(made.certificate)) + "\n")
    return 0


def _files(settings: Settings) -> Iterable[tuple[str, Path]]:
    folder = Path(settings.data_dir) / "tls"
    if settings.tls_cert:
        yield "server", Path(settings.tls_cert)
    else:
        yield "local authority", folder / "ca.pem"
        yield "server", folder / "server.pem"
    if settings.tls_client_ca:
        yield "authority of clients", Path(settings.tls_client_ca)


def _read(file: Path) -> CertificateFacts:
    try:
        return read_certificate(file)
    except FileNotFoundError:
        raise SettingError(f"there is no certificate {file}; penstock serve makes one") from None
    except OSError as error:
        raise SettingError(f"cannot read {file}: {error.strerror}") from None
    except ValueError:
        raise SettingError(f"{file} holds no certificate") from None


def _table(title: str, facts: CertificateFacts) -> str:
    rows = [
        ("file", str(facts.file)),
        ("subject", facts.subject),
        ("issuer", facts.issuer),
        ("names", ", ".join(facts.names) or "-"),
        ("begins", f"{facts.begins:%Y-%m-%d %H:%M} UTC"),
        ("ends", f"{facts.ends:%Y-%m-%d %H:%M} UTC"),
        ("sha-256", facts.fingerprint),
    ]
    return "\n".join([title, *(f"  {name:<8} {value}" for name, value in rows)])
