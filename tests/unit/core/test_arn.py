"""ARNs of streams and consumers: what is read, and what is refused."""

import pytest

from penstock.core.arn import StreamArn, consumer_arn, parse_stream_arn, stream_arn
from penstock.core.errors import Error, ServiceError
from penstock.core.ids import AccountId, Region, StreamName


def parsed(region: str, account: str, name: str, consumer: str | None = None) -> StreamArn:
    return StreamArn(Region(region), AccountId(account), StreamName(name), consumer)


@pytest.mark.parametrize(
    ("arn", "expected"),
    [
        ("arn:aws:kinesis:us-east-1:123456789012:stream/a", parsed("us-east-1", "123456789012", "a")),
        ("arn:aws-cn:kinesis:cn-north-1:123456789012:stream/a.b-c_d", parsed("cn-north-1", "123456789012", "a.b-c_d")),
        (
            "arn:aws-us-gov:kinesis:us-gov-west-1:000000000000:stream/x",
            parsed("us-gov-west-1", "000000000000", "x"),
        ),
        (
            "arn:aws:kinesis:us-east-1:123456789012:stream/a/consumer/c:1700000000",
            parsed("us-east-1", "123456789012", "a", "c:1700000000"),
        ),
        (
            "arn:aws:kinesis:us-east-1:123456789012:stream/" + "n" * 128,
            parsed("us-east-1", "123456789012", "n" * 128),
        ),
    ],
)
def test_parse_stream_arn_when_well_formed_names_its_parts(arn: str, expected: StreamArn) -> None:
    assert parse_stream_arn(arn) == expected


@pytest.mark.parametrize(
    "arn",
    [
        "",
        "stream/a",
        "arn:aws:kinesis:us-east-1:123456789012:stream/",
        "arn:aws:kinesis:us-east-1:123456789012:stream/a b",
        "arn:aws:kinesis:us-east-1:123456789012:stream/" + "n" * 129,
        "arn:aws:kinesis:us-east-1:12345678901:stream/a",
        "arn:aws:kinesis:us-east-1:١٢٣٤٥٦٧٨٩٠١٢:stream/a",
        "arn:aws:kinesis:us-east-1:1234567890123:stream/a",
        "arn:aws:sqs:us-east-1:123456789012:stream/a",
        "arn:gcp:kinesis:us-east-1:123456789012:stream/a",
        "arn:aws:kinesis:us-east-1:123456789012:channel/a/1",
        "arn:aws:kinesis:us-east-1:123456789012:stream/a/shard/1",
        "arn:aws:kinesis:us-east-1:123456789012:stream/a/",
        "arn:aws:kinesis:us-east-1:123456789012:stream/a\n",
        " arn:aws:kinesis:us-east-1:123456789012:stream/a",
    ],
)
def test_parse_stream_arn_when_anything_else_is_refused_with_the_text(arn: str) -> None:
    with pytest.raises(ServiceError) as caught:
        parse_stream_arn(arn)
    expected = Error.ARN_MALFORMED(arn=arn)
    assert (caught.value.code, caught.value.message) == (expected.code, expected.message)


def test_stream_arn_when_parsed_back_is_the_same() -> None:
    arn = stream_arn("eu-west-1", "123456789012", "orders")
    assert arn == "arn:aws:kinesis:eu-west-1:123456789012:stream/orders"
    assert parse_stream_arn(arn) == parsed("eu-west-1", "123456789012", "orders")


def test_consumer_arn_when_parsed_back_names_the_consumer_and_its_second() -> None:
    arn = consumer_arn("eu-west-1", "123456789012", "orders", "reader", 1_700_000_000_999)
    assert arn == "arn:aws:kinesis:eu-west-1:123456789012:stream/orders/consumer/reader:1700000000"
    assert parse_stream_arn(arn).consumer == "reader:1700000000"
