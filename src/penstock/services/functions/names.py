"""Names of functions: a name, a partial ARN or an ARN, each with or without a qualifier, and what they mean where.

Theory.  `f`, `123456789012:function:f`, `123456789012:f`, `us-east-1:123456789012:f` and `arn:aws:lambda:us-east-1:123456789012:function:f`
are one function; `:q` behind any of them is a version's number, an alias or $LATEST.
Rule of this file: pure.  Source: the pattern of FunctionName in the API model.
"""

import re
from typing import Final, NamedTuple

from penstock.core.function_errors import FunctionError
from penstock.core.ids import AccountId, Region

NAME_MAX_CHARS: Final = 64

_NAME = re.compile(
    r"(?:arn:aws[a-zA-Z-]*:lambda:)?(?:(?P<region>[a-z]{2,}(?:-[a-z]+)+-\d):)?(?:(?P<account>\d{12}):)?(?:function:)?"
    r"(?P<name>[a-zA-Z0-9-_.]+)(?::(?P<qualifier>\$LATEST|[a-zA-Z0-9-_]+))?",
    re.ASCII,
)


class FunctionName(NamedTuple):
    """What a name means."""

    account: AccountId
    region: Region
    name: str
    qualifier: str | None  # None: none was given

    @property
    def arn(self) -> str:
        """The ARN of the function, without a qualifier."""
        return function_arn(self.region, self.account, self.name)

    @property
    def qualified_arn(self) -> str:
        """Its ARN, with the qualifier if one was given."""
        return self.arn if self.qualifier is None else f"{self.arn}:{self.qualifier}"


def function_arn(region: str, account: str, name: str) -> str:
    """The ARN of a function."""
    return f"arn:aws:lambda:{region}:{account}:function:{name}"


def read_name(account: AccountId, region: Region, text: str, qualifier: str | None = None) -> FunctionName:
    """What a text means to an account in a region, which it may leave out; `qualifier` is one that was given beside it.

    Raises OTHER_REGION, QUALIFIER_TWICE, NAME_TOO_LONG, and CONSTRAINT for what is no name at all.
    """
    match = _NAME.fullmatch(text)
    if match is None:
        rule = "Member must satisfy regular expression pattern: " + _NAME.pattern
        raise FunctionError.CONSTRAINT(value=text[:256], member="functionName", rule=rule)
    if match["region"] is not None and match["region"] != region:
        raise FunctionError.OTHER_REGION(asked=match["region"], region=region)
    name, own = match["name"], match["qualifier"]
    if len(name) > NAME_MAX_CHARS:
        raise FunctionError.NAME_TOO_LONG(name=name[:256], limit=NAME_MAX_CHARS)
    if own is not None and qualifier is not None and own != qualifier:
        raise FunctionError.QUALIFIER_TWICE()
    given = match["account"]
    return FunctionName(AccountId(given) if given is not None else account, region, name, own or qualifier)
