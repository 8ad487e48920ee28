"""Short ways for operations on items: JSON to inputs and answers to JSON, without the generic walk.

Theory.  As everywhere, a fast decoder only says yes: what it does not take, or what the model might refuse, is read the generic way.  It is
for what leases are: small, flat, without bytes.
"""

from collections.abc import Callable
from typing import Any, Final, TypeVar

import msgspec

from penstock.services.leases.ops.asked import Request
from penstock.services.leases.ops.item import DeleteItemRequest, GetItemRequest, PutItemRequest, UpdateItemRequest
from penstock.wire.operation import Codec

FAST_MAX_BYTES: Final = 32 * 1024  # below the model's bound on the length of any name
FAST_MAX_CONTAINERS: Final = 64  # below any bound on nesting

Read = TypeVar("Read", bound=Request)


def _decoder(kind: type[Read]) -> Callable[[bytes], Read | None]:
    strict: type[Read] = type(kind.__name__, (kind,), {"__module__": kind.__module__}, forbid_unknown_fields=True)
    decode = msgspec.json.Decoder(strict).decode

    def read(body: bytes) -> Read | None:
        if len(body) > FAST_MAX_BYTES or body.count(b"{") + body.count(b"[") > FAST_MAX_CONTAINERS:
            return None
        if b'"B"' in body or b'"BS"' in body:  # our base64 is stricter
            return None
        try:
            request = decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None
        return request if request.table_name else None

    return read


def _codec(kind: type[Request]) -> Codec:
    return Codec(decode={"json": _decoder(kind)}, encode={"json": _encode})


_encode: Final[Callable[[Any], bytes]] = msgspec.json.Encoder().encode

CODECS: Final = {
    "PutItem": _codec(PutItemRequest),
    "GetItem": _codec(GetItemRequest),
    "UpdateItem": _codec(UpdateItemRequest),
    "DeleteItem": _codec(DeleteItemRequest),
    "Query": Codec(encode={"json": _encode}),
    "Scan": Codec(encode={"json": _encode}),
}
