"""HTTP endpoints: the contract in both directions, and peers that break it."""

import asyncio
import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from http_receiver import receiving
from peers import (
    ARN,
    BACKUP,
    PARCEL_ID,
    Secrets,
    certified,
    endless,
    endless_head,
    listening,
    parcel,
    parcel_of,
    saying,
    standing,
    streamed,
)

from penstock.core.network import Call
from penstock.services.firehose.destinations.api import Again, Delivered, Outcome, Parcel, Refused
from penstock.services.firehose.destinations.http import PARCEL_MAX_BYTES, HttpEndpointDestination, document
from penstock.services.firehose.destinations.shapes import (
    CommonAttribute,
    EndpointConfiguration,
    HttpEndpoint,
    RequestConfiguration,
)
from penstock.services.firehose.shapes import BufferingHints, SecretsManagerConfiguration

KEY = "key-that-must-stay-secret"


def shape(url: str, **more: Any) -> HttpEndpoint:
    endpoint = EndpointConfiguration(url=url, access_key=KEY)
    return HttpEndpoint(**{"endpoint_configuration": endpoint, "s3_configuration": BACKUP, **more})


async def attempt(url: str, given: Parcel, *, wait_ms: int = 180_000, ca_file: str = "", **more: Any) -> Outcome:
    async with standing(ca_file=ca_file) as site:
        return await HttpEndpointDestination(shape(url, **more), site, wait_ms).deliver(given)


def test_parcel_when_taken_arrives_whole_in_the_contract_s_form() -> None:
    async def scenario() -> None:
        async with receiving(access_key=KEY) as receiver:
            outcome = await attempt(receiver.url, parcel(b"one", b"\x00\xff", b""))
            assert receiver.complaints == []
            assert receiver.records == {PARCEL_ID: [b"one", b"\x00\xff", b""]}
            assert receiver.requests[0]["X-Amz-Firehose-Source-Arn"] == ARN
            assert outcome == Delivered(len(receiver.bodies[0]), 3)

    asyncio.run(scenario())


def test_parcel_when_packed_and_with_attributes_arrives_whole() -> None:
    attributes = (
        CommonAttribute(attribute_name="stage", attribute_value="übung \U0001f600"),
        CommonAttribute(attribute_name="b", attribute_value=""),
    )
    request = RequestConfiguration(content_encoding="GZIP", common_attributes=attributes)

    async def scenario() -> None:
        async with receiving() as receiver:
            outcome = await attempt(receiver.url, parcel(b"x" * 100_000), request_configuration=request)
            assert receiver.complaints == []
            assert receiver.records == {PARCEL_ID: [b"x" * 100_000]}
            told = json.loads(receiver.requests[0]["X-Amz-Firehose-Common-Attributes"])
            assert told == {"commonAttributes": {"stage": "übung \U0001f600", "b": ""}}
            assert isinstance(outcome, Delivered)
            assert outcome.size_bytes == len(receiver.bodies[0]) < 10_000
            assert len(gzip.decompress(receiver.bodies[0])) > 100_000

    asyncio.run(scenario())


def test_parcel_when_it_failed_is_sent_again_with_the_same_id_and_the_endpoint_s_words_are_told() -> None:
    async def scenario() -> None:
        script = [(503, f"busy, {KEY}\n"), (200, None)]
        async with receiving(lambda number: script[number]) as receiver, standing() as site:
            destination = HttpEndpointDestination(shape(receiver.url), site)
            again = await destination.deliver(parcel(b"one"))
            assert isinstance(again, Again)
            assert again.code == "HttpEndpoint.DestinationException"
            assert again.message.startswith("The following response was received from the endpoint destination. 503: {")
            assert "busy, ***" in again.message
            assert again.wait_ms is None  # the engine's back-off is the contract's
            assert isinstance(await destination.deliver(parcel(b"one", attempts=1)), Delivered)
            assert [request["X-Amz-Firehose-Request-Id"] for request in receiver.requests] == [PARCEL_ID] * 2

    asyncio.run(scenario())


@pytest.mark.parametrize("status", [201, 202, 204, 301, 307, 400, 401, 404, 429, 500, 504])
def test_parcel_when_the_status_is_not_200_is_tried_again(status: int) -> None:
    async def scenario() -> None:
        async with receiving(lambda number: (status, None)) as receiver:
            outcome = await attempt(receiver.url, parcel(b"one"))
            assert isinstance(outcome, Again)
            assert len(receiver.requests) == 1  # no redirect is followed

    asyncio.run(scenario())


