"""`python -m penstock.demo.server OPTIONS...`: `penstock serve`, for as long as standard input is open.

Theory.  The demo holds the other end and writes nothing.  However it ends, by kill -9 too, the system closes that end.
"""

import os
import runpy
import signal
import sys
import threading


def main() -> None:
    """Serve."""
    threading.Thread(target=_follow, args=(sys.stdin.fileno(),), name="penstock-demo", daemon=True).start()
    sys.argv[1:1] = ["serve"]
    runpy.run_module("penstock", run_name="__main__", alter_sys=True)


def _follow(descriptor: int) -> None:
    """End with whoever holds the other end."""
    while os.read(descriptor, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
