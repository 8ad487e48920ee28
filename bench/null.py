"""The baseline: a responder that does nothing.  It reads a request to its end, keeps none of it, and answers fixed bytes.

What the load generator reaches against it is what the generator can do at least; what it reaches against a server is compared with
that.  The answers are as long as a real server's and pass the same checks.

`python -m bench.null --port N` serves until it is ended.
"""

import asyncio
import base64
import json
import re
from typing import Any, Final, cast

import click
import uvloop

from bench import payload
from bench.load import HOST
from bench.payload import PAGE_RECORD_BYTES, PAGE_RECORDS, PUT_RECORDS_COUNT

_BUFFER_BYTES: Final = 1024 * 1024
_NUMBER: Final = "49654321234567890123456789012345678901234567890123456789"
_head = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_target = re.compile(rb"x-amz-target: *\w+\.(\w+)", re.IGNORECASE)


def _documents() -> dict[str, Any]:
    place = {"SequenceNumber": _NUMBER, "ShardId": "shardId-000000000000"}
    page = [
        {
            "SequenceNumber": _NUMBER,
            "ApproximateArrivalTimestamp": 1767225600.123,
            "Data": base64.b64encode(record.data).decode(),
            "PartitionKey": record.key,
        }
        for record in payload.records(PAGE_RECORDS, PAGE_RECORD_BYTES)
    ]
    return {
        "ListStreams": {"StreamNames": [], "HasMoreStreams": False},
        "CreateStream": {},
        "DescribeStreamSummary": {"StreamDescriptionSummary": {"StreamStatus": "ACTIVE"}},
        "GetShardIterator": {"ShardIterator": "none"},
        "PutRecord": place,
        "PutRecords": {"FailedRecordCount": 0, "Records": [place] * PUT_RECORDS_COUNT},
        "GetRecords": {"Records": page, "NextShardIterator": "none", "MillisBehindLatest": 0},
    }


def _answers() -> dict[bytes, bytes]:
    answers = {}
    for operation, document in _documents().items():
        body = json.dumps(document, separators=(",", ":")).encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Type: {payload.CONTENT_TYPE}\r\nContent-Length: {len(body)}\r\n\r\n"
        answers[operation.encode()] = head.encode() + body
    return answers


class _Responder(asyncio.BufferedProtocol):
    """One connection.  A head must arrive whole, which it does from the generator: it is the start of one write."""

    def __init__(self, answers: dict[bytes, bytes]) -> None:
        self._answers = answers
        self._buffer = bytearray(_BUFFER_BYTES)
        self._answer = b""
        self._missing = 0  # bytes of the request's body

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        self._transport = cast("asyncio.Transport", transport)

    def get_buffer(self, sizehint: int) -> bytearray:
        """Every byte goes to the same place."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Count the body; answer when it has ended."""
        if self._missing == 0:
            self._begin(nbytes)
        else:
            self._missing -= nbytes
        if self._missing == 0:
            self._transport.write(self._answer)

    def _begin(self, nbytes: int) -> None:
        end = self._buffer.index(b"\r\n\r\n", 0, nbytes)
        length = _head.search(self._buffer, 0, end)
        target = _target.search(self._buffer, 0, end)
        assert length is not None
        assert target is not None
        self._answer = self._answers[target[1]]
        self._missing = int(length[1]) - (nbytes - end - 4)


async def _serve(port: int) -> None:
    answers = _answers()
    server = await asyncio.get_running_loop().create_server(lambda: _Responder(answers), HOST, port)
    await server.serve_forever()


@click.command()
@click.option("--port", type=int, required=True)
def main(port: int) -> None:
    """Serve until ended."""
    uvloop.run(_serve(port))


if __name__ == "__main__":
    main()
