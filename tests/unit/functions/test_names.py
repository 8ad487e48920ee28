"""Names of functions: what each spelling means."""

import pytest

from penstock.core.errors import ServiceError
from penstock.core.ids import AccountId, Region
from penstock.services.functions.names import read_name

HERE = (AccountId("123456789012"), Region("us-east-1"))
ARN = "arn:aws:lambda:us-east-1:123456789012:function:f"


@pytest.mark.parametrize(
    "text", ["f", "function:f", "123456789012:f", "123456789012:function:f", "us-east-1:123456789012:function:f", ARN]
)
def test_read_name_when_it_is_spelled_in_any_way_then_it_means_the_same(text: str) -> None:
    assert read_name(*HERE, text).qualified_arn == ARN
    assert read_name(*HERE, text + ":1").qualified_arn == ARN + ":1"
    assert read_name(*HERE, text, "live").qualified_arn == ARN + ":live"
    assert read_name(*HERE, text + ":$LATEST", "$LATEST").qualifier == "$LATEST"


def test_read_name_when_another_account_is_named_then_it_is_that_accounts() -> None:
    assert read_name(*HERE, "999999999999:function:f").account == "999999999999"


@pytest.mark.parametrize(
    ("text", "qualifier", "code"),
    [
        (ARN.replace("east-1", "west-2"), None, "ResourceNotFoundException"),
        ("f:1", "2", "InvalidParameterValueException"),
        ("f" * 65, None, "ValidationException"),
        ("", None, "ValidationException"),
        ("a b", None, "ValidationException"),
        ("f:", None, "ValidationException"),
        ("f:$OTHER", None, "ValidationException"),
        (ARN + ":1:2", None, "ValidationException"),
        (ARN.replace("lambda", "kinesis"), None, "ValidationException"),
        ("f\n", None, "ValidationException"),
    ],
)
def test_read_name_when_it_is_none_or_not_here_then_it_is_refused(text: str, qualifier: str | None, code: str) -> None:
    with pytest.raises(ServiceError) as caught:
        read_name(*HERE, text, qualifier)
    assert caught.value.code == code
