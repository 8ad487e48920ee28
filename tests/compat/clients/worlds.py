"""Long scenarios that play side by side: each begins with the session, in a thread of its own, and is judged when its test's turn comes.

@world
def fan_out(directory: Path) -> Seen: ...

@pytest.mark.plays(fan_out)
def test_every_record_arrives() -> None:
    assert fan_out.outcome().records == ...
"""

import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

Outcome = TypeVar("Outcome")


class World(Generic[Outcome]):
    """One scenario, and in the end what came of it."""

    def __init__(self, play: Callable[[Path], Outcome]) -> None:
        self._play = play
        self._thread: threading.Thread | None = None
        self._outcome: list[Outcome] = []
        self._failure: BaseException | None = None

    def begin(self) -> None:
        """Play, unless that was begun before."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, daemon=True, name=self._play.__name__)
            self._thread.start()

    def _run(self) -> None:
        try:
            with tempfile.TemporaryDirectory(prefix=f"penstock-{self._play.__name__}-") as directory:
                self._outcome.append(self._play(Path(directory)))
        except BaseException as failure:  # noqa: BLE001 - raised again where it is looked at
            self._failure = failure

    def wait(self) -> None:
        """Return when it is over, if it was begun at all."""
        if self._thread is not None:
            self._thread.join()

    def outcome(self) -> Outcome:
        """What the scenario gave; waits for its end, and raises what it raised."""
        self.begin()
        assert self._thread is not None
        self._thread.join()
        if self._failure is not None:
            raise self._failure
        return self._outcome[0]


def world(play: Callable[[Path], Outcome]) -> World[Outcome]:
    """The scenario that a function plays in a directory of its own."""
    return World(play)
