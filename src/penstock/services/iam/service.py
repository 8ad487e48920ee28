"""The identity service: what the operations of IAM and STS share, put together once."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from penstock.core.context import Caller
from penstock.core.identity_errors import IamError
from penstock.core.ids import AccountId, Millis
from penstock.core.limits import ACCESS_KEYS_MAX
from penstock.core.ports import Clock, Entropy
from penstock.engines.api import MetaStore
from penstock.services.iam import principals
from penstock.services.iam.evaluate import Identity
from penstock.services.iam.identities import Held, Identities, MasterKeyProblem, MasterKeys
from penstock.services.iam.issuers import Fetch, Issuers
from penstock.services.iam.principals import Principal
from penstock.services.iam.records import AccessKey, Account, Record, Role, User
from penstock.services.iam.vault import NONCE_BYTES, SECRET_BYTES, Session, Vault
from penstock.wire.json import encode_base64

_ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"  # of AWS's ids
_KEY_ID_CHARS: Final = 16
_UID_CHARS: Final = 17


class NewKey(NamedTuple):
    """A new access key; the only time that its secret is told."""

    record: AccessKey
    secret: str

    def __repr__(self) -> str:
        return f"NewKey({self.record.id})"


class Temporary(NamedTuple):
    """New temporary credentials."""

    key_id: str
    secret: str
    token: str
    expires_ms: Millis

    def __repr__(self) -> str:
        return f"Temporary({self.key_id})"


class Iam(Struct, frozen=True):
    """Everything that an operation of IAM or STS may need."""

    identities: Identities
    issuers: Issuers
    clock: Clock
    entropy: Entropy
    management: AccountId  # the account of the settings, which may let its principals into others

    def identity(self, caller: Caller) -> Identity:
        """Who calls, with its policies.  With `--auth open` credentials that are not known are the root's of the account."""
        now_ms = self.clock.now_ms()
        known = self.identities.identity_of(caller.access_key_id, caller.session_token, now_ms)
        return known or Identity(principals.root(caller.account))

    def principal(self, caller: Caller) -> Principal:
        """Who calls."""
        return self.identity(caller).principal

    def account(self, caller: Caller) -> AccountId:
        """The account that a call is about: that of who calls."""
        return AccountId(self.principal(caller).account)

    def find_user(self, account: str, name: str) -> Held[User]:
        """A user.  Raises NO_USER."""
        held = self.identities.find(User, account, name)
        if held is None:
            raise IamError.NO_USER(name=name)
        return held

    def find_role(self, account: str, name: str) -> Held[Role]:
        """A role.  Raises NO_ROLE."""
        held = self.identities.find(Role, account, name)
        if held is None:
            raise IamError.NO_ROLE(name=name)
        return held

    def uid(self, prefix: str) -> str:
        """A new id of a resource: AIDA of a user, AROA of a role, ANPA of a policy, AIPA of a profile."""
        return prefix + self._letters(_UID_CHARS)

    async def vault(self) -> Vault:
        """The vault.  Raises MASTER_KEY where the master key is missing or cannot be made."""
        try:
            return await self.identities.vault()
        except MasterKeyProblem as problem:
            raise IamError.MASTER_KEY(problem=problem) from None

    async def new_key(self, account: AccountId, user: Held[User] | None) -> NewKey:
        """Make and store an access key for a user, or for the root of an account, which exists from then on.

        Raises QUOTA for a third key, MODIFIED, MASTER_KEY.
        """
        name = None if user is None else user.record.name
        if len(self.identities.access_keys(account, name)) >= ACCESS_KEYS_MAX:
            raise IamError.QUOTA(quota="AccessKeysPerUser", limit=ACCESS_KEYS_MAX)
        vault, key_id = await self.vault(), "AKIA" + self._letters(_KEY_ID_CHARS)
        secret = encode_base64(self.entropy.bytes(SECRET_BYTES))
        now_ms = self.clock.now_ms()
        record = AccessKey(
            account=account,
            created_ms=now_ms,
            id=key_id,
            user=name,
            user_uid=None if user is None else user.record.uid,
            sealed=vault.seal_secret(key_id, secret, self.entropy.bytes(NONCE_BYTES)),
        )
        new = Account(account=account, created_ms=now_ms)
        held = self.identities.find_record(Account, new.key)
        writes: list[tuple[Record, int]] = [(record, 0)]
        writes.append((new, 0) if held is None else (held.record, held.version))  # counts keys one after another
        if user is not None:
            writes.append((user.record, user.version))  # or it might be deleted meanwhile
        await self.identities.commit(writes)
        return NewKey(record, secret)

    async def set_status(self, held: Held[AccessKey], *, active: bool) -> None:
        """Switch an access key on or off.  Raises MODIFIED."""
        changed = replace(held.record, status="Active" if active else "Inactive")
        await self.identities.commit([(changed, held.version)])

    async def temporary(self, session: Session) -> Temporary:
        """Credentials for a session.  Nothing is stored.  Raises MASTER_KEY."""
        vault, key_id = await self.vault(), "ASIA" + self._letters(_KEY_ID_CHARS)
        token = vault.seal_session(key_id, session, self.entropy.bytes(NONCE_BYTES))
        return Temporary(key_id, vault.session_secret(key_id), token, session.expires_ms)

    async def clear(self) -> None:
        """Forget everything but the root's access keys of the account of the settings: a test that starts anew must still get in."""

        def keep(record: Record) -> bool:
            own = record.account == self.management
            return own and (isinstance(record, Account) or (isinstance(record, AccessKey) and record.user is None))

        await self.identities.clear(keep)

    def _letters(self, count: int) -> str:
        return "".join(_ALPHABET[byte % len(_ALPHABET)] for byte in self.entropy.bytes(count))


async def open_iam(
    meta: MetaStore,
    master: MasterKeys,
    *,
    clock: Clock,
    entropy: Entropy,
    management: str,
    sources: Mapping[str, str],
    audiences: frozenset[str],
    fetch: Fetch,
    refused: type[Exception],
) -> Iam:
    """Start the service on a MetaStore.  Raises MasterKeyProblem.  For the arguments of web identities see Issuers."""
    identities = Identities(meta, master)
    await identities.open()
    issuers = Issuers(sources, audiences, clock, fetch, refused)
    return Iam(identities, issuers, clock, entropy, AccountId(management))
