"""Prefix expressions, by AWS's documented examples and by laws."""

from datetime import UTC, datetime
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.services.firehose.objectkey import random_strings
from penstock.services.firehose.prefix import (
    BadPrefix,
    TooLong,
    Values,
    default_error_prefix,
    read_error_prefix,
    read_prefix,
)

AT = datetime(2018, 8, 27, 10, 30, tzinfo=UTC)
KEYS = {"partitionKeyFromQuery:customer_id": "42", "partitionKeyFromLambda:dev": "phone"}


def values(**more: object) -> Values:
    numbers = count(1)
    return Values(AT, lambda: f"random{next(numbers)}")._replace(**more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "2018/08/27/10/"),
        ("legacy", "legacy2018/08/27/10/"),  # no slash is inserted
        ("legacy/", "legacy/2018/08/27/10/"),
        ("myPrefix/!{timestamp:yyyy-MM}/", "myPrefix/2018-08/"),
        ("!{firehose:random-string}/!{firehose:random-string}/!{timestamp:HH}/", "random1/random2/10/"),
        ("c=!{partitionKeyFromQuery:customer_id}/!{partitionKeyFromLambda:dev}/!{timestamp:dd}/", "c=42/phone/27/"),
        ("c=!{partitionKeyFromQuery:customer_id}/", "c=42/2018/08/27/10/"),
        ("plain!text/", "plain!text/2018/08/27/10/"),
    ],
)
def test_prefix_when_evaluated_then_it_is_as_documented(text: str, expected: str) -> None:
    assert read_prefix(text).evaluate(values(keys=KEYS)) == expected


def test_error_prefix_when_evaluated_then_the_failure_is_in_it() -> None:
    prefix = read_error_prefix("bad/!{firehose:error-output-type}/!{timestamp:yyyy/MM}/")
    assert prefix.evaluate(values(failure="splunk-failed")) == "bad/splunk-failed/2018/08/"


def test_error_prefix_when_none_is_given_then_failures_are_below_the_prefix() -> None:
    assert default_error_prefix("in/").evaluate(values(failure="processing-failed")) == (
        "in/processing-failed/2018/08/27/10/"
    )


@pytest.mark.parametrize(
    "text",
    [
        "!{firehose:error-output-type}/",
        "!{timestamp:'}/",
        "!{timestamp:b}/",
        "!{timestamp}/",
        "!{firehose:what}/",
        "!{elsewhere:x}/",
        "!{partitionKeyFromQuery:}/",
        "a!{timestamp:yyyy",
        "!{}",
    ],
)
def test_prefix_when_aws_refuses_it_then_so_do_we(text: str) -> None:
    with pytest.raises(BadPrefix):
        read_prefix(text)


@pytest.mark.parametrize("text", ["!{timestamp:yyyy}/", "!{partitionKeyFromQuery:a}/!{firehose:error-output-type}/"])
def test_error_prefix_when_it_cannot_tell_failures_apart_then_it_is_refused(text: str) -> None:
    with pytest.raises(BadPrefix):
        read_error_prefix(text)


def test_prefix_when_evaluated_to_more_than_512_characters_then_whoever_asks_is_told() -> None:
    prefix = read_prefix("!{partitionKeyFromQuery:customer_id}/!{timestamp:yyyy}")
    with pytest.raises(TooLong):
        prefix.evaluate(values(keys={"partitionKeyFromQuery:customer_id": "x" * 508}))
    assert len(prefix.evaluate(values(keys={"partitionKeyFromQuery:customer_id": "x" * 507}))) == 512


@given(st.text(max_size=60))
def test_prefix_when_it_is_any_text_then_it_is_refused_or_evaluated(text: str) -> None:
    try:
        prefix = read_prefix(text)
    except BadPrefix:
        return
    keys = dict.fromkeys(prefix.partition_keys, "v")
    assert isinstance(prefix.evaluate(values(keys=keys)), str)


@given(st.binary(min_size=11, max_size=11))
def test_random_string_when_made_then_it_has_11_letters_or_digits(entropy: bytes) -> None:
    made = random_strings(lambda length: entropy[:length])()
    assert len(made) == 11
    assert made.isalnum()
    assert made == made.lower()
