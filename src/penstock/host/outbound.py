"""HTTP calls to other machines, by aiohttp.

Theory.  One pool of connections for the whole process, made at the first call: aiohttp costs 0.2 s and some MiB to import, which a server
that calls nobody never pays.  A connection is used again when its answer was read to the end.
Rules of this file: certificates are verified, always; no redirect is followed, no cookie kept (only told), no proxy or netrc looked up,
no answer unpacked; an answer is read to its bound and not further.
"""

import asyncio
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from penstock.core.network import Answer, Call, CallFailed

if TYPE_CHECKING:
    import aiohttp

EXTRA: Final = "pip install 'penstock[firehose]'"
CONNECT_S: Final = 10
CONNECTIONS_PER_HOST_MAX: Final = 64
_PIECE_BYTES: Final = 64 * 1024


class Outbound:
    """The network, for whoever delivers to it."""

    def __init__(self, ca_file: str = "") -> None:
        """`ca_file`: certificates in PEM that are trusted beside the system's."""
        self._ca_file = ca_file
        self._session: aiohttp.ClientSession | None = None

    async def call(self, call: Call) -> Answer:
        """Make one call.  Raises CallFailed."""
        try:
            import aiohttp
            from yarl import URL
        except ImportError:
            raise CallFailed("unreachable", f"deliveries over HTTP need {EXTRA}") from None
        where = _where(call.url)
        try:
            async with asyncio.timeout(call.wait_ms / 1000):
                request = self._pool().request(
                    call.method,
                    URL(call.url, encoded=True),
                    data=call.body,
                    headers=call.headers,
                    allow_redirects=False,
                )
                async with request as response:
                    body = await _read(response, call.answer_max_bytes, where)
                    headers = {name.lower(): value for name, value in response.headers.items()}
                    cookie = "; ".join(f"{name}={crumb.coded_value}" for name, crumb in response.cookies.items())
                    return Answer(response.status, headers, body, cookie)
        except TimeoutError:
            raise CallFailed("timeout", f"{where} did not answer within {call.wait_ms / 1000:g} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise _told(error, where) from None

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()

    def _pool(self) -> "aiohttp.ClientSession":
        if self._session is None:
            import aiohttp

            connector = aiohttp.TCPConnector(limit=0, limit_per_host=CONNECTIONS_PER_HOST_MAX, ssl=trust(self._ca_file))
            self._session = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S),
                auto_decompress=False,
                skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
            )
        return self._session


def trust(ca_file: str) -> ssl.SSLContext:
    """What certificates are believed: the system's, and those of a file.  Raises CallFailed if it cannot be read."""
    try:
        context = ssl.create_default_context()
        if ca_file:
            context.load_verify_locations(cadata=Path(ca_file).read_text("ascii"))
    except (OSError, ValueError) as error:
        raise CallFailed("tls", f"the certificates to trust in {ca_file} cannot be read: {error}") from None
    return context


async def _read(response: "aiohttp.ClientResponse", max_bytes: int, where: str) -> bytes:
    """The answer's body.  One that is too large costs its connection."""
    body = bytearray()
    while piece := await response.content.read(_PIECE_BYTES):
        body += piece
        if len(body) > max_bytes:
            response.close()
            raise CallFailed("too_large", f"{where} answered with more than {max_bytes} bytes")
    return bytes(body)


def _where(url: str) -> str:
    """Whom a URL names: nothing of a path, a query or a user."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    return f"{host}:{port}" if port else host or "the endpoint"


def _told(error: Exception, where: str) -> CallFailed:
    """Why a call failed, in one line.  What aiohttp says is not passed on: it may quote what the other side sent."""
    import aiohttp

    match error:
        case aiohttp.ClientConnectorCertificateError():
            return CallFailed("tls", f"the certificate of {where} is not trusted: {_verdict(error.certificate_error)}")
        case aiohttp.ClientSSLError():
            return CallFailed("tls", f"no TLS with {where}: {type(error.os_error).__name__}")
        case aiohttp.ClientConnectorError() | aiohttp.InvalidURL():
            return CallFailed("unreachable", f"{where} cannot be reached")
        case aiohttp.ClientResponseError() | ValueError():
            return CallFailed("garbage", f"{where} answered with something that is not HTTP")
        case _:
            return CallFailed("cut", f"{where} closed the connection before it had answered")


def _verdict(error: Exception) -> str:
    return getattr(error, "verify_message", "") or type(error).__name__
