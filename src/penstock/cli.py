"""The command line.

Rule of this file: a mistake of the user's is one line on standard error and exit code 2; heavy imports happen inside the verb that
needs them, so that `--help` and `serve` start fast.
"""

import gc
import logging
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from penstock import __version__
from penstock.core.settings import ENV_PREFIX, TOML_FILE, SettingError, Settings, knobs, load
from penstock.host.rootkey import ROOT_CREDENTIALS_FILE

if TYPE_CHECKING:
    from penstock.app import Endpoint

EXIT_USAGE: Final = 2
# a start and its requests leave hardly any cycles: looking for them less takes 10 % off a PutRecord
GC_THRESHOLDS: Final = (50_000, 20, 100)


def main() -> None:
    """Run the command line and exit."""
    try:
        cli.main(standalone_mode=False)
    except (SettingError, click.ClickException) as error:
        text = error.format_message() if isinstance(error, click.ClickException) else str(error)
        print(f"penstock: {text}", file=sys.stderr)
        sys.exit(EXIT_USAGE)
    except click.exceptions.Exit as done:
        sys.exit(done.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)


class _Verbs(click.Group):
    """All verbs.  Those of clients are imported when anything but `serve` is asked for."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """As Group's."""
        if cmd_name != "serve":
            self._add_clients()
        return super().get_command(ctx, cmd_name)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """As Group's."""
        self._add_clients()
        return super().list_commands(ctx)

    def _add_clients(self) -> None:
        from penstock.commands.agent_verb import agent
        from penstock.commands.credential_verbs import credentials
        from penstock.commands.demo_verb import demo
        from penstock.commands.function_verbs import functions
        from penstock.commands.verbs import VERBS

        for verb in (*VERBS, credentials, functions, agent, demo):
            self.add_command(verb)


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(__version__, prog_name="penstock", message="%(prog)s %(version)s")
def cli() -> None:
    """Amazon Kinesis on machines you own.

    Start with `penstock serve`; it prints what to export so that the AWS CLI and SDKs use it.
    """


def _setting_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """One option per knob of the settings table."""
    for name, (knob, default) in reversed(list(knobs().items())):
        shown = "" if default is False else f" [default: {knob.shown or default}]"
        command = click.option(
            "--" + name.replace("_", "-"),
            name,
            is_flag=default is False,
            default=None,
            metavar=knob.metavar,
            help=knob.doc + shown,
        )(command)
    return command


def read_settings(options: dict[str, Any]) -> Settings:
    """The settings that the command line, the environment and penstock.toml give.  Raises SettingError."""
    given = {
        name: str(value).lower() if value is True else value for name, value in options.items() if value is not None
    }
    try:
        file = Path(TOML_FILE).read_text() if Path(TOML_FILE).exists() else None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(f"{TOML_FILE}: {error}") from None
    return load(given, os.environ, file)


