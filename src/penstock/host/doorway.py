"""The doorway: what runs first inside a sandbox, and becomes the function's process.

Theory.  A sandbox has a network of its own with nothing in it.  The doorway listens in there, hands the listening sockets out to the
server, which accepts on them as on its own, and lets go of what it was privileged to do.  So a function reaches exactly two ports: the
Runtime API and the server's endpoint; nobody outside reaches in, and no packet is relayed through a process of ours.
Rules of this file: standard library only, run by path with `-I -S`, before anything of the function's is looked at.

Descriptor 3 is a stream socket: an order comes in as one line of JSON, the two sockets go out.
"""

import json
import os
import socket
from typing import Any, Final

DOOR: Final = 3
API_PORT: Final = 9001
ENDPOINT_PORT: Final = 4566


def main() -> None:
    """Open both ports, become the function's user, run its command."""
    door = socket.socket(fileno=DOOR)
    order = _read_order(door)
    listening = [_listen(port) for port in (API_PORT, ENDPOINT_PORT)]
    socket.send_fds(door, [b"+"], [each.fileno() for each in listening])
    for each in (*listening, door):
        each.close()
    if order["uid"] is not None:
        os.setgroups([])
        os.setresgid(order["uid"], order["uid"], order["uid"])
        os.setresuid(order["uid"], order["uid"], order["uid"])
    os.execve(order["command"][0], order["command"], order["environment"])  # noqa: S606 - no shell is wanted


def _read_order(door: socket.socket) -> dict[str, Any]:
    text = b""
    while not text.endswith(b"\n"):
        piece = door.recv(65536)
        if not piece:
            raise SystemExit(1)
        text += piece
    order: dict[str, Any] = json.loads(text)
    return order


def _listen(port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.bind(("127.0.0.1", port))
    listening.listen(64)
    return listening


if __name__ == "__main__":
    try:
        main()
    except OSError as problem:
        os.write(2, f"{problem}\n".encode())
        raise SystemExit(125) from None
