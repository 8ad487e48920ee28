"""What the audit log shows of an input or an output, member by member."""

import msgspec
import pytest

from penstock.host.clock import TestClock
from penstock.host.entropy import SystemEntropy
from penstock.server.audit import (
    HIDDEN,
    ITEMS_MAX,
    PARAMETERS_MAX_BYTES,
    TEXT_MAX_CHARS,
    lost_line,
    parameters,
)
from penstock.wire.model import Shape

TEXT = Shape("Text", "string")
BLOB = Shape("Blob", "blob")
NOBODYS_BUSINESS = [
    "CiphertextBlob",
    "Data",
    "ExplicitHashKey",
    "ImportToken",
    "Mac",
    "Message",
    "NewPassword",
    "NextShardIterator",
    "NextToken",
    "OldPassword",
    "PartitionKey",
    "Password",
    "Plaintext",
    "PrivateKeyPlaintext",
    "SAMLAssertion",
    "SecretAccessKey",
    "SessionToken",
    "ShardIterator",
    "Signature",
    "TokenCode",
    "WebIdentityToken",
]


def shown(**members: tuple[object, Shape]) -> object:
    """What is shown of a structure with these members."""
    shape = Shape("Whole", "structure", {name: kind for name, (_, kind) in members.items()})
    return parameters({name: value for name, (value, _) in members.items()}, shape)


@pytest.mark.parametrize("name", NOBODYS_BUSINESS)
def test_member_when_it_is_a_secret_is_hidden_wherever_it_stands(name: str) -> None:
    inner = Shape("Inner", "structure", {name: TEXT, "Policy": TEXT})
    hidden = {name[:1].lower() + name[1:]: HIDDEN, "policy": "p"}
    value = {name: "s", "Policy": "p"}
    assert parameters(value, inner) == hidden
    assert shown(Items=([value], Shape("Items", "list", member=inner))) == {"items": [hidden]}
    assert shown(Items=({"k": value}, Shape("Items", "map", member=inner))) == {"items": {"k": hidden}}


@pytest.mark.parametrize("value", [b"s", "cw==", {"a": "s"}, ["s"]])
def test_member_when_it_is_a_blob_is_hidden_whatever_its_name_and_whatever_came(value: object) -> None:
    assert shown(Material=(value, BLOB)) == {"material": HIDDEN}
    assert shown(Materials=([value], Shape("Blobs", "list", member=BLOB))) == {"materials": [HIDDEN]}


def test_member_when_the_model_does_not_know_it_is_left_out_and_of_a_wrong_kind_hidden() -> None:
    assert parameters({"Unknown": "s", "A": "a"}, Shape("Whole", "structure", {"A": TEXT})) == {"a": "a"}
    assert shown(A=({"SecretAccessKey": "s"}, TEXT), B=(["s"], TEXT), C=(b"s", TEXT)) == {
        "a": HIDDEN,
        "b": [HIDDEN],
        "c": HIDDEN,
    }


def test_parameters_when_they_are_long_are_cut_or_left_out() -> None:
    texts = Shape("Texts", "list", member=TEXT)
    assert shown(A=("x" * (TEXT_MAX_CHARS + 1), TEXT)) == {"a": "x" * TEXT_MAX_CHARS + "..."}
    assert shown(A=(["x"] * (ITEMS_MAX + 2), texts)) == {"a": ["x"] * ITEMS_MAX + ["... and 2 more"]}
    told = shown(A=(["x" * TEXT_MAX_CHARS] * 5, texts))
    assert isinstance(told, dict)
    assert told["omitted"] is True
    assert told["bytes"] > PARAMETERS_MAX_BYTES


def test_lost_line_when_lines_were_lost_tells_how_many() -> None:
    line = msgspec.json.decode(lost_line(TestClock(), SystemEntropy())(7))
    assert (line["eventName"], line["additionalEventData"]) == ("AuditLinesLost", {"lines": 7})
