"""The options of `penstock credentials`, and the help that teaches them.

Rule of this file: it declares and hands over; the verbs are imported when one is called.
"""

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click

from penstock.core.settings import TOML_FILE, SettingError, Settings, load

_UNITS: Final = {"s": 1, "m": 60, "h": 3600}


class _Account(click.ParamType[str]):
    name = "account"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """An account id, or a refusal."""
        if not re.fullmatch(r"[0-9]{12}", str(value), re.ASCII):
            self.fail(f"{value!r} must be 12 digits", param, ctx)
        return str(value)


class _Seconds(click.ParamType[float]):
    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Seconds, from 30s, 10m or 2h, or a refusal."""
        match = re.fullmatch(r"([0-9]{1,6})([smh])", str(value), re.ASCII)
        if match is None:
            self.fail(f"{value!r} must be a duration such as 30s, 10m or 2h", param, ctx)
        return float(int(match[1]) * _UNITS[match[2]])


def _where(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--account", metavar="ID", type=_Account(), help="Account, of 12 digits. [default: the server's]"),
        click.option("--master-key-file", metavar="FILE", help="As of `penstock serve`."),
        click.option("--data-dir", metavar="DIR", help="The server's data directory. [default: ./penstock-data]"),
    ):
        command = option(command)
    return command


def _settings(data_dir: str | None, master_key_file: str | None) -> Settings:
    given = {"data_dir": data_dir, "master_key_file": master_key_file}
    try:
        file = Path(TOML_FILE).read_text() if Path(TOML_FILE).exists() else None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(f"{TOML_FILE}: {error}") from None
    return load({name: value for name, value in given.items() if value is not None}, os.environ, file)


@click.group()
def credentials() -> None:
    """Make, list, replace and take back access keys.

    With a server on the data directory this goes through the server, otherwise straight to the directory.
    """


@credentials.command(
    epilog="""\b
    Examples:
      penstock credentials create --account 222222222222
      penstock credentials create --user ingest --policy put-only.json"""
)
@click.option("--user", metavar="NAME", help="A user, made if there is none. [default: the root of the account]")
@click.option("--policy", metavar="FILE", help="Give the user this policy document.")
@click.option("--admin", is_flag=True, help="Let the user do everything.")
@_where
def create(
    user: str | None,
    policy: str | None,
    admin: bool,
    account: str | None,
    data_dir: str | None,
    master_key_file: str | None,
) -> None:
    """Make an access key and print it; its secret is not shown again.  The account exists from then on."""
    from penstock.commands import credentials as verbs

    sys.exit(verbs.create(_settings(data_dir, master_key_file), account, user, policy, admin))


@credentials.command("list")
@_where
def show(account: str | None, data_dir: str | None, master_key_file: str | None) -> None:
    """List access keys: whose, since when, active or not.  Secrets are never shown.

    Of one account if a server runs, of all if none does and --account is not said.
    """
    from penstock.commands import credentials as verbs

    sys.exit(verbs.show(_settings(data_dir, master_key_file), account))


@credentials.command()
@click.argument("key_id", metavar="KEY")
@click.option(
    "--grace",
    "grace_s",
    metavar="TIME",
    type=_Seconds(),
    help="Wait so long (30s, 10m, 2h), then make the old key inactive. [default: delete it at once]",
)
@_where
def rotate(
    key_id: str, grace_s: float | None, account: str | None, data_dir: str | None, master_key_file: str | None
) -> None:
    """Make another access key for whom KEY belongs to, print it, and end KEY."""
    from penstock.commands import credentials as verbs

    sys.exit(verbs.rotate(_settings(data_dir, master_key_file), account, key_id, grace_s))


@credentials.command()
@click.argument("key_id", metavar="KEY")
@_where
def revoke(key_id: str, account: str | None, data_dir: str | None, master_key_file: str | None) -> None:
    """Delete access key KEY: nothing that is signed with it is taken any more."""
    from penstock.commands import credentials as verbs

    sys.exit(verbs.revoke(_settings(data_dir, master_key_file), account, key_id))
