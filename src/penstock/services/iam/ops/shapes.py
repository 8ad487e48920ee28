"""What the inputs and outputs of IAM and STS have in common: how members are named, tags, pages of lists, documents."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeVar
from urllib.parse import quote

import pybase64

from penstock.core.identity_errors import IamError
from penstock.core.limits import IDENTITY_TAGS_MAX
from penstock.services.iam.policy import MalformedPolicy, PolicyKind, parse_policy
from penstock.wire.operation import Input, Output

ITEMS_DEFAULT: Final = 100

Item = TypeVar("Item")


def iam_name(field_name: str) -> str:
    """The member name of a field: `policy_arn` -> `PolicyArn`, not `PolicyARN` as in Kinesis."""
    return "".join(word.capitalize() for word in field_name.split("_"))


class IamInput(Input, kw_only=True, rename=iam_name):
    """Base of inputs."""


class IamOutput(Output, kw_only=True, omit_defaults=True, rename=iam_name):
    """Base of outputs and of the structures in them."""


class Tag(IamInput, kw_only=True):
    """A tag, in inputs and outputs."""

    key: str
    value: str


class ListRequest(IamInput, kw_only=True):
    """An input that asks for a page."""

    marker: str | None = None
    max_items: int = ITEMS_DEFAULT


class ListOutput(IamOutput, kw_only=True, omit_defaults=False):
    """An output that is a page."""

    is_truncated: bool
    marker: str | None = None


def page(items: Iterable[Item], request: ListRequest, name: Callable[[Item], str]) -> tuple[list[Item], str | None]:
    """The items of a page, and the marker of the next.  Raises INVALID for a marker that is none of ours."""
    after = None if request.marker is None else _read_marker(request.marker)
    ordered = sorted((name(item).lower(), number, item) for number, item in enumerate(items))
    rest = [(key, item) for key, _, item in ordered if after is None or key > after]
    taken = rest[: request.max_items]
    marker = pybase64.b64encode_as_string(taken[-1][0].encode()) if len(rest) > len(taken) else None
    return [item for _, item in taken], marker


def _read_marker(text: str) -> str:
    try:
        return pybase64.b64decode(text, validate=True).decode()
    except ValueError:
        raise IamError.INVALID(text="Invalid Marker.") from None  # UNVERIFIED: wording


def tags_of(listed: Sequence[Tag]) -> dict[str, str]:
    """Tags as they are kept.  Raises INVALID_INPUT for one key twice, in any case, QUOTA for too many."""
    found = {tag.key: tag.value for tag in listed}
    if len({key.lower() for key in found}) != len(listed):
        raise IamError.INVALID_INPUT(text="Duplicate tag keys found. Please note that Tag keys are case insensitive.")
    if len(found) > IDENTITY_TAGS_MAX:
        raise IamError.QUOTA(quota="TagsPerResource", limit=IDENTITY_TAGS_MAX)  # UNVERIFIED: name of the quota
    return found


def told_tags(tags: dict[str, str]) -> list[Tag]:
    """Tags as they are told."""
    return [Tag(key=key, value=value) for key, value in tags.items()]


def check_document(document: str, kind: PolicyKind) -> None:
    """Raise MALFORMED_POLICY for what cannot be attached."""
    try:
        parse_policy(document, kind)
    except MalformedPolicy as problem:
        raise IamError.MALFORMED_POLICY(problem=problem) from None


def counted_chars(document: str) -> int:
    """Its length as quotas count it: without white space."""
    return len("".join(document.split()))


def told_document(document: str) -> str:
    """A document as IAM tells it: percent-encoded (RFC 3986)."""
    return quote(document, safe="")


class Boundary(IamOutput, kw_only=True):
    """A permissions boundary, as it is told."""

    permissions_boundary_type: str
    permissions_boundary_arn: str


def told_boundary(arn: str | None) -> Boundary | None:
    """A permissions boundary, if there is one."""
    return None if arn is None else Boundary(permissions_boundary_type="Policy", permissions_boundary_arn=arn)
