"""Admission: what an invocation is refused with before anything runs.

Rule of this file: pure.
"""

import base64
import binascii
from typing import Final

import msgspec

from penstock.core.invoke_errors import InvokeError
from penstock.core.limits import MIB
from penstock.services.functions.invoking import FunctionVersion, Invocation

PAYLOAD_MAX_BYTES: Final = 6 * MIB


def admit(version: FunctionVersion, invocation: Invocation) -> None:
    """Raise TOO_LARGE, PENDING or NOT_JSON."""
    if len(invocation.payload) > PAYLOAD_MAX_BYTES:
        raise InvokeError.TOO_LARGE(size=len(invocation.payload), kind=invocation.kind, limit=PAYLOAD_MAX_BYTES)
    if version.state not in ("Active", "Inactive"):
        raise InvokeError.PENDING(state=version.state)
    try:
        msgspec.json.decode(invocation.payload or b"{}", type=msgspec.Raw)
    except msgspec.DecodeError:
        raise InvokeError.NOT_JSON() from None
    if invocation.client_context:
        client_context(invocation.client_context)


def client_context(text: str) -> str:
    """The JSON of a client context, in one line.  Raises NOT_JSON."""
    try:
        document = msgspec.json.decode(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        raise InvokeError.NOT_JSON() from None
    return msgspec.json.encode(document).decode()
