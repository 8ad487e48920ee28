"""Arenas of glibc's allocator."""

import os
import subprocess
import sys

import pytest

PROGRAM = """
import ctypes, sys, threading
if sys.argv[1:]:
    from penstock.host.allocator import share_arenas
    share_arenas()
gate = threading.Barrier(9)
def work():
    kept = [bytes(5000) for _ in range(100)]
    gate.wait()
for _ in range(8):
    threading.Thread(target=work).start()
gate.wait()
libc = ctypes.CDLL(None)
libc.fdopen.restype = ctypes.c_void_p
stream = ctypes.c_void_p(libc.fdopen(1, b"w"))
libc.malloc_info(0, stream)
libc.fflush(stream)
"""


def arenas(*arguments: str, **environment: str) -> int:
    """How many a process with eight threads has."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments], env={**os.environ, **environment}, capture_output=True, text=True, check=True
    )  # fmt: skip
    return done.stdout.count("<heap nr=")


def test_threads_share_two_arenas_unless_the_environment_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MALLOC_ARENA_MAX", raising=False)
    assert arenas() > 2
    assert arenas("shared") == 2
    assert arenas("shared", MALLOC_ARENA_MAX="3") == 3
