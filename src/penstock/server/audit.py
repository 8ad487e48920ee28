"""The audit log: who asked for what, and what became of it, as lines of JSON in the shape of CloudTrail's records.

Theory.  A line is written for each call of the control plane, and for each refusal of an identity whatever it called; calls of the data
plane are written only if asked for.  A line is made when a request has been answered, so it slows nobody but its own connection.
Rules of this file:
  1. No secret and no customer's data is written: members named in SECRETS are hidden, and so is every blob, wherever it stands.
  2. A line is bounded: what is longer than TEXT_MAX_CHARS is cut, parameters over PARAMETERS_MAX_BYTES are left out and said to be.
  3. Nothing raised here reaches a client.
Source: the CloudTrail user guide, "CloudTrail record contents".
"""

import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, Protocol

import msgspec

from penstock.core.context import Caller
from penstock.core.errors import ServiceError
from penstock.core.ports import Clock, Entropy
from penstock.wire.model import Shape
from penstock.wire.operation import EventStream
from penstock.wire.route import Head, Route

logger = logging.getLogger(__name__)

EVENT_VERSION: Final = "1.11"
HIDDEN: Final = "HIDDEN_DUE_TO_SECURITY_REASONS"  # CloudTrail's own words
TEXT_MAX_CHARS: Final = 24 * 1024  # a policy's document is kept whole
ITEMS_MAX: Final = 50  # of a list or map
HEADER_MAX_CHARS: Final = 256
MESSAGE_MAX_CHARS: Final = 1024
PARAMETERS_MAX_BYTES: Final = 100 * 1024  # as CloudTrail's
DEPTH_MAX: Final = 16

DATA_CALLS: Final = frozenset(
    (
        *("PutRecord", "PutRecords", "PutRecordBatch", "GetRecords", "SubscribeToShard"),
        *("PutItem", "GetItem", "UpdateItem", "DeleteItem", "Query", "Scan"),
        *("Invoke", "InvokeAsync"),
        *("BatchGetItem", "BatchWriteItem", "TransactGetItems", "TransactWriteItems"),
    )
)
SECRET_TEXTS: Final = frozenset({"AccessKey"})  # of an HTTP endpoint; to IAM a structure that is none
SECRETS: Final = frozenset(
    (
        *("S", "N", "SS", "NS", "BOOL"),  # values of items; the others are blobs
        *(
            "AttributeValue",
            "HECToken",
            "KeyPassphrase",
            "PrivateKey",
        ),  # of delivery streams' destinations
        "CiphertextBlob",
        "Data",
        "ExplicitHashKey",
        "ImportToken",
        "Mac",
        "Message",
        "NewPassword",
        "NextToken",
        "OldPassword",
        "PartitionKey",
        "Password",
        "Plaintext",
        "PrivateKeyPlaintext",
        "SAMLAssertion",
        "SecretAccessKey",
        "SessionToken",
        "ShardIterator",
        "NextShardIterator",
        "Signature",
        "TokenCode",
        "Variables",  # of a function's environment
        "WebIdentityToken",
    )
)
DENIALS: Final = frozenset(
    (
        "AccessDenied",
        "AccessDeniedException",
        "ExpiredToken",
        "ExpiredTokenException",
        "IDPCommunicationError",
        "IncompleteSignature",
        "IncompleteSignatureException",
        "InvalidClientTokenId",
        "InvalidIdentityToken",
        "InvalidSignatureException",
        "KMSAccessDeniedException",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "OptInRequired",
        "SignatureDoesNotMatch",
        "UnauthorizedOperation",
        "UnrecognizedClientException",
    )
)
_READING: Final = (
    "Describe",
    "Get",
    "List",
    "Subscribe",
    "Simulate",
    "Decrypt",
    "Encrypt",
    "GenerateDataKey",
    "Verify",
)
_BEHIND_A_VALUE: Final = ("' at '", "' can not be ")  # the last of these counts, since a value may hold anything
_BEHIND_A_PAIR: Final = "' not a valid key=value pair"  # of an Authorization header, which may be a token
_BEFORE_A_HEADER: Final = " Authorization="


