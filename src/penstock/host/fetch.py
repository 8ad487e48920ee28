"""Small documents from a file or an HTTPS address, read outside the event loop, with a bound on size and time."""

import asyncio
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from http.client import HTTPMessage
    from urllib.request import OpenerDirector, Request

DOCUMENT_BYTES_MAX: Final = 256 * 1024
WAIT_S: Final = 5
_SCHEMES: Final = ("http", "https")


class CannotFetch(Exception):
    """A document that cannot be had; its text says why."""


async def fetch(source: str) -> bytes:
    """A document, by its path or URL.  Raises CannotFetch."""
    return await asyncio.get_running_loop().run_in_executor(None, _fetch, source)


def _fetch(source: str) -> bytes:
    try:
        if urlsplit(source).scheme in _SCHEMES:
            with _opener().open(source, timeout=WAIT_S) as answer:
                content: bytes = answer.read(DOCUMENT_BYTES_MAX + 1)
        else:
            with Path(source).open("rb") as file:
                content = file.read(DOCUMENT_BYTES_MAX + 1)
    except (OSError, ValueError) as error:
        raise CannotFetch(f"{source}: {error}") from None
    if len(content) > DOCUMENT_BYTES_MAX:
        raise CannotFetch(f"{source}: is larger than {DOCUMENT_BYTES_MAX} bytes")
    return content


def _opener() -> "OpenerDirector":
    """Who follows no redirect from https to anything else; imported by the first document that comes from afar."""
    from urllib.request import HTTPRedirectHandler, build_opener

    class Secure(HTTPRedirectHandler):
        def redirect_request(
            self, req: "Request", fp: IO[bytes], code: int, msg: str, headers: "HTTPMessage", newurl: str
        ) -> "Request | None":
            if urlsplit(req.full_url).scheme == "https" != urlsplit(newurl).scheme:
                raise ValueError(f"is redirected to {newurl}, which is not https")
            return super().redirect_request(req, fp, code, msg, headers, newurl)

    return build_opener(Secure)
