"""The caller: its principal."""

import pytest

from penstock.core.context import Caller
from penstock.core.ids import AccountId, Region


@pytest.mark.parametrize("account", ["123456789012", "000000000000"])
def test_caller_when_asked_for_its_arn_is_the_root_of_its_account(account: str) -> None:
    caller = Caller(AccountId(account), Region("us-east-1"), "test", "kinesis:PutRecords")
    assert caller.arn == f"arn:aws:iam::{account}:root"
