"""Small documents from a file or an HTTPS address, read outside the event loop, with a bound on size and time."""

import asyncio
import urllib.request
from http.client import HTTPMessage
from pathlib import Path
from typing import IO, Final
from urllib.parse import urlsplit

DOCUMENT_BYTES_MAX: Final = 256 * 1024
WAIT_S: Final = 5
_SCHEMES: Final = ("http", "https")


class _Secure(urllib.request.HTTPRedirectHandler):
    """Follows no redirect from https to anything else."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> urllib.request.Request | None:
        if urlsplit(req.full_url).scheme == "https" != urlsplit(newurl).scheme:
            raise ValueError(f"is redirected to {newurl}, which is not https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


class CannotFetch(Exception):
    """A document that cannot be had; its text says why."""


async def fetch(source: str) -> bytes:
    """A document, by its path or URL.  Raises CannotFetch."""
    return await asyncio.get_running_loop().run_in_executor(None, _fetch, source)


def _fetch(source: str) -> bytes:
    try:
        if urlsplit(source).scheme in _SCHEMES:
            with urllib.request.build_opener(_Secure).open(source, timeout=WAIT_S) as answer:
                content: bytes = answer.read(DOCUMENT_BYTES_MAX + 1)
        else:
            with Path(source).open("rb") as file:
                content = file.read(DOCUMENT_BYTES_MAX + 1)
    except (OSError, ValueError) as error:
        raise CannotFetch(f"{source}: {error}") from None
    if len(content) > DOCUMENT_BYTES_MAX:
        raise CannotFetch(f"{source}: is larger than {DOCUMENT_BYTES_MAX} bytes")
    return content
