"""A port for a server that cannot choose one by itself, or comes only later."""

import os
import socket
from itertools import count

FIRST = 15_000  # below what kernels hand out by themselves: between a look and its use nobody is given such a port by chance
SPREAD = 10_000

_next = count(os.getpid() * 7)  # tests run in several processes at once


def free_port() -> int:
    """A port of 127.0.0.1 on which nobody listens; another one each time."""
    return next(port for port in (FIRST + number % SPREAD for number in _next) if _is_free(port))


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
