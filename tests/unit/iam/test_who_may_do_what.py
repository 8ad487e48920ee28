"""Who may do what: three accounts, six identities, twelve policies, and every operation on data.

Each row of the table is one own policy, which all six have, and one policy of the stream (`subscribe` is the consumer's).  Each cell has the
operations that are allowed, by letter.  To change the table, run this file as a program and review the difference.
"""

import json
from collections.abc import Iterator
from typing import Any

from penstock.services.iam import principals
from penstock.services.iam.actions import ResourceKind, action_of
from penstock.services.iam.evaluate import Identity, Request, evaluate
from penstock.services.iam.policy import Policy, PolicyKind, parse_policy

OWNER, PARTNER, STRANGER = "111111111111", "222222222222", "333333333333"
STREAM = f"arn:aws:kinesis:us-east-1:{OWNER}:stream/orders"
CONSUMER = f"{STREAM}/consumer/app:1700000000"
KEYS = {"aws:securetransport": ("true",), "aws:sourceip": ("10.1.2.3",)}

OPERATIONS = {
    "p": "PutRecord",
    "P": "PutRecords",
    "g": "GetRecords",
    "i": "GetShardIterator",
    "l": "ListShards",
    "d": "DescribeStream",
    "D": "DescribeStreamSummary",
    "s": "SubscribeToShard",
    "c": "DescribeStreamConsumer",
}
READING = ["kinesis:Get*", "kinesis:ListShards", "kinesis:Describe*", "kinesis:SubscribeToShard"]


def policy(kind: PolicyKind, *statements: dict[str, Any]) -> Policy:
    return parse_policy(json.dumps({"Version": "2012-10-17", "Statement": list(statements)}), kind)


