"""Keys and aliases: the view in memory that every operation looks them up in, fed by one scan at start and then by the watch.

Theory.  A key is named by its id, its ARN, an alias or an alias's ARN.  What a name means is decided when it is used: an alias may be
given another key at any time, and a key whose deletion is due is gone from that moment on, whether it was swept or not.
Rules of this file:
  1. The view is changed in `_apply` and nowhere else.
  2. Key material is opened when it is first used, and kept only in memory, until its key changes.
"""

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Generic, NamedTuple, Protocol, TypeVar

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from penstock.core.context import Caller
from penstock.core.ids import AccountId, Region
from penstock.core.kms_errors import KmsError
from penstock.core.ports import Clock
from penstock.engines.api import Change, Conflict, MetaStore, Write
from penstock.services.kms.state import (
    ROOT,
    Alias,
    Key,
    KeyState,
    Material,
    Place,
    alias_arn,
    alias_key,
    decode,
    encode,
    key_arn,
)
from penstock.services.kms.vault import Vault

Record = TypeVar("Record", Key, Alias)
Result = TypeVar("Result")

AWS_ALIASES: Final = "alias/aws/"
_ARN = re.compile(r"arn:aws[a-z-]*:kms:(?P<region>[a-z0-9-]*):(?P<account>\d{12}):(?P<rest>(key|alias)/.+)", re.ASCII)
_KEY_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|mrk-[0-9a-f]{32}", re.ASCII)


class MasterKeys(Protocol):
    """Where the server's master key is."""

    async def read(self) -> bytes | None:
        """The key, or None if there is none yet.  Raises OSError, ValueError."""
        ...

    async def make(self) -> bytes:
        """The key, made now if there is none."""
        ...


class Held(NamedTuple, Generic[Record]):
    """A record and the version that its next writer must name."""

    record: Record
    version: int


