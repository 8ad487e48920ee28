"""Who is at the other end of a connection over loopback."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from penstock.host.loopback import comes_from, open_port, uid_of

LINUX = sys.platform == "linux"


@contextmanager
def connection() -> Iterator[socket.socket]:
    """The server's end of a connection from another process of ours."""
    with open_port() as listening:
        listening.setblocking(True)
        program = f"import socket; c = socket.create_connection({listening.getsockname()!r}); c.recv(1)"
        with subprocess.Popen([sys.executable, "-S", "-c", program]):
            accepted, _ = listening.accept()
            with accepted:
                yield accepted


def test_user_when_it_is_ours_is_told_from_others() -> None:
    with connection() as accepted:
        ends = accepted.getpeername(), accepted.getsockname()
        assert uid_of(*ends) == (os.getuid() if LINUX else None)
        assert comes_from(os.getuid(), *ends)
        assert comes_from(os.getuid() + 1, *ends) is not LINUX


def test_peer_when_there_is_none_is_nobodys() -> None:
    with open_port() as listening, open_port() as other:
        theirs, ours = other.getsockname(), listening.getsockname()
    assert uid_of(theirs, ours) is None
    assert comes_from(os.getuid(), theirs, ours) is not LINUX
