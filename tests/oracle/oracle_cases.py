"""Cases for the oracle: policies and requests drawn from one seed, rich in what interacts.

Rules of this file: a case is plain data, so that the other judge reads the same; everything in it is something that AWS would accept at
put (the oracle refuses what is not); names and values come from small pools, so that patterns meet what they match.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from penstock.host.entropy import SeededEntropy

T = TypeVar("T")
Json = dict[str, Any]

OURS, THEIRS = "111111111111", "222222222222"
STREAMS = ("orders", "orders-eu", "clicks")
STREAM_ACTIONS = (
    *("PutRecord", "PutRecords", "GetRecords", "GetShardIterator", "ListShards", "DescribeStream", "DescribeStreamSummary"),
    *("DeleteStream", "SplitShard", "MergeShards", "AddTagsToStream", "RegisterStreamConsumer"),
)  # fmt: skip
CONSUMER_ACTIONS = ("SubscribeToShard", "DescribeStreamConsumer", "DeregisterStreamConsumer")
ANY_ACTIONS = ("ListStreams", "DescribeLimits", "DescribeAccountSettings")
ACTION_PATTERNS = (
    *("kinesis:*", "*", "kinesis:Put*", "kinesis:Get*", "kinesis:Describe*", "kinesis:*Record*", "kinesis:PutRecor?", "kinesis:put*"),
    *("kinesis:?etRecords", "s3:*", "kinesis:DescribeStream*", "Kinesis:LISTSHARDS", "kinesis:*Stream", "kinesis:SubscribeToShard"),
)  # fmt: skip
TEXTS = (
    *("team", "ana", "bob", "blue", "Blue", "red", "us-east-1", "o-1234567890"),
    *("green-*", "gr?en", "b*", "B*", "*LUE", "*", "?lue", ""),
)  # fmt: skip
VARIABLES = (
    *("${aws:username}", "${aws:PrincipalTag/team}", "${aws:principaltag/TEAM}", "x-${aws:username}-*", "${aws:username, 'ana'}"),
    *("${aws:PrincipalTag/none, 'blue'}", "${*}", "b${*}", "${?}lue", "${$}{x}", "${aws:ResourceTag/team}", "${aws:TagKeys}"),
)  # fmt: skip
ARNS = (
    *("arn:aws:iam::*:user/*", "arn:aws:iam::111111111111:role/worker", "arn:aws:iam::111111111111:user/ana", "arn:aws:*:*:*:*"),
    *("arn:aws:iam::1*:*", "arn:aws:sns:us-east-1:222222222222:topic", "arn:aws:iam::2*:role/*", "arn:aws:s??:*:*:topic", "*"),
    *("arn:aws:iam::${aws:PrincipalAccount}:user/${aws:username}", "arn:aws:iam::*:root"),
)  # fmt: skip
NUMBERS = ("0", "10", "10.5", "300", "100", "-1")
DATES = ("2026-01-01T00:00:00Z", "2026-06-15T12:00:00Z", "2026-06-15", "2027-01-01T00:00:00+01:00", "1781524800")
BOOLS = ("true", "false", "True")
ADDRESSES = ("10.0.0.0/8", "10.1.2.3", "192.168.0.0/16", "10.1.2.0/24", "2001:db8::/32", "2001:db8::1", "0.0.0.0/0")
BINARIES = ("Ymx1ZQ==", "cmVk", "YWJjZA==")
TEXT_KEYS = (
    "aws:username",
    "aws:PrincipalTag/team",
    "aws:ResourceTag/team",
    "aws:RequestedRegion",
    "aws:PrincipalOrgID",
    "aws:userid",
)
SETS = ("team", "cost", "Team", "env")

FAMILIES: dict[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = {  # operators, keys, values
    "String": (
        *(("StringEquals", "StringNotEquals", "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase", "StringLike", "StringNotLike"),),
        *(TEXT_KEYS, TEXTS),
    ),
    "Arn": (("ArnEquals", "ArnNotEquals", "ArnLike", "ArnNotLike"), ("aws:PrincipalArn", "aws:SourceArn"), ARNS),
    "Numeric": (
        *(("NumericEquals", "NumericNotEquals", "NumericLessThan", "NumericLessThanEquals", "NumericGreaterThan"),),
        *(("aws:MultiFactorAuthAge",), NUMBERS),
    ),
    "Date": (
        *(("DateEquals", "DateNotEquals", "DateLessThan", "DateLessThanEquals", "DateGreaterThan", "DateGreaterThanEquals"),),
        *(("aws:CurrentTime", "aws:EpochTime", "aws:TokenIssueTime"), DATES),
    ),
    "Bool": (("Bool",), ("aws:SecureTransport", "aws:MultiFactorAuthPresent", "aws:ViaAWSService"), BOOLS),
    "Ip": (("IpAddress", "NotIpAddress"), ("aws:SourceIp",), ADDRESSES),
    "Null": (("Null",), ("aws:username", "aws:TagKeys", "aws:PrincipalTag/team", "aws:MultiFactorAuthAge"), ("true", "false")),
}  # fmt: skip


@dataclass(frozen=True)
class Case:
    """One request and every policy that applies to it."""

    principal: str  # an ARN, or a service's name
    action: str
    resource: str
    account: str
    keys: dict[str, list[str]]
    identity: list[Json] = field(default_factory=list)
    boundary: Json | None = None
    session: Json | None = None
    policy: Json | None = None


class Draw:
    """Draws cases."""

    def __init__(self, seed: int) -> None:
        self._entropy = SeededEntropy(seed)
        self._action = "kinesis:PutRecord"  # of the case that is being drawn

    def chance(self, share: float) -> bool:
        return self._entropy.fraction() < share

    def one(self, pool: Sequence[T]) -> T:
        return pool[int(self._entropy.fraction() * len(pool))]

    def some(self, pool: Sequence[T], most: int) -> list[T]:
        return [self.one(pool) for _ in range(1 + int(self._entropy.fraction() * most))]

    def case(self) -> Case:
        """The next one."""
        principal = self._principal()
        theirs = self.chance(0.4)
        action, resource, account = self._request(THEIRS if theirs else OURS)
        self._action = f"kinesis:{action}"
        service = principal.endswith(".amazonaws.com")
        root = principal.endswith(":root")
        session = ":sts:" in principal and self.chance(0.35)
        has_policy = resource != "*" and (service or self.chance(0.75 if theirs else 0.5))
        return Case(
            principal,
            f"kinesis:{action}",
            resource,
            account,
            self._keys(principal),
            [] if service or root else [self.identity() for _ in range(self.one((0, 1, 1, 1, 2)))],
            self.identity() if not service and not root and self.chance(0.25) else None,
            self.identity() if session else None,
            self._document([self._statement(self._principals(principal)) for _ in range(self.one((1, 1, 2, 3)))])
            if has_policy
            else None,
        )

    def _principal(self) -> str:
        return self.one(
            (
                *(f"arn:aws:iam::{OURS}:user/ana", f"arn:aws:iam::{OURS}:user/bob", f"arn:aws:iam::{OURS}:root"),
                *(f"arn:aws:sts::{OURS}:assumed-role/worker/s1", f"arn:aws:sts::{OURS}:assumed-role/worker/s2"),
                *(f"arn:aws:sts::{OURS}:assumed-role/reader/s1", f"arn:aws:iam::{OURS}:user/ana"),
                *(f"arn:aws:sts::{OURS}:federated-user/ana", "firehose.amazonaws.com"),
            )
        )

    def _request(self, account: str) -> tuple[str, str, str]:
        stream = f"arn:aws:kinesis:{self.one(('us-east-1', 'eu-west-1'))}:{account}:stream/{self.one(STREAMS)}"
        if self.chance(0.1):
            return self.one(ANY_ACTIONS), "*", OURS
        if self.chance(0.2):
            return self.one(CONSUMER_ACTIONS), f"{stream}/consumer/{self.one(('app', 'copy'))}:1700000000", account
        return self.one(STREAM_ACTIONS), stream, account

    def _keys(self, principal: str) -> dict[str, list[str]]:
        """What AWS would say of the principal and its request."""
        parts = principal.split(":")
        keys: dict[str, list[str]] = {
            "aws:SecureTransport": [self.one(("true", "true", "false"))],
            "aws:CurrentTime": [self.one(("2026-06-15T12:00:00Z", "2026-02-01T00:00:00Z"))],
            "aws:SourceIp": [self.one(("10.1.2.3", "10.9.9.9", "192.168.1.1", "2001:db8::1"))],
            "aws:RequestedRegion": ["us-east-1"],
            "aws:ViaAWSService": ["false"],
        }
        keys["aws:EpochTime"] = ["1781524800" if "06-15" in keys["aws:CurrentTime"][0] else "1769904000"]
        if len(parts) > 1:
            arn = principal
            if "assumed-role" in principal:
                arn = f"arn:aws:iam::{OURS}:role/{principal.split('/')[1]}"
            keys["aws:PrincipalArn"], keys["aws:PrincipalAccount"] = [arn], [OURS]
            if self.chance(0.5):
                keys["aws:PrincipalOrgID"] = ["o-1234567890"]
            if ":user/" in principal:
                keys["aws:username"] = [principal.rpartition("/")[2]]
            if self.chance(0.6) and not principal.endswith(":root"):
                keys["aws:PrincipalTag/team"] = [self.one(("blue", "Blue", "red", "green-1"))]
            if ":sts:" in principal:
                keys["aws:TokenIssueTime"] = ["2026-06-15T11:00:00Z"]
                if self.chance(0.5):
                    keys["aws:MultiFactorAuthPresent"] = [self.one(("true", "false"))]
                    keys["aws:MultiFactorAuthAge"] = [self.one(("10", "200", "10.5"))]
        elif self.chance(0.7):
            keys["aws:SourceArn"] = [
                self.one(("arn:aws:sns:us-east-1:222222222222:topic", "arn:aws:iam::111111111111:role/worker"))
            ]
        if self.chance(0.4):
            keys["aws:ResourceTag/team"] = [self.one(("blue", "red"))]
        if self.chance(0.5):
            keys["aws:TagKeys"] = list(dict.fromkeys(self.some(SETS, 3)))
        return keys

    def identity(self) -> Json:
        """The next policy of an identity."""
        return self._document([self._statement({}) for _ in range(self.one((1, 1, 2, 3)))])

    def _document(self, statements: list[Json]) -> Json:
        return {"Version": "2012-10-17", "Statement": statements}

    def _statement(self, principals: Json) -> Json:
        deny = "NotPrincipal" in principals or self.chance(0.15)
        actions = self.some((*ACTION_PATTERNS, *ACTION_PATTERNS, *(f"kinesis:{name}" for name in STREAM_ACTIONS)), 3)
        if self.chance(0.4):
            actions.append(self._action)
        resources: str | list[str] = "*" if self.chance(0.55) else self.some(self._resources(), 2)
        statement: Json = {
            "Effect": "Deny" if deny else "Allow",
            **principals,
            "NotAction" if self.chance(0.15) else "Action": actions,
            "NotResource" if self.chance(0.12) else "Resource": resources,
        }
        if self.chance(0.5):
            block: Json = {}
            for _ in range(self.one((1, 1, 2))):
                operator, key, values = self._condition()
                block.setdefault(operator, {})[key] = values
            statement["Condition"] = block
        return statement

    def _resources(self) -> tuple[str, ...]:
        return (
            *(
                f"arn:aws:kinesis:*:*:stream/{name}"
                for name in ("*", "orders", "orders*", "ord?rs", "*s", "${aws:username}")
            ),
            *(f"arn:aws:kinesis:us-east-1:{OURS}:stream/{name}" for name in ("*", "orders", "orders*", "*/consumer/*")),
            *(f"arn:aws:kinesis:*:{THEIRS}:*", f"arn:aws:kinesis:eu-west-1:{OURS}:stream/orders/consumer/app:*"),
            *("arn:aws:kinesis:*:*:stream/${aws:PrincipalTag/team, 'orders'}", "arn:aws:s3:::bucket/*"),
        )

    def _principals(self, principal: str) -> Json:
        role = f"arn:aws:iam::{OURS}:role/worker"
        pool: list[str | Json] = [
            *("*", {"AWS": "*"}, {"AWS": OURS}, {"AWS": f"arn:aws:iam::{OURS}:root"}, {"AWS": THEIRS}, {"AWS": role}),
            *({"AWS": f"arn:aws:iam::{OURS}:user/ana"}, {"AWS": [role, f"arn:aws:iam::{OURS}:user/bob"]}),
            *({"AWS": f"arn:aws:sts::{OURS}:assumed-role/worker/s1"}, {"AWS": f"arn:aws:sts::{OURS}:federated-user/ana"}),
            *({"Service": "firehose.amazonaws.com"}, {"Service": "lambda.amazonaws.com", "AWS": OURS}),
            {"AWS": principal} if ":" in principal else {"Service": principal},
        ]  # fmt: skip
        if self.chance(0.15):
            return {"NotPrincipal": self.one((pool[-1], self.one(pool)))}
        return {"Principal": self.one(pool)}

    def _condition(self) -> tuple[str, str, str | list[str]]:
        family = self.one(tuple(FAMILIES))
        operators, keys, pool = FAMILIES[family]
        operator, key = self.one(operators), self.one(keys)
        values = self.some(pool, 2)
        if family == "String" and self.chance(0.35):
            values = [self.one(VARIABLES)]
        if family == "String" and self.chance(0.3):
            operator, key, values = (
                f"{self.one(('ForAllValues', 'ForAnyValue'))}:{operator}",
                "aws:TagKeys",
                self.some((*SETS, "c*"), 2),
            )
        if family != "Null" and self.chance(0.2):
            operator += "IfExists"
        return operator, self.one((key, key, key.lower())), values if len(values) > 1 or self.chance(0.5) else values[0]