@cli.command(
    epilog=f"Each option is also an environment variable ({ENV_PREFIX}PORT, ...) and a key of {TOML_FILE} (port = 4566)"
    " in the working directory; the command line wins."
)
@_setting_options
def serve(**options: Any) -> None:
    """Run the server until Ctrl-C."""
    import asyncio

    from penstock.host.allocator import share_arenas

    gc.set_threshold(*GC_THRESHOLDS)
    share_arenas()
    settings = read_settings(options)
    logging.basicConfig(
        level=settings.log_level.upper(), stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    try:
        import uvloop

        runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
    except ImportError:
        runner = asyncio.Runner()
    with runner:
        sys.exit(runner.run(_serve(settings)))


@cli.command()
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
def check(directory: Path) -> None:
    """Verify every byte of a data directory against its checksums, and change nothing.

    Works beside a running server.  Exit code 0: sound; 1: damaged, a line for each problem; 2: not a data directory.
    """
    from penstock.storage.check import run

    sys.exit(run(directory))


@cli.command()
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--stream", metavar="NAME", help="Show the shards of one stream, with their segments and journal files.")
@click.option("--shard", metavar="ID", help="Only this shard; shardId-000000000001 or just 1.")
def inspect(directory: Path, stream: str | None, shard: str | None) -> None:
    """Show what a data directory holds: streams, shards, records, and where they lie."""
    from penstock.storage.inspect import run

    sys.exit(run(directory, stream, shard))


@cli.command()
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
@click.argument("target", metavar="TARGET", type=click.Path(path_type=Path))
def backup(directory: Path, target: Path) -> None:
    """Copy a data directory to TARGET, which must not exist; the server may be running.

    Every record that was acknowledged before this began is in the copy, which is a data directory itself, verified when it is complete.
    """
    from penstock.storage import backup as storage

    sys.exit(storage.backup(directory, target))


@cli.command()
@click.argument("source", metavar="BACKUP", type=click.Path(path_type=Path))
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
def restore(source: Path, directory: Path) -> None:
    """Copy a backup to DIR, a new or empty directory, and verify it."""
    from penstock.storage import backup as storage

    sys.exit(storage.restore(source, directory))


@cli.group(invoke_without_command=True)
@click.option("--data-dir", metavar="DIR", help="The data directory. [default: as penstock serve finds it]")
@click.pass_context
def certs(context: click.Context, data_dir: str | None) -> None:
    """Show the certificates of a server: whose they are, for which names, until when.

    Exit code 1 if one has ended or will within 30 days.
    """
    context.obj = read_settings({"data_dir": data_dir})
    if context.invoked_subcommand is None:
        from penstock.commands.certificates import show

        sys.exit(show(context.obj))


@certs.command()
@click.option("--host", "hosts", metavar="NAME", multiple=True, help="A name or address to add; may be repeated.")
@click.pass_obj
def renew(settings: Settings, hosts: tuple[str, ...]) -> None:
    """Make a new certificate of the server from the local authority.  A running server takes it up within seconds."""
    from penstock.commands.certificates import renew as renew_now

    sys.exit(renew_now(settings, hosts))


async def _serve(settings: Settings) -> int:
    import asyncio

    from penstock.app import make_app
    from penstock.server.listener import CannotListen

    app = make_app(settings)
    try:
        endpoint = await app.start()
    except (CannotListen, SettingError) as error:
        print(f"penstock: {error}", file=sys.stderr)
        return EXIT_USAGE
    gc.freeze()  # what a start leaves stays
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    loop.add_signal_handler(signal.SIGHUP, app.reload)
    print(_welcome(settings, endpoint, app.engine_summary), flush=True)
    if app.root_key is not None:
        print(_root_key(settings, app.root_key.record.id, app.root_key.secret), flush=True)
        app.root_key = None
    await stopping.wait()
    print("Stopping.", flush=True)
    await app.stop()
    return 0


def _root_key(settings: Settings, key_id: str, secret: str) -> str:
    path = Path(settings.data_dir).resolve() / ROOT_CREDENTIALS_FILE
    return f"""The root key of account {settings.account_id}.  It is shown this once; {path} has it too, readable by you alone.

  aws_access_key_id = {key_id}
  aws_secret_access_key = {secret}

Use it:  export AWS_SHARED_CREDENTIALS_FILE={path}
"""


def _welcome(settings: Settings, endpoint: "Endpoint", engine: str) -> str:
    rows = [("Endpoint", endpoint.http)]
    if endpoint.https is not None:
        rows += [("", endpoint.https)]
    if endpoint.ca is not None:
        rows += [("CA", f"{endpoint.ca}  (export AWS_CA_BUNDLE for https)")]
    rows += [
        ("Account", f"{settings.account_id}  (a 12-digit access key id names another)"),
        ("Data", f"{Path(settings.data_dir).resolve()}"),
        ("Engine", engine),
        ("Limits", "as AWS enforces them" if settings.limits == "aws" else "off (--limits aws enforces AWS's quotas)"),
    ]
    table = "\n".join(f"  {name:<9} {value}" for name, value in rows)
    return f"""
Penstock {__version__} is ready.

{table}

Point AWS clients at it:

  export AWS_ENDPOINT_URL={endpoint.http} AWS_DEFAULT_REGION={settings.region} AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test

Try:

  aws kinesis create-stream --stream-name hello --shard-count 2 && aws kinesis describe-stream-summary --stream-name hello

Ctrl-C stops it.
"""
