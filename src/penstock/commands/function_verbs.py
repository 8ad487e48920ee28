"""The options of `penstock functions`, and the help that teaches them.

Rule of this file: it declares and hands over; the verbs are imported when one is called.
"""

import sys
from pathlib import Path
from typing import Any

import click

from penstock.commands.verbs import split_where, where_options

NAME = click.argument("name", metavar="NAME")


class _Variable(click.ParamType[tuple[str, str]]):
    name = "variable"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        """A name and a value, or a refusal."""
        name, equals, text = str(value).partition("=")
        if not equals or not name:
            self.fail(f"{value!r} must be NAME=VALUE", param, ctx)
        return name, text


@click.group()
def functions() -> None:
    """Lambda functions from a directory of this machine: add, list, invoke, logs, remove.

    The server runs the code where it lies, and loads it anew when a file has changed.
    """


@functions.command(
    epilog="""\b
    Examples:
      penstock functions add hello --handler app.handler --dir .
      penstock functions add hello --handler app.handler --env TABLE=orders --timeout 30"""
)
@NAME
@click.option("--handler", metavar="MODULE.FUNCTION", default="app.handler", show_default=True, help="What is called.")
@click.option(
    "--dir",
    "directory",
    metavar="DIR",
    type=click.Path(exists=True, file_okay=False, resolve_path=True, path_type=Path),
    default=".",
    show_default=True,
    help="Where the code is, on the server's machine.",
)
@click.option("--runtime", metavar="NAME", help="As of AWS. [default: what the files of the directory are for]")
@click.option(
    "--env", "variables", metavar="NAME=VALUE", multiple=True, type=_Variable(), help="A variable; may be repeated."
)
@click.option(
    "--timeout", "timeout_s", metavar="S", type=click.IntRange(1, 900), default=3, show_default=True, help="Seconds."
)
@click.option(
    "--memory", "memory_mb", metavar="MB", type=click.IntRange(128, 10240), default=128, show_default=True, help="MiB."
)
@where_options
def add(**given: Any) -> None:
    """Make a function of a directory, or give one that exists another directory and configuration."""
    from penstock.commands import functions as verb

    where, rest = split_where(given)
    sys.exit(verb.add(where, verb.Wanted(**rest)))


@functions.command("list")
@where_options
def list_all(**given: Any) -> None:
    """Show the functions, and where their code is."""
    from penstock.commands import functions as verb

    where, _ = split_where(given)
    sys.exit(verb.show(where))


@functions.command(
    epilog="""\b
    Examples:
      penstock functions invoke hello '{"name": "world"}'
      penstock functions invoke hello - < event.json"""
)
@NAME
@click.argument("event", metavar="[JSON]", default="{}")
@click.option("--quiet", is_flag=True, help="Do not show what it logged.")
@where_options
def invoke(**given: Any) -> None:
    """Invoke a function; `-` reads the event from standard input.

    Its answer goes to standard output, the end of its log to standard error.  Exit code 1: the function failed.
    """
    from penstock.commands import functions as verb

    where, rest = split_where(given)
    sys.exit(verb.invoke(where, **rest))


@functions.command()
@NAME
@click.option("--follow", is_flag=True, help="Go on until Ctrl-C.")
@where_options
def logs(**given: Any) -> None:
    """Show what a function logged in the last hour."""
    from penstock.commands import functions as verb

    where, rest = split_where(given)
    sys.exit(verb.logs(where, **rest))


@functions.command()
@NAME
@where_options
def remove(**given: Any) -> None:
    """Forget a function; its directory stays as it is."""
    from penstock.commands import functions as verb

    where, rest = split_where(given)
    sys.exit(verb.remove(where, **rest))
