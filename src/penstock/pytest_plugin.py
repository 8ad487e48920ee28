"""The pytest plugin: `penstock`, a fresh server for each test, and `penstock_server`, the one behind it."""

from collections.abc import Iterator

import pytest

from penstock.testing import PenstockServer


@pytest.fixture(scope="session")
def penstock_server() -> Iterator[PenstockServer]:
    """One server for the whole session."""
    with PenstockServer() as server:
        yield server


@pytest.fixture
def penstock(penstock_server: PenstockServer, monkeypatch: pytest.MonkeyPatch) -> PenstockServer:
    """The session's server, emptied, with the AWS_* environment variables set so that the code under test finds it by itself."""
    penstock_server.reset()
    for name, value in penstock_server.environment().items():
        monkeypatch.setenv(name, value)
    return penstock_server
