"""The keeper: a small process that starts processes which are not trusted, and sees that none of them outlives its leash.

Theory.  The server is large and has threads; forking it is slow and unsafe.  So it starts one keeper, which does nothing but fork.  For
each process that is asked for, the keeper forks a warden.  The warden holds the far end of a leash, a socket whose other end only the
server has; it forks once more, makes the child what it was ordered to be, and waits.  When the leash is let go - by the server's wish, or
because the server is dead, whatever killed it - the warden kills every descendant.  It finds them all, because it is their subreaper:
whoever daemonises becomes its child.
Rules of this file:
  1. Standard library only, and little of it: this is what every process of a function is forked from.
  2. A warden ends when it has no child left, and never before.
  3. What a child inherits is written down in `_become`; nothing else of the server reaches it.

Run as `python -m penstock.host.keeper FD:FOLDER`; FD is a stream socket over which each byte comes with two descriptors or three: a
leash, what the child writes its output to, and what it may keep open as descriptor 3.  The order is the first line on the leash.
"""

import contextlib
import ctypes
import json
import os
import resource
import select
import shutil
import signal
import socket
import stat
import sys
from pathlib import Path
from typing import Any, Final

ORDER_MAX_BYTES: Final = 1 << 20
EXIT_NOT_STARTED: Final = 125
KEPT_DESCRIPTOR: Final = 3  # what a child may keep besides its standard ones
_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36
_PR_SET_NO_NEW_PRIVS: Final = 38
_CLONE_NEWNS: Final = 0x20000
_MS_BIND: Final = 4096
_MS_REC: Final = 16384
_MS_PRIVATE: Final = 1 << 18
_LINUX: Final = sys.platform == "linux"

_libc = ctypes.CDLL(None, use_errno=True)


