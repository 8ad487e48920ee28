"""A collector of Splunk's with indexer acknowledgement: tokens, channels, codes and ackIds as its documentation has them."""

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

TOKEN = "b5a79aad-d822-46cc-80d1-819f80d7bfb0"
UUID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
TEXTS = {
    1: (403, "Token disabled"), 3: (401, "Invalid authorization"), 4: (403, "Invalid token"), 5: (400, "No data"),
    6: (400, "Invalid data format"), 7: (400, "Incorrect index"), 8: (500, "Internal server error"), 9: (503, "Server is busy"),
    10: (400, "Data channel is missing"), 11: (400, "Invalid data channel"), 12: (400, "Event field is required"), 14: (400, "ACK is disabled"),
}  # fmt: skip


class Collector:
    """What it took, and what it acknowledges."""

    def __init__(self, acks_after: int, fails: dict[int, int]) -> None:
        self.acks_after = acks_after  # questions
        self.fails = fails  # by the number of the request: a code of TEXTS
        self.with_acks = True
        self.sticky = False
        self.raw: list[bytes] = []
        self.events: list[object] = []
        self.channels: dict[str, dict[int, int]] = {}  # questions by ackId
        self.requests = 0
        self.questions = 0
        self.url = ""

    async def take(self, request: web.Request) -> web.Response:
        number, self.requests = self.requests, self.requests + 1
        channel = request.headers.get("X-Splunk-Request-Channel", "")
        if problem := self._door(request, channel):
            return refusal(problem)
        if number in self.fails:
            return refusal(self.fails[number])
        body = await request.read()
        if not body:
            return refusal(5)
        if request.path.endswith("/raw"):
            self.raw.append(body)
        elif answer := self._take_events(body):
            return answer
        if not self.with_acks:
            return web.json_response({"text": "Success", "code": 0})
        acks = self.channels.setdefault(channel, {})
        acks[len(acks)] = 0
        answer = web.json_response({"text": "Success", "code": 0, "ackId": len(acks) - 1})
        if self.sticky:
            answer.set_cookie("AWSALB", "indexer-2")
        return answer

    def _take_events(self, body: bytes) -> web.Response | None:
        events: list[object] = []
        text, at = body.decode(), 0
        while at < len(text):
            event, at = json.JSONDecoder().raw_decode(text, at)
            if "event" not in event:
                return refusal(12, len(events))
            events.append(event)
            at = len(text) - len(text[at:].lstrip())
        self.events += events
        return None

    def _door(self, request: web.Request, channel: str) -> int:
        if not request.headers.get("Authorization", "").startswith("Splunk "):
            return 3
        if request.headers["Authorization"] != f"Splunk {TOKEN}":
            return 4
        if not channel:
            return 10
        return 0 if UUID.fullmatch(channel) else 11

    async def acknowledge(self, request: web.Request) -> web.Response:
        self.questions += 1
        channel = request.headers.get("X-Splunk-Request-Channel", "")
        if problem := self._door(request, channel):
            return refusal(problem)
        if not self.with_acks:
            return refusal(14)
        if self.sticky and request.cookies.get("AWSALB") != "indexer-2":
            return web.json_response({"acks": {}})
        asked = json.loads(await request.read())["acks"]
        acks = self.channels.get(channel, {})
        for ack_id in asked:
            acks[ack_id] = acks.get(ack_id, -(10**9)) + 1
        return web.json_response({"acks": {str(ack_id): acks[ack_id] >= self.acks_after for ack_id in asked}})


def refusal(code: int, event: int | None = None) -> web.Response:
    status, text = TEXTS[code]
    document: dict[str, object] = {"text": text, "code": code}
    if event is not None:
        document["invalid-event-number"] = event
    return web.json_response(document, status=status)


@asynccontextmanager
async def collecting(acks_after: int = 1, fails: dict[int, int] | None = None) -> AsyncIterator[Collector]:
    """A collector on a free port."""
    collector = Collector(acks_after, fails or {})
    application = web.Application(client_max_size=20 << 20)
    for door in ("event", "raw"):
        application.router.add_post(f"/services/collector/{door}", collector.take)
    application.router.add_post("/services/collector/ack", collector.acknowledge)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    collector.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield collector
    finally:
        await runner.cleanup()
