"""Targets that stand where a client does: the exchange behind the listener, and a connection's bytes."""

import asyncio
from typing import Final

from documented import SERVICES, read_refusal, read_success, undocumented
from frames import GOAWAY, RST_STREAM, error_of
from fuzz_world import Reply, World
from http2_tapes import Http2Client
from tapes import Client, turn

from penstock.server.exchange import Answer
from penstock.server.http1 import Malformed, parse_head
from penstock.server.http2.frames import FRAME_MAX_BYTES
from penstock.server.traffic import Bounds, Handlers
from penstock.wire.route import Head

SERVICES_BY_PREFIX: Final = {
    "Kinesis_20131202": "kinesis", "TrentService": "kms", "GraniteServiceVersion20100801": "cloudwatch",
}  # fmt: skip
HEAD_END: Final = b"\r\n\r\n"
SMALL: Final = Bounds(head_max_bytes=4096, headers_max=20, body_max_bytes=64 * 1024, bodies_max_bytes=256 * 1024)
HTTP2_CODES: Final = frozenset({0, 1, 3, 5, 6, 7, 8, 9, 11})  # of HTTP/2, but for INTERNAL_ERROR
STATUSES: Final = frozenset({100, 200, 400, 408, 413, 431, 503})


class OpenExchange:
    """A request of HTTP/1.1 as bytes, believed."""

    def __init__(self) -> None:
        self.world = World("open")

    def close(self) -> None:
        """Stop the server."""
        self.world.close()

    def __call__(self, data: bytes) -> None:
        head, body = request_of(data)
        if head is not None:
            judge(head, self.world.ask(head, body))


class EnforcedExchange:
    """A byte that chooses who signs, then a request: the root, a user with a policy, or whoever it says."""

    def __init__(self) -> None:
        self.world = World("enforced")

    def close(self) -> None:
        """Stop the server."""
        self.world.close()

    def __call__(self, data: bytes) -> None:
        head, body = request_of(data[1:])
        if head is None:
            return
        signer = data[0] % 3
        if signer < 2 and "X-Amz-Algorithm" not in head.query:
            service = _service(head)
            head = self.world.signed(head, body, service or ("iam" if b"2010-05-08" in body else "sts"), signer)
        judge(head, self.world.ask(head, body))


def judge(head: Head, reply: Reply) -> None:
    """Hold an answer against what its operation documents."""
    assert reply.status < 500, reply
    service, operation = _service(head), head.headers.get("x-amz-target", "").rpartition(".")[2]
    if service is None or operation not in SERVICES[service].model.operations:
        service = None
    if service is not None and reply.content_type.startswith("application/x-amz"):
        problem = undocumented(service, operation, reply.status, reply.content_type, reply.body)
        assert problem is None, problem
        return
    if reply.status == 200:
        read_success(reply.content_type, reply.body)
    else:
        read_refusal(reply.content_type, reply.body)


def _service(head: Head) -> str | None:
    return SERVICES_BY_PREFIX.get(head.headers.get("x-amz-target", "").rpartition(".")[0])


def request_of(data: bytes) -> tuple[Head | None, bytes]:
    """A head and all that follows it; lines may end in a bare LF, which spares the fuzzer from finding the other."""
    head, found, body = data.partition(HEAD_END)
    if not found:
        head, _, body = data.partition(b"\n\n")
        head = head.replace(b"\n", b"\r\n")
    try:
        return parse_head(head).head, body
    except Malformed as refused:
        assert refused.status in (400, 431)
        return None, b""


class ConnectionBytes:
    """Bytes on a connection, whole and cut into pieces: no answer that is ours to be ashamed of, and the same ones either way.

    The first byte tells where to cut.
    """

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()

    def close(self) -> None:
        """Close the loop."""
        self._loop.close()

    def __call__(self, data: bytes) -> None:
        if len(data) < 2:
            return
        step = data[0] % 61 + 1
        sent = data[1:]
        whole = self._loop.run_until_complete(_talk([sent]))
        pieces = [sent[at : at + step] for at in range(0, len(sent), step)]
        cut = self._loop.run_until_complete(_talk(pieces))
        assert STATUSES.issuperset(whole[0]), whole
        assert [status for status in whole[0] if status != 100] == [status for status in cut[0] if status != 100]
        assert whole[1] == cut[1]


class Http2Bytes:
    """Frames on a connection, whole and cut into pieces: it says nothing that is ours to be ashamed of, and holds little.

    The first byte tells where to cut; the preface and the first SETTINGS are there.  How it ends may differ: what has been answered when
    a frame comes decides what that means.
    """

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()

    def close(self) -> None:
        """Close the loop."""
        self._loop.close()

    def __call__(self, data: bytes) -> None:
        if len(data) < 2:
            return
        step = data[0] % 61 + 1
        sent = data[1:]
        self._loop.run_until_complete(_talk_frames([sent]))
        self._loop.run_until_complete(_talk_frames([sent[at : at + step] for at in range(0, len(sent), step)]))


async def _talk_frames(pieces: list[bytes]) -> None:
    client = Http2Client(bounds=SMALL)
    try:
        found = await client.send(*pieces)
        resets = {error_of([each], RST_STREAM) for each in found if each.kind == RST_STREAM}
        assert resets <= HTTP2_CODES, resets
        assert {error_of([each], GOAWAY) for each in found if each.kind == GOAWAY} <= HTTP2_CODES
        assert len(client.connection._frames._held) <= FRAME_MAX_BYTES + 9
    finally:
        if not client.tape.closed:
            client.connection.abort()
        await turn()
        await client.stop()


async def _talk(pieces: list[bytes]) -> tuple[list[int], list[tuple[str, str, bytes]]]:
    """The statuses of the answers to some pieces, and the requests that were read from them."""
    seen: list[tuple[str, str, bytes]] = []

    async def handle(head: Head, body: bytes) -> Answer:
        seen.append((head.method, head.path, body))
        return Answer(200, [], b"")

    handlers = Handlers(handle, lambda _, error: _plain(error.status), _plain)
    client = Client(handlers, bounds=SMALL)
    try:
        await client.send(*pieces)
        await client.end()
        assert len(client.connection._held) <= SMALL.head_max_bytes + max(map(len, pieces))
    finally:
        if not client.tape.closed:
            client.connection.abort()
        await turn()
        await client.traffic.stop()
    return client.statuses, seen


def _plain(status: int) -> Answer:
    return Answer(status, [], b"")
