"""What is told of functions: every name is one of the model's, since what is not is left out without a word."""

from typing import Any

import pytest

from penstock.core.ids import AccountId, Millis, Region
from penstock.host.apimodels import load_model
from penstock.services.functions.ops.describing import described, listed, moment
from penstock.services.functions.ops.shapes import shown_alias
from penstock.services.functions.state import Alias, Code, Function, Version
from penstock.wire.model import Shape

OPERATIONS = load_model("lambda").operations
LATEST = Version(
    revision="r", code=Code("sha", 7), role="role", runtime="python3.12", handler="a.h", modified_ms=Millis(1_700_000_000_123),
    ready_ms=Millis(1_700_000_001_000), environment={"A": "b"}, dead_letter_arn="arn:aws:sqs:us-east-1:1:q",
    kept={"VpcConfig": {"SubnetIds": [], "SecurityGroupIds": [], "VpcId": ""}, "LoggingConfig": {"LogFormat": "JSON"}},
)  # fmt: skip
FUNCTION = Function(
    account=AccountId("123456789012"),
    region=Region("us-east-1"),
    name="f",
    uid="u",
    created_ms=Millis(0),
    latest=LATEST,
)


def strangers(told: Any, shape: Shape | None) -> list[str]:
    """Names that a structure of the model has not, down to the leaves."""
    assert shape is not None
    if not isinstance(told, dict) or shape.kind != "structure":
        return []
    unknown = [name for name in told if name not in shape.members]
    inner = [
        each for name, value in told.items() if name in shape.members for each in strangers(value, shape.members[name])
    ]
    return unknown + inner


@pytest.mark.parametrize(("now_ms", "states"), [(0, {"Pending"}), (1_700_000_002_000, {"Active", "Successful"})])
def test_described_when_held_against_the_model_then_every_name_is_known(now_ms: int, states: set[str]) -> None:
    told = described(FUNCTION, LATEST, now_ms)
    assert strangers(told, OPERATIONS["GetFunctionConfiguration"].output) == []
    assert {told["State"], told.get("LastUpdateStatus", told["State"])} == states
    assert told["LastModified"] == "2023-11-14T22:13:20.123+0000"
    assert (told["LoggingConfig"]["LogFormat"], told["LoggingConfig"]["LogGroup"]) == ("JSON", "/aws/lambda/f")


def test_listed_when_it_is_one_of_many_then_it_has_no_state_and_its_number() -> None:
    told = listed(FUNCTION, LATEST, 0)
    assert strangers(told, OPERATIONS["GetFunctionConfiguration"].output) == []
    assert "State" not in told
    assert told["FunctionArn"].endswith(":f:$LATEST")


def test_alias_when_it_is_told_then_every_name_is_known() -> None:
    alias = Alias(version="1", revision="r", weights={"2": 0.5})
    assert strangers(shown_alias(FUNCTION, "live", alias), OPERATIONS["GetAlias"].output) == []


def test_moment_when_it_is_a_whole_second_then_its_milliseconds_are_told_too() -> None:
    assert moment(0) == "1970-01-01T00:00:00.000+0000"
