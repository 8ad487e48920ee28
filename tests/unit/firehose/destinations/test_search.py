"""OpenSearch and Elasticsearch: which index, which document, and what of a parcel arrived."""

import asyncio
import base64
import json
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any

import pytest
from peers import BACKUP, ROLE, Handler, endless, entry, listening, parcel, parcel_of, saying, standing
from search_double import BUSY, MAPPING_ERROR, clustered

from penstock.core.errors import ServiceError
from penstock.services.firehose.destinations import search
from penstock.services.firehose.destinations.api import Again, Delivered, Mixed, Outcome, Parcel, Refused
from penstock.services.firehose.destinations.documents import Naming, lines_of
from penstock.services.firehose.destinations.rotation import index_name
from penstock.services.firehose.destinations.search import make_search, make_serverless
from penstock.services.firehose.destinations.shapes import OpenSearch, OpenSearchServerless, Rotation
from penstock.services.firehose.shapes import DocumentIdOptions
from penstock.services.firehose.site import Places
from penstock.wire.signing import AwsCredentials

KEYS = AwsCredentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "token")


def shape(url: str | None, **more: Any) -> OpenSearch:
    given = {
        "role_arn": ROLE,
        "cluster_endpoint": url,
        "index_name": "orders",
        "index_rotation_period": "NoRotation",
        "s3_configuration": BACKUP,
    }
    return OpenSearch(**{**given, **more})


async def attempt(url: str, given: Parcel, **more: Any) -> Outcome:
    async with standing() as site:
        return await make_search(shape(url, **more), site).deliver(given)


def run(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(scenario)


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("rotation", "arrival", "name"),
    [
        ("NoRotation", "2016-02-25T13:00:00", "i"), ("OneHour", "2016-02-25T13:00:00", "i-2016-02-25-13"),
        ("OneDay", "2016-02-25T13:00:00", "i-2016-02-25"), ("OneMonth", "2016-02-25T13:00:00", "i-2016-02"),
        ("OneHour", "2016-02-25T13:59:59.999", "i-2016-02-25-13"), ("OneDay", "2016-12-31T23:59:59", "i-2016-12-31"),
        ("OneWeek", "2017-01-01T00:00:00", "i-2017-w01"), ("OneWeek", "2017-01-07T23:59:59", "i-2017-w01"),
        ("OneWeek", "2017-01-08T00:00:00", "i-2017-w02"), ("OneWeek", "2016-01-01T00:00:00", "i-2016-w01"),
        ("OneWeek", "2016-01-02T23:59:59", "i-2016-w01"), ("OneWeek", "2016-01-03T00:00:00", "i-2016-w02"),
        ("OneWeek", "2015-12-27T00:00:00", "i-2016-w01"), ("OneWeek", "2015-12-26T23:59:59", "i-2015-w52"),
        ("OneWeek", "2020-08-12T00:00:00", "i-2020-w33"), ("OneWeek", "2022-12-31T00:00:00", "i-2022-w53"),
    ],
)  # fmt: skip
def test_index_when_rotated_is_named_by_the_arrival_in_utc(rotation: Rotation, arrival: str, name: str) -> None:
    assert index_name("i", rotation, at(arrival)) == name


def test_documents_when_all_are_taken_are_delivered_under_stable_ids() -> None:
    async def scenario() -> None:
        async with clustered() as cluster:
            given = parcel(b'{"n":1}', b'{"n":2}\n', b'{\r\n "n":\n3\n}')
            first = await attempt(cluster.url, given)
            assert isinstance(first, Delivered)
            assert (first.records, first.objects) == (3, 1)
            await attempt(cluster.url, given)
            assert cluster.documents == {("orders", f"record-{n}"): {"n": n + 1} for n in range(3)}
            assert cluster.types == {"_doc"}

    run(scenario())


def test_documents_when_ids_are_the_cluster_s_have_none_and_old_versions_get_a_type() -> None:
    async def scenario() -> None:
        async with clustered() as cluster:
            options = DocumentIdOptions(default_document_id_format="NO_DOCUMENT_ID")
            await attempt(cluster.url, parcel(b"{}"), document_id_options=options, type_name="log")
            assert list(cluster.documents) == [("orders", "made-0")]
            assert cluster.types == {"log"}

    run(scenario())