def allow(actions: str | list[str], **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": actions, "Resource": "*", **more}


def own(*statements: dict[str, Any]) -> Policy:
    return policy(PolicyKind.IDENTITY, *statements)


def of_stream(principal: dict[str, str] | str, actions: str | list[str], resource: str = STREAM, **more: Any) -> Policy:
    return policy(PolicyKind.RESOURCE, allow(actions, Principal=principal, **{"Resource": resource, **more}))


OWN = {
    "nothing": own(allow("s3:*")),
    "writer": own(allow("kinesis:Put*", Resource=f"arn:aws:kinesis:*:{OWNER}:stream/ord*")),
    "reader": own(allow(READING)),
    "office": own(allow("*"), allow("*", Effect="Deny", Condition={"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}})),
    "no batch": own(
        allow("*"), {"Effect": "Deny", "NotAction": ["kinesis:PutRecord", "kinesis:Get*"], "Resource": "*"}
    ),
}
BOUNDARY, SESSION = own(allow(READING)), own(allow(["kinesis:PutRecord", "kinesis:GetRecords"]))
STREAMS = {
    "none": None,
    "partner": of_stream({"AWS": PARTNER}, ["kinesis:PutRecord", "kinesis:GetRecords", "kinesis:DescribeStream"]),
    "roles": of_stream({"AWS": f"arn:aws:iam::{OWNER}:role/worker"}, ["kinesis:PutRecord", "kinesis:GetRecords"]),
    "not ana": of_stream({"AWS": f"arn:aws:iam::{OWNER}:user/ana"}, "kinesis:Get*", Effect="Deny"),
    "by key": of_stream("*", READING[:2], Condition={"StringEquals": {"aws:PrincipalAccount": PARTNER}}),
    "subscribe": of_stream({"AWS": PARTNER}, ["kinesis:SubscribeToShard"], CONSUMER),
}  # fmt: skip
WORKER = f"arn:aws:iam::{OWNER}:role/worker"
WHO = {
    "ana": (principals.user(f"arn:aws:iam::{OWNER}:user/ana"), None, None),
    "worker": (principals.role_session(WORKER, "s1"), None, None),
    "bounded": (principals.role_session(WORKER, "s2"), BOUNDARY, None),
    "bob": (principals.user(f"arn:aws:iam::{PARTNER}:user/bob"), None, None),
    "loader": (principals.role_session(f"arn:aws:iam::{PARTNER}:role/loader", "s1"), None, (SESSION,)),
    "eve": (principals.user(f"arn:aws:iam::{STRANGER}:user/eve"), None, None),
}

TABLE = """
own      | stream    | ana       | worker    | bounded   | bob       | loader    | eve
nothing  | none      | -         | -         | -         | -         | -         | -
nothing  | partner   | -         | -         | -         | -         | -         | -
nothing  | roles     | -         | pg        | g         | -         | -         | -
nothing  | not ana   | -         | -         | -         | -         | -         | -
nothing  | by key    | -         | -         | -         | -         | -         | -
nothing  | subscribe | -         | -         | -         | -         | -         | -
writer   | none      | pP        | pP        | -         | -         | -         | -
writer   | partner   | pP        | pP        | -         | p         | p         | -
writer   | roles     | pP        | pPg       | g         | -         | -         | -
writer   | not ana   | pP        | pP        | -         | -         | -         | -
writer   | by key    | pP        | pP        | -         | -         | -         | -
writer   | subscribe | pP        | pP        | -         | -         | -         | -
reader   | none      | gildDsc   | gildDsc   | gildDsc   | -         | -         | -
reader   | partner   | gildDsc   | gildDsc   | gildDsc   | gd        | g         | -
reader   | roles     | gildDsc   | pgildDsc  | gildDsc   | -         | -         | -
reader   | not ana   | ldDsc     | gildDsc   | gildDsc   | -         | -         | -
reader   | by key    | gildDsc   | gildDsc   | gildDsc   | gil       | g         | -
reader   | subscribe | gildDsc   | gildDsc   | gildDsc   | s         | -         | -
office   | none      | pPgildDsc | pPgildDsc | gildDsc   | -         | -         | -
office   | partner   | pPgildDsc | pPgildDsc | gildDsc   | pgd       | pg        | -
office   | roles     | pPgildDsc | pPgildDsc | gildDsc   | -         | -         | -
office   | not ana   | pPldDsc   | pPgildDsc | gildDsc   | -         | -         | -
office   | by key    | pPgildDsc | pPgildDsc | gildDsc   | gil       | g         | -
office   | subscribe | pPgildDsc | pPgildDsc | gildDsc   | s         | -         | -
no batch | none      | pgi       | pgi       | gi        | -         | -         | -
no batch | partner   | pgi       | pgi       | gi        | pg        | pg        | -
no batch | roles     | pgi       | pgi       | gi        | -         | -         | -
no batch | not ana   | p         | pgi       | gi        | -         | -         | -
no batch | by key    | pgi       | pgi       | gi        | gi        | g         | -
no batch | subscribe | pgi       | pgi       | gi        | -         | -         | -
"""


def allowed(identity: Identity, stream: str) -> str:
    """The letters of what an identity may do."""
    return "".join(letter for letter, name in OPERATIONS.items() if may(identity, name, stream)) or "-"


def may(identity: Identity, operation: str, stream: str) -> bool:
    row = action_of("kinesis", operation)
    consumer = row.kind is ResourceKind.CONSUMER
    of = STREAMS[stream] if consumer is (stream == "subscribe") else None
    request = Request(row.name, CONSUMER if consumer else STREAM, OWNER, of, lambda key: KEYS.get(key, ()), row.need)
    return evaluate(identity, request).allowed


def rows() -> Iterator[str]:
    """The table as it is."""
    yield " | ".join(("own     ", "stream   ", *(f"{name:9}" for name in WHO))).rstrip()
    for mine, policies in OWN.items():
        for stream in STREAMS:
            cells = [
                allowed(Identity(who, (policies,), bound, session), stream) for who, bound, session in WHO.values()
            ]
            yield " | ".join((f"{mine:8}", f"{stream:9}", *(f"{cell:9}" for cell in cells))).rstrip()


def test_table_when_each_is_asked_then_only_these_are_allowed() -> None:
    assert list(rows()) == TABLE.strip().splitlines()


def test_table_when_counted_then_nobody_is_left_out() -> None:
    accounts = {who.account for who, _, _ in WHO.values()}
    policies = [*OWN.values(), BOUNDARY, SESSION, *(each for each in STREAMS.values() if each is not None)]
    assert (len(accounts), len(WHO), len(policies)) == (3, 6, 12)


if __name__ == "__main__":
    import sys

    sys.stdout.write("\n".join(rows()) + "\n")
