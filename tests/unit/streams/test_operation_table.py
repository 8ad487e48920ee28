"""The table of operations: functions, inputs and outputs held against the API model."""

import inspect
import re
import types
import typing
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import msgspec
import pytest
from streams_world import make_shards, make_stream

from penstock.composition.table import ROWS, module_of, unbound
from penstock.core.errors import Error
from penstock.engines.api import Page, Position
from penstock.host.apimodels import load_model
from penstock.services.binding import function_name
from penstock.services.functions.ops.configuration import Members
from penstock.services.streams.codec import CODECS
from penstock.services.streams.hub import EVENT, Pushed
from penstock.services.streams.ops.record import GetRecordsOutput, PutRecordOutput, PutRecordsOutput
from penstock.services.streams.ops.shard import ChildShard, HashKeyRange
from penstock.services.streams.sealed import OpenedPage
from penstock.services.streams.writer import Written
from penstock.wire import cbor
from penstock.wire.model import Shape
from penstock.wire.operation import EventStream, Operation, Protocol, member_name

SERVICES = {row.model: unbound(row) for row in ROWS}
MODULES: dict[str, Sequence[types.ModuleType]] = {row.model: module_of(row).OPERATIONS for row in ROWS}
CONTAINERS_MAX = 5
OPERATIONS = {f"{name}:{key}": bound for name, service in SERVICES.items() for key, bound in service.operations.items()}
KINDS = {str: {"string"}, bytes: {"blob"}, bool: {"boolean"}, int: {"integer", "long", "timestamp"}, float: {"double"}}

operations = pytest.mark.parametrize("operation", OPERATIONS.values(), ids=list(OPERATIONS))


@pytest.mark.parametrize("service", SERVICES)
def test_functions_when_public_and_asynchronous_then_each_is_an_operation_of_the_model(service: str) -> None:
    known = {function_name(name) for name in SERVICES[service].model.operations}
    found = [
        name
        for module in MODULES[service]
        for name, value in vars(module).items()
        if inspect.iscoroutinefunction(value) and value.__module__ == module.__name__ and not name.startswith("_")
    ]
    assert sorted(found) == sorted({*found} & known)
    assert {function_name(name) for name in SERVICES[service].operations} == set(found)


def test_modules_when_they_are_in_the_folder_then_the_application_binds_them() -> None:
    from importlib import import_module
    from pkgutil import iter_modules

    from penstock.services.catalog import ops as catalog_ops
    from penstock.services.firehose import ops as firehose_ops
    from penstock.services.leases import ops as lease_ops
    from penstock.services.logs import ops as log_ops
    from penstock.services.queues import ops as queue_ops
    from penstock.services.streams import ops
    from penstock.services.topics import ops as topic_ops

    for folder, modules in (
        (ops, MODULES["kinesis"]),
        (lease_ops, MODULES["dynamodb"]),
        (catalog_ops, MODULES["glue"]),
        (log_ops, MODULES["logs"]),
        (firehose_ops, MODULES["firehose"]),
        (queue_ops, MODULES["sqs"]),
        (topic_ops, MODULES["sns"]),
    ):
        with_operations = {
            f"{folder.__name__}.{info.name}"
            for info in iter_modules(folder.__path__)
            for value in vars(import_module(f"{folder.__name__}.{info.name}")).values()
            if inspect.iscoroutinefunction(value) and value.__module__ == f"{folder.__name__}.{info.name}"
        }
        assert with_operations == {module.__name__ for module in modules}


@pytest.mark.parametrize("name", CODECS)
def test_codecs_when_named_then_each_is_of_an_implemented_operation(name: str) -> None:
    assert name in SERVICES["kinesis"].operations


MEMBERS = {
    "stream_name": "StreamName",
    "stream_arn": "StreamARN",
    "resource_arn": "ResourceARN",
    "max_record_size_in_kib": "MaxRecordSizeInKiB",
    "warm_throughput_mibps": "WarmThroughputMiBps",
    "type": "Type",
}


