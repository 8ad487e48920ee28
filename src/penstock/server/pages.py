"""The server's own pages: health, metrics, and under --testing the controls that tests use.

`GET /_penstock/health`, `GET /_penstock/traffic`, `GET /metrics`; with --testing `POST /_penstock/reset` (alias `/moto-api/reset`),
`GET` and `POST /_penstock/clock`, `POST` and `DELETE /_penstock/faults`.
What services give away by links lies under paths of its own.  With `--auth enforced` all but health are for this machine only.
"""

import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from types import MappingProxyType
from typing import Any, Final

import msgspec

from penstock.core.settings import is_loopback
from penstock.server.exchange import Answer
from penstock.wire.route import Head

logger = logging.getLogger(__name__)

HEALTH: Final = "/_penstock/health"
CODE: Final = "/_penstock/functions/code/"  # of functions; what follows is a link of theirs

Page = Callable[[bytes], Awaitable[Answer]]  # of the body
View = Callable[[Mapping[str, str]], Awaitable[Answer]]  # of the query
File = Callable[[str], Awaitable[Answer]]  # of the rest of a path, which is its own proof


class BadPageRequest(Exception):
    """A body that a page cannot use; its text is told."""


class Pages:
    """Answers requests to the server's own paths, and passes the others on."""

    def __init__(
        self,
        pages: Mapping[tuple[str, str], Page],
        views: Mapping[str, View],  # by path; GET only
        services: Callable[[Head, bytes], Coroutine[Any, Any, Answer]],
        *,
        files: Mapping[str, File] = MappingProxyType({}),  # by the beginning of their paths; GET only
        private: bool = False,  # only who is on this machine gets more than health
    ) -> None:
        self._pages = pages
        self._views = views
        self._paths = {path for _, path in pages} | {*views}
        self._files = files
        self._services = services
        self._private = private

    def handle(self, head: Head, body: bytes) -> Coroutine[Any, Any, Answer]:
        """Answer one request.  What is plainly a call of a service is handed on without a coroutine of our own in between."""
        if head.method == "POST" and head.path == "/":
            return self._services(head, body)
        return self._answer(head, body)

    async def _answer(self, head: Head, body: bytes) -> Answer:
        page = self._find(head)
        if page is None:
            file = self._find_file(head)
            if file is not None:
                return await file
            if head.path in self._paths and "x-amz-target" not in head.headers:
                return json_answer({"message": f"{head.path} does not take {head.method}"}, 405)
            if head.path.startswith(("/_penstock/", "/moto-api/")):
                return json_answer({"message": f"no page {head.path}; the test controls need --testing"}, 404)
            return await self._services(head, body)
        if self._private and head.path != HEALTH and (head.peer is None or not is_loopback(head.peer.address)):
            return json_answer({"message": f"{head.path} is answered on this machine only"}, 403)
        try:
            return await page(body)
        except (BadPageRequest, msgspec.MsgspecError, UnicodeDecodeError) as error:
            return json_answer({"message": str(error)}, 400)
        except Exception:
            logger.exception("%s %s failed", head.method, head.path)
            return json_answer({"message": "internal failure"}, 500)

    def _find_file(self, head: Head) -> Awaitable[Answer] | None:
        for prefix, file in self._files.items():
            if head.method == "GET" and head.path.startswith(prefix):
                return file(head.path.removeprefix(prefix))
        return None

    def _find(self, head: Head) -> Page | None:
        view = self._views.get(head.path)
        if view is not None and head.method == "GET":
            return lambda _: view(head.query)
        return self._pages.get((head.method, head.path))


def json_answer(document: Any, status: int = 200) -> Answer:
    """A page's answer in JSON."""
    return Answer(status, [("content-type", "application/json")], msgspec.json.encode(document))