def main() -> None:
    """Fork a warden for each byte that comes, until nobody is left who could send one; then delete the server's folder."""
    number, _, folder = sys.argv[1].partition(":")
    requests = socket.socket(fileno=int(number))
    os.setsid()  # who kills the server's group, by Ctrl-C or otherwise, leaves us to clean up
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # wardens need no burial
    while True:
        byte, descriptors, _, _ = socket.recv_fds(requests, 1, 3)
        if not byte:
            break
        if os.fork() == 0:
            requests.close()
            _guard(*descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(-1, 0)  # ignored children are waited for all together
    shutil.rmtree(folder, ignore_errors=True)


def _guard(leash: int, *inherited: int) -> None:
    """The life of a warden.  Does not return."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _control(_PR_SET_CHILD_SUBREAPER, 1)
    waking = _wake_on_children()
    told = socket.socket(fileno=leash)
    order = _read_order(told)
    pid = os.fork()
    if pid == 0:
        _become(order, inherited)
    for descriptor in inherited:
        os.close(descriptor)
    _tell(told, {"pid": pid})
    _watch(told, waking, pid)
    _kill_all(order.get("owner"))
    if order.get("temporary"):
        shutil.rmtree(order["temporary"], ignore_errors=True)
    os._exit(0)


def _read_order(told: socket.socket) -> dict[str, Any]:
    text = b""
    while not text.endswith(b"\n"):
        piece = told.recv(65536)
        if not piece or len(text) > ORDER_MAX_BYTES:
            os._exit(1)
        text += piece
    order: dict[str, Any] = json.loads(text)
    return order


def _wake_on_children() -> int:
    """A descriptor that becomes readable when a child ends."""
    reading, writing = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK) if _LINUX else os.pipe()
    os.set_blocking(writing, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    return reading


def _watch(told: socket.socket, waking: int, pid: int) -> None:
    """Return when the leash is let go or the child has ended, which is told."""
    while True:
        readable, _, _ = select.select([told.fileno(), waking], [], [])
        if waking in readable:
            os.read(waking, 4096)
            if (status := _reap(pid)) is not None:
                _tell(told, {"exit": os.waitstatus_to_exitcode(status)})
                return
        if told.fileno() in readable:
            return  # nothing is ever said after the order: this is its end


def _reap(pid: int) -> int | None:
    """Bury who has ended; the status of `pid` if it is among them."""
    found = None
    while True:
        try:
            ended, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return found
        if ended == 0:
            return found
        if ended == pid:
            found = status


def _tell(told: socket.socket, what: dict[str, object]) -> None:
    with contextlib.suppress(OSError):  # nobody is there any more; the leash will say so
        told.sendall(json.dumps(what).encode() + b"\n")


def _kill_all(uid: int | None) -> None:
    """Kill every descendant; return when there is none."""
    while True:
        if uid is not None:
            _kill_user(uid)
        for pid in descendants(os.getpid()):
            _signal(pid, signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def _kill_user(uid: int) -> None:
    """Kill all that a user id runs, in one step that no fork slips through."""
    pid = os.fork()
    if pid == 0:
        os.setresuid(uid, uid, 0)  # the saved one lets it be told from them; it is not killed by its own signal
        _signal(-1, signal.SIGKILL)
        os._exit(0)
    os.waitpid(pid, 0)


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def descendants(pid: int) -> list[int]:
    """The children of a process, theirs, and so on; as far as this system tells."""
    found: list[int] = []
    unseen = [pid]
    while unseen:
        parent = unseen.pop()
        try:
            text = Path(f"/proc/{parent}/task/{parent}/children").read_text()
        except OSError:
            continue
        found += (children := [int(each) for each in text.split()])
        unseen += children
    return found


def _become(order: dict[str, Any], inherited: tuple[int, ...]) -> None:
    """Make this process what was ordered, and run the command in it.  Does not return."""
    try:
        os.setsid()
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGINT, signal.SIGCHLD, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        _take_descriptors(inherited)
        _make_folder(order.get("temporary"), order.get("uid"))
        if order.get("uid") is not None:
            if order.get("paths"):
                _make_reachable(order["paths"], order.get("hidden", ()))
            os.setgroups([])
            os.setresgid(order["uid"], order["uid"], order["uid"])
            os.setresuid(order["uid"], order["uid"], order["uid"])
        for name, value in order.get("limits", {}).items():
            _limit(name, value)
        os.umask(0o022)
        os.chdir(order["directory"])
        _control(_PR_SET_NO_NEW_PRIVS, 1)
        _control(_PR_SET_PDEATHSIG, signal.SIGKILL)  # changing ids clears it: it is set last
        os.execve(order["command"][0], order["command"], order["environment"])  # noqa: S606 - no shell is wanted
    except BaseException as problem:  # noqa: BLE001 - told to whoever reads the output
        os.write(2, f"{order['command'][0]}: {problem}\n".encode())
    os._exit(EXIT_NOT_STARTED)


def _take_descriptors(inherited: tuple[int, ...]) -> None:
    """Standard input is empty, both outputs are one, and what may be kept is descriptor 3; all others are closed."""
    high = [os.dup(descriptor) for descriptor in (os.open(os.devnull, os.O_RDONLY), *inherited)]
    ends = [high[0], high[1], high[1], *high[2:]]
    kept = [_dup_above(descriptor, 16) for descriptor in ends]
    for number, descriptor in enumerate(kept):
        os.dup2(descriptor, number, inheritable=True)
    os.closerange(len(kept), os.sysconf("SC_OPEN_MAX"))


def _dup_above(descriptor: int, lowest: int) -> int:
    import fcntl

    return fcntl.fcntl(descriptor, fcntl.F_DUPFD, lowest)


def _make_folder(path: str | None, uid: int | None) -> None:
    if path is not None:
        Path(path).mkdir(mode=0o700)
        if uid is not None:
            os.chown(path, uid, uid)


def _limit(name: str, value: int) -> None:
    number = getattr(resource, f"RLIMIT_{name}", None)
    if number is None:
        return
    _, hard = resource.getrlimit(number)
    most = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(number, (most, most))


def _control(option: int, value: int) -> None:
    if _LINUX:
        _libc.prctl(option, value, 0, 0, 0)


def _make_reachable(paths: list[str], hidden: list[str]) -> None:
    """Let a user id that is nobody's reach `paths` although folders above them may be closed to it, and nothing in `hidden`.

    In a mount namespace of its own, a closed folder is covered with an empty one in which only the paths are shown.
    """
    closed: dict[str, list[str]] = {}
    for path in paths:
        if (above := closed_folder(path)) is not None:
            closed.setdefault(above, []).append(path)
    if not closed and not hidden:
        return
    if _libc.unshare(_CLONE_NEWNS) != 0:
        if not closed:  # what is hidden is then guarded by its permissions alone
            os.write(
                2, b"penstock: this system gives functions no view of their own; the data directory is not hidden\n"
            )
            return
        _mounted(
            -1, f"{next(iter(closed))} is closed to other users, and this system gives functions no view of their own"
        )
    _mount("none", "/", None, _MS_REC | _MS_PRIVATE)
    for folder, shown in closed.items():
        held = {path: os.open(path, os.O_PATH) for path in shown}
        _mount("tmpfs", folder, "tmpfs", 0, "mode=0755,size=1m")
        for path, descriptor in held.items():
            Path(path).mkdir(mode=0o755, parents=True, exist_ok=True)
            _mount(f"/proc/self/fd/{descriptor}", path, None, _MS_BIND | _MS_REC)
            os.close(descriptor)
    for folder in hidden:
        if Path(folder).is_dir():
            _mount("tmpfs", folder, "tmpfs", 0, "mode=0700,size=4k")


def closed_folder(path: str) -> str | None:
    """The highest folder above a path that others may not pass through."""
    for folder in reversed(Path(path).parents):
        if not folder.stat().st_mode & stat.S_IXOTH:
            return str(folder)
    return None


def _mount(source: str, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    texts = [None if text is None else text.encode() for text in (source, target, kind, data)]
    _mounted(_libc.mount(texts[0], texts[1], texts[2], ctypes.c_ulong(flags), texts[3]), f"a mount on {target}")


def _mounted(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{os.strerror(number)}: {what}")


if __name__ == "__main__":
    main()