def test_parcel_when_too_large_for_the_endpoint_is_refused_and_not_kept() -> None:
    async def scenario() -> None:
        async with receiving(lambda number: (413, "Payload too large")) as receiver:
            outcome = await attempt(receiver.url, parcel(b"one", b"two"))
            assert isinstance(outcome, Refused)
            assert not outcome.kept
            assert len(outcome.failures) == 2

    asyncio.run(scenario())


JSON = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
REPLY = b'{"requestId":"%s","timestamp":1}' % PARCEL_ID.encode()
LIES = {
    "another id": (JSON, b'{"requestId":"other","timestamp":1}'),
    "no id": (JSON, b'{"timestamp":1}'),
    "no timestamp": (JSON, b'{"requestId":"%s"}' % PARCEL_ID.encode()),
    "no json": (JSON, b"accepted"),
    "not utf-8": (JSON, b'{"requestId":"\xff","timestamp":1}'),
    "an array": (JSON, b"[" * 100_000),
    "nothing": (JSON, b""),
    "html": (b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n", REPLY),
    "no type": (b"HTTP/1.1 200 OK\r\n", REPLY),
    "packed": (JSON + b"Content-Encoding: gzip\r\n", gzip.compress(REPLY)),
}


@pytest.mark.parametrize("lie", LIES)
def test_answer_when_200_but_not_in_form_is_no_success(lie: str) -> None:
    head, body = LIES[lie]

    async def scenario() -> None:
        answer = head + b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body
        async with listening(saying(answer)) as port:
            outcome = await attempt(f"http://127.0.0.1:{port}/", parcel(b"one"))
            assert isinstance(outcome, Again)
            assert outcome.code == "HttpEndpoint.InvalidResponseFromDestination"

    asyncio.run(scenario())


def test_answer_when_in_form_by_hand_is_success() -> None:
    async def scenario() -> None:
        answer = (
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: %d\r\n\r\n"
            % len(REPLY)
        )
        async with listening(saying(answer + REPLY)) as port:
            assert isinstance(await attempt(f"http://127.0.0.1:{port}/", parcel(b"one")), Delivered)

    asyncio.run(scenario())


BROKEN = {
    "chunked": (saying(JSON + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(REPLY), REPLY)), "InvalidResponseFromDestination"),
    "too large": (saying(JSON + b"Content-Length: 1048577\r\n\r\n" + b" " * 1_048_577), "ResponseTooLarge"),
    "endless": (endless, "ResponseTooLarge"),
    "endless headers": (endless_head, "InvalidResponseFromDestination"),
    "cut in the body": (saying(JSON + b"Content-Length: 100\r\n\r\n{"), "ConnectionReset"),
    "cut at once": (saying(b""), "ConnectionReset"),
    "garbage": (saying(b"\x00\x01\x02garbage\r\n\r\n"), "InvalidResponseFromDestination"),
    "slow": (saying(JSON + b"Content-Length: 100\r\n\r\n{", stay=True), "RequestTimeout"),
    "silent": (saying(b"", stay=True), "RequestTimeout"),
}  # fmt: skip


@pytest.mark.parametrize("peer", BROKEN)
def test_peer_when_it_breaks_the_protocol_costs_one_attempt(peer: str) -> None:
    handler, code = BROKEN[peer]

    async def scenario() -> None:
        async with listening(handler) as port:
            given = parcel(b"one")
            outcome = await attempt(
                f"http://127.0.0.1:{port}/p?token=s3cr3t", given, wait_ms=300 if code == "RequestTimeout" else 60_000
            )
            assert isinstance(outcome, Again)
            assert outcome.code == f"HttpEndpoint.{code}"
            assert outcome.entries == given.entries
            assert "s3cr3t" not in outcome.message
            assert KEY not in outcome.message

    asyncio.run(scenario())


def test_peer_when_nobody_listens_costs_one_attempt() -> None:
    async def scenario() -> None:
        async with listening(saying(b"")) as port:
            pass
        outcome = await attempt(f"http://127.0.0.1:{port}/?token=s3cr3t", parcel(b"one"))
        assert isinstance(outcome, Again)
        assert outcome.code == "HttpEndpoint.ConnectionFailed"
        assert outcome.message == f"127.0.0.1:{port} cannot be reached"

    asyncio.run(scenario())


