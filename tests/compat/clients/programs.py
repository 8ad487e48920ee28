"""Programs in other languages, as child processes that tell what happens to them in lines of JSON on standard output."""

import atexit
import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

Line = Mapping[str, Any]  # what a program tells; `event` says which kind it is

_SHOWN_CHARS = 4000  # of what a program that failed wrote to standard error
_LOOK_S = 0.3
_running: set["Program"] = set()


class Program:
    """One running program; killed when the tests end, if not before."""

    def __init__(self, command: Iterable[str], environment: Mapping[str, str], log: Path) -> None:
        self._log = log
        self._lines: list[Line] = []
        with log.open("wb") as errors:
            self.process = subprocess.Popen(
                list(command), env=dict(environment), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors
            )
        _running.add(self)
        self._reader = threading.Thread(target=self._listen, daemon=True)
        self._reader.start()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as told:
            for text in told:
                if text.startswith(b"{"):
                    self._lines.append(json.loads(text))

    def lines(self, *events: str) -> list[Line]:
        """What was told so far of the given kinds."""
        return [line for line in self._lines[:] if line["event"] in events]

    def close_input(self) -> None:
        """Ask it to stop in good order, if it listens to that."""
        assert self.process.stdin is not None
        self.process.stdin.close()

    def finish(self, within_s: float) -> None:
        """Wait for its end, which must be a good one."""
        try:
            code = self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {within_s:.0f} s\n{self.errors()}") from None
        self._let_go()
        assert code == 0, f"exit code {code}\n{self.errors()}"

    def kill(self) -> None:
        """End it as a crash would."""
        self.process.kill()
        self.process.wait()
        self._let_go()

    def _let_go(self) -> None:
        self.close_input()
        self._reader.join()
        _running.discard(self)

    def errors(self) -> str:
        """The end of what it wrote to standard error."""
        return self._log.read_text(errors="replace")[-_SHOWN_CHARS:]


def eventually(condition: Callable[[], bool], within_s: float, what: str, *programs: Program) -> None:
    """Wait for a condition that programs make true; they must live on meanwhile."""
    deadline, pause = time.monotonic() + within_s, threading.Event()
    while not condition():
        for program in programs:
            assert program.process.poll() is None, f"ended before {what}\n{program.errors()}"
        if time.monotonic() > deadline:
            raise AssertionError(
                "\n".join([f"not within {within_s:.0f} s: {what}", *(one.errors() for one in programs)])
            )
        pause.wait(_LOOK_S)


@atexit.register
def _kill_all() -> None:
    for program in list(_running):
        program.kill()
