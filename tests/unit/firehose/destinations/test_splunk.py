"""Splunk: events, acknowledgements, and collectors that refuse, forget and lie."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from peers import (
    BACKUP,
    Handler,
    RushingClock,
    Secrets,
    endless,
    listening,
    parcel,
    parcel_of,
    saying,
    standing,
    streamed,
    take_request,
)
from splunk_double import TOKEN, Collector, collecting

from penstock.services.firehose.destinations import splunk
from penstock.services.firehose.destinations.api import Again, Delivered, Mixed, Outcome, Parcel, Refused
from penstock.services.firehose.destinations.shapes import Splunk
from penstock.services.firehose.destinations.splunk import SplunkDestination, collector_url, events_in
from penstock.services.firehose.shapes import SecretsManagerConfiguration

GOOD, BAD = b'{"event":{"n":1}}', b'{"no event":1}'


def shape(url: str, **more: Any) -> Splunk:
    return Splunk(
        **{"hec_endpoint": url, "hec_endpoint_type": "Event", "hec_token": TOKEN, "s3_configuration": BACKUP, **more}
    )


async def attempt(url: str, given: Parcel, **more: Any) -> Outcome:
    async with standing(clock=RushingClock()) as site:
        return await SplunkDestination(shape(url, **more), site).deliver(given)


def collected(
    given: Parcel, *, change: Callable[[Collector], None] = lambda collector: None, **more: Any
) -> tuple[Outcome, Collector]:
    """What an attempt came to, and the collector after it."""

    async def scenario() -> tuple[Outcome, Collector]:
        async with collecting(more.pop("acks_after", 1), more.pop("fails", None)) as collector:
            change(collector)
            return await attempt(collector.url, given, **more), collector

    return asyncio.run(scenario())


def test_events_when_acknowledged_after_some_questions_are_delivered() -> None:
    outcome, collector = collected(parcel(GOOD, b'{"event":"b"}\n', b'{"event":"c"}{"event":"d"}'), acks_after=4)
    assert isinstance(outcome, Delivered)
    assert outcome.records == 3
    assert collector.events == [{"event": {"n": 1}}, {"event": "b"}, {"event": "c"}, {"event": "d"}]
    assert collector.questions == 4


def test_raw_records_when_sent_stand_on_lines_of_their_own() -> None:
    outcome, collector = collected(parcel(b"one", b"two\n", b"\xff\x00"), hec_endpoint_type="Raw")
    assert isinstance(outcome, Delivered)
    assert collector.raw == [b"one\ntwo\n\xff\x00"]


def test_events_when_never_acknowledged_are_tried_again_and_the_waiting_is_not_counted() -> None:
    outcome, collector = collected(parcel(GOOD), acks_after=10**9)
    assert isinstance(outcome, Again)
    assert outcome.code == "Splunk.AckTimeout"
    assert outcome.uncounted_ms == 180_000
    assert 18 <= collector.questions <= 22


def without_acks(collector: Collector) -> None:
    collector.with_acks = False


def sticky(collector: Collector) -> None:
    collector.sticky = True


def test_success_when_the_token_has_no_acknowledgements_is_not_believed() -> None:
    outcome, _ = collected(parcel(GOOD), change=without_acks)
    assert isinstance(outcome, Again)
    assert outcome.code == "Splunk.DisabledAck"


def test_cookie_when_a_balancer_gives_one_goes_back_with_the_questions() -> None:
    assert isinstance(collected(parcel(GOOD), change=sticky)[0], Delivered)


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (1, "DisabledToken"),
        (4, "InvalidToken"),
        (7, "InvalidIndex"),
        (8, "ServerError"),
        (9, "IndexerBusy"),
        (14, "DisabledAck"),
        (6, "InvalidDataFormat"),
    ],
)
def test_request_when_refused_as_a_whole_is_tried_again_under_its_code(code: int, told: str) -> None:
    outcome, _ = collected(parcel(GOOD, GOOD), fails={0: code})
    assert isinstance(outcome, Again)
    assert outcome.code == f"Splunk.{told}"
    assert len(outcome.entries) == 2


def test_token_when_wrong_is_tried_again_and_never_told() -> None:
    outcome, collector = collected(parcel(GOOD), hec_token="wrong-but-secret")
    assert isinstance(outcome, Again)
    assert outcome.code == "Splunk.InvalidToken"
    assert "wrong-but-secret" not in outcome.message
    assert collector.events == []


def test_event_when_the_collector_names_it_invalid_fails_alone() -> None:
    outcome, _ = collected(parcel(GOOD + GOOD, GOOD, BAD, GOOD))
    assert isinstance(outcome, Mixed)
    assert outcome.delivered.records == 0
    assert [failure.entry.place for failure in outcome.failures] == [2]
    assert outcome.again is not None
    assert [entry.place for entry in outcome.again.entries] == [0, 1, 3]
    alone, _ = collected(parcel(BAD))
    assert isinstance(alone, Refused)
    assert alone.failures[0].code == "Splunk.InvalidDataFormat"


@pytest.mark.parametrize(
    "data", [b"", b"  \n", b"text", b"[1]", b'{"event":1', b'{"event":1}7', b'{"event":"\xff"}', b"[" * 50_000]
)
def test_record_when_it_is_no_event_fails_before_it_is_sent(data: bytes) -> None:
    assert events_in(data) == 0
    outcome, collector = collected(parcel(GOOD, data))
    assert isinstance(outcome, Mixed)
    assert outcome.again is None
    assert (outcome.delivered.records, len(collector.events)) == (1, 1)
    assert [failure.facts for failure in outcome.failures] == [{"EventId": "record-1.0"}]
    nothing, collector = collected(parcel(data))
    assert isinstance(nothing, Refused)
    assert collector.requests == 0


OK = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b"
LIES: dict[str, tuple[Handler, str]] = {
    "an error in a 200": (saying(OK % (26, b'{"text":"Busy","code":9}  ')), "Splunk.IndexerBusy"),
    "no json": (saying(OK % (2, b"ok")), "Splunk.ServerError"),
    "no code": (saying(OK % (11, b'{"ackId":1}')), "Splunk.ServerError"),
    "cut": (saying(b""), "Splunk.ConnectionClosed"),
    "garbage": (saying(b"\x00garbage\r\n\r\n"), "Splunk.ServerError"),
    "half a body": (saying(OK % (100, b'{"code":0')), "Splunk.ConnectionClosed"),
    "silent": (saying(b"", stay=True), "Splunk.ConnectionTimeout"),
    "endless": (endless, "Splunk.ServerError"),
    "nowhere": (saying(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"), "Splunk.URLNotFound"),
    "too large": (saying(b"HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n"), "Splunk.ServerError.ContentTooLarge"),
}


@pytest.mark.parametrize("lie", LIES)
def test_collector_when_it_lies_costs_one_attempt(lie: str, monkeypatch: pytest.MonkeyPatch) -> None:
    handler, code = LIES[lie]
    if lie == "silent":
        monkeypatch.setattr(splunk, "ANSWER_WAIT_MS", 300)

    async def scenario() -> None:
        async with listening(handler) as port:
            outcome = await attempt(f"http://127.0.0.1:{port}", parcel(GOOD))
            assert isinstance(outcome, Again)
            assert outcome.code == code

    asyncio.run(scenario())


@pytest.mark.parametrize("answer", [b"[]", b'{"acks":{"7":"yes"}}', b'{"acks":{"8":true}}', b"\xff", b""])
def test_acknowledgement_when_it_is_garbage_is_none(answer: bytes) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head, _ = await take_request(reader)
            body = answer if b"/ack?" in head else b'{"text":"Success","code":0,"ackId":7}'
            writer.write(OK % (len(body), body))

    async def scenario() -> None:
        async with listening(handle) as port:
            outcome = await attempt(f"http://127.0.0.1:{port}", parcel(GOOD))
            assert isinstance(outcome, Again)
            assert outcome.code == "Splunk.AckTimeout"

    asyncio.run(scenario())


def test_token_when_a_secret_is_read_for_each_attempt() -> None:
    arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:hec"

    async def scenario() -> None:
        texts = {arn: json.dumps({"hec_token": TOKEN})}
        async with collecting() as collector, standing(clock=RushingClock(), secrets=Secrets(texts)) as site:
            manager = SecretsManagerConfiguration(enabled=True, secret_arn=arn)
            destination = SplunkDestination(
                shape(collector.url, hec_token=None, secrets_manager_configuration=manager), site
            )
            assert isinstance(await destination.deliver(parcel(GOOD)), Delivered)
            del texts[arn]
            gone = await destination.deliver(parcel(GOOD))
            assert isinstance(gone, Again)
            assert gone.code == "Splunk.InvalidToken"

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("endpoint", "collector"),
    [
        ("https://s:8088", "https://s:8088/services/collector"), ("https://s:8088/", "https://s:8088/services/collector"),
        ("https://s/services/collector/event", "https://s/services/collector"), ("https://s/hec/services/collector", "https://s/hec/services/collector"),
    ],
)  # fmt: skip
def test_endpoint_when_given_with_a_path_is_the_same_collector(endpoint: str, collector: str) -> None:
    assert collector_url(endpoint) == collector


def test_error_objects_when_given_up_name_the_event() -> None:
    async def scenario() -> None:
        async with standing() as site:
            destination = SplunkDestination(shape("http://x"), site)
            given = parcel_of([streamed(GOOD, 1)], attempts=2)
            (failure,) = await destination.give_up(given, Again("Splunk.AckTimeout", "late", given.entries))
            assert (failure.kind, failure.code, failure.attempts) == ("splunk-failed", "Splunk.AckTimeout", 3)
            assert failure.facts == {"EventId": "49590338271490256608559692538361571095921575989136588891.2"}
            assert destination.hints[:4] == (5 << 20, 60_000, 8, None)

    asyncio.run(scenario())
