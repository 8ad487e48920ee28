"""A receiver of Firehose's HTTP protocol that takes nothing but what the contract says, and answers as it says."""

import base64
import gzip
import json
import re
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
Script = Callable[[int], tuple[int, str | None]]  # by the number of the request: the status and the errorMessage


class Receiver:
    """What came, and what was wrong with it."""

    def __init__(self, script: Script, access_key: str | None) -> None:
        self.script = script
        self.access_key = access_key
        self.requests: list[dict[str, str]] = []  # headers
        self.bodies: list[bytes] = []  # as they were sent
        self.records: dict[str, list[bytes]] = {}  # by request id: what was taken
        self.complaints: list[str] = []
        self.url = ""

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.read()
        number = len(self.requests)
        self.requests.append(dict(request.headers))
        self.bodies.append(body)
        request_id = request.headers.get("X-Amz-Firehose-Request-Id", "")
        records = self._check(request, body)
        if self.access_key is not None and request.headers.get("X-Amz-Firehose-Access-Key") != self.access_key:
            return self._answer(401, request_id, "Unauthorized")
        status, message = self.script(number)
        if status == 200:
            self.records[request_id] = records
        return self._answer(status, request_id, message)

    def _check(self, request: web.Request, body: bytes) -> list[bytes]:
        headers = request.headers
        self._want(request.method == "POST", "the method is POST")
        self._want(headers.get("X-Amz-Firehose-Protocol-Version") == "1.0", "the version is 1.0")
        self._want(headers.get("Content-Type") == "application/json", "the type is JSON")
        self._want(headers.get("Content-Length") == str(len(body)), "the length is told")
        self._want(UUID.fullmatch(headers.get("X-Amz-Firehose-Request-Id", "")) is not None, "the request id is a UUID")
        self._want(headers.get("X-Amz-Firehose-Source-Arn", "").startswith("arn:aws:firehose:"), "the source is told")
        self._want(headers.get("Content-Encoding") in (None, "gzip"), "the encoding is gzip or none")
        if headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        if "X-Amz-Firehose-Common-Attributes" in headers:
            attributes = json.loads(headers["X-Amz-Firehose-Common-Attributes"])
            self._want(set(attributes) == {"commonAttributes"}, "attributes have one member")
            self._want(len(attributes["commonAttributes"]) <= 50, "there are 50 attributes at most")
        self._want(len(body) <= 64 << 20, "the body has 64 MiB at most")
        document = json.loads(body)
        self._want(set(document) == {"requestId", "timestamp", "records"}, "the body has three members")
        self._want(document["requestId"] == headers.get("X-Amz-Firehose-Request-Id"), "the ids are the same")
        self._want(type(document["timestamp"]) is int and document["timestamp"] > 10**12, "the time is in milliseconds")
        self._want(1 <= len(document["records"]) <= 10_000, "there are 1 to 10,000 records")
        self._want(all(set(record) == {"data"} for record in document["records"]), "records have data alone")
        return [base64.b64decode(record["data"], validate=True) for record in document["records"]]

    def _want(self, kept: bool, rule: str) -> None:
        if not kept:
            self.complaints.append(rule)

    def _answer(self, status: int, request_id: str, message: str | None) -> web.Response:
        said: dict[str, object] = {"requestId": request_id, "timestamp": 1_578_090_903_599}
        if message is not None:
            said["errorMessage"] = message
        return web.json_response(said, status=status)


@asynccontextmanager
async def receiving(
    script: Script = lambda number: (200, None), access_key: str | None = None, context: ssl.SSLContext | None = None
) -> AsyncIterator[Receiver]:
    """A receiver on a free port."""
    receiver = Receiver(script, access_key)
    application = web.Application(client_max_size=100 << 20)
    application.router.add_route("*", "/{path:.*}", receiver.handle)
    runner = web.AppRunner(application, access_log=None, auto_decompress=False)
    await runner.setup()
    site = web.TCPSite(runner, "localhost" if context else "127.0.0.1", 0, ssl_context=context)
    await site.start()
    port = runner.addresses[0][1]
    receiver.url = f"{'https://localhost' if context else 'http://127.0.0.1'}:{port}/ingest?token=s3cr3t-in-url"
    try:
        yield receiver
    finally:
        await runner.cleanup()
