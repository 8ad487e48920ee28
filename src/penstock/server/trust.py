"""The certificates of one server: which files, when they end, and taking up new ones.

Theory.  Certificates are either given (`--tls-cert`), and then somebody else renews them, or come from the authority in the data
directory, and then we do.  Either way files change, and a look every few seconds finds it; so does SIGHUP.
Rule of this file: nothing here ends a server that runs.
"""

import logging
from pathlib import Path
from typing import Any, Final, Protocol

from penstock.core.ports import Clock
from penstock.core.settings import Settings
from penstock.host.certificate_facts import CertificateFacts, read_certificate, warning
from penstock.host.certificates import ensure_certificates
from penstock.server.tls import TlsFiles

logger = logging.getLogger(__name__)

LOOK_MS: Final = 5_000
RENEW_LOOKS: Final = 720  # once an hour


class Ports(Protocol):
    """What listens."""

    def reload_tls(self) -> bool:
        """Take up certificates whose files have changed."""
        ...


class Trust:
    """The files that a server shows, and those that it asks its clients for."""

    def __init__(self, settings: Settings, data_dir: Path) -> None:
        """Find the files; make those of the local authority where they are missing or near their end.  Raises OSError."""
        self._data_dir = data_dir
        self._host = settings.host
        client_ca = Path(settings.tls_client_ca) if settings.tls_client_ca else None
        self.ca: Path | None = None  # what clients must be told to trust
        if settings.tls_cert:
            self.files = TlsFiles(Path(settings.tls_cert), Path(settings.tls_key), client_ca)
        else:
            own = ensure_certificates(data_dir, settings.host)
            self.ca = own.ca
            self.files = TlsFiles(own.certificate, own.key, client_ca)

    def warnings(self, now_ms: int) -> list[str]:
        """What is wrong with the validity of the certificates."""
        told = [warning(facts, now_ms) for facts in self._facts()]
        return [text for text in told if text is not None]

    def health(self, now_ms: int) -> dict[str, Any]:
        """For the page of health."""
        facts = next(iter(self._facts()), None)
        return {
            "expires": f"{facts.ends:%Y-%m-%dT%H:%M:%SZ}" if facts is not None else None,
            "fingerprint": facts.fingerprint if facts is not None else None,
            "client_certificates": self.files.client_ca is not None,
            "warnings": self.warnings(now_ms),
        }

    def look(self, listener: Ports, *, renew: bool = False) -> None:
        """Renew our own certificate if it is near its end, and take up what changed."""
        if renew and self.ca is not None:
            try:
                ensure_certificates(self._data_dir, self._host)
            except OSError as error:
                logger.warning("the certificate could not be renewed: %s", error)
        listener.reload_tls()

    async def look_after(self, listener: Ports, clock: Clock) -> None:
        """Look every few seconds, for as long as the server runs."""
        looks = 0
        while True:
            await clock.sleep(LOOK_MS)
            looks += 1
            renew = looks % RENEW_LOOKS == 0
            self.look(listener, renew=renew)
            if renew:
                self.warn(clock.now_ms())

    def warn(self, now_ms: int) -> None:
        """Log what is wrong."""
        for text in self.warnings(now_ms):
            logger.warning("%s", text)

    def _facts(self) -> list[CertificateFacts]:
        found = []
        for file in (self.files.certificate, self.ca):
            try:
                if file is not None:
                    found.append(read_certificate(file))
            except (OSError, ValueError):
                logger.debug("cannot read %s", file)
        return found
