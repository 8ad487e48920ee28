"""Access keys in a data directory that no server uses: what `penstock credentials` works on then.

Theory.  The same operations as IAM's, carried out on the same service, without a server around it.  The directory's lock is held all the
while, so that no server starts meanwhile and none is disturbed.
"""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple, Self, TypeVar

from penstock.core.context import Caller
from penstock.core.errors import ServiceError
from penstock.core.ids import AccountId, Millis, Region
from penstock.engines.api import MetaUnavailable
from penstock.engines.local.meta import SqliteMeta
from penstock.host.clock import SystemClock
from penstock.host.entropy import SystemEntropy
from penstock.host.fetch import CannotFetch, fetch
from penstock.host.lock import DirectoryInUse, DirectoryLock
from penstock.host.masterkey import MasterKeyFile
from penstock.services.iam.identities import MasterKeyProblem
from penstock.services.iam.ops import attachment, inline, key, user
from penstock.services.iam.records import AccessKey, User
from penstock.services.iam.service import Iam, open_iam
from penstock.storage.directory import META_FILE

ADMIN_ARN: Final = "arn:aws:iam::aws:policy/AdministratorAccess"
POLICY_NAME: Final = "credentials"  # of the inline policy that a user is made with

Result = TypeVar("Result")


class CannotUse(Exception):
    """The directory, or what was asked of it, cannot be used; one line says why."""


class KeyRow(NamedTuple):
    """An access key as it is listed."""

    id: str
    account: str
    user: str | None  # None: the account's root
    status: str
    created_ms: Millis


class MadeKey(NamedTuple):
    """A new access key; the only time that its secret is told."""

    id: str
    secret: str

    def __repr__(self) -> str:
        return f"MadeKey({self.id})"


class StoredKeys:
    """The access keys of one account, or of all, in a data directory; a context manager that holds the lock."""

    def __init__(self, directory: Path, master_key: Path, account: str | None, management: str) -> None:
        """Raises CannotUse."""
        self._account = account
        self._management = management
        self._runner = asyncio.Runner()
        try:
            self._lock = DirectoryLock(directory)
        except DirectoryInUse as error:
            raise CannotUse(str(error)) from None
        except OSError as error:
            raise CannotUse(f"{directory}: {error.strerror}") from None
        try:
            self._meta, self._iam = self._runner.run(self._open(directory, master_key))
        except (MetaUnavailable, MasterKeyProblem) as error:
            self._lock.release()
            raise CannotUse(str(error)) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._runner.run(self._meta.close())
        self._runner.close()
        self._lock.release()

    def ensure_user(self, name: str) -> None:
        """Make a user, if there is none of that name."""
        if self._iam.identities.find(User, self._chosen, name) is None:
            self._run(user.create_user(self._iam, self._caller(), user.CreateUserRequest(user_name=name)))

    def allow(self, name: str, document: str) -> None:
        """Give a user an inline policy."""
        request = inline.PutUserPolicyRequest(user_name=name, policy_name=POLICY_NAME, policy_document=document)
        self._run(inline.put_user_policy(self._iam, self._caller(), request))

    def allow_all(self, name: str) -> None:
        """Let a user do everything."""
        request = attachment.AttachUserPolicyRequest(user_name=name, policy_arn=ADMIN_ARN)
        self._run(attachment.attach_user_policy(self._iam, self._caller(), request))

    def create(self, name: str | None) -> MadeKey:
        """Make an access key of a user, or of the account's root."""
        asked = key.CreateAccessKeyRequest(user_name=name)
        made = self._run(key.create_access_key(self._iam, self._caller(), asked)).access_key
        return MadeKey(made.access_key_id, made.secret_access_key)

    def rows(self) -> list[KeyRow]:
        """The access keys."""
        keys = self._iam.identities.all(AccessKey, self._account)
        return [KeyRow(each.id, each.account, each.user, each.status, each.created_ms) for each in keys]

    def find(self, key_id: str) -> KeyRow | None:
        """An access key."""
        return next((row for row in self.rows() if row.id == key_id), None)

    def switch_off(self, row: KeyRow) -> None:
        """Make a key inactive."""
        request = key.UpdateAccessKeyRequest(access_key_id=row.id, user_name=row.user, status="Inactive")
        self._run(key.update_access_key(self._iam, self._caller(row.account), request))

    def delete(self, row: KeyRow) -> None:
        """Forget a key."""
        request = key.AccessKeyRequest(access_key_id=row.id, user_name=row.user)
        self._run(key.delete_access_key(self._iam, self._caller(row.account), request))

    def choose(self, account: str) -> None:
        """Work on this account from now on."""
        self._account = account

    @property
    def _chosen(self) -> str:
        return self._account or self._management

    def _caller(self, account: str | None = None) -> Caller:
        return Caller(AccountId(account or self._chosen), Region(""), "", "iam:Offline")  # as root

    def _run(self, work: Coroutine[Any, Any, Result]) -> Result:
        try:
            return self._runner.run(work)
        except ServiceError as error:
            raise CannotUse(error.message or error.code) from None
        except MetaUnavailable as error:
            raise CannotUse(str(error)) from None

    async def _open(self, directory: Path, master_key: Path) -> tuple[SqliteMeta, Iam]:
        meta = await SqliteMeta.open(directory / META_FILE)
        entropy = SystemEntropy()
        try:
            iam = await open_iam(
                meta,
                MasterKeyFile(master_key, entropy),
                clock=SystemClock(),
                entropy=entropy,
                management=self._management,
                sources={},
                audiences=frozenset(),
                fetch=fetch,
                refused=CannotFetch,
            )
        except MasterKeyProblem:
            await meta.close()
            raise
        return meta, iam
