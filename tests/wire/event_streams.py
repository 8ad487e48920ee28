"""A client of event streams that shows every frame, over HTTP/1.1 and over cleartext HTTP/2."""

import http.client
import json
import socket
from collections.abc import Iterator
from typing import Any

import cbor2
import h2.config
import h2.connection
import h2.events
from http_calls import ANSWER_S, JSON, SIGNED, Wire, address

from penstock.testing import PenstockServer
from penstock.wire.eventstream import Decoder, Message

SHARD = "shardId-000000000000"
TARGET = "Kinesis_20131202.SubscribeToShard"


def consumer(server: PenstockServer, name: str = "c", stream: str = "a") -> str:
    """Register a consumer; its ARN.  The stream is made if it is not there."""
    with Wire(server) as wire:
        wire.call("CreateStream", {"StreamName": stream, "ShardCount": 1})
        arn = wire.call("DescribeStreamSummary", {"StreamName": stream}).document["StreamDescriptionSummary"][
            "StreamARN"
        ]
        made = wire.call("RegisterStreamConsumer", {"StreamARN": arn, "ConsumerName": name})
        assert made.status == 200, made.document
        return str(made.document["Consumer"]["ConsumerARN"])


def asked(arn: str, kind: str = "TRIM_HORIZON", **more: Any) -> dict[str, Any]:
    """A request."""
    return {"ConsumerARN": arn, "ShardId": SHARD, "StartingPosition": {"Type": kind, **more}}


def document(message: Message) -> Any:
    """The payload of a frame, in its own format."""
    if dict(message.headers)[":content-type"] == "application/cbor":
        return cbor2.loads(message.payload, semantic_decoders={1: lambda value, _immutable: value})
    return json.loads(message.payload)


class Subscribed:
    """One subscription over HTTP/1.1; iterate for its frames."""

    def __init__(self, server: PenstockServer, request: dict[str, Any], content_type: str = JSON) -> None:
        self._connection = http.client.HTTPConnection(*address(server), timeout=ANSWER_S)
        body = json.dumps(request).encode() if content_type == JSON else cbor2.dumps(request)
        self._connection.request("POST", "/", body, {**SIGNED, "Content-Type": content_type, "X-Amz-Target": TARGET})
        self.answer = self._connection.getresponse()
        self._frames = self._read()

    def _read(self) -> Iterator[Message]:
        decoder = Decoder()
        while piece := self.answer.read1():
            yield from decoder.feed(piece)
        assert decoder.rest == 0, "the stream ends between two frames"

    def __iter__(self) -> Iterator[Message]:
        return self._frames

    def __next__(self) -> Message:
        return next(self._frames)

    def close(self) -> None:
        """Hang up."""
        self.answer.close()
        self._connection.close()


def frames_over_http_2(
    server: PenstockServer, request: dict[str, Any], count: int
) -> tuple[dict[str, str], list[Message]]:
    """The headers and the first frames of a subscription over cleartext HTTP/2 with prior knowledge."""
    client = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
    client.initiate_connection()
    fields = {"content-type": JSON, "x-amz-target": TARGET, **{name.lower(): value for name, value in SIGNED.items()}}
    head = [(":method", "POST"), (":scheme", "http"), (":authority", "localhost"), (":path", "/"), *fields.items()]
    client.send_headers(1, head)
    client.send_data(1, json.dumps(request).encode(), end_stream=True)
    answer: dict[str, str] = {}
    decoder, found = Decoder(), list[Message]()
    with socket.create_connection(address(server), timeout=ANSWER_S) as link:
        while len(found) < count:
            link.sendall(client.data_to_send())
            for event in client.receive_data(link.recv(65536)):
                assert not isinstance(
                    event, h2.events.StreamReset | h2.events.ConnectionTerminated | h2.events.StreamEnded
                )
                if isinstance(event, h2.events.ResponseReceived):
                    answer = {str(name): str(value) for name, value in event.headers}
                if isinstance(event, h2.events.DataReceived):
                    client.acknowledge_received_data(event.flow_controlled_length, 1)
                    found += decoder.feed(event.data)
    return answer, found
