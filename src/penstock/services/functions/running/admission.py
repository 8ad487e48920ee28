"""Admission: what an invocation is refused with before anything runs; its payload was looked at by who made or took it.

Rule of this file: pure.
"""

import base64

import msgspec

from penstock.core.invoke_errors import InvokeError
from penstock.services.functions.invoking import FunctionVersion


def admit(version: FunctionVersion) -> None:
    """Raise PENDING for a function that is not ready."""
    if version.state not in ("Active", "Inactive"):
        raise InvokeError.PENDING(state=version.state)


def context_header(text: str) -> str:
    """A client context as the Runtime API tells it: its JSON, in one line.  Whoever took it has seen that it is base64 of JSON."""
    return msgspec.json.encode(msgspec.json.decode(base64.b64decode(text))).decode()
