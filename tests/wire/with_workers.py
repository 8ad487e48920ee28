"""A plugin for pytest: servers under test have workers (`make test-workers`)."""

from typing import Any, Final

from penstock.testing import PenstockServer

WORKERS: Final = 2

alone = PenstockServer.__init__


def with_workers(self: PenstockServer, *, tls: bool = False, **settings: Any) -> None:
    """A server whose clients talk to fronts, unless its test says otherwise."""
    alone(self, tls=tls, **{"workers": WORKERS, **settings})


PenstockServer.__init__ = with_workers  # type: ignore[method-assign]
