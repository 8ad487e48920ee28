"""What destinations answer, whatever the other side does: each entry is accounted for once, nothing is raised, no secret is told."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from peers import BACKUP, PARCEL_ID, ROLE, RushingClock, parcel, standing

from penstock.core.network import Answer, Call, CallFailed, Reason
from penstock.services.firehose.destinations.api import Again, Delivered, Destination, Mixed, Outcome, Refused
from penstock.services.firehose.destinations.http import HttpEndpointDestination
from penstock.services.firehose.destinations.search import make_search
from penstock.services.firehose.destinations.shapes import EndpointConfiguration, HttpEndpoint, OpenSearch, Splunk
from penstock.services.firehose.destinations.splunk import SplunkDestination
from penstock.services.firehose.site import Site

SECRET = "the-secret-of-it"
ENDPOINT = EndpointConfiguration(url=f"http://h/?k={SECRET}", access_key=SECRET)
MAKERS: dict[str, Callable[[Site], Destination]] = {
    "http": lambda site: HttpEndpointDestination(
        HttpEndpoint(endpoint_configuration=ENDPOINT, s3_configuration=BACKUP), site
    ),
    "search": lambda site: make_search(
        OpenSearch(role_arn=ROLE, cluster_endpoint=f"http://u:{SECRET}@h", index_name="i", s3_configuration=BACKUP),
        site,
    ),
    "splunk": lambda site: SplunkDestination(
        Splunk(hec_endpoint="http://h", hec_endpoint_type="Event", hec_token=SECRET, s3_configuration=BACKUP), site
    ),
}

statuses = st.sampled_from([200, 200, 200, 201, 301, 400, 401, 403, 404, 413, 429, 500, 503])
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3)
)
items = st.lists(
    st.fixed_dictionaries({"index": st.fixed_dictionaries({"status": statuses | values}, optional={"error": values})}),
    max_size=5,
)
documents = st.fixed_dictionaries(
    {},
    optional={
        "requestId": st.just(PARCEL_ID) | values, "timestamp": st.integers() | values, "items": items | values, "code": st.integers(-1, 20) | values,
        "ackId": st.integers() | values, "invalid-event-number": st.integers(-2, 6) | values, "text": st.just(SECRET),
        "acks": st.dictionaries(st.text(max_size=2), st.booleans(), max_size=2) | values,
    },
)  # fmt: skip
bodies = st.binary(max_size=30) | documents.map(lambda document: json.dumps(document).encode())
headers = st.fixed_dictionaries(
    {},
    optional={
        "content-type": st.sampled_from(["application/json", "text/html"]),
        "content-length": st.just("7"),
        "content-encoding": st.just("gzip"),
    },
)
reasons: st.SearchStrategy[Reason] = st.sampled_from(["unreachable", "tls", "timeout", "cut", "garbage", "too_large"])
answers = st.builds(Answer, statuses, headers, bodies) | reasons.map(lambda reason: CallFailed(reason, "one line"))
records = st.lists(
    st.sampled_from([b'{"event":1}', b'{"a":2}\n', b"{}{}", b"no json", b"", b"\xff"]), min_size=1, max_size=5
)


class Whatever:
    """A network that answers with what it was given, one after the other, the last for ever."""

    def __init__(self, given_answers: list[Any]) -> None:
        self._answers = given_answers

    async def call(self, call: Call) -> Answer:
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, CallFailed):
            raise answer
        assert isinstance(answer, Answer)
        return answer


def accounted(outcome: Outcome) -> tuple[int, list[int], str]:
    """How many were delivered, the places of the others, and all that was said."""
    match outcome:
        case Delivered():
            return outcome.records, [], ""
        case Again():
            return 0, [entry.place for entry in outcome.entries], outcome.message
        case Refused():
            return 0, [one.entry.place for one in outcome.failures], "".join(one.message for one in outcome.failures)
        case Mixed():
            places = [one.entry.place for one in outcome.failures]
            said = "".join(one.message for one in outcome.failures)
            if outcome.again is not None:
                places += [entry.place for entry in outcome.again.entries]
                said += outcome.again.message
            return outcome.delivered.records, places, said


@pytest.mark.parametrize("kind", MAKERS)
@given(given_answers=st.lists(answers, min_size=1, max_size=3), data=records)
def test_entries_when_the_other_side_does_anything_are_accounted_for_once(
    kind: str, given_answers: list[Any], data: list[bytes]
) -> None:
    async def scenario() -> Outcome:
        async with standing(network=Whatever(given_answers), clock=RushingClock()) as site:
            return await MAKERS[kind](site).deliver(parcel(*data))

    delivered, places, said = accounted(asyncio.run(scenario()))
    assert len(places) == len(set(places))
    assert delivered + len(places) == len(data)
    assert SECRET not in said
    assert "\n" not in said
