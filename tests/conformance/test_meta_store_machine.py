"""MetaStore against a dictionary: any sequence of commits, reads and watches, on every engine."""

import asyncio
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest
from engine_table import ENGINES, Open, SetClock
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from penstock.engines.api import Change, Conflict, Versioned, Write

KEYS = ("a", "a/1", "a/2", "b/1", "b/2")
PREFIXES = ("", "a", "a/", "b/", "a/2", "c")
VALUES = (b"", b"x", b"y")


@dataclass
class Watching:
    """A watcher: what it was told, what it should have been told, and how to stop it."""

    prefix: str
    told: list[dict[str, Versioned | None]] = field(default_factory=list)
    due: list[dict[str, Versioned | None]] = field(default_factory=list)
    stop: Callable[[], None] = lambda: None

    def hear(self, changes: Sequence[Change]) -> None:
        assert len({change.key for change in changes}) == len(changes) > 0
        self.told.append(dict(changes))


class MetaMachine(RuleBasedStateMachine):
    """An engine's MetaStore beside a dictionary."""

    def __init__(self, opened: Open, folder: Path) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.engine = opened(SetClock(), Path(tempfile.mkdtemp(dir=folder)))
        self.meta = self.runner.run(self.engine.__aenter__()).meta
        self.held: dict[str, Versioned] = {}
        self.used: set[tuple[str, int]] = set()
        self.watching: list[Watching] = []
        self.stopped: list[Watching] = []

    def teardown(self) -> None:
        self.runner.run(self.engine.__aexit__(None, None, None))
        self.runner.close()

    def _expected(self, key: str, mood: str) -> int:
        now = self.held[key].version if key in self.held else 0
        old = [version for used, version in sorted(self.used) if used == key and version != now]
        return {"right": now, "absent": 0, "old": old[-1] if old else now, "future": now + 1}[mood]

    @rule(
        keys=st.lists(st.sampled_from(KEYS), unique=True, min_size=1),
        values=st.lists(st.sampled_from((*VALUES, None)), min_size=len(KEYS), max_size=len(KEYS)),
        moods=st.lists(
            st.sampled_from(("right", "right", "right", "right", "absent", "old", "future")),
            min_size=len(KEYS),
            max_size=len(KEYS),
        ),
    )
    def commit(self, keys: list[str], values: list[bytes | None], moods: list[str]) -> None:
        # A delete of a key that is not there is left out: the contract does not say whether watchers are told.
        writes = [
            Write(key, value, self._expected(key, mood))
            for key, value, mood in zip(keys, values, moods, strict=False)
            if value is not None or key in self.held
        ]
        if not writes:
            return
        wrong = [write.key for write in writes if write.expected != self._expected(write.key, "right")]
        if wrong:
            with pytest.raises(Conflict) as refused:
                self.runner.run(self.meta.commit(writes))
            assert refused.value.key == wrong[0]
            return
        self.runner.run(self.meta.commit(writes))
        self._committed(writes)

    @rule(key=st.sampled_from(KEYS), value=st.sampled_from((*VALUES, None, None)))
    def commit_one(self, key: str, value: bytes | None) -> None:
        """As `commit`, and never refused; a run in which keys come and go finds more."""
        self.commit([key], [value], ["right"])

    def _committed(self, writes: list[Write]) -> None:
        changed: dict[str, Versioned | None] = {}
        for write in writes:
            now = self.runner.run(self.meta.get(write.key))
            changed[write.key] = now
            assert (now.value if now is not None else None) == write.value
            if now is None:
                del self.held[write.key]
                continue
            assert now.version >= 1
            assert (write.key, now.version) not in self.used
            self.used.add((write.key, now.version))
            self.held[write.key] = now
        for watching in self.watching:
            seen = {key: now for key, now in changed.items() if key.startswith(watching.prefix)}
            if seen:
                watching.due.append(seen)

    @rule(key=st.sampled_from((*KEYS, "c")))
    def get(self, key: str) -> None:
        assert self.runner.run(self.meta.get(key)) == self.held.get(key)

    @rule(prefix=st.sampled_from(PREFIXES))
    def scan(self, prefix: str) -> None:
        found = self.runner.run(self.meta.scan(prefix))
        assert list(found) == sorted((key, now) for key, now in self.held.items() if key.startswith(prefix))

    @precondition(lambda self: len(self.watching) < 4)
    @rule(prefix=st.sampled_from(PREFIXES))
    def watch(self, prefix: str) -> None:
        watching = Watching(prefix)
        watching.stop = self.meta.watch(prefix, watching.hear)
        self.watching.append(watching)

    @precondition(lambda self: self.watching)
    @rule(data=st.data())
    def unwatch(self, data: st.DataObject) -> None:
        watching = self.watching.pop(data.draw(st.integers(0, len(self.watching) - 1)))
        watching.stop()
        self.stopped.append(watching)

    @invariant()
    def watchers_saw_what_they_should(self) -> None:
        for watching in [*self.watching, *self.stopped]:
            assert watching.told == watching.due


@pytest.mark.parametrize("opened", ENGINES.values(), ids=list(ENGINES))
def test_meta_store_when_used_in_any_way_then_it_behaves_as_a_dictionary(opened: Open, tmp_path: Path) -> None:
    run_state_machine_as_test(
        partial(MetaMachine, opened, tmp_path),  # type: ignore[arg-type]  # any way to make one will do
        settings=settings(
            max_examples=60,
            stateful_step_count=40,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
