"""Condition keys: what a policy may ask about a request, besides who makes it.

Theory.  The principal's keys (aws:PrincipalArn, aws:username, tags ...) belong to the principal and are made with it.  What is left is made
here from the circumstances of one request, each when a policy asks for it.
Rules of this file:
  1. Pure: time and address are given.
  2. A key whose fact is unknown is left out; it is never given an empty or a guessed value.
Source: IAM user guide, global condition keys.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final

import msgspec

from penstock.core.ids import Millis
from penstock.services.iam.pattern import Values

_NO_TAGS: Final[Mapping[str, str]] = {}


class Circumstances(msgspec.Struct, frozen=True):
    """The facts of one request; None where there is none."""

    now_ms: Millis  # aws:CurrentTime, aws:EpochTime
    secure: bool  # aws:SecureTransport
    source_ip: str | None = None  # aws:SourceIp
    region: str | None = None  # aws:RequestedRegion
    user_agent: str | None = None  # aws:UserAgent
    resource_account: str | None = None  # aws:ResourceAccount
    resource_tags: Mapping[str, str] = _NO_TAGS  # aws:ResourceTag/...
    request_tags: Mapping[str, str] = _NO_TAGS  # aws:RequestTag/...
    tag_keys: tuple[str, ...] = ()  # aws:TagKeys; of a request that removes tags; those of request_tags are added
    source_arn: str | None = None  # aws:SourceArn, of a service principal's request
    source_account: str | None = None  # aws:SourceAccount
    via_service: bool = False  # aws:ViaAWSService: a service asks with the caller's session
    called_via: tuple[str, ...] = ()  # aws:CalledVia
    mfa: bool | None = None  # aws:MultiFactorAuthPresent; None with long-term credentials
    mfa_age_s: int | None = None  # aws:MultiFactorAuthAge
    token_issued_ms: Millis | None = None  # aws:TokenIssueTime, of temporary credentials
    others: Mapping[str, Values] = {}  # keys of the service, such as sts:externalid, in lower case

    def lookup(self, key: str) -> Values:
        """The values of a key, by its name in lower case.  It is a pattern.Lookup.  Cost: 0.2 us, 1 us for times."""
        read = _SINGLE.get(key)
        if read is not None:
            value = read(self)
            return () if value is None else (value,)
        family, slash, name = key.partition("/")
        if slash and family == "aws:resourcetag":
            return _tag(self.resource_tags, name)
        if slash and family == "aws:requesttag":
            return _tag(self.request_tags, name)
        if key == "aws:tagkeys":
            return tuple(dict.fromkeys((*self.request_tags, *self.tag_keys)))
        return self.called_via if key == "aws:calledvia" else self.others.get(key, ())


_SINGLE: Final[dict[str, Callable[[Circumstances], str | None]]] = {
    "aws:currenttime": lambda facts: _iso(facts.now_ms),
    "aws:epochtime": lambda facts: str(facts.now_ms // 1000),
    "aws:securetransport": lambda facts: _bool(facts.secure),
    "aws:viaawsservice": lambda facts: _bool(facts.via_service),
    "aws:sourceip": lambda facts: facts.source_ip,
    "aws:requestedregion": lambda facts: facts.region,
    "aws:useragent": lambda facts: facts.user_agent,
    "aws:resourceaccount": lambda facts: facts.resource_account,
    "aws:sourcearn": lambda facts: facts.source_arn,
    "aws:sourceaccount": lambda facts: facts.source_account,
    "aws:calledviafirst": lambda facts: facts.called_via[0] if facts.called_via else None,
    "aws:calledvialast": lambda facts: facts.called_via[-1] if facts.called_via else None,
    "aws:multifactorauthpresent": lambda facts: _bool(facts.mfa),
    "aws:multifactorauthage": lambda facts: None if facts.mfa_age_s is None else str(facts.mfa_age_s),
    "aws:tokenissuetime": lambda facts: _iso(facts.token_issued_ms),
}


def _tag(tags: Mapping[str, str], folded: str) -> Values:
    """The value of a tag, whose key is compared in lower case."""
    for name, value in tags.items():
        if name.lower() == folded:
            return (value,)
    return ()


def _iso(moment_ms: Millis | None) -> str | None:
    return None if moment_ms is None else datetime.fromtimestamp(moment_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _bool(value: bool | None) -> str | None:
    return None if value is None else "true" if value else "false"