@pytest.mark.parametrize(
    "data",
    [
        b"", b"[1]", b"7", b"{", b'{"a":1}{"b":2}', b'{"a":1}\n{"b":2}', b'{"a":"\xff"}', b'{"a":"' + b"\n" + b'"}', b"\x1f\x8b\x08",
        b'{"a":1}\n{"delete":{"_index":"x","_id":"1"}}\n', b'{"a":' * 5000 + b"1" + b"}" * 5000,
    ],
)  # fmt: skip
def test_record_when_it_is_no_document_fails_alone_and_smuggles_nothing(data: bytes) -> None:
    assert lines_of(entry(data), Naming("i", "NoRotation", None, with_ids=True)) is None

    async def scenario() -> None:
        async with clustered() as cluster:
            outcome = await attempt(cluster.url, parcel(data, b'{"n":1}'))
            assert isinstance(outcome, Mixed)
            assert outcome.again is None
            assert outcome.delivered.records == 1
            (failure,) = outcome.failures
            assert (failure.kind, failure.code, failure.attempts) == (
                "AmazonOpenSearchService-failed",
                "OS.MalformedData",
                1,
            )
            assert failure.facts == {"esDocumentId": "record-0", "esIndexName": "orders", "esTypeName": ""}

    run(scenario())


def test_answer_when_200_with_errors_inside_is_taken_apart_by_document() -> None:
    def verdict(document: dict[str, Any]) -> tuple[int, dict[str, str] | None]:
        return {"good": (201, None), "bad": (400, MAPPING_ERROR), "busy": (429, BUSY), "down": (503, BUSY)}[
            document["k"]
        ]

    async def scenario() -> None:
        async with clustered(verdict) as cluster:
            outcome = await attempt(
                cluster.url, parcel(*(json.dumps({"k": k}).encode() for k in ("busy", "good", "bad", "down", "good")))
            )
            assert isinstance(outcome, Mixed)
            assert outcome.delivered.records == 2
            assert outcome.again is not None
            assert [one.place for one in outcome.again.entries] == [0, 3]
            assert outcome.again.code == "429"
            (failure,) = outcome.failures
            assert (failure.entry.place, failure.code, json.loads(failure.message)) == (2, "400", MAPPING_ERROR)

    run(scenario())


def test_documents_when_all_are_refused_or_all_met_a_busy_cluster_are_not_mixed() -> None:
    async def scenario() -> None:
        async with clustered(lambda document: (400, MAPPING_ERROR)) as cluster:
            assert isinstance(await attempt(cluster.url, parcel(b"{}", b"{}")), Refused)
        async with clustered(lambda document: (403, {"type": "cluster_block_exception", "reason": "disk"})) as cluster:
            again = await attempt(cluster.url, parcel(b"{}", b"{}"))
            assert isinstance(again, Again)
            assert len(again.entries) == 2

    run(scenario())


def test_request_when_too_large_is_halved_and_one_document_that_is_too_large_is_refused() -> None:
    async def scenario() -> None:
        async with clustered(max_bytes=1000) as cluster:
            large = json.dumps({"x": "x" * 1000}).encode()
            outcome = await attempt(cluster.url, parcel(*[b'{"n":"%b"}' % (b"y" * 200)] * 9, large))
            assert isinstance(outcome, Mixed)
            assert outcome.delivered.records == 9
            assert outcome.again is None
            assert [(failure.entry.place, failure.code) for failure in outcome.failures] == [(9, "413")]
            assert len(cluster.documents) == 9

    run(scenario())


def test_parcel_when_large_is_cut_into_requests_and_stops_at_the_first_that_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(search, "REQUEST_BYTES", 120)

    async def scenario() -> None:
        async with clustered() as cluster:
            outcome = await attempt(cluster.url, parcel(*[b'{"n":1}'] * 9))
            assert isinstance(outcome, Delivered)
            assert outcome.objects == len(cluster.bodies) > 3
            assert all(len(body) <= 120 for body in cluster.bodies)
            cluster.whole = 503
            again = await attempt(cluster.url, parcel(*[b'{"n":1}'] * 9))
            assert isinstance(again, Again)
            assert sorted(one.place for one in again.entries) == list(range(9))
            assert len(cluster.bodies) == outcome.objects + 1

    run(scenario())


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (401, "OS.AccessDenied"),
        (403, "OS.AccessDenied"),
        (429, "OS.ServiceException"),
        (500, "OS.ServiceException"),
        (302, "OS.ServiceException"),
    ],
)
def test_request_when_refused_as_a_whole_is_tried_again_without_telling_the_password(status: int, code: str) -> None:
    async def scenario() -> None:
        async with clustered() as cluster:
            cluster.whole = status
            url = cluster.url.replace("//", "//admin:hunter2%21@")
            outcome = await attempt(url, parcel(b"{}"))
            assert isinstance(outcome, Again)
            assert outcome.code == code
            assert "hunter2" not in outcome.message
            assert cluster.requests[0]["Authorization"] == "Basic " + base64.b64encode(b"admin:hunter2!").decode()

    run(scenario())


