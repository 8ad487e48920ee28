"""Sockets that the native part sends to, as Python sees them.

Rule of this file: types alone, as in nativeparts.py.
"""

from typing import Protocol


class Outlet(Protocol):
    """A client's socket."""

    def close(self) -> None:
        """Let it go, at the end of what is being sent: while it is held, the client does not see the end of its connection."""
        ...


class Handover(Protocol):
    """Where sockets are handed over to the native part."""

    def take(self) -> Outlet:
        """The socket that was sent, as `socket.send_fds` does it.  Raises OSError where none was."""
        ...


class HandoverMaker(Protocol):
    """The type of such places."""

    def open(self) -> tuple[Handover, int]:
        """A place, and the descriptor of a unix socket to send to, which is the caller's to close."""
        ...
