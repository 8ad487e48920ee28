"""The port to other machines' HTTP: one call, one answer, both bounded.  `host/outbound.py` implements it.

Rules: whoever calls says how long and how large an answer may be; nothing is followed, unpacked or tried again for the caller; what is
told of a call that failed names the other side by host and port and nothing else of its URL, which may hold secrets.
"""

from collections.abc import Mapping
from typing import Literal, Protocol

import msgspec


class Call(msgspec.Struct, frozen=True):
    """One request."""

    url: str  # sent as it is
    headers: Mapping[str, str]
    body: bytes
    method: str = "POST"
    wait_ms: int = 180_000  # from the first byte sent to the last one read
    answer_max_bytes: int = 1 << 20

    def __repr__(self) -> str:
        return f"Call({self.method}, {len(self.body)} bytes)"  # neither keys nor what users send are printed


class Answer(msgspec.Struct, frozen=True):
    """What came back, whole."""

    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes  # as it was sent, still packed where it was packed
    cookie: str = ""  # what a Cookie header would give back


class CallFailed(Exception):
    """No answer, or none that can be used; its text is one line without secrets."""

    def __init__(self, reason: "Reason", text: str) -> None:
        super().__init__(text)
        self.reason: Reason = reason


Reason = Literal["unreachable", "tls", "timeout", "cut", "garbage", "too_large"]


class Network(Protocol):
    """Calls to other machines."""

    async def call(self, call: Call) -> Answer:
        """Make one call.  Raises CallFailed."""
        ...
