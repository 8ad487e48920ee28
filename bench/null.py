"""The baseline: a responder that does nothing.  It reads a request to its end, keeps none of it, and answers fixed bytes.

What the load generator reaches against it is what the generator can do at least; what it reaches against a server is compared with
that.  The answers are as long as a real server's and pass the same checks.  Subscribers are sent as many records as were put, of fixed
bytes too; a put is answered when what is to be pushed is below the sockets' high-water mark.

`python -m bench.null --port N` serves until it is ended.
"""

import asyncio
import re
from typing import Any, Final, NamedTuple, cast

import click
import uvloop

from bench import payload
from bench.load import HOST
from bench.payload import (
    CBOR,
    JSON,
    PAGE_RECORD_BYTES,
    PAGE_RECORDS,
    PUT_RECORDS_BYTES,
    PUT_RECORDS_COUNT,
    Record,
    Wire,
)

_BUFFER_BYTES: Final = 1024 * 1024
_NUMBER: Final = "49654321234567890123456789012345678901234567890123456789"
_head = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_target = re.compile(rb"x-amz-target: *\w+\.(\w+)", re.IGNORECASE)
_cbor = re.compile(rb"content-type: *application/x-amz-cbor", re.IGNORECASE)
_key = re.compile(rb'"PartitionKey":"([0-9]{8})"')
_ARN: Final = "arn:aws:kinesis:us-east-1:000000000000:stream/bench"


def _read(record: Record) -> dict[str, Any]:
    return {
        "SequenceNumber": _NUMBER,
        "ApproximateArrivalTimestamp": 1767225600.123,
        "Data": record.data,
        "PartitionKey": record.key,
    }


def _documents() -> dict[str, Any]:
    place = {"SequenceNumber": _NUMBER, "ShardId": "shardId-000000000000"}
    page = [_read(record) for record in payload.records(PAGE_RECORDS, PAGE_RECORD_BYTES)]
    consumer = {"ConsumerARN": f"{_ARN}/consumer/c:1", "ConsumerStatus": "ACTIVE"}
    return {
        "ListStreams": {"StreamNames": [], "HasMoreStreams": False},
        "CreateStream": {},
        "DescribeStreamSummary": {"StreamDescriptionSummary": {"StreamStatus": "ACTIVE", "StreamARN": _ARN}},
        "RegisterStreamConsumer": {"Consumer": consumer},
        "DescribeStreamConsumer": {"ConsumerDescription": consumer},
        "GetShardIterator": {"ShardIterator": "none"},
        "PutRecord": place,
        "PutRecords": {"FailedRecordCount": 0, "Records": [place] * PUT_RECORDS_COUNT},
        "GetRecords": {"Records": page, "NextShardIterator": "none", "MillisBehindLatest": 0},
    }


class _Key(NamedTuple):
    """What tells an answer."""

    operation: bytes
    is_cbor: bool


def _answers() -> dict[_Key, bytes]:
    answers = {}
    for operation, document in _documents().items():
        for wire in (JSON, CBOR):
            answers[_Key(operation.encode(), wire is CBOR)] = _answer(wire, document)
    return answers


def _answer(wire: Wire, document: dict[str, Any]) -> bytes:
    body = wire.body(document)
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {wire.content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


_SUBSCRIBED: Final = b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.amazon.eventstream\r\n\r\n"
_SINGLE: Final = JSON.body({"Records": [_read(Record("00000000", bytes(PUT_RECORDS_BYTES)))]})
_BATCH: Final = JSON.body({"Records": [_read(each) for each in payload.records(PUT_RECORDS_COUNT, PUT_RECORDS_BYTES)]})


class _Hub:
    """The subscribers, and the answers that wait for them."""

    def __init__(self) -> None:
        self._subscribers: list[asyncio.Transport] = []
        self._full = 0
        self._waiting: list[tuple[asyncio.Transport, bytes]] = []

    def __bool__(self) -> bool:
        return bool(self._subscribers)

    def join(self, transport: asyncio.Transport) -> None:
        """One more subscriber."""
        transport.write(_SUBSCRIBED)
        self._subscribers.append(transport)

    def push(self, event: bytes) -> None:
        """Send an event to all."""
        for each in self._subscribers:
            each.write(event)

    def answer(self, transport: asyncio.Transport, answer: bytes) -> None:
        """Answer a put, once there is room for more."""
        if self._full:
            self._waiting.append((transport, answer))
        else:
            transport.write(answer)

    def filled(self) -> None:
        """A subscriber's socket takes no more."""
        self._full += 1

    def emptied(self) -> None:
        """It does again."""
        self._full -= 1
        if not self._full:
            waiting, self._waiting = self._waiting, []
            for transport, answer in waiting:
                transport.write(answer)


class _Responder(asyncio.BufferedProtocol):
    """One connection.  A head must arrive whole, which it does from the generator: it is the start of one write."""

    def __init__(self, answers: dict[_Key, bytes], hub: _Hub) -> None:
        self._answers = answers
        self._hub = hub
        self._buffer = bytearray(_BUFFER_BYTES)
        self._operation = b""
        self._answer = b""
        self._missing = 0  # bytes of the request's body
        self._key = b""

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
            self._finish()

    def _begin(self, nbytes: int) -> None:
        end = self._buffer.index(b"\r\n\r\n", 0, nbytes)
        length = _head.search(self._buffer, 0, end)
        target = _target.search(self._buffer, 0, end)
        assert length is not None
        assert target is not None
        self._operation = bytes(target[1])
        if (
            self._hub
            and self._operation == b"PutRecord"
            and (key := _key.search(self._buffer, end, nbytes)) is not None
        ):
            self._key = bytes(key[1])
        is_cbor = _cbor.search(self._buffer, 0, end) is not None
        self._answer = self._answers.get(_Key(self._operation, is_cbor), b"")
        self._missing = int(length[1]) - (nbytes - end - 4)

    def _finish(self) -> None:
        if self._operation == b"SubscribeToShard":
            self._hub.join(self._transport)
            return
        if self._hub and self._operation == b"PutRecords":
            self._hub.push(_BATCH)
        elif self._hub and self._operation == b"PutRecord":
            self._hub.push(_SINGLE.replace(b"00000000", self._key, 1))
        self._hub.answer(self._transport, self._answer)

    def pause_writing(self) -> None:
        """The other side does not keep up."""
        self._hub.filled()

    def resume_writing(self) -> None:
        """It has caught up."""
        self._hub.emptied()


async def _serve(port: int) -> None:
    answers, hub = _answers(), _Hub()
    server = await asyncio.get_running_loop().create_server(lambda: _Responder(answers, hub), HOST, port)
    await server.serve_forever()


@click.command()
@click.option("--port", type=int, required=True)
def main(port: int) -> None:
    """Serve until ended."""
    uvloop.run(_serve(port))


if __name__ == "__main__":
    main()
