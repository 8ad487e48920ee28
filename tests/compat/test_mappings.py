"""Event source mappings through boto3: the API, its refusals, its states, and the calls that Terraform makes."""

import io
import zipfile
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from penstock.testing import PenstockServer

ROLE = "arn:aws:iam::123456789012:role/work"
QUEUE = "arn:aws:sqs:us-east-1:123456789012:lost"


def zipped(source: str) -> bytes:
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as archive:
        archive.writestr("app.py", source)
    return body.getvalue()


class Made:
    """A server with a stream and a function."""

    def __init__(self, server: PenstockServer) -> None:
        raw = Config(parameter_validation=False, retries={"total_max_attempts": 1})
        self.kinesis: Any = server.client("kinesis")
        self.functions: Any = server.client("lambda", config=raw)
        self.kinesis.create_stream(StreamName="orders", ShardCount=2)
        self.stream = self.kinesis.describe_stream_summary(StreamName="orders")["StreamDescriptionSummary"]["StreamARN"]
        self.function = self.functions.create_function(
            FunctionName="work", Runtime="python3.12", Role=ROLE, Handler="app.handler",
            Code={"ZipFile": zipped("def handler(event, context): pass")},
        )["FunctionArn"]  # fmt: skip

    def create(self, **settings: Any) -> dict[str, Any]:
        values = {"FunctionName": "work", "EventSourceArn": self.stream, "StartingPosition": "LATEST", **settings}
        made: dict[str, Any] = self.functions.create_event_source_mapping(
            **{key: value for key, value in values.items() if value is not None}
        )
        made.pop("ResponseMetadata")
        return made


@pytest.fixture
def made(penstock: PenstockServer) -> Made:
    return Made(penstock)


def test_create_when_only_what_is_needed_is_given_then_the_defaults_are_told(made: Made) -> None:
    told = made.create()
    assert told.pop("LastModified") is not None
    uuid = told.pop("UUID")
    assert told == {
        "StartingPosition": "LATEST",
        "BatchSize": 100,
        "MaximumBatchingWindowInSeconds": 0,
        "ParallelizationFactor": 1,
        "EventSourceArn": made.stream,
        "FunctionArn": made.function,
        "LastProcessingResult": "No records processed",
        "State": "Creating",
        "StateTransitionReason": "User action",
        "DestinationConfig": {"OnFailure": {}},
        "MaximumRecordAgeInSeconds": -1,
        "BisectBatchOnFunctionError": False,
        "MaximumRetryAttempts": -1,
        "TumblingWindowInSeconds": 0,
        "FunctionResponseTypes": [],
        "EventSourceMappingArn": f"arn:aws:lambda:us-east-1:123456789012:event-source-mapping:{uuid}",
    }
    assert made.functions.get_event_source_mapping(UUID=uuid)["State"] == "Enabled"


SETTINGS: dict[str, Any] = {
    "BatchSize": 10_000,
    "MaximumBatchingWindowInSeconds": 300,
    "ParallelizationFactor": 10,
    "MaximumRecordAgeInSeconds": 604_800,
    "BisectBatchOnFunctionError": True,
    "MaximumRetryAttempts": 10_000,
    "TumblingWindowInSeconds": 900,
    "FunctionResponseTypes": ["ReportBatchItemFailures"],
    "DestinationConfig": {"OnFailure": {"Destination": QUEUE}},
    "FilterCriteria": {"Filters": [{"Pattern": '{"data":{"a":[1]}}'}]},
    "MetricsConfig": {"Metrics": ["EventCount"]},
    "KMSKeyArn": "arn:aws:kms:us-east-1:123456789012:key/k",
}


def test_settings_when_they_are_given_and_taken_back_then_that_is_told(made: Made) -> None:
    told = made.create(**SETTINGS)
    assert {key: told[key] for key in SETTINGS} == SETTINGS
    changed = made.functions.update_event_source_mapping(
        UUID=told["UUID"], FilterCriteria={}, DestinationConfig={"OnFailure": {}}, BatchSize=1, MetricsConfig={"Metrics": []},
        FunctionResponseTypes=[], BisectBatchOnFunctionError=False,
    )  # fmt: skip
    assert changed["State"] == "Updating"
    now = made.functions.get_event_source_mapping(UUID=told["UUID"])
    assert now["State"] == "Enabled"
    assert (now["BatchSize"], now["ParallelizationFactor"]) == (1, 10)
    assert now["DestinationConfig"] == {"OnFailure": {}}
    assert "FilterCriteria" not in now
    assert "MetricsConfig" not in now


