"""Sandboxes: what bubblewrap is told, and how the sockets come out of one (doorway.py is what runs inside).

Rules of this file:
  1. Nothing that a function chose is looked at before its process has become nobody: bubblewrap and the doorway run with no environment.
  2. What is shown inside is written down in `arguments`; all of it can only be read, but for /tmp, which is memory.
"""

import asyncio
import json
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from penstock.host import doorway
from penstock.host.workplace import Machine

TASK_ROOT: Final = "/var/task"
TEMPORARY: Final = "/tmp"  # noqa: S108 - of the sandbox
_DOORWAY: Final = "/run/penstock/doorway.py"
_DOORWAY_FILE: Final = os.path.realpath(doorway.__file__)
_SYSTEM: Final = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_CONFIGURATION: Final = (
    "/etc/alternatives", "/etc/ca-certificates", "/etc/ld.so.cache", "/etc/localtime", "/etc/pki", "/etc/ssl",
)  # fmt: skip


def arguments(machine: Machine, folder: str, temporary_bytes: int) -> list[str]:
    """The command that makes a sandbox and enters it, where code is in `folder`."""
    assert machine.bubblewrap is not None
    privileges = ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"] if machine.can_change_user else []
    return [
        machine.bubblewrap,
        *("--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"),
        *("--die-with-parent", "--hostname", "sandbox", *privileges),
        *("--perms", "1777", "--size", str(temporary_bytes), "--tmpfs", TEMPORARY),
        *_system(),
        *_bound({**{path: path for path in machine.paths}, TASK_ROOT: folder, _DOORWAY: _DOORWAY_FILE}),
        *("--dir", "/opt", "--proc", "/proc", "--dev", "/dev", "--remount-ro", "/", "--chdir", TASK_ROOT, "--"),
        *(os.path.realpath(machine.python), "-I", "-S", _DOORWAY),
    ]


def _system() -> Iterator[str]:
    for path in _SYSTEM:
        if Path(path).is_symlink():
            yield from ("--symlink", str(Path(path).readlink()), path)
        elif Path(path).is_dir():
            yield from ("--ro-bind", path, path)
    for path in _CONFIGURATION:
        yield from ("--ro-bind-try", path, path)


def _bound(shown: Mapping[str, str]) -> Iterator[str]:
    """Show what is outside under other names, or its own; folders above are made, and may be passed through by everybody."""
    outside = {path: source for path, source in shown.items() if not path.startswith("/usr/")}
    above = {str(folder) for path in outside for folder in Path(path).parents}
    for folder in sorted(above - {"/", *_SYSTEM, TEMPORARY, *outside}):
        yield from ("--perms", "0755", "--dir", folder)
    for path, source in sorted(outside.items()):
        yield from ("--ro-bind", source, path)


class Door:
    """The server's side of a doorway."""

    def __init__(self) -> None:
        self._near, self.far = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)

    def order(self, uid: int | None, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Say what the process shall become."""
        self.far.close()
        document = {"uid": uid, "command": list(command), "environment": dict(environment)}
        self._near.sendall(json.dumps(document).encode() + b"\n")

    async def sockets(self) -> list[socket.socket]:
        """The listening sockets of the Runtime API and the endpoint; none where the process ended before."""
        loop = asyncio.get_running_loop()
        self._near.setblocking(False)
        readable = asyncio.Event()
        loop.add_reader(self._near.fileno(), readable.set)
        try:
            await readable.wait()
            _, descriptors, _, _ = socket.recv_fds(self._near, 1, 2)
        except ConnectionError:
            return []
        finally:
            loop.remove_reader(self._near.fileno())
            self._near.close()
        listening = [socket.socket(fileno=descriptor) for descriptor in descriptors]
        for each in listening:
            each.setblocking(False)
        return listening
