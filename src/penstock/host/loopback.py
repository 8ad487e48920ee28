"""Ports on loopback that are meant for one process, and who it is that comes to them.

Theory.  A port on 127.0.0.1 is open to every user of the machine.  The kernel knows which user id holds the other end of a connection, and
tells it through a diagnostic socket; so a stranger is told from the process that a port was made for.
Rule of this file: what the kernel does not tell, because it is not Linux, is None, never a guess.
"""

import errno
import os
import socket
import struct
import sys
from typing import Final

_SOCK_DIAG: Final = 4  # the netlink family
_SOCK_DIAG_BY_FAMILY: Final = 20
_NLM_F_REQUEST: Final = 1
_NLMSG_ERROR: Final = 2
_HEADER: Final = struct.Struct("=IHHII")  # length, type, flags, sequence, port
_REQUEST: Final = struct.Struct("=BBBxI")  # family, protocol, extensions, states
_SOCKET_ID: Final = struct.Struct("!HH4s12x4s12x")  # ports and addresses, in network order
_ANY_COOKIE: Final = b"\0" * 4 + b"\xff" * 8  # interface, cookie
_UID_AT: Final = _HEADER.size + 4 + 48 + 12  # in inet_diag_msg: family.., id, expires, rqueue, wqueue

Address = tuple[str, int]


def open_port(backlog: int = 16) -> socket.socket:
    """A listening socket on any free port of 127.0.0.1."""
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.bind(("127.0.0.1", 0))
    listening.listen(backlog)
    listening.setblocking(False)
    return listening


def uid_of(theirs: Address, ours: Address) -> int | None:
    """The user id that holds the other end, `theirs`, of a connection over loopback.  Cost: 20 us."""
    if sys.platform != "linux":
        return None
    ends = _SOCKET_ID.pack(theirs[1], ours[1], socket.inet_aton(theirs[0]), socket.inet_aton(ours[0]))
    request = _REQUEST.pack(socket.AF_INET, socket.IPPROTO_TCP, 0, 0xFFFFFFFF) + ends + _ANY_COOKIE
    header = _HEADER.pack(_HEADER.size + len(request), _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, 0, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, _SOCK_DIAG) as asking:
        asking.send(header + request)
        answer = asking.recv(4096)
    if _HEADER.unpack_from(answer)[1] == _NLMSG_ERROR:
        code = -struct.unpack_from("=i", answer, _HEADER.size)[0]
        if code == errno.ENOENT:
            return None  # it has hung up already
        raise OSError(code, os.strerror(code))
    uid: int = struct.unpack_from("=I", answer, _UID_AT)[0]
    return uid


def comes_from(uid: int, theirs: Address, ours: Address) -> bool:
    """Whether a connection over loopback is a user's, as far as this system tells: where it tells nothing, everybody's is."""
    return sys.platform != "linux" or uid_of(theirs, ours) == uid
