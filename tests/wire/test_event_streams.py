"""SubscribeToShard on the wire: frames, their order, and how a stream ends."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Any

import pytest
from event_streams import Subscribed, asked, consumer, document, frames_over_http_2
from http_calls import CBOR, JSON, Wire

from penstock.testing import PenstockServer

Subscribe = Callable[..., Subscribed]


@pytest.fixture
def subscribe() -> Iterator[Subscribe]:
    """Begins subscriptions, and hangs up at the end of the test."""
    with ExitStack() as stack:

        def begin(server: PenstockServer, request: dict[str, Any], content_type: str = JSON) -> Subscribed:
            return stack.enter_context(closing(Subscribed(server, request, content_type)))

        yield begin


def put(server: PenstockServer, *data: bytes) -> None:
    with Wire(server) as wire:
        for blob in data:
            wire.call_cbor("PutRecord", {"StreamName": "a", "Data": blob, "PartitionKey": "k"})


@pytest.mark.parametrize(("content_type", "payload"), [(JSON, "application/json"), (CBOR, "application/cbor")])
def test_stream_when_it_begins_then_the_initial_response_is_first_even_with_no_record(
    penstock: PenstockServer, subscribe: Subscribe, content_type: str, payload: str
) -> None:
    stream = subscribe(penstock, asked(consumer(penstock)), content_type)
    assert stream.answer.status == 200
    assert stream.answer.headers["content-type"] == "application/vnd.amazon.eventstream"
    assert stream.answer.headers["x-amzn-requestid"]
    first = next(stream)
    assert first.headers == (
        (":message-type", "event"),
        (":event-type", "initial-response"),
        (":content-type", payload),
    )
    assert document(first) == {}


@pytest.mark.parametrize("content_type", [JSON, CBOR])
def test_event_when_records_are_put_then_it_is_in_the_clients_format(
    penstock: PenstockServer, subscribe: Subscribe, content_type: str
) -> None:
    stream = subscribe(penstock, asked(consumer(penstock), "LATEST"), content_type)
    next(stream)
    before_ms = penstock.clock.now_ms
    put(penstock, b"\0\1")
    event = next(stream)
    assert dict(event.headers)[":event-type"] == "SubscribeToShardEvent"
    told = document(event)
    assert told.keys() == {"Records", "ContinuationSequenceNumber", "MillisBehindLatest"}
    [record] = told["Records"]
    in_json = content_type == JSON
    assert record["Data"] == ("AAE=" if in_json else b"\0\1")
    moment = record["ApproximateArrivalTimestamp"]
    assert before_ms <= (round(moment * 1000) if in_json else moment) <= penstock.clock.now_ms
    assert int(record["SequenceNumber"]) < int(told["ContinuationSequenceNumber"])
    assert int(told["ContinuationSequenceNumber"]).bit_length() == 186
    assert told["MillisBehindLatest"] == 0


def test_stream_when_its_time_is_over_then_it_ends_between_two_frames_and_the_connection_lives_on(
    penstock: PenstockServer,
    subscribe: Subscribe,
) -> None:
    stream = subscribe(penstock, asked(consumer(penstock)))
    next(stream)
    penstock.clock.advance(minutes=5)
    rest = [dict(message.headers)[":message-type"] for message in stream]
    assert set(rest) <= {"event"}
    assert stream.answer.isclosed()


@pytest.mark.parametrize(("content_type", "payload"), [(JSON, "application/json"), (CBOR, "application/cbor")])
def test_stream_when_its_consumer_is_deregistered_then_an_exception_frame_ends_it(
    penstock: PenstockServer, subscribe: Subscribe, content_type: str, payload: str
) -> None:
    arn = consumer(penstock)
    stream = subscribe(penstock, asked(arn), content_type)
    next(stream)
    with Wire(penstock) as wire:
        assert wire.call("DeregisterStreamConsumer", {"ConsumerARN": arn}).body == b""
    [last] = stream
    assert last.headers == (
        (":message-type", "exception"),
        (":exception-type", "ResourceNotFoundException"),
        (":content-type", payload),
    )
    assert document(last) == {"message": f"Consumer {arn} not found."}


def test_call_when_it_is_refused_before_it_begins_then_the_answer_is_a_plain_one(
    penstock: PenstockServer, subscribe: Subscribe
) -> None:
    penstock.clock.stand()  # or the first subscription is old enough to be taken over
    arn = consumer(penstock)
    with Wire(penstock) as wire:
        refusal = wire.call("SubscribeToShard", asked(arn, "AT_TIMESTAMP")).refusal
        assert refusal[:2] == (400, "InvalidArgumentException")
        dry = wire.call("SubscribeToShard", {**asked(arn), "DryRun": True})
        assert dry.refusal[:2] == (400, "DryRunOperationException")
    stream = subscribe(penstock, asked(arn))  # neither of them has taken the place
    assert stream.answer.status == 200
    assert subscribe(penstock, asked(arn)).answer.status == 400


def test_stream_when_it_is_over_http_2_then_the_frames_are_the_same(penstock: PenstockServer) -> None:
    arn = consumer(penstock)
    put(penstock, b"x" * 100_000, b"y")
    head, (first, event) = frames_over_http_2(penstock, asked(arn), 2)
    assert (head[":status"], head["content-type"]) == ("200", "application/vnd.amazon.eventstream")
    assert "content-length" not in head
    assert dict(first.headers)[":event-type"] == "initial-response"
    assert len(document(event)["Records"]) == 2


def test_stream_when_the_server_stops_then_it_ends_in_good_order(subscribe: Subscribe) -> None:
    with PenstockServer() as server:
        stream = subscribe(server, asked(consumer(server)))
        next(stream)
    assert list(stream) == []
    assert stream.answer.isclosed()


def test_stream_when_the_server_is_reset_then_it_ends_in_good_order(
    penstock: PenstockServer, subscribe: Subscribe
) -> None:
    stream = subscribe(penstock, asked(consumer(penstock)))
    next(stream)
    penstock.reset()
    assert list(stream) == []


def test_metrics_when_events_are_pushed_then_they_are_counted(penstock: PenstockServer, subscribe: Subscribe) -> None:
    put_before = _counted(penstock, "penstock_streams_events_out_total")
    stream = subscribe(penstock, asked(consumer(penstock), "LATEST"))
    next(stream)
    put(penstock, b"a")
    next(stream)
    assert _counted(penstock, "penstock_streams_events_out_total") == put_before + 1


def _counted(server: PenstockServer, name: str) -> float:
    with Wire(server) as wire:
        text = wire.send("GET", "/metrics").body.decode()
    return float(next(line.split()[1] for line in text.splitlines() if line.startswith(name + " ")))
