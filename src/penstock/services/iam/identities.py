"""Identities: who has which access key, and which policies they are under; the view in memory that every request looks things up in.

Theory.  The MetaStore is the truth; the view is fed by one scan at start and then by its watch.  A long-term access key is found by its
id.  Temporary credentials are not stored: their token carries them (vault.py), and the view only tells whether the role or user that they
are for is still the one that it was.
Rules of this file:
  1. The view is changed in `_apply` and nowhere else.
  2. The hot path (`find_key`, `secret`, `identity_of`) is plain dict lookups; what is made for it is kept until a record changes.
  3. A policy that cannot be read any more denies everything.
Secrets are opened when their record is applied, and kept nowhere else.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache
from typing import Final, Generic, NamedTuple, Protocol, TypeVar

from penstock.core.identity_errors import IamError
from penstock.core.ids import Millis
from penstock.engines.api import Change, Conflict, MetaStore, Write
from penstock.services.iam import principals
from penstock.services.iam.evaluate import Identity
from penstock.services.iam.managed import AWS_POLICIES
from penstock.services.iam.policy import MalformedPolicy, Policy, PolicyKind, parse_policy
from penstock.services.iam.principals import Principal
from penstock.services.iam.records import (
    ROOT,
    AccessKey,
    Holder,
    Kept,
    ManagedPolicy,
    Record,
    Role,
    User,
    decode,
    encode,
    named_key,
)
from penstock.services.iam.vault import Session, Vault
from penstock.wire.signature import Secret

Result = TypeVar("Result")
Kept_co = TypeVar("Kept_co", bound=Record, covariant=True)
logger = logging.getLogger(__name__)

SESSIONS_KEPT: Final = 4096  # opened tokens and made identities; all are forgotten when there are more
POLICIES_KEPT: Final = 4096
_DENY_ALL: Final = '{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"*","Resource":"*"}}'


class MasterKeyProblem(Exception):
    """Secrets cannot be opened or kept; one line says why."""


class MasterKeys(Protocol):
    """Where the master key is."""

    async def read(self) -> bytes | None:
        """The key, or None if there is none yet.  Raises OSError, ValueError."""
        ...

    async def make(self) -> bytes:
        """The key, made now if there is none."""
        ...


class Held(NamedTuple, Generic[Kept_co]):
    """A record and the version that its next writer must name."""

    record: Kept_co
    version: int


class Key(NamedTuple):
    """A long-term access key, ready for use."""

    record: AccessKey
    secret: str
    usable: Secret | None  # what requests are verified with; None where the key is inactive

    def __repr__(self) -> str:
        return f"Key({self.record.id})"


class Identities:
    """Accounts, users, roles, managed policies, instance profiles and access keys."""

    def __init__(self, meta: MetaStore, master: MasterKeys) -> None:
        self._meta = meta
        self._master = master
        self._vault: Vault | None = None
        self._held: dict[str, Held[Record]] = {}  # by MetaStore key
        self._keys: dict[str, Key] = {}  # by access key id; only those whose secret opens
        self._records: dict[str, AccessKey] = {}  # by access key id, all
        self._sessions: dict[str, tuple[str, Session, Secret]] = {}  # by token, with the access key id
        self._identities: dict[tuple[str, str | None], Identity] = {}  # by access key id and token

    async def open(self) -> None:
        """Read what the store holds and follow it from then on.  Raises MasterKeyProblem for a file that holds no key."""
        self._take(await self._ask(self._master.read))
        self._meta.watch(ROOT, self._apply)
        self._apply([Change(key, value) for key, value in await self._meta.scan(ROOT)])

    def sealed_shut(self) -> list[str]:
        """The access keys whose secrets cannot be opened: the master key is missing, or another."""
        return sorted(self._records.keys() - self._keys.keys())

    async def vault(self) -> Vault:
        """The vault, its master key made now if there is none.  Raises MasterKeyProblem."""
        if self._vault is None:
            found = await self._ask(self._master.read)
            if found is None and self._records and self._vault is None:  # or another call made both meanwhile
                raise MasterKeyProblem(
                    f"the secrets of {len(self._records)} access keys were sealed with a master key that is not there;"
                    " put it back, or revoke those keys"
                )
            self._take(found or await self._ask(self._master.make))
        assert self._vault is not None
        return self._vault

    # The hot path

    def find_key(self, access_key_id: str) -> Key | None:
        """A long-term access key, active or not."""
        return self._keys.get(access_key_id)

    def secret(self, access_key_id: str, session_token: str | None = None) -> Secret | None:
        """What a signature is verified with; None for credentials that are unknown, inactive or taken back."""
        key = self._keys.get(access_key_id)
        if key is not None:
            return key.usable
        opened = self._opened(access_key_id, session_token)
        return None if opened is None else opened[1]

    def lookup(self, session_token: str | None) -> Callable[[str], Secret | None]:
        """`secret` as wire/signature.py asks for it, for one request."""
        return self.secret if session_token is None else lambda key_id: self.secret(key_id, session_token)

    def find_session(self, access_key_id: str, session_token: str | None) -> Session | None:
        """What temporary credentials stand for, expired or not; None if they were not given out here, or were taken back."""
        opened = self._opened(access_key_id, session_token)
        return None if opened is None else opened[0]

    def _opened(self, access_key_id: str, session_token: str | None) -> tuple[Session, Secret] | None:
        if session_token is None or self._vault is None:
            return None
        known = self._sessions.get(session_token)
        if known is not None and known[0] == access_key_id:
            return known[1:]
        session = self._vault.open_session(access_key_id, session_token)
        if session is None or not self._lasts(session):
            return None
        secret = Secret(self._vault.session_secret(access_key_id), session_token, session.expires_ms)
        if len(self._sessions) >= SESSIONS_KEPT:
            self._sessions.clear()
        self._sessions[session_token] = access_key_id, session, secret
        return session, secret

    def identity_of(self, access_key_id: str, session_token: str | None, now_ms: Millis) -> Identity | None:
        """Whose credentials these are, with the policies that hold for them; None where `secret` has none, or they have expired."""
        known = self._identities.get((access_key_id, session_token))
        session = None
        if access_key_id not in self._keys:
            session = self.find_session(access_key_id, session_token)
            if session is None or now_ms >= session.expires_ms:
                return None
        if known is not None:
            return known
        made = self._identity(access_key_id) if session is None else self._session_identity(session)
        if made is not None:
            if len(self._identities) >= SESSIONS_KEPT:
                self._identities.clear()
            self._identities[access_key_id, session_token] = made
        return made

    def principal_of(self, access_key_id: str, session_token: str | None, now_ms: Millis) -> Principal | None:
        """Whose credentials these are."""
        identity = self.identity_of(access_key_id, session_token, now_ms)
        return None if identity is None else identity.principal

    # Lookups by name

    def find(self, kind: type[Kept], account: str, name: str) -> Held[Kept] | None:
        """The record of that kind with that name, whatever its case."""
        held = self._held.get(named_key(kind, account, name))
        return Held(held.record, held.version) if held is not None and isinstance(held.record, kind) else None

    def find_record(self, kind: type[Kept], key: str) -> Held[Kept] | None:
        """The record under a MetaStore key."""
        held = self._held.get(key)
        return Held(held.record, held.version) if held is not None and isinstance(held.record, kind) else None

    def find_access_key(self, access_key_id: str) -> Held[AccessKey] | None:
        """The record of an access key, also of one whose secret cannot be opened."""
        record = self._records.get(access_key_id)
        return None if record is None else self.find_record(AccessKey, record.key)

    def all(self, kind: type[Kept], account: str | None = None) -> list[Kept]:
        """The records of a kind, by account and name; of one account if it is given."""
        prefix = named_key(kind, account or "", "").rstrip("/") + "/"
        return [
            held.record
            for key, held in sorted(self._held.items())
            if key.startswith(prefix) and isinstance(held.record, kind)
        ]

    def find_policy(self, arn: str) -> ManagedPolicy | None:
        """A managed policy, a customer's or AWS's own."""
        if arn in AWS_POLICIES:
            return AWS_POLICIES[arn]
        held = self.find_policy_held(arn)
        return None if held is None else held.record

    def find_policy_held(self, arn: str) -> Held[ManagedPolicy] | None:
        """A customer's managed policy."""
        parts = arn.split(":", 5)
        if len(parts) != 6:
            return None
        held = self.find(ManagedPolicy, parts[4], arn.rpartition("/")[2])
        return held if held is not None and held.record.arn == arn else None

    def find_role(self, arn: str) -> Role | None:
        """A role by its ARN."""
        parts = arn.split(":", 5)
        held = self.find(Role, parts[4], arn.rpartition("/")[2]) if len(parts) == 6 else None
        return held.record if held is not None and held.record.arn == arn else None

    def access_keys(self, account: str, user: str | None) -> list[AccessKey]:
        """The access keys of a user, or of root, by their ids."""
        return [key for key in self.all(AccessKey, account) if key.user == user]

    # Changes

    async def commit(self, writes: Sequence[tuple[Record, int]], forget: Sequence[Held[Record]] = ()) -> None:
        """Store records at the versions that they replace (0: new), and forget others.

        Raises MODIFIED if another change came first.
        """
        stored = [Write(record.key, encode(record), version) for record, version in writes]
        gone = [Write(held.record.key, None, held.version) for held in forget]
        try:
            await self._meta.commit([*stored, *gone])
        except Conflict:
            raise IamError.MODIFIED() from None

    async def clear(self, keep: Callable[[Record], bool]) -> None:
        """Forget every record but some.  Nothing else may be changing them."""
        gone = [Write(key, None, held.version) for key, held in self._held.items() if not keep(held.record)]
        if gone:
            await self._meta.commit(gone)

    # How the view is made

    async def _ask(self, question: Callable[[], Awaitable[Result]]) -> Result:
        try:
            return await question()
        except (OSError, ValueError) as error:
            text = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else str(error)
            raise MasterKeyProblem(text) from None

    def _take(self, master_key: bytes | None) -> None:
        if master_key is not None:
            self._vault = Vault(master_key)
            for record in self._records.values():
                self._open(record)

    def _apply(self, changes: Sequence[Change]) -> None:
        for key, now in changes:
            held = self._held.get(key)
            if now is None:
                self._held.pop(key, None)
                if held is not None and isinstance(held.record, AccessKey):
                    self._records.pop(held.record.id, None)
                    self._keys.pop(held.record.id, None)
            elif held is None or now.version > held.version:  # else: from the scan at start, overtaken by the watch
                record = decode(key, now.value)
                self._held[key] = Held(record, now.version)
                if isinstance(record, AccessKey):
                    self._records[record.id] = record
                    self._open(record)
        self._sessions.clear()
        self._identities.clear()

    def _open(self, record: AccessKey) -> None:
        secret = self._vault.open_secret(record.id, record.sealed) if self._vault is not None else None
        if secret is None:
            self._keys.pop(record.id, None)
        else:
            self._keys[record.id] = Key(record, secret, Secret(secret) if record.status == "Active" else None)

    def _lasts(self, session: Session) -> bool:
        """Whether the role or user of a session is still the same."""
        if session.kind == "root":
            return True
        kind: type[Holder] = Role if session.kind == "role" else User
        held = self.find(kind, session.account, session.name)
        return held is not None and held.record.uid == session.uid

    def _identity(self, access_key_id: str) -> Identity | None:
        key = self._keys[access_key_id]
        if key.usable is None:
            return None
        if key.record.user is None:
            return Identity(principals.root(key.record.account))
        held = self.find(User, key.record.account, key.record.user)
        if held is None or held.record.uid != key.record.user_uid:
            return None
        return self.user_identity(held.record)

    def user_identity(self, user: User) -> Identity:
        """A user with its policies."""
        return self._holder_identity(principals.user(user.arn, user.uid, user.tags), user, None)

    def role_identity(self, role: Role, session: str) -> Identity:
        """A role with its policies, as a service that was given it has them."""
        principal = principals.role_session(role.arn, session, role.uid, role.tags)
        return self._holder_identity(principal, role, None)

    def _session_identity(self, session: Session) -> Identity | None:
        passed = [session.policy] if session.policy is not None else []
        passed += [policy.document for arn in session.policy_arns if (policy := self.find_policy(arn)) is not None]
        capped = session.policy is not None or bool(session.policy_arns)
        own = tuple(identity_policy(document) for document in passed) if capped else None
        if session.kind == "root":
            return Identity(principals.root(session.account), session=own)
        if session.kind == "user":
            user = self.find(User, session.account, session.name)
            return None if user is None else self.user_identity(user.record)
        role = self.find(Role, session.account, session.name)
        if role is None:
            return None
        principal = principals.role_session(role.record.arn, session.session, role.record.uid, role.record.tags)
        return self._holder_identity(principal, role.record, own)

    def _holder_identity(self, principal: Principal, holder: Holder, session: tuple[Policy, ...] | None) -> Identity:
        attached = [policy.document for arn in holder.attached if (policy := self.find_policy(arn)) is not None]
        boundary = None
        if holder.boundary is not None:
            bounding = self.find_policy(holder.boundary)
            boundary = identity_policy(_DENY_ALL if bounding is None else bounding.document)
        policies = tuple(identity_policy(document) for document in [*holder.inline.values(), *attached])
        return Identity(principal, policies, boundary, session)


@lru_cache(maxsize=POLICIES_KEPT)
def identity_policy(document: str) -> Policy:
    """A policy that was stored, ready to be asked."""
    try:
        return parse_policy(document, PolicyKind.IDENTITY)
    except MalformedPolicy as error:
        logger.error("a stored policy cannot be read, and denies everything: %s", error)
        return parse_policy(_DENY_ALL, PolicyKind.IDENTITY)


@lru_cache(maxsize=POLICIES_KEPT)
def trust_policy(document: str) -> Policy | None:
    """A role's trust policy; None, which trusts nobody, for one that cannot be read any more."""
    try:
        return parse_policy(document, PolicyKind.TRUST)
    except MalformedPolicy as error:
        logger.error("a stored trust policy cannot be read, and trusts nobody: %s", error)
        return None