@pytest.mark.parametrize("field", MEMBERS)
def test_member_name_when_words_have_a_case_of_their_own_then_they_keep_it(field: str) -> None:
    assert member_name(field) == MEMBERS[field]


def complaints(kind: Any, shape: Shape, path: str, *, of_input: bool) -> Iterator[str]:
    """Whatever in a type does not fit a shape, down to the leaves."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        [kind] = [argument for argument in arguments if argument is not type(None)]
        yield from complaints(kind, shape, path, of_input=of_input)
    elif origin is Literal:
        yield from _enum_complaints(arguments, shape, path, of_input=of_input)
    elif kind == Members:  # a structure of the API as it is; the tests of functions hold its names against the model
        return
    elif origin is dict and arguments[1] is object:
        if shape.kind != "structure":
            yield f"{path}: a document, but {shape.kind} in the model"
    elif origin is dict:
        if shape.kind != "map" or shape.member is None or arguments[0] is not str:
            yield f"{path}: a map, but {shape.kind} in the model"
        else:
            yield from complaints(arguments[1], shape.member, path + "{}", of_input=of_input)
    elif origin in (list, Sequence):
        if shape.kind != "list" or shape.member is None:
            yield f"{path}: a list, but {shape.kind} in the model"
        else:
            yield from complaints(arguments[0], shape.member, path + "[]", of_input=of_input)
    elif isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        yield from _struct_complaints(kind, shape, path, of_input=of_input)
    elif shape.kind not in KINDS[getattr(kind, "__supertype__", kind)]:
        yield f"{path}: {kind}, but {shape.kind} in the model"


def _enum_complaints(words: Sequence[str], shape: Shape, path: str, *, of_input: bool) -> Iterator[str]:
    if not set(words) <= set(shape.enum):
        yield f"{path}: {set(words) - set(shape.enum)} not in the model"
    if of_input and set(words) != set(shape.enum):
        yield f"{path}: {set(shape.enum) - set(words)} would be refused"


def _struct_complaints(kind: type[msgspec.Struct], shape: Shape, path: str, *, of_input: bool) -> Iterator[str]:
    if path.count("{}") + path.count("[]") > CONTAINERS_MAX:
        return  # attribute values hold attribute values
    if shape.kind != "structure":
        yield f"{path}: a structure, but {shape.kind} in the model"
        return
    hints = typing.get_type_hints(kind)
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    for name, field in fields.items():
        if name not in shape.members:
            yield f"{path}.{name}: no member of {shape.name}"
            continue
        if of_input and field.required and name not in shape.required:
            yield f"{path}.{name}: required here, but not in the model"
        yield from complaints(hints[field.name], shape.members[name], f"{path}.{name}", of_input=of_input)
    missing = set(shape.required) - set(fields)
    if missing:
        yield f"{path}: {missing} are required in the model, but are not here"


@operations
def test_input_when_held_against_the_model_then_every_field_is_a_member(operation: Operation) -> None:
    if operation.codec.convert is not None:  # filled by its codec, not by name
        return
    shape = operation.model.input or Shape("nothing", "structure")
    assert list(complaints(operation.input_type, shape, operation.model.name, of_input=True)) == []


@operations
def test_output_when_held_against_the_model_then_every_field_is_a_member(operation: Operation) -> None:
    if operation.codec.encode:  # encoded by its codec; the tests below hold that against the model
        return
    answer = typing.get_type_hints(inspect.unwrap(operation.handler))["return"]
    if answer is EventStream:  # its events are told by its codec; the test below holds them against the model
        assert operation.codec.encode_event
        return
    if operation.model.output is None:
        assert answer is type(None)
        return
    assert list(complaints(answer, operation.model.output, operation.model.name, of_input=False)) == []


NUMBER = "4" * 56
CHILD = ChildShard(
    shard_id="shardId-000000000001",
    parent_shards=["shardId-000000000000"],
    hash_key_range=HashKeyRange(starting_hash_key="0", ending_hash_key="1"),
)
EMPTY = Page(Position(0, 0), [], [], [], Position(0, 1), Position(0, 1), True)
PAGE = OpenedPage(Position(0, 0), [b"k"], [b"data"], [1_700_000_000_123], Position(0, 1), Position(0, 1), True)
PAGE.sealed_rows = [True]
SHARDS = make_shards(make_stream(), 2)
ENCODED = {
    "PutRecords": PutRecordsOutput(
        [
            Written("shardId-000000000000", NUMBER),
            Error.INTERNAL_FAILURE(),
            Error.THROUGHPUT_EXCEEDED(shard="", stream="", account=""),
        ],
        "KMS",
    ),
    "PutRecord": PutRecordOutput(shard_id="shardId-000000000000", sequence_number=NUMBER, encryption_type="KMS"),
    "GetRecords": GetRecordsOutput(2**185, PAGE, 5, "iterator", [CHILD]),
}


def strays(document: Any, shape: Shape, path: str) -> Iterator[str]:
    """Keys of a document that its shape has not, and members that it requires and the document has not."""
    if shape.kind == "structure":
        assert isinstance(document, dict), path
        yield from (f"{path}.{key}" for key in document.keys() ^ (document.keys() & shape.members.keys()))
        yield from (f"{path}.{key} is missing" for key in shape.required if key not in document)
        for key in document.keys() & shape.members.keys():
            yield from strays(document[key], shape.members[key], f"{path}.{key}")
    elif shape.kind == "list":
        assert shape.member is not None
        for item in document:
            yield from strays(item, shape.member, path + "[]")


def test_encoders_when_codecs_bring_their_own_then_each_is_tested_here() -> None:
    assert {name for name, codec in CODECS.items() if codec.encode} == set(ENCODED)


@pytest.mark.parametrize("name", ENCODED)
def test_encoder_when_it_writes_json_then_every_key_is_a_member_of_the_model(name: str) -> None:
    shape = load_model("kinesis").operations[name].output
    assert shape is not None
    document = msgspec.json.decode(CODECS[name].encode["json"](ENCODED[name]))
    assert list(strays(document, shape, name)) == []
    rows = document.get("Records")
    assert rows is None or {key for row in rows for key in row} == _all_members(shape)


EVENTS = {
    "records": Pushed(2**185, PAGE, NUMBER, 5),
    "the end": Pushed(2**185, EMPTY, None, 0, children=SHARDS),
}


@pytest.mark.parametrize("protocol", ["json", "cbor"])
@pytest.mark.parametrize("name", EVENTS)
def test_event_encoder_when_it_writes_then_every_key_is_a_member_of_the_model(name: str, protocol: Protocol) -> None:
    output = load_model("kinesis").operations["SubscribeToShard"].output
    assert output is not None
    shape = output.members["EventStream"].members[EVENT]
    payload = CODECS["SubscribeToShard"].encode_event[protocol](EVENTS[name])
    document = msgspec.json.decode(payload) if protocol == "json" else cbor.decode_document(payload)
    missing = ["e.ContinuationSequenceNumber is missing"] if name == "the end" else []
    assert list(strays(document, shape, "e")) == missing
    assert [row.keys() for row in document["Records"]] == [_all_members(shape)] * len(EVENTS[name].page.data)


def _all_members(shape: Shape) -> set[str]:
    records = shape.members["Records"].member
    assert records is not None
    return set(records.members)


def test_docstrings_when_an_operation_is_implemented_then_it_says_what_it_does() -> None:
    for operation in OPERATIONS.values():
        text = operation.handler.__doc__
        assert text is not None
        assert re.match(r"[A-Z][^\n]*\.", text), operation.model.name