@pytest.mark.parametrize(
    ("settings", "code", "text"),
    [
        ({"BatchSize": 0}, "ValidationException", "greater than or equal to 1"),
        ({"BatchSize": 10_001}, "ValidationException", "less than or equal to 10000"),
        ({"BatchSize": "many"}, "SerializationException", ""),
        ({"MaximumBatchingWindowInSeconds": 301}, "ValidationException", "less than or equal to 300"),
        ({"ParallelizationFactor": 11}, "ValidationException", "less than or equal to 10"),
        ({"MaximumRetryAttempts": -2}, "ValidationException", "greater than or equal to -1"),
        ({"MaximumRecordAgeInSeconds": 59}, "InvalidParameterValueException", "MaximumRecordAgeInSeconds"),
        ({"MaximumRecordAgeInSeconds": 604_801}, "ValidationException", "less than or equal to 604800"),
        ({"TumblingWindowInSeconds": 901}, "ValidationException", "less than or equal to 900"),
        ({"StartingPosition": "SOMEWHERE"}, "ValidationException", "enum value set"),
        ({"StartingPosition": None}, "InvalidParameterValueException", "startingPosition"),
        ({"StartingPosition": "AT_TIMESTAMP"}, "InvalidParameterValueException", "StartingPositionTimestamp"),
        (
            {"StartingPosition": "AT_TIMESTAMP", "StartingPositionTimestamp": 32_503_680_000},
            "InvalidParameterValueException",
            "future",
        ),
        ({"StartingPositionTimestamp": 1}, "InvalidParameterValueException", "StartingPositionTimestamp"),
        ({"FunctionResponseTypes": ["Other"]}, "ValidationException", "enum value set"),
        ({"EventSourceArn": None}, "InvalidParameterValueException", "Unrecognized event source"),
        ({"EventSourceArn": "arn:aws:sqs:us-east-1:123456789012:q"}, "InvalidParameterValueException", "Unrecognized"),
        (
            {"EventSourceArn": "arn:aws:kinesis:us-east-1:123456789012:stream/none"},
            "InvalidParameterValueException",
            "Stream not found: arn:aws:kinesis:us-east-1:123456789012:stream/none",
        ),
        (
            {"EventSourceArn": "arn:aws:kinesis:us-east-1:123456789012:stream/orders/consumer/none:1"},
            "InvalidParameterValueException",
            "Consumer not found",
        ),
        ({"EventSourceArn": "arn:aws:kinesis:eu-west-1:123456789012:stream/orders"}, "InvalidParameterValueException", "region"),
        ({"FunctionName": "none"}, "InvalidParameterValueException", "Function does not exist"),
        ({"FilterCriteria": {"Filters": [{"Pattern": "x"}]}}, "InvalidParameterValueException", "Invalid filter pattern definition."),
        ({"FilterCriteria": {"Filters": [{"Pattern": '{"a":[1]}'}] * 6}}, "InvalidParameterValueException", "limit of 5"),
        (
            {"DestinationConfig": {"OnFailure": {"Destination": "arn:aws:ec2:us-east-1:123456789012:x"}}},
            "InvalidParameterValueException",
            "destination",
        ),
        ({"DestinationConfig": {"OnSuccess": {"Destination": QUEUE}}}, "InvalidParameterValueException", "Unsupported"),
        ({"Topics": ["topic"]}, "InvalidParameterValueException", "Topics"),
        ({"ProvisionedPollerConfig": {"MinimumPollers": 1}}, "InvalidParameterValueException", "ProvisionedPollerConfig"),
    ],
)  # fmt: skip
def test_create_when_something_is_wrong_then_it_is_refused_and_nothing_is_made(
    made: Made, settings: dict[str, Any], code: str, text: str
) -> None:
    with pytest.raises(ClientError) as refused:
        made.create(**settings)
    assert refused.value.response["Error"]["Code"] == code
    assert text in refused.value.response["Error"]["Message"]
    assert made.functions.list_event_source_mappings()["EventSourceMappings"] == []


def test_create_when_there_is_such_a_mapping_then_its_id_is_told(made: Made) -> None:
    uuid = made.create()["UUID"]
    with pytest.raises(ClientError) as refused:
        made.create()
    assert refused.value.response["Error"] == {
        "Code": "ResourceConflictException",
        "Message": f'The event source arn (" {made.stream} ") and function (" work ") provided mapping already exists.'
        f" Please update or delete the existing mapping with UUID {uuid}",
    }
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 409


def test_list_when_there_are_several_then_they_come_in_pages_and_by_function_and_stream(made: Made) -> None:
    for name in ("b", "c"):
        made.functions.create_function(
            FunctionName=name, Runtime="python3.12", Role=ROLE, Handler="a.b", Code={"ZipFile": zipped("")}
        )
        made.create(FunctionName=name)
    made.create()
    first = made.functions.list_event_source_mappings(EventSourceArn=made.stream, MaxItems=2)
    rest = made.functions.list_event_source_mappings(EventSourceArn=made.stream, Marker=first["NextMarker"])
    assert (len(first["EventSourceMappings"]), len(rest["EventSourceMappings"])) == (2, 1)
    assert "NextMarker" not in rest
    [found] = made.functions.list_event_source_mappings(FunctionName="b")["EventSourceMappings"]
    assert found["FunctionArn"].endswith(":function:b")
    assert made.functions.list_event_source_mappings(EventSourceArn=made.stream + "x")["EventSourceMappings"] == []


@pytest.mark.parametrize("operation", ["get", "update", "delete"])
def test_mapping_when_there_is_none_then_that_is_told(made: Made, operation: str) -> None:
    with pytest.raises(ClientError) as refused:
        getattr(made.functions, f"{operation}_event_source_mapping")(UUID="0" * 36)
    assert refused.value.response["Error"]["Code"] == "ResourceNotFoundException"
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404