class Lines(Protocol):
    """Where lines go."""

    def append(self, line: bytes) -> None:
        """Have a line written; never waits."""
        ...

    def close(self) -> None:
        """Write what is left; waits for it."""
        ...


class Call:
    """What became known of one request while it was carried out."""

    __slots__ = ("caller", "output", "request")

    def __init__(self) -> None:
        self.caller: Caller | None = None
        self.request: Any = None  # the document as it came, then the struct it was turned into
        self.output: Any = None


class Audit:
    """Makes lines of calls."""

    def __init__(self, lines: Lines, clock: Clock, entropy: Entropy, *, data: bool) -> None:
        self._lines = lines
        self._clock = clock
        self._entropy = entropy
        self._data = data  # whether calls of the data plane are written

    def note(self, head: Head, route: Route | None, call: Call, request_id: str, error: ServiceError | None) -> None:
        """Write a line for a request, if it is one to be written; `error` is its refusal."""
        name = route.operation.model.name if route is not None else ""
        denied = error is not None and error.code in DENIALS
        if not denied and (route is None or (name in DATA_CALLS and not self._data)):
            return
        try:
            self._lines.append(msgspec.json.encode(self._record(head, route, call, request_id, error)))
        except Exception:
            logger.exception("a call of %s could not be noted in the audit log", name or "no operation")

    def close(self) -> None:
        """Write what is left; waits for it."""
        self._lines.close()

    def _record(
        self, head: Head, route: Route | None, call: Call, request_id: str, error: ServiceError | None
    ) -> dict[str, Any]:
        model = route.operation.model if route is not None else None
        name = model.name if model is not None else "Unknown"
        reads = name.startswith(_READING)
        caller, peer = call.caller, head.peer
        record: dict[str, Any] = {
            **_stamp(self._clock.now_ms(), self._event_id()),
            "userIdentity": _identity(caller),
            "eventSource": f"{route.service.model.endpoint_prefix}.amazonaws.com" if route is not None else "unknown",
            "eventName": name,
            "awsRegion": str(caller.region) if caller is not None else "",
            "sourceIPAddress": peer.address if peer is not None else "",
            "userAgent": head.headers.get("user-agent", "")[:HEADER_MAX_CHARS],
            "requestParameters": parameters(call.request, model.input if model is not None else None),
            "responseElements": None
            if reads or error is not None or model is None
            else parameters(call.output, model.output),
            "requestID": request_id,
            "readOnly": reads,
            "managementEvent": name not in DATA_CALLS,
            "eventCategory": "Data" if name in DATA_CALLS else "Management",
            "recipientAccountId": str(caller.account) if caller is not None else "",
        }
        if error is not None:
            record |= {"errorCode": error.code, "errorMessage": _explained(error)}
        if peer is not None and peer.tls_version:
            host = head.headers.get("host", "")[:HEADER_MAX_CHARS]
            record["tlsDetails"] = {"tlsVersion": peer.tls_version, "cipherSuite": peer.cipher}
            record["tlsDetails"] |= {"clientProvidedHostHeader": host} if host else {}
            if peer.subject:
                record["additionalEventData"] = {"clientCertificateSubject": peer.subject[:HEADER_MAX_CHARS]}
        return record

    def _event_id(self) -> str:
        digits = self._entropy.bytes(16).hex()
        return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def lost_line(clock: Clock, entropy: Entropy) -> Callable[[int], bytes]:
    """Words the line that tells how many were lost."""

    def line(count: int) -> bytes:
        return msgspec.json.encode(
            {
                **_stamp(clock.now_ms(), entropy.bytes(16).hex()),
                "eventSource": "penstock",
                "eventName": "AuditLinesLost",
                "readOnly": False,
                "managementEvent": True,
                "eventCategory": "Management",
                "additionalEventData": {"lines": count},
            }
        )

    return line


