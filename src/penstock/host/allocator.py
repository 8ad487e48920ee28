"""How the C library's allocator shares memory among threads.

Theory.  glibc gives threads arenas of their own, up to eight for each core, and an arena keeps what was freed in it.  Python's threads take
turns anyway, so many arenas gain nothing here and hold tens of MiB: 33 after a burst of PutRecords, 38 while 16 delivery streams write to
a slow bucket.
"""

import ctypes
import os
from contextlib import suppress
from typing import Final

ARENAS: Final = 2
_M_ARENA_MAX: Final = -8  # malloc.h


def share_arenas() -> None:
    """Let all threads that are begun from now on share two arenas, unless MALLOC_ARENA_MAX says otherwise.  Nothing, without glibc."""
    if "MALLOC_ARENA_MAX" not in os.environ:
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).mallopt(_M_ARENA_MAX, ARENAS)
