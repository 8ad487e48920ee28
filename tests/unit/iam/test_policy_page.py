"""docs/policies.md: what it lists is what there is."""

import re
from pathlib import Path

from oracle_differences import DIFFERENCES

from penstock.core.ids import Millis
from penstock.services.iam import principals
from penstock.services.iam.conditions import OPERATOR_TABLE
from penstock.services.iam.keys import Circumstances

PAGE = (Path(__file__).parents[3] / "docs" / "policies.md").read_text()


def test_page_when_it_lists_operators_then_it_lists_all() -> None:
    listed = re.findall(r"`(\w+)`", PAGE.partition("### Operators")[2].partition(";")[0])
    assert sorted(listed) == sorted(OPERATOR_TABLE)


def test_page_when_it_lists_keys_of_requests_then_each_has_a_value() -> None:
    _, of_principals, of_requests, _ = PAGE.partition("| of the principal |")[2].splitlines()[2].split("|")
    facts = Circumstances(
        Millis(0),
        secure=True,
        source_ip="::1",
        region="r",
        user_agent="u",
        resource_account="1",
        resource_tags={"...": "x"},
        request_tags={"...": "x"},
        source_arn="a",
        source_account="1",
        called_via=("a",),
        mfa=True,
        mfa_age_s=1,
        token_issued_ms=Millis(0),
    )
    assert all(facts.lookup(name.lower()) for name in re.findall(r"`([^`]+)`", of_requests))
    known = {
        *principals.user("arn:aws:iam::111111111111:user/ana", "AIDA", {"...": "x"}).keys,
        *principals.service("a.amazonaws.com").keys,
    }
    assert {name.lower() for name in re.findall(r"`([^`]+)`", of_principals)} == known


def test_page_when_it_lists_differences_then_they_are_those_of_the_oracle() -> None:
    rows = PAGE.partition("| difference |")[2].splitlines()[2:]
    names = [row.split("|")[1].strip() for row in rows if row.startswith("|")]
    assert sorted(names) == sorted(row.name for row in DIFFERENCES)
