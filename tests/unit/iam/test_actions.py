"""The table of actions, held against the API models."""

import pytest

from penstock.host.apimodels import load_model
from penstock.services.iam.actions import ACTIONS, Action, ResourceKind, action_of
from penstock.services.iam.evaluate import Need

ROWS = {f"{service}:{name}": row for service, rows in ACTIONS.items() for name, row in rows.items()}


@pytest.mark.parametrize("service", ["kinesis", "sts"])
def test_table_when_held_against_the_model_then_every_operation_has_a_row(service: str) -> None:
    assert set(ACTIONS[service]) == set(load_model(service).operations)


def test_table_when_the_model_of_kinesis_grows_then_it_shows_here() -> None:
    assert len(ACTIONS["kinesis"]) == 57


@pytest.mark.parametrize(
    "service", ["iam", "kms", "cloudwatch", "dynamodb", "glue", "logs", "firehose", "lambda", "sqs", "sns"]
)
def test_table_when_held_against_the_model_then_every_row_is_an_operation(service: str) -> None:
    assert set(ACTIONS[service]) <= set(load_model(service).operations)


def test_table_when_a_row_is_read_then_its_action_is_the_operation_of_its_service() -> None:
    others = {key: row.name for key, row in ROWS.items() if row.name != key}
    assert others == {
        "kms:ReEncrypt": "kms:ReEncryptFrom",
        "lambda:Invoke": "lambda:InvokeFunction",
        "lambda:InvokeAsync": "lambda:InvokeFunction",
        "sqs:ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility",
        "sqs:DeleteMessageBatch": "sqs:DeleteMessage",
        "sqs:SendMessageBatch": "sqs:SendMessage",
    }


def test_kinesis_when_operations_name_no_resource_then_they_are_these() -> None:
    assert sorted(name for name, row in ACTIONS["kinesis"].items() if row.kind is ResourceKind.ANY) == [
        *(
            "DescribeAccountSettings",
            "DescribeLimits",
            "ListChannels",
            "ListQueues",
            "ListStreams",
            "UpdateAccountSettings",
        ),
    ]


def test_kinesis_when_operations_are_on_consumers_then_they_are_these() -> None:
    assert sorted(name for name, row in ACTIONS["kinesis"].items() if row.kind is ResourceKind.CONSUMER) == [
        *("DeregisterStreamConsumer", "DescribeStreamConsumer", "SubscribeToShard"),
    ]
    assert action_of("kinesis", "RegisterStreamConsumer").kind is ResourceKind.STREAM
    assert action_of("kinesis", "ListStreamConsumers").kind is ResourceKind.STREAM


@pytest.mark.parametrize("key", ROWS)
def test_row_when_its_input_is_looked_at_then_a_resource_can_be_found_in_it(key: str) -> None:
    service, operation = key.split(":")
    shape = load_model(service).operations[operation].input
    members = set(shape.members) if shape is not None else set()
    found_in = {
        ResourceKind.STREAM: {"StreamARN", "StreamName", "StreamId"},
        ResourceKind.CONSUMER: {"ConsumerARN"},
        ResourceKind.GIVEN: {"ResourceARN"},
        ResourceKind.QUEUE: {"QueueARN", "QueueName"},
        ResourceKind.CHANNEL: {"ChannelARN", "ChannelName"},
        ResourceKind.USER: {"UserName", "AccessKeyId"},
        ResourceKind.ROLE: {"RoleName", "RoleArn"},
        ResourceKind.POLICY: {"PolicyArn", "PolicyName"},
        ResourceKind.PROFILE: {"InstanceProfileName"},
        ResourceKind.FEDERATED_USER: {"Name"},
        ResourceKind.TABLE: {"TableName", "ResourceArn"},
        ResourceKind.FUNCTION: {"FunctionName"},
        ResourceKind.MAPPING: {"UUID"},
        ResourceKind.FUNCTION_GIVEN: {"Resource"},
        ResourceKind.CATALOG: {"CatalogId"},
        ResourceKind.DATABASE: {"Name", "DatabaseInput"},
        ResourceKind.CATALOG_TABLE: {"Name", "TableName", "DatabaseName"},
        ResourceKind.CATALOG_GIVEN: {"ResourceArn"},
        ResourceKind.SQS_QUEUE: {"QueueUrl", "QueueName"},
        ResourceKind.TOPIC: {"TopicArn", "Name", "ResourceArn"},
        ResourceKind.LOG_GROUP: {"resourceArn", "logGroupName"},
        ResourceKind.LOG_STREAM: {"logGroupName", "logGroupIdentifier", "logGroupNamePrefix"},
        ResourceKind.DELIVERY_STREAM: {"DeliveryStreamName"},
        ResourceKind.SEVERAL: {"RequestItems", "TransactItems"},
        ResourceKind.KEY: {"KeyId", "TargetKeyId", "AliasName", "SourceKeyId"},
    }
    row = ROWS[key]
    assert row.kind is ResourceKind.ANY or members & found_in[row.kind]
    assert all(also.member is None or also.member in members for also in row.also)


def test_table_when_a_resource_policy_must_allow_then_it_is_of_roles_and_keys() -> None:
    def named(need: Need) -> set[str]:
        return {row.name.partition(":")[0] for row in ROWS.values() if row.need is need}

    assert (named(Need.TRUST), named(Need.REQUIRED)) == ({"sts"}, {"kms"})
    assert all(row.kind is ResourceKind.KEY for row in ROWS.values() if row.need is Need.REQUIRED)


def test_table_when_an_operation_is_free_then_it_is_one_that_tells_who_you_are() -> None:
    assert {row.name for row in ROWS.values() if row.free} == {"sts:GetCallerIdentity", "sts:GetSessionToken"}


def test_table_when_tags_are_given_at_creation_then_tagging_is_asked_for_too() -> None:
    assert [(also.action, also.member) for also in action_of("kinesis", "CreateStream").also] == [
        ("kinesis:AddTagsToStream", "Tags")
    ]
    assert [(also.action, also.kind) for also in action_of("kinesis", "RegisterStreamConsumer").also] == [
        ("kinesis:TagResource", ResourceKind.CONSUMER)
    ]


def test_lookup_when_an_operation_is_unknown_then_there_is_no_row() -> None:
    assert isinstance(action_of("kinesis", "PutRecord"), Action)
    with pytest.raises(KeyError):
        action_of("kinesis", "putrecord")
