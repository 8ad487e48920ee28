"""Which tests can run here, in which order, and what begins with the session.  `make test-compat` loads this.

A test that needs a toolchain which is not at hand is not run, and the summary says so; with CI=true that is a failure.
"""

import os
import threading

import pytest
from toolchains import TOOLCHAINS

_NOT_RUN = pytest.StashKey[list[str]]()


def _missing(item: pytest.Item) -> list[str]:
    """The tools that a test lacks here."""
    names = [name for mark in item.iter_markers("needs") for name in mark.args]
    return [tool for name in names for tool in TOOLCHAINS[name].missing()]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Set aside what cannot run; put last what takes long, because it plays meanwhile."""
    out = [item for item in items if _missing(item) and os.environ.get("CI") != "true"]
    config.stash[_NOT_RUN] = [f"{item.nodeid}: no {', '.join(_missing(item))}" for item in out]
    if out:
        config.hook.pytest_deselected(items=out)
    items[:] = sorted(
        (item for item in items if item not in out), key=lambda item: item.get_closest_marker("plays") is not None
    )


def pytest_collection_finish(session: pytest.Session) -> None:
    """Begin every build and every world that a selected test is about."""
    if session.config.option.collectonly:
        return
    for name in {name for item in session.items for mark in item.iter_markers("needs") for name in mark.args}:
        if not TOOLCHAINS[name].missing():
            threading.Thread(target=_try_build, args=(name,), daemon=True).start()
    for item in session.items:
        if (mark := item.get_closest_marker("plays")) is not None and not _missing(item):
            mark.args[0].begin()


def _try_build(name: str) -> None:
    """Build early; whoever needs the result builds again, and tells what is wrong."""
    try:
        TOOLCHAINS[name].build()
    except AssertionError:
        return


@pytest.fixture(autouse=True)
def _toolchain(request: pytest.FixtureRequest) -> None:
    lacking = _missing(request.node)
    assert not lacking, f"{', '.join(lacking)}: not at hand, and CI runs every client"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Name what was not run."""
    for line in config.stash.get(_NOT_RUN, []):
        terminalreporter.write_line(f"NOT RUN {line}")