def test_tags_when_they_are_given_added_and_taken_away_then_they_are_listed(made: Made) -> None:
    arn = made.create(Tags={"a": "1", "b": "2"})["EventSourceMappingArn"]
    made.functions.tag_resource(Resource=arn, Tags={"b": "3", "c": "4"})
    made.functions.untag_resource(Resource=arn, TagKeys=["a"])
    assert made.functions.list_tags(Resource=arn)["Tags"] == {"b": "3", "c": "4"}
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        made.functions.list_tags(Resource=arn[:-4] + "0000")


def test_terraform_when_it_makes_changes_and_destroys_a_mapping_then_every_state_that_it_waits_for_comes() -> None:
    """Create, Get until Enabled; Update, Get until Enabled or Disabled; Delete, Get until it is gone."""
    with PenstockServer(transition_ms=200) as server:
        server.clock.stand()
        made = Made.__new__(Made)
        made.kinesis, made.functions = server.client("kinesis"), server.client("lambda")
        made.kinesis.create_stream(StreamName="orders", ShardCount=1)
        server.clock.advance(seconds=1)
        made.stream = "arn:aws:kinesis:us-east-1:123456789012:stream/orders"
        made.functions.create_function(
            FunctionName="work", Runtime="python3.12", Role=ROLE, Handler="a.b", Code={"ZipFile": zipped("")}
        )
        uuid = made.create()["UUID"]
        assert _state(made, uuid) == "Creating"
        server.clock.advance(seconds=1)
        assert _state(made, uuid) == "Enabled"
        made.functions.update_event_source_mapping(UUID=uuid, BatchSize=5, FunctionName="work")
        assert _state(made, uuid) == "Updating"
        with pytest.raises(ClientError, match="ResourceInUseException"):
            made.functions.delete_event_source_mapping(UUID=uuid)
        server.clock.advance(seconds=1)
        assert _state(made, uuid) == "Enabled"
        made.functions.update_event_source_mapping(UUID=uuid, Enabled=False)
        assert _state(made, uuid) == "Disabling"
        server.clock.advance(seconds=1)
        assert _state(made, uuid) == "Disabled"
        assert made.functions.delete_event_source_mapping(UUID=uuid)["State"] == "Deleting"
        server.clock.advance(seconds=1)
        with pytest.raises(ClientError, match="ResourceNotFoundException"):
            _state(made, uuid)


def _state(made: Made, uuid: str) -> str:
    state: str = made.functions.get_event_source_mapping(UUID=uuid)["State"]
    return state


def test_reset_when_there_are_mappings_then_they_are_gone_and_do_nothing_more(
    made: Made, penstock: PenstockServer
) -> None:
    made.create()
    penstock.reset()
    again = Made(penstock)
    assert again.functions.list_event_source_mappings()["EventSourceMappings"] == []


def test_consumer_when_a_mapping_reads_through_it_and_it_goes_then_that_is_told(made: Made) -> None:
    consumer = made.kinesis.register_stream_consumer(StreamARN=made.stream, ConsumerName="fan")["Consumer"][
        "ConsumerARN"
    ]
    uuid = made.create(EventSourceArn=consumer)["UUID"]
    assert made.functions.get_event_source_mapping(UUID=uuid)["EventSourceArn"] == consumer
    assert made.functions.list_event_source_mappings(EventSourceArn=consumer)["EventSourceMappings"][0]["UUID"] == uuid
    made.create(EventSourceArn=made.stream)  # another source, though of the same stream
    made.kinesis.deregister_stream_consumer(ConsumerARN=consumer)
    made.kinesis.put_records(
        StreamName="orders", Records=[{"PartitionKey": str(key), "Data": b"x"} for key in range(8)]
    )
    assert _told(made, uuid, "PROBLEM: Consumer")


def test_key_when_it_is_disabled_then_that_is_told_until_it_is_enabled(penstock: PenstockServer, made: Made) -> None:
    kms: Any = penstock.client("kms")
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    made.kinesis.start_stream_encryption(StreamName="orders", EncryptionType="KMS", KeyId=key)
    uuid = made.create(StartingPosition="TRIM_HORIZON", Enabled=False)["UUID"]
    made.kinesis.put_records(
        StreamName="orders", Records=[{"PartitionKey": str(key), "Data": b"x"} for key in range(8)]
    )
    kms.disable_key(KeyId=key)
    penstock.clock.advance(minutes=10)  # data keys that are in memory are forgotten
    made.functions.update_event_source_mapping(UUID=uuid, Enabled=True)
    assert _told(made, uuid, "is disabled")
    kms.enable_key(KeyId=key)
    penstock.clock.advance(seconds=5)
    assert _told(made, uuid, "OK")


def _told(made: Made, uuid: str, text: str) -> bool:
    """Whether LastProcessingResult soon has a text."""
    results = (made.functions.get_event_source_mapping(UUID=uuid)["LastProcessingResult"] for _ in range(1000))
    return any(text in result for result in results)
