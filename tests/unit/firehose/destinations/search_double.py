"""A cluster that takes `_bulk` as OpenSearch does: strict about lines, actions and names, with a verdict for each document."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

Verdict = Callable[[dict[str, Any]], tuple[int, dict[str, str] | None]]  # of a document: status, error
MAPPING_ERROR = {"type": "mapper_parsing_exception", "reason": "failed to parse field [n] of type [long]"}
BUSY = {"type": "es_rejected_execution_exception", "reason": "rejected execution of coordinating operation"}


class Cluster:
    """Its documents, and what it was asked."""

    def __init__(self, verdict: Verdict, max_bytes: int) -> None:
        self.verdict = verdict
        self.max_bytes = max_bytes
        self.documents: dict[tuple[str, str], Any] = {}  # by index and id
        self.types: set[str] = set()
        self.requests: list[dict[str, str]] = []
        self.bodies: list[bytes] = []
        self.whole: int | None = None  # a status for every request as a whole
        self.url = ""

    async def bulk(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.requests.append(dict(request.headers))
        self.bodies.append(body)
        if self.whole is not None:
            return web.json_response({"error": {"type": "refused"}, "status": self.whole}, status=self.whole)
        if len(body) > self.max_bytes:
            return web.Response(status=413)
        if request.content_type not in ("application/x-ndjson", "application/json") or not body.endswith(b"\n"):
            return web.json_response({"error": "The bulk request must be terminated by a newline [\\n]"}, status=400)
        lines = body[:-1].split(b"\n")
        if len(lines) % 2:
            return web.json_response({"error": "Malformed action/metadata line"}, status=400)
        items = [
            self._index(json.loads(action), json.loads(text))
            for action, text in zip(lines[::2], lines[1::2], strict=True)
        ]
        return web.json_response({"took": 1, "errors": any("error" in item["index"] for item in items), "items": items})

    def _index(self, action: dict[str, Any], document: Any) -> dict[str, Any]:
        assert set(action) == {"index"}, "nothing but index is asked"
        names = action["index"]
        assert set(names) <= {"_index", "_id", "_type"}
        assert names["_index"] == names["_index"].lower()
        assert isinstance(document, dict)
        self.types.add(names.get("_type", "_doc"))
        status, error = self.verdict(document)
        if error is not None:
            return {"index": {"status": status, "error": error}}
        identity = names.get("_id") or f"made-{len(self.documents)}"
        self.documents[names["_index"], identity] = document
        return {"index": {"status": status}}


@asynccontextmanager
async def clustered(
    verdict: Verdict = lambda document: (201, None), max_bytes: int = 100 << 20
) -> AsyncIterator[Cluster]:
    """A cluster on a free port."""
    cluster = Cluster(verdict, max_bytes)
    application = web.Application(client_max_size=200 << 20)
    application.router.add_post("/_bulk", cluster.bulk)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    cluster.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield cluster
    finally:
        await runner.cleanup()
