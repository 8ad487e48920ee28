"""`penstock credentials`: access keys made, listed, replaced and taken back.

Theory.  With a server on the data directory everything goes through its IAM API, signed with the root key that its first start wrote
(with `--auth open` any key will do); another account is reached with AssumeRoot.  Without a server the directory itself is opened.
Rule of this file: a secret is printed once, when it has been made, and never otherwise.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

import botocore.session
import click
import msgspec
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.httpsession import URLLib3Session

from penstock.commands.place import ENDPOINT_FILE, CommandError
from penstock.core.settings import Settings
from penstock.host.masterkey import MASTER_KEY_FILE
from penstock.host.rootkey import ROOT_CREDENTIALS_FILE, read_credentials, write_credentials
from penstock.storage.credentials import ADMIN_ARN, POLICY_NAME, CannotUse, KeyRow, MadeKey, StoredKeys

TASK_POLICY_ARN: Final = "arn:aws:iam::aws:policy/root-task/PenstockCredentials"
WAIT_S: Final = 5

pause: Final = threading.Event().wait  # never set: only its timeout ends it


class Keys(Protocol):
    """The access keys of an account, wherever they are."""

    def ensure_user(self, name: str) -> None:
        """Make a user, if there is none of that name."""
        ...

    def allow(self, name: str, document: str) -> None:
        """Give a user an inline policy."""
        ...

    def allow_all(self, name: str) -> None:
        """Let a user do everything."""
        ...

    def create(self, name: str | None) -> MadeKey:
        """Make an access key of a user, or of the account's root."""
        ...

    def rows(self) -> list[KeyRow]:
        """The access keys."""
        ...

    def find(self, key_id: str) -> KeyRow | None:
        """An access key."""
        ...

    def switch_off(self, row: KeyRow) -> None:
        """Make a key inactive."""
        ...

    def delete(self, row: KeyRow) -> None:
        """Forget a key."""
        ...

    def choose(self, account: str) -> None:
        """Work on this account from now on."""
        ...


class _EndpointFile(msgspec.Struct):
    http: str
    region: str
    account_id: str


class _Health(msgspec.Struct):
    auth: str


@dataclass(frozen=True, slots=True)
class Running:
    """A server that answers."""

    endpoint: str
    region: str
    management: str
    enforced: bool


class _Signer(NamedTuple):
    key_id: str
    secret: str
    token: str | None

    def __repr__(self) -> str:
        return f"_Signer({self.key_id})"


class ServedKeys:
    """The access keys of one account of a running server."""

    def __init__(self, server: Running, data_dir: Path, account: str | None) -> None:
        self._server = server
        self._account = account or server.management
        self._iam = _client(server, "iam", _signer(server, data_dir, self._account))

    def ensure_user(self, name: str) -> None:
        """Make a user, if there is none of that name."""
        try:
            self._iam.create_user(UserName=name)
        except ClientError as error:
            if error.response["Error"]["Code"] != "EntityAlreadyExists":
                raise

    def allow(self, name: str, document: str) -> None:
        """Give a user an inline policy."""
        self._iam.put_user_policy(UserName=name, PolicyName=POLICY_NAME, PolicyDocument=document)

    def allow_all(self, name: str) -> None:
        """Let a user do everything."""
        self._iam.attach_user_policy(UserName=name, PolicyArn=ADMIN_ARN)

    def create(self, name: str | None) -> MadeKey:
        """Make an access key of a user, or of the account's root."""
        made = self._iam.create_access_key(**_named(name))["AccessKey"]
        return MadeKey(made["AccessKeyId"], made["SecretAccessKey"])

    def rows(self) -> list[KeyRow]:
        """The access keys."""
        pages = self._iam.get_paginator("list_users").paginate()
        names: list[str | None] = [None, *(user["UserName"] for page in pages for user in page["Users"])]
        return [row for name in names for row in self._rows_of(name)]

    def find(self, key_id: str) -> KeyRow | None:
        """An access key."""
        try:
            name = self._iam.get_access_key_last_used(AccessKeyId=key_id).get("UserName")
        except ClientError as error:
            if error.response["Error"]["Code"] == "NoSuchEntity":
                return None
            raise
        return next((row for row in self._rows_of(name) if row.id == key_id), None)

    def switch_off(self, row: KeyRow) -> None:
        """Make a key inactive."""
        self._iam.update_access_key(AccessKeyId=row.id, Status="Inactive", **_named(row.user))

    def delete(self, row: KeyRow) -> None:
        """Forget a key."""
        self._iam.delete_access_key(AccessKeyId=row.id, **_named(row.user))

    def choose(self, account: str) -> None:
        """There is one account here."""
        assert account == self._account

    def _rows_of(self, name: str | None) -> list[KeyRow]:
        listed = self._iam.list_access_keys(**_named(name))["AccessKeyMetadata"]
        return [
            KeyRow(
                each["AccessKeyId"], self._account, name, each["Status"], round(each["CreateDate"].timestamp() * 1000)
            )
            for each in listed
        ]


def _named(name: str | None) -> dict[str, str]:
    return {} if name is None else {"UserName": name}


def _signer(server: Running, data_dir: Path, account: str) -> _Signer:
    if not server.enforced:
        return _Signer(account, "any", None)
    path = data_dir / ROOT_CREDENTIALS_FILE
    root = read_credentials(path)
    if root is None:
        raise CommandError(
            f"{path}: no root key; make one with the server stopped: penstock credentials create --data-dir {data_dir}"
        )
    signer = _Signer(root.access_key_id, root.secret, None)
    if account == server.management:
        return signer
    sts = _client(server, "sts", signer)
    task = {"arn": TASK_POLICY_ARN}
    made = sts.assume_root(TargetPrincipal=account, TaskPolicyArn=task)["Credentials"]
    return _Signer(made["AccessKeyId"], made["SecretAccessKey"], made["SessionToken"])