class Keys:
    """Every key and alias."""

    def __init__(self, meta: MetaStore, master: MasterKeys, clock: Clock) -> None:
        self._meta = meta
        self._master = master
        self._clock = clock
        self._vault: Vault | None = None
        self._keys: dict[str, Held[Key]] = {}  # by id: a UUID is unique wherever it was made
        self._aliases: dict[str, Held[Alias]] = {}  # by MetaStore key
        self._opened: dict[tuple[str, int], AESGCM] = {}  # material, by key id and number

    async def open(self) -> None:
        """Read what the store holds and follow it from then on.  Raises MASTER_KEY for a file that holds none."""
        found = await self._ask(self._master.read)
        self._vault = None if found is None else Vault(found)
        self._meta.watch(ROOT, self._apply)
        self._apply([Change(key, value) for key, value in await self._meta.scan(ROOT)])

    async def vault(self) -> Vault:
        """The vault, its master key made now if there is none.  Raises MASTER_KEY."""
        if self._vault is None:
            found = await self._ask(self._master.read)
            if found is None and self._keys and self._vault is None:  # or another call made both meanwhile
                raise KmsError.MASTER_KEY(problem="keys were made under one that is not there; put it back")
            self._vault = Vault(await self._ask(self._master.make) if found is None else found)
        return self._vault

    # Lookups

    def find_id(self, key_id: str) -> Held[Key] | None:
        """The key with an id, wherever it lives."""
        held = self._keys.get(key_id)
        return None if held is None or held.record.gone(self._clock.now_ms()) else held

    def find_alias(self, place: Place, name: str) -> Held[Alias] | None:
        """An alias whose key is there."""
        held = self._aliases.get(alias_key(place, name))
        return held if held is not None and self.find_id(held.record.key_id) is not None else None

    def find(self, caller: Caller, text: str) -> Held[Key]:
        """The key that a text names, of whatever account.  Raises NO_KEY, NO_KEY_ID, NO_ALIAS, OTHER_REGION."""
        place, rest = place_of(caller, text)
        if rest.startswith("alias/"):
            alias = self.find_alias(place, rest)
            found = None if alias is None else self.find_id(alias.record.key_id)
            if found is None:
                raise KmsError.NO_ALIAS(arn=alias_arn(place, rest))
            return found
        found = self.find_id(rest.removeprefix("key/"))
        if found is None or found.record.place != place:
            raise KmsError.NO_KEY(arn=key_arn(place, rest.removeprefix("key/")))
        return found

    def of(self, place: Place) -> list[Key]:
        """The keys of an account and region, by id."""
        now_ms = self._clock.now_ms()
        found = (held.record for held in self._keys.values())
        return sorted((key for key in found if key.place == place and not key.gone(now_ms)), key=lambda key: key.id)

    def aliases(self, place: Place) -> list[Alias]:
        """The aliases of an account and region, by name."""
        prefix = alias_key(place, "")
        found = (held.record for key, held in self._aliases.items() if key.startswith(prefix))
        return sorted((each for each in found if self.find_id(each.key_id) is not None), key=lambda each: each.name)

    def state(self, key: Key) -> KeyState:
        """The state of a key."""
        if key.deletion_ms is not None:
            return "PendingDeletion"
        if not key.enabled:
            return "Disabled"
        return "Enabled" if self.opened(key, key.materials[-1]) is not None else "Unavailable"

    def check_usable(self, key: Key) -> None:
        """Raise DISABLED, PENDING_DELETION or UNAVAILABLE unless a key encrypts and decrypts."""
        match self.state(key):
            case "Enabled":
                return
            case "Disabled":
                raise KmsError.DISABLED(arn=key.arn)
            case "PendingDeletion":
                raise KmsError.PENDING_DELETION(arn=key.arn)
            case "Unavailable":
                raise KmsError.UNAVAILABLE(arn=key.arn)

    def opened(self, key: Key, material: Material) -> AESGCM | None:
        """Material ready for use; None if the master key does not open it."""
        known = self._opened.get((key.id, material.no))
        if known is None and self._vault is not None:
            known = self._vault.open(key.arn, material.no, material.sealed)
            if known is not None:
                self._opened[key.id, material.no] = known
        return known

    def all(self) -> list[Held[Key]]:
        """Every key that is stored, also one whose deletion is due."""
        return list(self._keys.values())

    def stored_alias(self, place: Place, name: str) -> Held[Alias] | None:
        """An alias that is stored, also one whose key is gone."""
        return self._aliases.get(alias_key(place, name))

    # Changes

    async def store(self, record: Key | Alias, version: int, *more: Write) -> None:
        """Store a record at the version that it replaces (0: new).  Raises Conflict if another change came first."""
        await self._meta.commit([Write(record.key, encode(record), version), *more])

    async def remove(self, held: Held[Key]) -> None:
        """Forget a key with its aliases.  Raises Conflict."""
        names = [
            Write(alias.record.key, None, alias.version)
            for alias in self._aliases.values()
            if alias.record.key_id == held.record.id
        ]
        await self._meta.commit([Write(held.record.key, None, held.version), *names])

    async def remove_alias(self, held: Held[Alias]) -> None:
        """Forget an alias.  Raises Conflict."""
        await self._meta.commit([Write(held.record.key, None, held.version)])

    async def change(self, key_id: str, how: Callable[[Key], Key]) -> None:
        """Replace a key by what `how` makes of it; again on top of another change that came first."""
        while (held := self.find_id(key_id)) is not None:
            try:
                await self.store(how(held.record), held.version)
            except Conflict:
                continue
            return

    async def clear(self) -> None:
        """Forget every key and alias.  Nothing else may be changing them."""
        keys = [Write(held.record.key, None, held.version) for held in self._keys.values()]
        aliases = [Write(held.record.key, None, held.version) for held in self._aliases.values()]
        if keys or aliases:
            await self._meta.commit([*keys, *aliases])

    def _apply(self, changes: Sequence[Change]) -> None:
        for key, now in changes:
            if now is None:
                self._aliases.pop(key, None)
                self._forget(key.rpartition("/")[2])
                continue
            record = decode(key, now.value)
            if isinstance(record, Key):
                known = self._keys.get(record.id)
                if known is None or now.version > known.version:  # else: from the scan at start, overtaken by the watch
                    self._keys[record.id] = Held(record, now.version)
            elif isinstance(record, Alias):
                named = self._aliases.get(key)
                if named is None or now.version > named.version:
                    self._aliases[key] = Held(record, now.version)

    def _forget(self, key_id: str) -> None:
        held = self._keys.pop(key_id, None)
        for material in held.record.materials if held is not None else ():
            self._opened.pop((key_id, material.no), None)

    async def _ask(self, question: Callable[[], Awaitable[Result]]) -> Result:
        try:
            return await question()
        except (OSError, ValueError) as error:
            text = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else str(error)
            raise KmsError.MASTER_KEY(problem=text) from None


def place_of(caller: Caller, text: str) -> tuple[Place, str]:
    """The place in which a text names something, and what: "key/..." or "alias/...".  Raises NO_KEY_ID, OTHER_REGION."""
    match = _ARN.fullmatch(text)
    if match is not None:
        if match["region"] != caller.region:
            raise KmsError.OTHER_REGION(region=match["region"])
        return Place(AccountId(match["account"]), Region(match["region"])), match["rest"]
    place = Place(caller.account, caller.region)
    if text.startswith("alias/"):
        return place, text
    if not _KEY_ID.fullmatch(text):
        raise KmsError.NO_KEY_ID(key_id=text)
    return place, f"key/{text}"
