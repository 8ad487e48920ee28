"""Authorisation of functions: each operation has a row, and each name its target."""

from typing import Any

import pytest
from msgspec import defstruct

from penstock.composition.table import ROWS, unbound
from penstock.core.context import Caller
from penstock.core.ids import AccountId, Region
from penstock.services.functions import targets
from penstock.services.iam.actions import LAMBDA

CALLER = Caller(AccountId("123456789012"), Region("us-east-1"), "k", "lambda:Test")
LAMBDAS = next(row for row in ROWS if row.model == "lambda")


def asking(**members: Any) -> Any:
    return defstruct("Asking", list(members))(**members)


def test_rows_when_held_against_the_operations_then_each_has_one_and_none_is_spare() -> None:
    assert set(LAMBDA) == set(unbound(LAMBDAS).operations)


def test_mapping_when_it_is_to_be_made_then_its_function_is_a_condition() -> None:
    found = targets.unnamed(CALLER, asking(function_name="f:live"))
    assert (found.arn, found.facts["lambda:functionarn"]) == (
        "*",
        ("arn:aws:lambda:us-east-1:123456789012:function:f:live",),
    )


@pytest.mark.parametrize(
    ("arn", "account"), [("arn:aws:iam::999999999999:role/r", "999999999999"), ("r", "123456789012")]
)
def test_role_when_it_is_passed_then_it_is_to_lambda(arn: str, account: str) -> None:
    found = targets.role(CALLER, asking(role=arn))
    assert (found.arn, found.account, found.facts["iam:passedtoservice"]) == (arn, account, ("lambda.amazonaws.com",))