def _client(server: Running, service: str, signer: _Signer) -> Any:
    options: dict[str, Any] = {"ignore_configured_endpoint_urls": True}  # the stubs lack it
    return botocore.session.Session().create_client(
        service,
        endpoint_url=server.endpoint,
        region_name=server.region,
        aws_access_key_id=signer.key_id,
        aws_secret_access_key=signer.secret,
        aws_session_token=signer.token,
        config=Config(connect_timeout=WAIT_S, read_timeout=4 * WAIT_S, retries={"total_max_attempts": 1}, **options),
    )


def find_running(data_dir: Path) -> Running | None:
    """The server that runs on a data directory, if one answers."""
    http = URLLib3Session(timeout=WAIT_S)
    try:
        file = msgspec.json.decode((data_dir / ENDPOINT_FILE).read_bytes(), type=_EndpointFile)
        answer = http.send(AWSRequest("GET", file.http + "/_penstock/health").prepare())
        health = msgspec.json.decode(answer.content, type=_Health)
    except (OSError, msgspec.MsgspecError, HTTPClientError):
        return None
    finally:
        http.close()
    return Running(file.http, file.region, file.account_id, health.auth == "enforced")


@contextmanager
def opened(settings: Settings, account: str | None, *, making: bool = False) -> Iterator[tuple[Keys, bool]]:
    """The access keys of the settings' data directory, and whether a server runs on it.  Raises CommandError."""
    data_dir = Path(settings.data_dir)
    try:
        server = find_running(data_dir)
        if server is not None:
            yield ServedKeys(server, data_dir, account), True
            return
        if making:
            data_dir.mkdir(parents=True, exist_ok=True)
        master_key = Path(settings.master_key_file or data_dir / MASTER_KEY_FILE)
        with StoredKeys(data_dir, master_key, account, settings.account_id) as keys:
            yield keys, False
    except ClientError as error:
        raise CommandError(error.response["Error"]["Message"]) from None
    except BotoCoreError as error:
        raise CommandError(str(error)) from None
    except CannotUse as error:
        raise CommandError(str(error)) from None
    except OSError as error:
        raise CommandError(f"{error.filename}: {error.strerror}") from None


def create(settings: Settings, account: str | None, user: str | None, policy: str | None, admin: bool) -> int:
    """Make an access key."""
    if user is None and (policy is not None or admin):
        raise click.UsageError("--policy and --admin need --user: the root of an account may do everything in it")
    document = None if policy is None else _read(policy)
    with opened(settings, account, making=True) as (keys, _):
        if user is not None:
            keys.ensure_user(user)
            if document is not None:
                keys.allow(user, document)
            if admin:
                keys.allow_all(user)
        made = keys.create(user)
        _show(made, account or settings.account_id, user)
        path = Path(settings.data_dir) / ROOT_CREDENTIALS_FILE
        if user is None and account in (None, settings.account_id) and read_credentials(path) is None:
            write_credentials(path, made.id, made.secret)
            click.echo(f"It is in {path} too, which only you can read.")
    return 0


def show(settings: Settings, account: str | None) -> int:
    """List access keys."""
    with opened(settings, account) as (keys, _):
        rows = keys.rows()
    if not rows:
        click.echo("There are no access keys.")
        return 0
    told = [("access key", "account", "user", "status", "created")]
    told += [(row.id, row.account, row.user or "(root)", row.status, _time(row.created_ms)) for row in rows]
    widths = [max(map(len, column)) for column in zip(*told, strict=True)]
    for line in told:
        click.echo("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())
    return 0


def rotate(settings: Settings, account: str | None, key_id: str, grace_s: float | None) -> int:
    """Replace an access key."""
    with opened(settings, account) as (keys, served):
        if grace_s is not None and not served:
            raise CommandError("no server runs, so nobody could use the old key meanwhile; leave out --grace")
        row = _found(keys, key_id)
        keys.choose(row.account)
        made = keys.create(row.user)
        _show(made, row.account, row.user)
        _keep_root(settings, row, made)
        if grace_s is None:
            keys.delete(row)
            click.echo(f"{row.id} is deleted.")
        else:
            click.echo(f"{row.id} becomes inactive in {grace_s:g} seconds; until then leave this running.")
            pause(grace_s)
            keys.switch_off(row)
            click.echo(f"{row.id} is inactive.  Delete it with: penstock credentials revoke {row.id}")
    return 0


def revoke(settings: Settings, account: str | None, key_id: str) -> int:
    """Take an access key back."""
    with opened(settings, account) as (keys, _):
        keys.delete(_found(keys, key_id))
    click.echo(f"{key_id} is deleted.")
    return 0


def _found(keys: Keys, key_id: str) -> KeyRow:
    row = keys.find(key_id)
    if row is None:
        raise CommandError(
            f"there is no access key {key_id}; penstock credentials list shows them (--account ID others)"
        )
    return row


def _keep_root(settings: Settings, row: KeyRow, made: MadeKey) -> None:
    """Put the new key into the root's file, if the old one was in it."""
    path = Path(settings.data_dir) / ROOT_CREDENTIALS_FILE
    held = read_credentials(path)
    if held is not None and held.access_key_id == row.id:
        write_credentials(path, made.id, made.secret)
        click.echo(f"{path} has the new key.")


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{path}: {error}") from None


def _show(made: MadeKey, account: str, user: str | None) -> None:
    whose = f"user {user}" if user is not None else "the root"
    click.echo(f"Access key of {whose} in account {account}.  The secret is not shown again.\n")
    click.echo(f"  aws_access_key_id = {made.id}\n  aws_secret_access_key = {made.secret}\n")


def _time(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
