"""What the demo is asked to do, and how it says that it cannot begin."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

SHARDS_DEFAULT: Final = 4
SHARDS_MAX: Final = 64  # each is polled five times a second
RATE_DEFAULT: Final = 2000  # records per second
RATE_MAX: Final = 1_000_000


class DemoError(click.ClickException):
    """The demo cannot begin; the text is the one line to show."""


@dataclass(frozen=True, slots=True)
class Options:
    """The options of `penstock demo`."""

    endpoint: str | None = None  # None: start a server for the time of the demo
    stream: str | None = None  # None: a name of its own
    shards: int = SHARDS_DEFAULT  # 1 .. SHARDS_MAX
    rate: int = RATE_DEFAULT  # records per second, 1 .. RATE_MAX
    seconds: float | None = None  # of feeding; None: until Ctrl-C
    lake: Path | None = None  # where Parquet files are kept; None: nowhere for longer than the demo

    def __post_init__(self) -> None:
        assert 1 <= self.shards <= SHARDS_MAX
        assert 1 <= self.rate <= RATE_MAX
        assert self.seconds is None or self.seconds > 0
