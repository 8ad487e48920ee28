"""TLS of a port: which versions and protocols, and refusals that are heard.

Theory.  OpenSSL answers a handshake that it refuses with an alert, which tells the client why.  asyncio and uvloop drop it: they close
on the error without writing what OpenSSL left to write.  They do write before they wait for more; so the first error is given to them as
a wish to read, and the alert goes out.
A port's certificate can change under it: its context makes no connections itself, it has the newest one make them.  So what is loaded
is used whole or not at all, old connections keep what they began with, and an authority that was taken away is trusted no more.
Rules of this file:
  1. The second error is the error, so that nobody can feed a handshake that has failed.
  2. Files that cannot be used end the start of a server, and change nothing in a running one.
"""

import logging
import ssl
from pathlib import Path
from typing import Final, NamedTuple

NOT_TLS: Final = ("HTTP_REQUEST", "HTTPS_PROXY_REQUEST", "WRONG_VERSION_NUMBER")  # whose senders know no alert
PROTOCOLS: Final = ("h2", "http/1.1")  # in the order of our liking


logger = logging.getLogger(__name__)


class UnusableFiles(Exception):
    """Files that make no context; its text is one line."""


class TlsFiles(NamedTuple):
    """PEM files of the certificate and its key, and of the authorities that clients must be known to, if they must."""

    certificate: Path
    key: Path
    client_ca: Path | None = None


class _Outspoken(ssl.SSLObject):
    """A connection whose refusal of a handshake reaches the client."""

    _refused = False

    def do_handshake(self) -> None:
        """Go on with the handshake."""
        try:
            super().do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError as error:
            if self._refused or error.reason in NOT_TLS:
                raise
            self._refused = True
            raise ssl.SSLWantReadError from None


class _Changing(ssl.SSLContext):
    """The context that a port holds."""

    newest: ssl.SSLContext

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """A connection, made by the newest."""
        return self.newest.wrap_bio(incoming, outgoing, server_side, server_hostname, session)


class PortTls:
    """How a port speaks TLS, now."""

    def __init__(self, files: TlsFiles) -> None:
        """Load the files.  Raises UnusableFiles."""
        self._files = files
        self._seen = _seen(files)
        self.context = _Changing(ssl.PROTOCOL_TLS_SERVER)
        self.context.newest = _load(files)

    def reload(self) -> bool:
        """Take up files that have changed; whether new connections will get them."""
        seen = _seen(self._files)
        if seen == self._seen:
            return False
        self._seen = seen
        try:
            self.context.newest = _load(self._files)
        except UnusableFiles as error:
            logger.warning("%s; the certificate that was loaded before stays", error)
            return False
        logger.info("new connections get the changed certificate of %s", self._files.certificate)
        return True


def _seen(files: TlsFiles) -> list[tuple[int, int, int] | None]:
    """What changes when a file does."""
    found: list[tuple[int, int, int] | None] = []
    for path in files:
        try:
            facts = path.stat() if path is not None else None
        except OSError:
            facts = None
        found.append((facts.st_mtime_ns, facts.st_size, facts.st_ino) if facts is not None else None)
    return found


def _load(files: TlsFiles) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    loading = f"{files.certificate} and {files.key}"
    try:
        context.load_cert_chain(files.certificate, files.key, password=_no_passphrase)
        if files.client_ca is not None:
            loading = str(files.client_ca)
            context.load_verify_locations(files.client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ValueError) as error:  # of OpenSSL's too
        why = error.strerror if type(error) is FileNotFoundError else getattr(error, "reason", None) or str(error)
        raise UnusableFiles(f"cannot use {loading} for TLS: {why}") from None
    context.set_alpn_protocols(PROTOCOLS)
    context.sslobject_class = _Outspoken
    return context


def _no_passphrase() -> str:
    """Instead of asking for one at the terminal."""
    raise ValueError("the key has a passphrase")
