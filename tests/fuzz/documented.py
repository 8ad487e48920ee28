"""What an operation may answer: success, the errors that its model lists, and those that every operation of its protocol shares."""

import json
from typing import Any, Final, NamedTuple
from xml.etree import ElementTree

import cbor2

from penstock.composition.table import ROWS, unbound
from penstock.wire.operation import Service

SERVICES: Final[dict[str, Service]] = {row.model: unbound(row) for row in ROWS}

# Of the pages "Common Errors" of the services' API references.
_SHARED: Final = frozenset(
    {
        *("ValidationException", "SerializationException", "AccessDeniedException", "ThrottlingException"),
        *("MissingAuthenticationTokenException", "IncompleteSignatureException", "InvalidSignatureException"),
        *("UnrecognizedClientException", "ExpiredTokenException", "UnknownOperationException", "RequestEntityTooLarge"),
    }
)
_SHARED_BY_QUERY: Final = frozenset(
    {
        *("ValidationError", "MalformedInput", "AccessDenied", "Throttling", "MissingAuthenticationToken"),
        *("IncompleteSignature", "SignatureDoesNotMatch", "InvalidClientTokenId", "ExpiredToken", "InvalidAction"),
        "RequestEntityTooLarge",
    }
)

# Of SQS, which names them in its guide, and not in its model.
_SHARED_BY_QUEUES: Final = frozenset({"InvalidParameterValueException", "MissingParameter", "InvalidAttributeName"})

# What we tell although the operation's model does not list it.  UNVERIFIED: that AWS does so too; each was found by these tests.
_BESIDE_THE_MODEL: Final = {
    ("kms", "CreateAlias"): {"NotAuthorizedException"},
    ("kms", "UpdateAlias"): {"NotAuthorizedException"},
    ("kms", "DeleteAlias"): {"NotAuthorizedException"},
    ("logs", "ListTagsLogGroup"): {"InvalidParameterException"},
    ("logs", "UntagLogGroup"): {"InvalidParameterException"},
    ("iam", "CreateRole"): {"NoSuchEntity"},  # of its permissions boundary, as CreateUser's model lists
    ("iam", "GetAccessKeyLastUsed"): {"NoSuchEntity"},
}


class Refusal(NamedTuple):
    """A refusal as a client reads it."""

    code: str
    message: str | None


def documented(service: str, operation: str) -> frozenset[str]:
    """The codes with which an operation may refuse."""
    model = SERVICES[service].model
    listed = {
        *(_SHARED_BY_QUEUES if service == "sqs" else ()),
        *model.operations[operation].errors,
        *_BESIDE_THE_MODEL.get((service, operation), ()),
    }
    if "query" not in model.protocols:
        return _SHARED.union(listed)
    shared = _SHARED_BY_QUERY | (_SHARED if len(model.protocols) > 1 else set())
    return shared | {*listed, *(model.query_codes.get(name, name.removesuffix("Exception")) for name in listed)}


def read_refusal(content_type: str, body: bytes) -> Refusal:
    """What a refusal says; it must be readable in the form that it claims."""
    if content_type == "text/xml":
        root = ElementTree.fromstring(body)
        texts = {each.tag.rpartition("}")[2]: each.text for each in root.iter()}
        return Refusal(texts["Code"] or "", texts["Message"])
    if "json" in content_type or "cbor" in content_type:
        document: dict[str, Any] = cbor2.loads(body) if "cbor" in content_type else json.loads(body)
        return Refusal(document["__type"].rpartition("#")[2], document.get("message", document.get("Message")))
    root = ElementTree.fromstring(body)  # of what is no call of any service
    return Refusal(root.tag, root.findtext("Message"))


def read_success(content_type: str, body: bytes) -> None:
    """Read a success in the form that it claims."""
    match content_type:
        case "text/xml":
            ElementTree.fromstring(body)
        case "application/x-amz-cbor-1.1" | "application/cbor":
            assert not body or isinstance(cbor2.loads(body, semantic_decoders={1: lambda it, _: it}), dict)
        case "application/x-amz-json-1.1" | "application/x-amz-json-1.0":
            assert not body or isinstance(json.loads(body), dict)


def undocumented(
    service: str, operation: str, status: int, content_type: str, body: bytes, code: str = ""
) -> str | None:
    """What is wrong with an answer; None if it is one that the operation may give.  `code`: where a header tells it."""
    if status < 300:
        read_success(content_type, body)
        return None
    refusal = read_refusal(content_type, body) if not code else Refusal(code, str(json.loads(body)))
    if status >= 500:
        return f"{status} {refusal.code}: {refusal.message}"
    if refusal.code not in documented(service, operation):
        return f"{operation} does not document {refusal.code}: {refusal.message}"
    return None
