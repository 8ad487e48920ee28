"""TLS of a port: which versions and protocols, and refusals that are heard.

Theory.  OpenSSL answers a handshake that it refuses with an alert, which tells the client why.  asyncio and uvloop drop it: they close
on the error without writing what OpenSSL left to write.  They do write before they wait for more; so the first error is given to them as
a wish to read, and the alert goes out.
Rule of this file: the second error is the error, so that nobody can feed a handshake that has failed.
"""

import ssl
from pathlib import Path
from typing import Final, NamedTuple

NOT_TLS: Final = ("HTTP_REQUEST", "HTTPS_PROXY_REQUEST", "WRONG_VERSION_NUMBER")  # whose senders know no alert
PROTOCOLS: Final = ("h2", "http/1.1")  # in the order of our liking


class TlsFiles(NamedTuple):
    """PEM files of the certificate and its key."""

    certificate: Path
    key: Path


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


def server_context(tls: TlsFiles) -> ssl.SSLContext:
    """How a port speaks TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(tls.certificate, tls.key)
    context.set_alpn_protocols(PROTOCOLS)
    context.sslobject_class = _Outspoken
    return context
