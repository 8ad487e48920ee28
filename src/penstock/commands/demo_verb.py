"""The options of `penstock demo`, and the help that teaches them.

Rule of this file: it declares and hands over; the demo is imported when it is called.
"""

import sys
from pathlib import Path

import click

from penstock.demo.options import RATE_DEFAULT, RATE_MAX, SHARDS_DEFAULT, SHARDS_MAX, Options


@click.command()
@click.option("--endpoint", metavar="URL", help="The server. [default: $AWS_ENDPOINT_URL, or a server of its own]")
@click.option("--stream", metavar="NAME", help="Name of the stream, which must not exist. [default: a new one]")
@click.option(
    "--shards",
    type=click.IntRange(1, SHARDS_MAX),
    default=SHARDS_DEFAULT,
    show_default=True,
    help="Shards of the stream.",
)
@click.option(
    "--rate",
    type=click.IntRange(1, RATE_MAX),
    default=RATE_DEFAULT,
    show_default=True,
    help="Records to put each second.",
)
@click.option(
    "--seconds", type=click.FloatRange(min=0, min_open=True), help="How long to feed. [default: until Ctrl-C]"
)
@click.option(
    "--lake", metavar="DIR", type=click.Path(path_type=Path, file_okay=False), help="Keep the Parquet files here."
)
def demo(
    endpoint: str | None, stream: str | None, shards: int, rate: int, seconds: float | None, lake: Path | None
) -> None:
    """Stream this machine's metrics through a server and check that every record comes back once and in order.

    On a server of its own the records also go through a Lambda function and Firehose into Parquet files, which DuckDB then counts.

    The first Ctrl-C ends the feeding; what is under way is still read and checked.  The second stops everything.
    """
    from penstock.demo import run

    sys.exit(run(Options(endpoint, stream, shards, rate, seconds, lake)))
