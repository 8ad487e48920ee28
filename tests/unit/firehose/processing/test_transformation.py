"""The transformation: the contract with the function, retries, and functions that lie."""

import asyncio
import base64
from collections.abc import Sequence
from typing import Any

import pytest
from processing_world import ARN, FUNCTION, World, entries, entry, play, processor

from penstock.core.errors import ServiceError
from penstock.services.firehose.entries import Origin, Route
from penstock.services.firehose.processing.api import Processed
from penstock.services.firehose.processing.transformation import PAYLOAD_MAX_BYTES
from penstock.services.functions.invoking import Invoked

LAMBDA = processor("Lambda", LambdaArn=FUNCTION)


def ok(record: dict[str, Any], data: bytes = b"new", **more: Any) -> dict[str, Any]:
    return {"recordId": record["recordId"], "result": "Ok", "data": base64.b64encode(data).decode(), **more}


def failed_with(done: Processed) -> list[tuple[int, str]]:
    return [(failure.entry.place, failure.code) for failure in done.failed]


def test_function_when_it_is_asked_then_the_event_is_as_documented() -> None:
    async def scenario(world: World) -> None:
        world.functions.handler = lambda event: {"records": [ok(record) for record in event["records"]]}
        origin = Origin("shardId-000000000001", "key", "49", 2, 1_699_999_999_000)
        done = await world.through(world.steps(LAMBDA), entry(b"old", 7, origin))
        assert [(one.data, one.place, one.record_id) for one in done.kept] == [(b"new", 7, "r7")]
        [event] = world.functions.events
        assert event.pop("invocationId")
        assert event == {
            "deliveryStreamArn": ARN,
            "region": "us-east-1",
            "records": [
                {
                    "recordId": "r7",
                    "approximateArrivalTimestamp": 1_700_000_000_007,
                    "data": "b2xk",
                    "kinesisRecordMetadata": {
                        "sequenceNumber": "49",
                        "subsequenceNumber": 2,
                        "partitionKey": "key",
                        "shardId": "shardId-000000000001",
                        "approximateArrivalTimestamp": 1_699_999_999_000,
                    },
                }
            ],
        }
        told = dict(world.told.values)
        assert (told["ExecuteProcessing.Success"], told["SucceedProcessing.Records"]) == (1, 1)

    play(scenario)


def test_results_when_they_differ_then_each_counts_for_its_record_and_the_order_stays() -> None:
    def handler(event: dict[str, Any]) -> object:
        first, second, third, fourth = event["records"]
        metadata = {"partitionKeys": {"a": "x", "n": 5}, "otfMetadata": table}
        return {
            "records": [
                ok(fourth, metadata=metadata),
                {"recordId": third["recordId"], "result": "ProcessingFailed", "data": "b2xk"},
                {"recordId": second["recordId"], "result": "Dropped"},
                ok(first, b""),
            ]
        }

    table = {"destinationDatabaseName": "d", "destinationTableName": "t", "operation": "DELETE"}

    async def scenario(world: World) -> None:
        world.functions.handler = handler
        done = await world.through(world.steps(LAMBDA), *entries(b"0", b"1", b"2", b"3"))
        assert [(one.place, one.data) for one in done.kept] == [(0, b""), (3, b"new")]
        assert (done.kept[1].lambda_keys, done.kept[1].route) == ({"a": "x", "n": "5"}, Route("d", "t", "delete"))
        assert done.dropped == 1
        [failure] = done.failed
        assert (failure.kind, failure.code, failure.lambda_arn) == (
            "processing-failed",
            "Lambda.ProcessingFailedStatus",
            FUNCTION,
        )
        assert failure.entry.data == b"2"

    play(scenario)


