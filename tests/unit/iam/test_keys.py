"""Condition keys of a request: each fact under its name, and nothing where there is none."""

from penstock.core.ids import Millis
from penstock.services.iam.keys import Circumstances
from penstock.services.iam.pattern import Values

NAMES = (
    *("aws:currenttime", "aws:epochtime", "aws:securetransport", "aws:viaawsservice", "aws:sourceip", "aws:requestedregion"),
    *("aws:useragent", "aws:resourceaccount", "aws:sourcearn", "aws:sourceaccount", "aws:multifactorauthpresent"),
    *("aws:multifactorauthage", "aws:tokenissuetime", "aws:resourcetag/team", "aws:requesttag/env", "aws:requesttag/cost"),
    *("aws:tagkeys", "aws:calledvia", "aws:calledviafirst", "aws:calledvialast", "sts:externalid", "aws:resourcetag"),
    *("aws:resourcetag/none", "aws:other/x", "aws:nothing"),
)  # fmt: skip


def told(facts: Circumstances) -> dict[str, Values]:
    """Every key that has a value."""
    return {name: values for name in NAMES if (values := facts.lookup(name))}


def test_keys_when_little_is_known_then_only_that_is_told() -> None:
    assert told(Circumstances(Millis(1_767_225_600_999), secure=False)) == {
        "aws:currenttime": ("2026-01-01T00:00:00Z",),
        "aws:epochtime": ("1767225600",),
        "aws:securetransport": ("false",),
        "aws:viaawsservice": ("false",),
    }


def test_keys_when_everything_is_known_then_everything_is_told() -> None:
    facts = Circumstances(
        Millis(0),
        secure=True,
        source_ip="10.1.2.3",
        region="eu-west-1",
        user_agent="aws-cli/2",
        resource_account="111111111111",
        resource_tags={"Team": "blue"},
        request_tags={"Env": "test", "Cost": ""},
        tag_keys=("Old", "Env"),
        source_arn="arn:aws:sns:eu-west-1:111111111111:t",
        source_account="111111111111",
        via_service=True,
        called_via=("a.amazonaws.com", "b.amazonaws.com"),
        mfa=False,
        mfa_age_s=7,
        token_issued_ms=Millis(1000),
        others={"sts:externalid": ("x",)},
    )
    assert told(facts) == {
        "aws:currenttime": ("1970-01-01T00:00:00Z",),
        "aws:epochtime": ("0",),
        "aws:securetransport": ("true",),
        "aws:viaawsservice": ("true",),
        "aws:sourceip": ("10.1.2.3",),
        "aws:requestedregion": ("eu-west-1",),
        "aws:useragent": ("aws-cli/2",),
        "aws:resourceaccount": ("111111111111",),
        "aws:sourcearn": ("arn:aws:sns:eu-west-1:111111111111:t",),
        "aws:sourceaccount": ("111111111111",),
        "aws:multifactorauthpresent": ("false",),
        "aws:multifactorauthage": ("7",),
        "aws:tokenissuetime": ("1970-01-01T00:00:01Z",),
        "aws:resourcetag/team": ("blue",),
        "aws:requesttag/env": ("test",),
        "aws:requesttag/cost": ("",),
        "aws:tagkeys": ("Env", "Cost", "Old"),
        "aws:calledvia": ("a.amazonaws.com", "b.amazonaws.com"),
        "aws:calledviafirst": ("a.amazonaws.com",),
        "aws:calledvialast": ("b.amazonaws.com",),
        "sts:externalid": ("x",),
    }
