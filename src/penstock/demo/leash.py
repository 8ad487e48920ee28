"""The leash of what the demo starts: a pipe on standard input, whose other end the demo holds and never writes to.

However the demo ends, by kill -9 too, the system closes that end.
"""

import os
import sys
import threading
from collections.abc import Callable


def follow(end: Callable[[], None]) -> None:
    """Call `end`, in a thread, when the demo has ended."""
    threading.Thread(target=_wait, args=(sys.stdin.fileno(), end), name="penstock-demo", daemon=True).start()


def _wait(descriptor: int, end: Callable[[], None]) -> None:
    while os.read(descriptor, 1):
        pass
    end()
