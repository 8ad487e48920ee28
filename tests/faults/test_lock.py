"""Two servers on one directory: the second is refused in one line, and does not touch it."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from penstock.engines.local.journal import SPARES
from penstock.host.lock import DirectoryInUse, DirectoryLock
from penstock.storage.directory import DataDirectory


def test_a_second_server_is_refused_in_one_line(tmp_path: Path) -> None:
    data = tmp_path / "data"
    command = [sys.executable, "-m", "penstock", "serve", "--port", "0", "--no-tls", "--data-dir", str(data)]
    first = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path)
    try:
        assert first.stdout is not None
        while "is ready" not in first.stdout.readline():
            assert first.poll() is None
        assert DataDirectory(data).in_use()
        while len(list(data.glob("journal/spare-*"))) < SPARES:  # which it writes in the background
            time.sleep(0.01)  # noqa: TID251 - a real process
        before = {path: path.stat().st_mtime_ns for path in data.rglob("*")}
        second = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=60, check=False)
        assert second.returncode == 2
        assert second.stdout == ""
        [line] = second.stderr.splitlines()
        assert f"in use by another server (process {first.pid})" in line
        assert {path: path.stat().st_mtime_ns for path in data.rglob("*")} == before
    finally:
        first.kill()
        first.communicate()
    assert not DataDirectory(data).in_use(), "a killed server leaves no lock behind"


def test_a_lock_is_held_until_it_is_released(tmp_path: Path) -> None:
    lock = DirectoryLock(tmp_path)
    with pytest.raises(DirectoryInUse):
        DirectoryLock(tmp_path)
    lock.release()
    DirectoryLock(tmp_path).release()
