"""Tags through boto3, in both families of operations."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient

Refused = Callable[..., tuple[str, str]]
ARN = "arn:aws:kinesis:us-east-1:123456789012:stream/a"


@pytest.fixture(autouse=True)
def _stream(kinesis: "KinesisClient") -> None:
    kinesis.create_stream(StreamName="a", ShardCount=1)


def test_tags_are_added_replaced_and_removed_by_either_family(kinesis: "KinesisClient") -> None:
    kinesis.add_tags_to_stream(StreamName="a", Tags={"one": "1", "zwei ü": "a/b=c+d-e@f:g_h.%"})
    kinesis.tag_resource(ResourceARN=ARN, Tags={"one": "", "three": "3"})
    tags = [
        {"Key": "one", "Value": ""},
        {"Key": "three", "Value": "3"},
        {"Key": "zwei ü", "Value": "a/b=c+d-e@f:g_h.%"},
    ]
    assert kinesis.list_tags_for_resource(ResourceARN=ARN)["Tags"] == tags
    assert kinesis.list_tags_for_stream(StreamName="a")["Tags"] == tags
    kinesis.remove_tags_from_stream(StreamName="a", TagKeys=["one", "never there"])
    kinesis.untag_resource(ResourceARN=ARN, TagKeys=["three"])
    assert kinesis.list_tags_for_resource(ResourceARN=ARN)["Tags"] == tags[2:]


def test_tags_are_listed_in_pages(kinesis: "KinesisClient") -> None:
    kinesis.add_tags_to_stream(StreamName="a", Tags={f"k{n:02}": "v" for n in range(50)})
    first = kinesis.list_tags_for_stream(StreamName="a", Limit=30)
    assert (len(first["Tags"]), first["HasMoreTags"]) == (30, True)
    rest = kinesis.list_tags_for_stream(StreamName="a", ExclusiveStartTagKey="k29")
    assert [tag["Key"] for tag in rest["Tags"]] == [f"k{n}" for n in range(30, 50)]
    assert not rest["HasMoreTags"]


@pytest.mark.parametrize(
    ("tags", "code", "text"),
    [
        ({}, "ValidationException", "Value '{}' at 'tags' failed to satisfy constraint: Member must have length greater than or equal to 1"),
        ({"k" * 129: ""}, "ValidationException", "Map keys must satisfy constraint: [Member must have length less than or equal to 128, Member must have length greater than or equal to 1]"),
        ({"k": "v" * 257}, "ValidationException", "Map value must satisfy constraint: [Member must have length less than or equal to 256, Member must have length greater than or equal to 0]"),
        ({"k": "semi;colon"}, "InvalidArgumentException", "Some tags contain invalid characters."),
        ({"AWS:k": ""}, "InvalidArgumentException", "can not begin with aws:"),
        ({f"k{n}": "" for n in range(50)}, "LimitExceededException", "at most 50 tags"),
    ],
)  # fmt: skip
def test_bad_tags_are_refused_whole(
    kinesis: "KinesisClient", refused: Refused, tags: dict[str, str], code: str, text: str
) -> None:
    kinesis.add_tags_to_stream(StreamName="a", Tags={"held": "1"})
    for call, where in (
        (kinesis.add_tags_to_stream, {"StreamName": "a"}),
        (kinesis.tag_resource, {"ResourceARN": ARN}),
    ):
        found = refused(call, Tags=tags, **where)
        assert found[0] == code
        assert text in found[1]
    assert kinesis.list_tags_for_stream(StreamName="a")["Tags"] == [{"Key": "held", "Value": "1"}]


def test_resources_that_do_not_exist_are_refused(kinesis: "KinesisClient", refused: Refused) -> None:
    for arn in (ARN.replace("/a", "/b"), ARN + "/consumer/c:1"):
        assert refused(kinesis.list_tags_for_resource, ResourceARN=arn)[0] == "ResourceNotFoundException"
    assert refused(kinesis.list_tags_for_resource, ResourceARN="arn:x")[0] == "ValidationException"
