"""`python -m penstock.demo.server OPTIONS...`: `penstock serve`, for as long as the demo lives."""

import os
import runpy
import signal
import sys

from penstock.demo.leash import follow


def main() -> None:
    """Serve."""
    follow(lambda: os.kill(os.getpid(), signal.SIGTERM))
    sys.argv[1:1] = ["serve"]
    runpy.run_module("penstock", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