def test_certificate_when_not_trusted_or_expired_nothing_is_sent_and_when_trusted_it_is(tmp_path: Path) -> None:
    for folder in ("good", "old"):
        (tmp_path / folder).mkdir()
    good, good_ca = certified(tmp_path / "good", days=10)
    old, old_ca = certified(tmp_path / "old", days=-1)

    async def scenario() -> None:
        async with receiving(context=good) as receiver:
            stranger = await attempt(receiver.url, parcel(b"one"))
            assert isinstance(stranger, Again)
            assert stranger.code == "HttpEndpoint.SSLHandshakeFailure"
            assert receiver.requests == []
            assert isinstance(await attempt(receiver.url, parcel(b"one"), ca_file=good_ca), Delivered)
            another_name = receiver.url.replace("localhost", "127.0.0.1")
            assert isinstance(await attempt(another_name, parcel(b"one"), ca_file=good_ca), Again)
            broken = await attempt(receiver.url, parcel(b"one"), ca_file=str(tmp_path))
            assert isinstance(broken, Again)
        async with receiving(context=old) as receiver:
            expired = await attempt(receiver.url, parcel(b"one"), ca_file=old_ca)
            assert isinstance(expired, Again)
            assert "expired" in expired.message
            assert receiver.requests == []

    asyncio.run(scenario())


def test_access_key_when_revoked_is_tried_again_and_when_a_secret_it_is_read_for_each_attempt() -> None:
    arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:key"
    manager = SecretsManagerConfiguration(enabled=True, secret_arn=arn)

    async def scenario() -> None:
        texts = {arn: '{"api_key":"old"}'}
        async with receiving(access_key="new") as receiver, standing(secrets=Secrets(texts)) as site:
            destination = HttpEndpointDestination(shape(receiver.url, secrets_manager_configuration=manager), site)
            refused = await destination.deliver(parcel(b"one"))
            assert isinstance(refused, Again)
            assert "401" in refused.message
            for broken in ("{", "[]", '{"api_key":7}', '{"other":"x"}', '{"api_key":"a\\r\\nEvil: 1"}'):
                texts[arn] = broken
                assert isinstance(await destination.deliver(parcel(b"one")), Again)
            assert len(receiver.requests) == 1
            texts[arn] = '{"api_key":"new"}'
            assert isinstance(await destination.deliver(parcel(b"one")), Delivered)

    asyncio.run(scenario())


def test_hints_when_the_buffer_is_large_leave_room_for_base64() -> None:
    async def scenario() -> None:
        async with standing() as site:
            hints = HttpEndpointDestination(
                shape("http://x/", buffering_hints=BufferingHints(size_in_mbs=64)), site
            ).hints
            assert hints.size_bytes == PARCEL_MAX_BYTES
            assert hints.records_max == 10_000
            records = [b"x" * (PARCEL_MAX_BYTES // 10_000)] * 10_000
            assert 63 << 20 < len(document(PARCEL_ID, 1_578_090_903_599, records)) <= 64 << 20
            assert HttpEndpointDestination(shape("http://x/"), site).hints[:4] == (5 << 20, 300_000, 1, 10_000)

    asyncio.run(scenario())


def test_error_objects_when_given_up_name_the_record_and_the_last_reason() -> None:
    async def scenario() -> None:
        async with standing() as site:
            destination = HttpEndpointDestination(shape("http://x/"), site)
            given = parcel_of([streamed(b"one", 3)], attempts=4)
            (failure,) = await destination.give_up(given, Again("HttpEndpoint.RequestTimeout", "slow", given.entries))
            assert (failure.kind, failure.code, failure.message, failure.attempts) == (
                "http-endpoint-failed",
                "HttpEndpoint.RequestTimeout",
                "slow",
                5,
            )
            assert failure.facts == {
                "subsequenceNumber": 2,
                "dataId": "49590338271490256608559692538361571095921575989136588893.2",
            }

    asyncio.run(scenario())


def test_call_when_printed_shows_no_secret() -> None:
    assert KEY not in repr(Call("http://x/?k=" + KEY, {"X": KEY}, KEY.encode()))
