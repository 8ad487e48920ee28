"""Admission: which calls are let in, what the others are told, and that only rates cost anything."""

from typing import Any

import pytest
from streams_world import CALLER, ManualClock

from penstock.core.errors import ServiceError
from penstock.core.ids import AccountId, Region
from penstock.core.limits import CONTROL_CALLS
from penstock.host.apimodels import load_model
from penstock.services.metrics.registry import StreamMetrics
from penstock.services.streams import admission
from penstock.services.streams.admission import Admission, named_stream
from penstock.services.streams.ops.naming import StreamRequest
from penstock.services.streams.ops.stream import ListStreamsRequest
from penstock.services.streams.ops.tag import ListTagsForResourceRequest

ARN = "arn:aws:kinesis:eu-west-1:123456789012:stream/orders"


class Door:
    """An Admission on a clock that stands."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.metrics = StreamMetrics()
        self.admission = Admission(self.clock, self.metrics)

    def call(self, operation: str, request: Any, caller: Any = CALLER) -> str | None:
        """None if the call is let in, or what it is told."""
        gate = self.admission.gate(operation)
        assert gate is not None
        try:
            gate(caller, request)
        except ServiceError as error:
            return str(error)
        return None


def test_gate_when_an_operation_has_no_rate_then_there_is_none() -> None:
    door = Door()
    assert [door.admission.gate(name) for name in ("PutRecord", "PutRecords", "GetRecords", "GetShardIterator")] == [
        None
    ] * 4


def test_rates_when_held_against_the_model_then_each_is_of_an_operation() -> None:
    assert CONTROL_CALLS.keys() <= load_model("kinesis").operations.keys()


@pytest.mark.parametrize("operation", CONTROL_CALLS)
def test_gate_when_called_more_often_than_the_rate_then_the_rest_is_refused_until_time_passes(operation: str) -> None:
    door, rate, request = Door(), CONTROL_CALLS[operation].per_second, StreamRequest(stream_name="orders")
    assert [door.call(operation, request) for _ in range(rate)] == [None] * rate
    told = "LimitExceededException: Rate exceeded for stream orders under account 123456789012."
    assert door.call(operation, request) == told
    door.clock.ms += 1000 // rate
    assert door.call(operation, request) is None
    assert door.call(operation, request) == told
    assert door.metrics.refused_calls.value == 2


def test_gate_when_no_stream_is_named_then_the_account_is_told() -> None:
    door = Door()
    answers = [door.call("ListStreams", ListStreamsRequest()) for _ in range(6)]
    assert answers == [None] * 5 + ["LimitExceededException: Rate exceeded for account 123456789012."]


def test_gate_when_callers_or_operations_differ_then_each_has_its_own_rate() -> None:
    door, request = Door(), StreamRequest(stream_name="orders")
    for caller in (
        CALLER,
        CALLER._replace(region=Region("us-east-1")),
        CALLER._replace(account=AccountId("210987654321")),
    ):
        for operation in ("CreateStream", "DeleteStream"):
            assert [door.call(operation, request, caller) is None for _ in range(6)] == [True] * 5 + [False]


@pytest.mark.parametrize(("operation", "shared"), [("DescribeStream", True), ("ListStreamConsumers", False)])
def test_gate_when_streams_differ_then_they_share_a_rate_of_the_account_only(operation: str, shared: bool) -> None:
    door, rate = Door(), CONTROL_CALLS[operation].per_second
    for _ in range(rate):
        door.call(operation, StreamRequest(stream_name="orders"))
    assert (door.call(operation, StreamRequest(stream_arn=ARN.replace("orders", "other"))) is None) is not shared
    assert door.call(operation, StreamRequest(stream_arn=ARN)) is not None  # the same stream by its ARN


@pytest.mark.parametrize(
    ("request_", "name"),
    [
        (StreamRequest(stream_name="a"), "a"),
        (StreamRequest(stream_arn=ARN), "orders"),
        (StreamRequest(stream_arn="nonsense"), ""),
        (StreamRequest(stream_id="aaaaaaaaaaaaaaaaaaaa-aaa"), "aaaaaaaaaaaaaaaaaaaa-aaa"),
        (StreamRequest(), ""),
        (ListTagsForResourceRequest(resource_arn=ARN), "orders"),
        (ListTagsForResourceRequest(resource_arn=ARN + "/consumer/c:1"), "orders"),
        (ListStreamsRequest(), ""),
    ],
)
def test_named_stream_when_a_request_names_it_in_any_way_then_it_is_found(request_: Any, name: str) -> None:
    assert named_stream(request_) == name


def test_buckets_when_strangers_call_by_the_thousands_then_only_those_in_use_are_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(admission, "BUCKETS_KEPT", 100)
    door = Door()
    for number in range(5000):
        assert (
            door.call("ListStreams", ListStreamsRequest(), CALLER._replace(account=AccountId(f"{number:012}"))) is None
        )
        door.clock.ms += 10
    assert len(door.admission._buckets) <= 202


def test_buckets_when_room_is_made_then_who_is_over_the_rate_stays_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "BUCKETS_KEPT", 10)
    door = Door()
    while door.call("ListStreams", ListStreamsRequest()) is None:
        pass
    for number in range(100):
        assert (
            door.call("ListStreams", ListStreamsRequest(), CALLER._replace(account=AccountId(f"{number:012}"))) is None
        )
    assert door.call("ListStreams", ListStreamsRequest()) is not None
