"""Targets: the resource that a request is about, as policies name it.

Theory.  Each service knows how its inputs name their resource; authorisation knows policies and no service.  Between them stands a target.
Rule of this file: finding a target never refuses for what does not exist, because who may not ask is not to learn it.
"""

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple, Protocol

from penstock.core.context import Caller

_NO_TAGS: Final[Mapping[str, str]] = MappingProxyType({})
_NO_FACTS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType({})


class Target(NamedTuple):
    """A resource."""

    arn: str  # or "*"
    account: str
    policy: str | None = None  # its resource policy, as it was given
    tags: Mapping[str, str] = _NO_TAGS
    facts: Mapping[str, tuple[str, ...]] = _NO_FACTS  # condition keys of the service, in lower case


class RoleRights(Protocol):
    """What roles may do; asked where a service does something as a role that it was given."""

    async def why_not(self, role: str, action: str, arn: str) -> str | None:
        """Why a role may not, in AWS's words; None if it may."""
        ...


Finder = Callable[[Caller, Any], Target]  # from an input


class Demand(NamedTuple):
    """One of several things that a call must be allowed."""

    action: str
    target: Target


Demands = Callable[[Caller, Any], Iterable[Demand]]  # of an input