LIES = {
    "nothing": b"", "html": b"<html>", "no items": b'{"errors":false}', "too few": b'{"errors":false,"items":[{"index":{"status":201}}]}',
    "too many": b'{"items":[%b]}' % b",".join([b'{"index":{"status":201}}'] * 3), "no status": b'{"items":[{"index":{}},{"index":{}}]}',
    "two in one": b'{"items":[{"index":{"status":201},"x":{"status":201}},{"index":{"status":201}}]}', "deep": b"[" * 100_000,
    "text status": b'{"items":[{"index":{"status":"201"}},{"index":{"status":"201"}}]}',
}  # fmt: skip


@pytest.mark.parametrize("lie", LIES)
def test_answer_when_it_does_not_tell_of_each_document_tells_of_none(lie: str) -> None:
    async def scenario() -> None:
        body = LIES[lie]
        async with listening(saying(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))) as port:
            outcome = await attempt(f"http://127.0.0.1:{port}", parcel(b"{}", b"{}"))
            assert isinstance(outcome, Again)
            assert len(outcome.entries) == 2

    run(scenario())


def test_answer_when_endless_costs_one_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "ANSWER_MAX_BYTES", 1 << 20)

    async def scenario() -> None:
        async with listening(endless) as port:
            assert isinstance(await attempt(f"http://127.0.0.1:{port}", parcel(b"{}")), Again)

    run(scenario())


HALF = b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"errors":false,"items":[{"index":{"status":201}}'


@pytest.mark.parametrize(
    ("peer", "code"),
    [
        (saying(HALF), "OS.ConnectionFailed"),
        (saying(HALF, stay=True), "OS.RequestTimeout"),
        (saying(b"", stay=True), "OS.RequestTimeout"),
    ],
    ids=["half a body", "half a body and no end", "silent"],
)
def test_cluster_when_its_answer_has_no_end_costs_one_attempt(
    peer: Handler, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "ANSWER_WAIT_MS", 300 if code == "OS.RequestTimeout" else 60_000)

    async def scenario() -> None:
        async with listening(peer) as port:
            outcome = await attempt(f"http://127.0.0.1:{port}", parcel(b"{}"))
            assert isinstance(outcome, Again)
            assert (outcome.code, len(outcome.entries)) == (code, 1)

    run(scenario())


def test_request_when_signed_is_what_botocore_signs() -> None:
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    async def scenario() -> None:
        async with clustered() as cluster, standing(places=Places(credentials=KEYS)) as site:
            await make_search(shape(cluster.url), site).deliver(parcel(b"{}"))
            headers, body = cluster.requests[0], cluster.bodies[0]
            kept = {
                name: headers[name] for name in ("Content-Type", "Host", "X-Amz-Content-Sha256", "X-Amz-Security-Token")
            }
            request = AWSRequest(
                "POST", f"{cluster.url}/_bulk?filter_path=errors%2Citems.%2A.status%2Citems.%2A.error", kept, body
            )
            request.context["timestamp"] = headers["X-Amz-Date"]
            signer = SigV4Auth(
                Credentials(KEYS.access_key_id, KEYS.secret_access_key, KEYS.session_token), "es", "us-east-1"
            )
            request.headers["X-Amz-Date"] = headers["X-Amz-Date"]
            text = signer.string_to_sign(request, signer.canonical_request(request))
            assert headers["Authorization"].endswith("Signature=" + signer.signature(text, request))

    run(scenario())


def test_domain_when_it_has_only_an_arn_is_where_the_server_says_or_refused() -> None:
    domain = shape(None, domain_arn="arn:aws:es:us-east-1:123456789012:domain/logs")

    async def scenario() -> None:
        async with (
            clustered() as cluster,
            standing(places=Places(search_endpoint=cluster.url)) as site,
            standing() as elsewhere,
        ):
            assert isinstance(await make_search(domain, site).deliver(parcel(b"{}")), Delivered)
            with pytest.raises(ServiceError, match="cannot be looked up here"):
                make_search(domain, elsewhere)

    run(scenario())


def test_collection_when_serverless_gets_the_same_requests_and_its_own_error_members() -> None:
    async def scenario() -> None:
        async with clustered(lambda document: (400, MAPPING_ERROR)) as cluster, standing() as site:
            given = OpenSearchServerless(
                role_arn=ROLE, collection_endpoint=cluster.url, index_name="c", s3_configuration=BACKUP
            )
            destination = make_serverless(given, site)
            refused = await destination.deliver(parcel(b"{}"))
            assert isinstance(refused, Refused)
            assert refused.failures[0].facts == {"osDocumentId": "", "osIndexName": "c"}
            assert destination.name == "AmazonOpenSearchServerless"
            given_up = await destination.give_up(
                parcel_of([entry(b"{}")], attempts=2), Again("OS.RequestTimeout", "slow", [entry(b"{}")])
            )
            assert [(failure.code, failure.attempts) for failure in given_up] == [("OS.RequestTimeout", 3)]

    run(scenario())
