"""Binding: operations and the functions named after them."""

from types import ModuleType
from typing import Any

import pytest

from penstock.core.context import Caller
from penstock.host.apimodels import load_model
from penstock.services.binding import bind, function_name
from penstock.wire.operation import Codec, Input

NAMES = {
    "PutRecord": "put_record",
    "PutRecords": "put_records",
    "AddTagsToStream": "add_tags_to_stream",
    "SubscribeToShard": "subscribe_to_shard",
    "UpdateMaxRecordSize": "update_max_record_size",
    "IncreaseStreamRetentionPeriod": "increase_stream_retention_period",
    "GetCallerIdentity": "get_caller_identity",
}


@pytest.mark.parametrize("operation", NAMES)
def test_function_name_when_words_are_capitalised_then_they_are_joined_by_underscores(operation: str) -> None:
    assert function_name(operation) == NAMES[operation]


@pytest.mark.parametrize("service", ["kinesis", "sts"])
def test_function_name_when_every_operation_of_a_model_is_named_then_no_two_share_a_name(service: str) -> None:
    operations = load_model(service).operations
    assert len({function_name(name) for name in operations}) == len(operations)


class PutRecordRequest(Input):
    """The input of the function below."""

    stream_name: str


async def put_record(service: str, caller: Caller | None, request: PutRecordRequest) -> str:
    """An operation's function."""
    return f"{service} {request.stream_name}"


def a_module(**members: Any) -> ModuleType:
    """A module with members."""
    module = ModuleType("made_here")
    vars(module).update(members)
    return module


def test_bind_when_a_function_bears_an_operations_name_then_it_is_bound_to_the_service() -> None:
    codec = Codec()
    modules = [a_module(put_record=put_record, get_records="no function", helper=put_record)]
    service = bind(load_model("kinesis"), modules, "me", {"PutRecord": codec})
    assert list(service.operations) == ["PutRecord"]
    operation = service.operations["PutRecord"]
    assert operation.input_type is PutRecordRequest
    assert operation.codec is codec
    assert operation.model is service.model.operations["PutRecord"]
    coroutine = operation.handler(None, PutRecordRequest(stream_name="orders"))  # type: ignore[arg-type]
    with pytest.raises(StopIteration) as done:
        coroutine.__await__().__next__()
    assert done.value.value == "me orders"