def parameters(value: Any, shape: Shape | None) -> Any:
    """What may be shown of an input or an output of this shape."""
    if value is None or shape is None or isinstance(value, EventStream):
        return None
    document = (
        value if isinstance(value, dict) else msgspec.to_builtins(value, builtin_types=(bytes,), enc_hook=_hidden)
    )
    shown = _shown(document, shape, DEPTH_MAX)
    size = len(msgspec.json.encode(shown))
    return shown or None if size <= PARAMETERS_MAX_BYTES else {"omitted": True, "bytes": size}


def _hidden(_: object) -> None:
    """What is no plain value: records in columns."""


def _shown(value: Any, shape: Shape | None, depth: int) -> Any:
    """A value that the model knows, without what is nobody's business; anything else is hidden."""
    if shape is None or shape.kind == "blob" or not depth:
        return HIDDEN
    match value:
        case dict() if shape.kind == "structure":
            return {
                name[:1].lower() + name[1:]: HIDDEN
                if name in SECRETS or (name in SECRET_TEXTS and member.kind == "string")
                else _shown(value[name], member, depth - 1)  # in the model's order
                for name, member in shape.members.items()
                if value.get(name) is not None
            }
        case dict() if shape.kind == "map":
            items = list(value.items())[:ITEMS_MAX]
            return {str(key): _shown(item, shape.member, depth - 1) for key, item in items}
        case list() | tuple():
            rest = [f"... and {len(value) - ITEMS_MAX} more"] if len(value) > ITEMS_MAX else []
            return [*(_shown(item, shape.member, depth - 1) for item in value[:ITEMS_MAX]), *rest]
        case str():
            return value if len(value) <= TEXT_MAX_CHARS else value[:TEXT_MAX_CHARS] + "..."
        case None | bool() | int() | float():
            return value
        case _:
            return HIDDEN


def _explained(error: ServiceError) -> str:
    """A refusal's message; that of a broken signature without the header that it quotes, which may be a token of something else."""
    text = error.message or ""
    if not error.code.startswith("IncompleteSignature"):
        return _told(text)
    shown = f"'{HIDDEN}{_BEHIND_A_PAIR}" if _BEHIND_A_PAIR in text else text.partition(_BEFORE_A_HEADER)[0]
    return shown[:MESSAGE_MAX_CHARS].encode("utf-8", "replace").decode()  # a token's JSON may hold half a character


def _told(message: str) -> str:
    """A refusal's message, without values that it quotes, and without the canonical request that follows a bad signature."""
    text = message.partition("\n")[0]
    begin, end = text.find("'"), max(text.rfind(words) for words in _BEHIND_A_VALUE)
    shown = f"{text[:begin]}'{HIDDEN}{text[end:]}" if 0 <= begin < end else text
    return shown[:MESSAGE_MAX_CHARS].encode("utf-8", "replace").decode()  # a token's JSON may hold half a character


def _stamp(now_ms: int, event_id: str) -> dict[str, str]:
    moment = datetime.fromtimestamp(now_ms // 1000, UTC)
    return {
        "eventVersion": EVENT_VERSION,
        "eventTime": f"{moment:%Y-%m-%dT%H:%M:%SZ}",
        "eventID": event_id,
        "eventType": "AwsApiCall",
    }


def _identity(caller: Caller | None) -> Mapping[str, str]:
    if caller is None:
        return {"type": "Unknown"}
    arn = caller.arn
    kind = "Root" if arn.endswith(":root") else "AssumedRole" if ":assumed-role/" in arn else "IAMUser"
    told = {"type": kind, "arn": arn, "accountId": str(caller.account), "accessKeyId": caller.access_key_id}
    return {key: value for key, value in told.items() if value}
