"""POST over HTTP, for what may take minutes: in threads, because the standard library's client blocks.

Rules of this file: an answer is read up to a bound; a connection serves one request.
"""

import asyncio
import http.client
import socket
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final, NamedTuple
from urllib.parse import SplitResult, urlsplit

THREADS: Final = 64
CONNECT_S: Final = 5.0


class CannotPost(Exception):
    """There is no answer; the text says why."""


class TookTooLong(CannotPost):
    """It did not answer in time."""


class Posted(NamedTuple):
    """An answer."""

    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes  # one byte more than the bound where it is longer


class HttpPost:
    """Posts to one server."""

    def __init__(self, url: str) -> None:
        self._url = urlsplit(url)
        self._threads = ThreadPoolExecutor(THREADS, "post")

    async def post(
        self, path: str, body: bytes, headers: Mapping[str, str], patience_s: float, most_bytes: int
    ) -> Posted:
        """The answer to a POST.  Raises CannotPost, TookTooLong."""
        loop = asyncio.get_running_loop()
        one = _One(self._url, patience_s)
        timer = loop.call_later(CONNECT_S + patience_s, one.hang_up)  # who drips bytes is never late for any of them
        try:
            return await loop.run_in_executor(self._threads, one.ask, path, body, dict(headers), most_bytes)
        finally:
            timer.cancel()

    def close(self) -> None:
        """Ask no more; what is under way is not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class _One:
    """One exchange; it runs in a thread."""

    def __init__(self, url: SplitResult, patience_s: float) -> None:
        make = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
        self._connection = make(url.hostname or "", url.port, timeout=CONNECT_S)
        self._patience_s = patience_s
        self._late = False

    def ask(self, path: str, body: bytes, headers: dict[str, str], most_bytes: int) -> Posted:
        """Ask."""
        connection = self._connection
        try:
            connection.connect()
            assert connection.sock is not None
            connection.sock.settimeout(self._patience_s)
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            content = answer.read(most_bytes + 1)
            if self._late:
                raise TimeoutError
            return Posted(answer.status, found, content)
        except (OSError, http.client.HTTPException) as problem:
            if self._late or isinstance(problem, TimeoutError):
                raise TookTooLong(f"no answer within {self._patience_s:.0f} s") from None
            raise CannotPost(str(problem) or type(problem).__name__) from None
        finally:
            connection.close()

    def hang_up(self) -> None:
        """It has had its time."""
        self._late = True
        if self._connection.sock is not None:
            with suppress(OSError):
                self._connection.sock.shutdown(socket.SHUT_RDWR)
