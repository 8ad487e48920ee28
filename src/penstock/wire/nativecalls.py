"""Calls of PutRecord as the native part reads and answers them, as Python sees it.

Rule of this file: types alone, as in nativeparts.py, which says what is done with them.
"""

from typing import Literal, Protocol


class PutCall(Protocol):
    """One PutRecord, from the first byte of its head to the last of its body: nothing about it is unusual."""

    @property
    def request(self) -> bytes:
        """As it came."""
        ...

    @property
    def claim(self) -> str:
        """The Authorization header up to its signature."""
        ...

    @property
    def date(self) -> str:
        """X-Amz-Date."""
        ...

    @property
    def stream(self) -> str:
        """The name that it gives."""
        ...

    @property
    def form(self) -> Literal["json", "cbor"]:
        """Of the body, and of the answer's."""
        ...


class PutAnswer(Protocol):
    """The answer to one."""

    def whole(self, lines: str) -> bytes:
        """All of it, as HTTP/1.1 writes it where the connection stays; `lines`: those that every answer of a second has."""
        ...

    @property
    def parts(self) -> tuple[list[tuple[str, str]], bytes]:
        """The headers of its own, and the body."""
        ...
