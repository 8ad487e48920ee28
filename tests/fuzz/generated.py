"""Requests made from the models: valid ones, ones with a single thing wrong, and hostile ones, for any operation of any service.

Theory.  A request reaches deep code only if it names what is there.  So a text is chosen by its member's name first: `StreamName` is a
stream that exists, or one that did, or none; only then by its shape.  What is wrong is put in one place of a document that is otherwise
right, because a document that is wrong in two is refused for the first.
"""

import json
from collections.abc import Mapping
from copy import deepcopy
from typing import Any, Final
from urllib.parse import urlencode

from hypothesis import strategies as st

from penstock.wire.model import Shape

ACCOUNT: Final = "123456789012"
STREAM: Final = f"arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/a"
FUNCTION: Final = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:f"
VERSIONS: Final = {"iam": "2010-05-08", "sts": "2011-06-15", "cloudwatch": "2010-08-01", "sns": "2010-03-31"}
NUMBERS: Final[list[Any]] = [0, -1, 1, 24, 2**31, 2**63, -(2**63), 10**30, 1.5, -1e300, 1e300]
TEXTS: Final[list[Any]] = [
    *("", "a", "a/b", "\0", "é" * 200, "\U0001f600", "9" * 39, "9" * 129, "shardId-0", "x-" + "9" * 18),
]
MORE_TEXTS: Final[list[Any]] = [
    "\x1b",
    "\ufffe",
    "]]>&<",
    "a" * 3000,
    "*",
    "arn:aws:iam::1:x",
    "{}",
    "%s{0}",
    "\r\n",
    "\u2028",
]
OTHERS: Final[list[Any]] = [None, True, [], {}, [None], [[]], {"": None}, {"k": None}, {"k": {}}, "A===", "AAF="]
STATEMENT: Final[dict[str, Any]] = {"Effect": "Allow", "Action": "kinesis:*", "Resource": STREAM}
_STATEMENTS: Final[list[Any]] = [
    STATEMENT,
    {**STATEMENT, "Principal": {"AWS": ACCOUNT}},
    {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": "*"},
    {**STATEMENT, "Resource": "*", "Principal": "*", "Action": "kms:*"},
    {**STATEMENT, "Condition": {"StringLike": {"aws:username": "\ud800"}}},
    {**STATEMENT, "Sid": "\ud800\0"},
    {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "\ud800"}},
    [],
]
POLICIES: Final = [json.dumps({"Version": "2012-10-17", "Statement": statement}) for statement in _STATEMENTS]
# Texts by the end of their member's name, the longest first; `live` gives those that change from server to server.
_NAMED: Final[Mapping[str, tuple[str, ...]]] = {
    "TableName": ("app", "app", "none", "events", "arn:aws:dynamodb:us-east-1:123456789012:table/app"),
    "DatabaseName": ("db", "db", "DB", "none"),
    "QueueUrl": (f"http://127.0.0.1/{ACCOUNT}/jobs", f"http://127.0.0.1/{ACCOUNT}/jobs", f"/{ACCOUNT}/none", "jobs"),
    "QueueName": ("jobs", "more", "a.fifo"),
    "ReceiptHandle": ("live:handle", "AAAA", "k6E="),
    "WaitTimeSeconds": (),
    "TopicArn": (f"arn:aws:sns:us-east-1:{ACCOUNT}:news", f"arn:aws:sns:us-east-1:{ACCOUNT}:none", "news"),
    "SubscriptionArn": ("live:subscription", f"arn:aws:sns:us-east-1:{ACCOUNT}:news:x", "x"),
    "Protocol": ("sqs", "email"),
    "Endpoint": (f"arn:aws:sqs:us-east-1:{ACCOUNT}:jobs", "http://x"),
    "logGroupName": ("app", "app", "none"),
    "logGroupIdentifier": ("app", f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:app", "arn:aws:logs:x"),
    "logStreamName": ("a", "a", "none"),
    "filterPattern": ("m -x", "?a ?b", "{ $.a = 1 && ($.b IS NULL) }", "[a, b=1*, ...]", "{ $.a", '"'),
    "CatalogId": (ACCOUNT, ACCOUNT, "none"),
    "IndexName": ("by-owner", "none"),
    "ConditionExpression": ("attribute_exists(k)", "n = :v AND #k <> :v", "size(k) > :v OR contains(l, :v)", "k IN ("),
    "FilterExpression": ("attribute_exists(n)", "n BETWEEN :v AND :v", "begins_with(#k, :v)"),
    "KeyConditionExpression": ("k = :v", "#k = :v AND n > :v", "n = :v"),
    "UpdateExpression": ("SET n = n + :v", "ADD s :v REMOVE #k", "SET l = list_append(l, :v), m.k = :v", "DELETE s :v"),
    "ProjectionExpression": ("k", "#k, n", "l[0].k", "k.k, k"),
    "Expression": ("ev*", "e.*|a", "(", "*"),
    "FunctionName": ("f", "f", "f:1", "f:live", "none", FUNCTION, FUNCTION + ":$LATEST", "f:x"),
    "Qualifier": ("1", "live", "$LATEST", "9"),
    "FunctionVersion": ("1", "$LATEST", "9"),
    "Name": ("live", "other", "a", "7"),
    "StatementId": ("s", "t"),
    "Principal": ("*", ACCOUNT, "s3.amazonaws.com", "nobody"),
    "Action": ("lambda:InvokeFunction", "lambda:*", "*"),
    "Resource": (
        FUNCTION,
        FUNCTION + ":1",
        FUNCTION + "x",
        "arn:aws:lambda:us-east-1:123456789012:event-source-mapping:x",
    ),
    "Role": (f"arn:aws:iam::{ACCOUNT}:role/r",),
    "Destination": ("arn:aws:sqs:us-east-1:123456789012:q", "arn:aws:s3:::b", FUNCTION, ""),
    "EventSourceArn": (STREAM, STREAM + "x", STREAM + "/consumer/c:1"),
    "StreamName": ("a", "b", "none"),
    "StreamARN": (STREAM, STREAM + "x"),
    "ResourceARN": (STREAM, STREAM + "/consumer/c:1", "live:consumer"),
    "ConsumerARN": ("live:consumer", STREAM + "/consumer/c:1"),
    "ConsumerName": ("c", "d"),
    "ShardId": ("shardId-000000000000", "shardId-000000000001", "shardId-000000000099"),
    "ShardToMerge": ("shardId-000000000000",),
    "AdjacentShardToMerge": ("shardId-000000000001",),
    "ShardToSplit": ("shardId-000000000000", "shardId-000000000001"),
    "ShardIterator": ("live:iterator", '"', "AAAA"),
    "SequenceNumber": ("live:sequence", "0", "9" * 56),
    "SequenceNumberForOrdering": ("live:sequence", "9" * 128),
    "HashKey": ("0", "1", str(2**127), str(2**128 - 1), str(2**128)),
    "NextToken": ("AAAA", "live:iterator"),
    "Marker": ("ann", "AAAA", "live:key"),
    "KeyId": ("live:key", "live:key arn", "alias/k", "alias/aws/kinesis", "arn:aws:kms:eu-west-1:1:key/x"),
    "AliasName": ("alias/k", "alias/n", "alias/aws/x", "n"),
    "UserName": ("ann", "bob"),
    "RoleName": ("reader", "writer"),
    "PolicyName": ("p", "m", "default", "q"),
    "PolicyArn": (
        "live:policy",
        "arn:aws:iam::aws:policy/AdministratorAccess",
        "arn:aws:iam::123456789012:policy/none",
    ),
    "PermissionsBoundary": ("live:policy", "arn:aws:iam::aws:policy/ReadOnlyAccess"),
    "InstanceProfileName": ("i", "j"),
    "AccessKeyId": ("live:access key", "AKIAAAAAAAAAAAAAAAAA"),
    "RoleArn": (f"arn:aws:iam::{ACCOUNT}:role/reader", f"arn:aws:iam::{ACCOUNT}:role/none"),
    "RoleSessionName": ("me",),
    "WebIdentityToken": ("e30.e30.AAAA", "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJ4In0.AAAA", "...."),
    "TargetPrincipal": (ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root"),
    "CiphertextBlob": ("live:ciphertext",),
    "VersionId": ("v1", "v2", "v99999999999999999999", "0", "1", "9"),
    "Policy": (*POLICIES, "{", "[]"),
    "Document": (*POLICIES, "{", "[]"),
    "Path": ("/", "/a/", "a"),
    "PathPrefix": ("/", "/a/"),
    "Timestamp": (),
}
# Keys of maps by the map's name; attributes have those of any other.
_KEYS: Final[Mapping[str, list[str]]] = {
    "ExpressionAttributeNames": ["#k"],
    "ExpressionAttributeValues": [":v"],
    "RequestItems": ["app", "none"],
}
_ATTRIBUTES: Final[list[Any]] = [
    *({"S": "a"}, {"S": ""}, {"N": "1"}, {"N": "-0.5e3"}, {"N": "x"}, {"B": "AAEC"}, {"BOOL": True}, {"NULL": True}),
    *({"SS": ["a", "b"]}, {"NS": ["1"]}, {"SS": []}, {"L": [{"S": "a"}]}, {"M": {"k": {"N": "1"}}}, {}),
    *({"S": "a", "N": "1"}, {"N": "1" * 40}, {"NS": ["1", "1.0"]}, {"BS": ["AA=="]}),
]
_ENDS: Final = sorted(_NAMED, key=len, reverse=True)


def plausible(shape: Shape | None, *, cbor: bool = False) -> Any:
    """A value that keeps the shape's constraints, to put beside a nasty one."""
    if shape is None:
        return {}
    match shape.kind:
        case "structure":
            return {name: plausible(shape.members[name], cbor=cbor) for name in shape.required}
        case "list":
            return [plausible(shape.member, cbor=cbor)]
        case "map":
            return {"k": plausible(shape.member, cbor=cbor)}
        case "integer" | "long":
            return int(shape.minimum or 1)
        case "boolean":
            return False
        case "timestamp":
            return 1
        case "blob":
            return b"" if cbor else ""
        case _:
            if shape.pattern is not None and shape.pattern.startswith("arn"):
                return STREAM
            return shape.enum[0] if shape.enum else "0" if shape.pattern is not None and r"\d" in shape.pattern else "a"


def form_fields(service: str, operation: str, document: object) -> bytes:
    """The form of a query call: what is nested is spelled as a path."""
    fields = {"Action": operation, "Version": VERSIONS[service]}
    _spell(document, "", fields)
    return urlencode(fields, errors="replace").encode()


def _spell(value: object, path: str, fields: dict[str, str]) -> None:
    match value:
        case dict():
            for name, item in value.items():
                _spell(item, f"{path}.{name}" if path else str(name), fields)
        case list():
            for number, item in enumerate(value, 1):
                _spell(item, f"{path}.member.{number}", fields)
        case bool():
            fields[path] = str(value).lower()
        case None:
            pass
        case _:
            fields[path] = str(value)


def requests(shape: Shape, live: Mapping[str, str]) -> st.SearchStrategy[Any]:
    """Documents for an operation's input: half of them valid, most others with one thing wrong, some with nothing right."""
    fine = _value(shape, "", live)
    wrong = st.tuples(fine, st.sampled_from(sorted(shape.members) or ["a"]), _odd(live)).map(
        lambda drawn: {**drawn[0], drawn[1]: drawn[2]}
    )
    deeper = st.tuples(fine, st.randoms(use_true_random=False), _odd(live)).map(_spoiled)
    return st.one_of(fine, fine, wrong, deeper, _odd(live))


def _odd(live: Mapping[str, str]) -> st.SearchStrategy[Any]:
    return st.sampled_from([*NUMBERS, *TEXTS, *MORE_TEXTS, *OTHERS, *live.values()])


def _spoiled(drawn: tuple[Any, Any, Any]) -> Any:
    """A document with a value put in some place inside it."""
    document, chance, value = drawn
    node = document
    while True:
        places: list[Any] = list(node) if isinstance(node, dict) else list(range(len(node)))
        if not places:
            return document
        at = chance.choice(places)
        if not isinstance(node[at], dict | list) or not node[at]:
            node[at] = value
            return document
        node = node[at]


def _value(shape: Shape, name: str, live: Mapping[str, str]) -> st.SearchStrategy[Any]:
    """Values that keep a shape's constraints, or nearly."""
    match shape.kind:
        case "structure" if shape.name == "AttributeValue":
            return st.sampled_from(_ATTRIBUTES).map(deepcopy)  # what is wrong is put into it
        case "structure":
            members = {each: _value(member, each, live) for each, member in shape.members.items()}
            needed = {each: members.pop(each) for each in shape.required}
            return st.fixed_dictionaries(needed, optional=members)
        case "list":
            assert shape.member is not None
            least = int(shape.minimum or 0)
            return st.lists(_value(shape.member, name, live), min_size=min(least, 5), max_size=max(least, 3))
        case "map":
            assert shape.member is not None
            return st.dictionaries(
                st.sampled_from(_KEYS.get(name, ["k", "a b", "aws:x"])),
                _value(shape.member, name, live),
                min_size=1,
                max_size=2,
            )
        case "string":
            return st.sampled_from(_texts(shape, name, live))
        case "blob":
            return st.sampled_from([live["zip" if name == "ZipFile" else "ciphertext"], "", "AAEC", "A" * 400])
        case "boolean":
            return st.booleans()
        case "double" | "float":
            return st.sampled_from([0, 1, 1.5, -2.5, 1e99, "NaN"])
        case "integer" | "long":
            low, high = int(shape.minimum or 0), int(min(shape.maximum or 2**31 - 1, 20_000))
            return st.sampled_from([low, min(low + 1, high), max(low, min(high, 24)), high])
        case _:
            return st.sampled_from([0, 1, 1_700_000_000.5, 4_000_000_000, -1])


def _texts(shape: Shape, name: str, live: Mapping[str, str]) -> list[str]:
    if shape.enum:
        return list(shape.enum)
    named = next((_NAMED[end] for end in _ENDS if name.endswith(end)), ())
    texts = [live[text.removeprefix("live:")] if text.startswith("live:") else text for text in named]
    least, most = int(shape.minimum or 0), int(min(shape.maximum or 64, 3000))
    return texts or [str(plausible(shape)), "x" * max(least, 1), "x" * most, "0"]
