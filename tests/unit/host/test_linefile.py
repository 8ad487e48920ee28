"""A file of lines: renamed, full, and slow."""

import logging
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from penstock.host.linefile import QUEUE_MAX_BYTES, QUEUE_MAX_LINES, LineFile

WAIT_S = 60


def lost(count: int) -> bytes:
    return b"lost %d" % count


class Heard(logging.Handler):
    """Waits for what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.event = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.event.set()


@pytest.mark.parametrize(
    "rotate", [lambda path: path.rename(path.with_name("old")), Path.unlink], ids=["renamed", "deleted"]
)
def test_append_when_the_name_is_nobodys_makes_a_new_file(tmp_path: Path, rotate: Callable[[Path], object]) -> None:
    path = tmp_path / "log"
    file = LineFile(path, lost)
    rotate(path)
    file.append(b"a")
    file.close()
    assert path.read_bytes() == b"a\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_append_when_the_name_is_anothers_appends_to_that_one(tmp_path: Path) -> None:
    path = tmp_path / "log"
    file = LineFile(path, lost)
    path.rename(tmp_path / "old")
    path.write_bytes(b"theirs\n")
    file.append(b"a")
    file.close()
    assert (path.read_bytes(), (tmp_path / "old").read_bytes()) == (b"theirs\na\n", b"")


def test_append_when_the_disk_refuses_tells_how_many_lines_were_lost_once_it_takes_them(tmp_path: Path) -> None:
    path, heard = tmp_path / "log", Heard()
    path.symlink_to("/dev/full")
    logger = logging.getLogger("penstock.host.linefile")
    logger.addHandler(heard)
    try:
        file = LineFile(path, lost)
        file.append(b"a")
        assert heard.event.wait(WAIT_S), "the refusal is logged"
        path.unlink()
        file.append(b"b")
        file.close()
    finally:
        logger.removeHandler(heard)
    assert path.read_bytes() == b"b\nlost 1\n"


@pytest.mark.parametrize(
    ("rotate", "left"), [("", b"aaaa\nbbb\nc\nlost 1\n"), ("Path('log').rename('old')", b"lost 1\n")]
)
def test_append_when_the_disk_takes_a_part_ends_the_torn_line_and_counts_only_what_is_not_whole(
    tmp_path: Path, rotate: str, left: bytes
) -> None:
    script = f"""
import logging, resource, threading
from pathlib import Path
from penstock.host.linefile import LineFile

refused = threading.Event()
class Heard(logging.Handler):
    def emit(self, record):
        refused.set()
logging.getLogger("penstock.host.linefile").addHandler(Heard())
resource.setrlimit(resource.RLIMIT_FSIZE, (10, resource.RLIM_INFINITY))
file = LineFile(Path("log"), lambda count: b"lost %d" % count)
with file._wake:  # so that they are one batch
    for line in (b"aaaa", b"bbb", b"cccc"):
        file._queue.append(line)
        file._queue_bytes += len(line)
    file._wake.notify()
assert refused.wait({WAIT_S})
{rotate}
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
file.close()
"""
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, timeout=60, check=True)
    assert (tmp_path / "log").read_bytes() == left


@pytest.mark.parametrize(
    ("line", "taken"), [(b"x", QUEUE_MAX_LINES), (b"x" * (1 << 20), QUEUE_MAX_BYTES >> 20)], ids=["lines", "bytes"]
)
def test_append_when_the_queue_is_full_loses_the_newest_and_tells_how_many(
    tmp_path: Path, line: bytes, taken: int
) -> None:
    path = tmp_path / "log"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    os.set_blocking(reader, True)
    with os.fdopen(reader, "rb") as pipe:
        file = LineFile(path, lost)
        file.append(b"y" * (1 << 20))  # more than a pipe holds: the thread is stuck in it
        begun = pipe.read(1)
        for _ in range(taken + 7):
            file.append(line)
        closing = threading.Thread(target=file.close)
        closing.start()
        lines = (begun + pipe.read()).splitlines()
        closing.join(WAIT_S)
    assert lines.count(line) == taken
    assert [one for one in lines if one.startswith(b"lost")] == [b"lost 7"]