def _answers(event: dict[str, Any], case: str) -> object:
    first, second = event["records"]
    return {
        "missing": {"records": [ok(second)]},
        "double": {"records": [ok(first), ok(second), ok(first)]},
        "foreign": {"records": [ok(first), ok(second), {"recordId": "x", "result": "Ok", "data": ""}]},
        "unknown result": {"records": [ok(second), {**ok(first), "result": "Fine"}]},
        "no data": {"records": [{"recordId": "r0", "result": "Ok"}, ok(second)]},
        "no base64": {"records": [{"recordId": "r0", "result": "Ok", "data": "?"}, ok(second)]},
        "empty key": {"records": [ok(first, metadata={"partitionKeys": {"a": ""}}), ok(second)]},
        "key of a wrong type": {"records": [ok(first, metadata={"partitionKeys": {"a": [1]}}), ok(second)]},
        "bad operation": {"records": [ok(first, metadata={"otfMetadata": BAD_TABLE}), ok(second)]},
        "number as id": {"records": [{**ok(first), "recordId": 0}, ok(second)]},
        "no JSON": b"{",
        "no UTF-8": b'{"records": "\xff"}',
        "no records": {"record": []},
        "an array": [],
        "null": None,
        "too large": b" " * (PAYLOAD_MAX_BYTES + 1),
        "deep": b'{"records": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    }[case]


BAD_TABLE = {"destinationDatabaseName": "d", "destinationTableName": "t", "operation": "upsert"}
LIES: dict[str, list[str | None]] = {
    "missing": ["Lambda.MissingRecordId", None],
    "double": ["Lambda.DuplicatedRecordId", None],
    "foreign": [None, None],
    **{
        case: ["Lambda.JsonProcessingException", None]
        for case in (
            *("unknown result", "no data", "no base64", "empty key", "key of a wrong type", "bad operation"),
            "number as id",
        )
    },
    **{
        case: ["Lambda.JsonProcessingException"] * 2
        for case in ("no JSON", "no UTF-8", "no records", "an array", "null", "too large", "deep")
    },
}


@pytest.mark.parametrize("case", LIES)
def test_function_when_it_lies_then_what_it_does_not_answer_for_has_failed_at_once(case: str) -> None:
    async def scenario(world: World) -> None:
        world.functions.handler = lambda event: _answers(event, case)
        done = await world.through(world.steps(LAMBDA), *entries(b"0", b"1"))
        assert failed_with(done) == [(place, code) for place, code in enumerate(LIES[case]) if code]
        assert [one.place for one in done.kept] == [place for place, code in enumerate(LIES[case]) if not code]
        assert len(world.functions.events) == 1

    play(scenario)


TIMED_OUT = Invoked(
    "i", b'{"errorMessage": "2026-01-01T00:00:00Z x Task timed out after 3.00 seconds"}', "Unhandled", "1"
)
THROTTLED = ServiceError("TooManyRequestsException", "Rate Exceeded.", 429)
BROKEN = Invoked("i", b'{"errorMessage": "boom", "errorType": "ValueError"}', "Unhandled", "1")
NONE = ServiceError("ResourceNotFoundException", "Function not found", 404)
DENIED = ServiceError("AccessDeniedException", "no", 403)


def test_invocation_when_it_is_asked_for_then_five_minutes_are_its_longest() -> None:
    async def scenario(world: World) -> None:
        world.functions.handler = lambda event: {"records": [ok(record) for record in event["records"]]}
        await world.through(world.steps(LAMBDA), *entries(b"0"))
        assert world.functions.patience_s == [300]

    play(scenario)


async def _time_passes(world: World) -> None:
    for _ in range(40):
        await world.clock.sleep(0)
        world.clock.advance(1000)


@pytest.mark.parametrize(
    ("answers", "invocations", "code"),
    [
        ([THROTTLED, TIMED_OUT, "fine"], 3, None),
        ([THROTTLED] * 9, 4, "Lambda.InvokeLimitExceeded"),
        ([TIMED_OUT] * 9, 4, "Lambda.FunctionTimedOut"),
        ([ServiceError("ServiceException", "down", 500)] * 9, 4, "Lambda.InvokeFailed"),
        ([BROKEN], 1, "Lambda.FunctionError"),
        ([NONE], 1, "Lambda.ResourceNotFound"),
        ([DENIED], 1, "Lambda.InvokeAccessDenied"),
    ],
)
def test_invocation_when_it_fails_then_only_what_may_pass_is_tried_again(
    answers: Sequence[object], invocations: int, code: str | None
) -> None:
    async def scenario(world: World) -> None:
        left = iter(answers)

        def handler(event: dict[str, Any]) -> object:
            answer = next(left)
            return {"records": [ok(record) for record in event["records"]]} if answer == "fine" else answer

        world.functions.handler = handler
        steps = world.steps(LAMBDA)
        done, _ = await asyncio.gather(world.through(steps, *entries(b"0", b"1")), _time_passes(world))
        assert len(world.functions.events) == invocations
        assert {failure.code for failure in done.failed} == ({code} if code else set())
        assert {failure.attempts for failure in done.failed} == ({invocations} if code else set())
        assert len(done.failed) + len(done.kept) == 2

    play(scenario)


def test_batch_when_it_is_large_then_invocations_are_of_the_buffer_size_and_few_at_a_time() -> None:
    async def scenario(world: World) -> None:
        world.functions.handler = lambda event: {"records": [ok(record) for record in event["records"]]}
        buffered = processor("Lambda", LambdaArn=FUNCTION, BufferSizeInMBs="0.2")
        many = entries(*(b"x" * 50_000 for _ in range(40)))
        done = await world.through(world.steps(buffered), *many)
        assert [one.place for one in done.kept] == list(range(40))
        assert [len(event["records"]) for event in world.functions.events] == [4] * 10
        assert world.functions.at_once_most == 5

    play(scenario)


def test_invocation_when_its_host_has_a_fault_then_the_batch_is_for_another_try_and_nothing_goes_on() -> None:
    async def scenario(world: World) -> None:
        def handler(event: dict[str, Any]) -> object:
            if event["records"][0]["recordId"] == "r0":
                raise OSError("no process")
            return {"records": [ok(record) for record in event["records"]]}

        world.functions.handler = handler
        buffered = processor("Lambda", LambdaArn=FUNCTION, BufferSizeInMBs="0.2")
        with pytest.raises(OSError, match="no process"):
            await world.through(world.steps(buffered), *entries(*(b"x" * 150_000 for _ in range(4))))
        assert len(world.functions.events) == 4
        assert world.functions.at_once == 0

    play(scenario)


def test_record_when_it_does_not_fit_into_an_invocation_then_it_fails_and_others_go_on() -> None:
    async def scenario(world: World) -> None:
        world.functions.handler = lambda event: {"records": [ok(record) for record in event["records"]]}
        done = await world.through(world.steps(LAMBDA), *entries(b"0", b"x" * 5_000_000, b"2"))
        assert failed_with(done) == [(1, "Lambda.RecordTooLarge")]
        assert [one.place for one in done.kept] == [0, 2]

    play(scenario)
