"""The options of `penstock agent`, and the help that teaches it."""

import sys
from pathlib import Path
from typing import Final

import click

CONFIG_DEFAULT: Final = "/etc/aws-kinesis/agent.json"


@click.command(
    epilog="""\b
    Examples:
      penstock agent --config agent.json --check
      penstock agent --config agent.json
      AWS_ENDPOINT_URL=http://127.0.0.1:4566 penstock agent --config agent.json --once"""
)
@click.option(
    "--config",
    metavar="FILE",
    type=click.Path(path_type=Path),
    default=CONFIG_DEFAULT,
    show_default=True,
    help="The configuration; agent.d/*.json beside it is read, too.",
)
@click.option("--check", is_flag=True, help="Show what would be read, and every problem, and end.")
@click.option("--once", is_flag=True, help="Read to the end of the files, send everything, and end.")
def agent(config: Path, *, check: bool, once: bool) -> None:
    """Tail files and send their lines to streams, as the agent.json of the Kinesis Agent says.

    Each line arrives at least once: what was acknowledged is kept in checkpointFile.  SIGTERM ends it within shutdownTimeoutMillis, SIGHUP
    has the configuration read anew.  Exit code 0: ended as asked; 1: not everything was sent; 2: the configuration cannot be used.
    """
    from penstock.commands import agent as verb

    sys.exit(verb.run(verb.Options(config, check, once)))
