"""The KMS service: what its operations share, put together once; and how other services use its keys."""

import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from msgspec.structs import replace

from penstock.core.context import Caller
from penstock.core.errors import ServiceError
from penstock.core.ids import UUID_BYTES, Millis, uuid_text
from penstock.core.kms_errors import KmsError
from penstock.core.limits import DAY_MS, HOUR_MS
from penstock.core.ports import Clock, Entropy, Tasks
from penstock.engines.api import Conflict, MetaStore, MetaUnavailable, Write
from penstock.services.kms.guard import Guard, OpenGuard
from penstock.services.kms.keyring import DataKey, Keyring
from penstock.services.kms.keys import AWS_ALIASES, Held, Keys, MasterKeys, place_of
from penstock.services.kms.managed import MANAGED, managed_policy
from penstock.services.kms.state import (
    Alias,
    Key,
    Manager,
    Material,
    Place,
    RotationType,
    encode,
)
from penstock.services.kms.vault import MATERIAL_BYTES, NONCE_BYTES

logger = logging.getLogger(__name__)

SWEEP_MS: Final = (
    HOUR_MS  # how late a key's material may be deleted or rotated; it is not usable any longer than it should
)
_DATA_KEY_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Kms:
    """Everything that an operation of this service may need."""

    keys: Keys
    keyring: Keyring
    guard: Guard
    clock: Clock
    entropy: Entropy

    def find(self, caller: Caller, text: str, context: Mapping[str, str] | None = None) -> Held[Key]:
        """The key that a request names and its caller may use for its operation.  Raises what Keys.find raises, and DENIED."""
        held = self._find(caller, text)
        self.check_allowed(caller, caller.operation, held.record, context or {})
        return held

    def find_own(self, caller: Caller, text: str) -> Held[Key]:
        """As `find`, of keys that customers manage.  Raises AWS_MANAGED."""
        held = self.find(caller, text)
        if held.record.manager == "AWS":
            raise KmsError.AWS_MANAGED(principal=caller.arn, action=caller.operation, arn=held.record.arn)
        return held

    def check_allowed(self, caller: Caller, action: str, key: Key, context: Mapping[str, str]) -> None:
        """Raise what the guard refuses with."""
        refusal = self.guard.refusal(caller, action, key, context)
        if refusal is not None:
            raise refusal

    def _find(self, caller: Caller, text: str) -> Held[Key]:
        """The key that a text names.  What is another account's and does not exist cannot be told from what is not allowed."""
        place, rest = place_of(caller, text)
        if place.account == caller.account or not rest.startswith("key/"):
            return self.keys.find(caller, text)
        held = self.keys.find_id(rest.removeprefix("key/"))
        if held is None or held.record.place != place:
            raise KmsError.OTHER_ACCOUNT(principal=caller.arn, action=caller.operation, arn=text)
        return held

    # Making keys

    async def create(
        self, place: Place, policy: str, description: str, tags: dict[str, str], manager: Manager = "CUSTOMER"
    ) -> Key:
        """A new key, enabled.  Raises MASTER_KEY."""
        key = await self._new_key(place, policy, description, tags, manager)
        await self.keys.store(key, 0)
        return key

    async def _new_key(
        self, place: Place, policy: str, description: str, tags: dict[str, str], manager: Manager
    ) -> Key:
        key = Key(
            account=place.account,
            region=place.region,
            id=uuid_text(self.entropy.bytes(UUID_BYTES)),
            created_ms=self.clock.now_ms(),
            manager=manager,
            description=description,
            policy=policy,
            tags=tags,
            materials=(),
            rotation_days=365 if manager == "AWS" else None,
            rotation_from_ms=self.clock.now_ms() if manager == "AWS" else None,
        )
        return replace(key, materials=(await self._material(key, 1, None),))

    async def _material(self, key: Key, number: int, rotation: RotationType | None) -> Material:
        vault = await self.keys.vault()
        material, nonce = self.entropy.bytes(MATERIAL_BYTES), self.entropy.bytes(NONCE_BYTES)
        return Material(number, vault.seal(key.arn, number, material, nonce), self.clock.now_ms(), rotation)

    async def rotate(self, held: Held[Key], how: RotationType) -> None:
        """Give a key new material; the old one still decrypts.  Raises Conflict."""
        key = held.record
        fresh = await self._material(key, key.materials[-1].no + 1, how)
        began_ms = self.clock.now_ms() if key.rotation_days is not None else None
        rotated = replace(key, materials=(*key.materials, fresh), rotation_from_ms=began_ms)
        await self.keys.store(rotated, held.version)

    async def ensure_managed(self, caller: Caller, text: str) -> None:
        """Make the AWS managed key that a predefined alias of the caller's account names, if it is not there."""
        place, name = place_of(caller, text)
        if not name.startswith(AWS_ALIASES) or place.account != caller.account:
            return
        if self.keys.find_alias(place, name) is not None:
            return
        service = name.removeprefix(AWS_ALIASES)
        if service not in MANAGED:
            return
        key = await self._new_key(place, managed_policy(place, service), MANAGED[service], {}, "AWS")
        alias = Alias(
            account=place.account,
            region=place.region,
            name=name,
            key_id=key.id,
            created_ms=key.created_ms,
            updated_ms=key.created_ms,
        )
        try:
            await self.keys.store(key, 0, Write(alias.key, encode(alias), 0))
        except Conflict:  # another call was quicker
            return

    # For other services

    async def resolve(self, caller: Caller, text: str) -> str:
        """The ARN of the key that a text means now, which can be used; `alias/aws/kinesis` is made if it is not there."""
        await self.ensure_managed(caller, text)
        key = self._find(caller, text).record
        self.keys.check_usable(key)
        return key.arn

    async def generate(self, caller: Caller, arn: str, context: Mapping[str, str]) -> DataKey:
        """A data key of 32 bytes under a key."""
        return self.keyring.generate(self._find(caller, arn).record, _DATA_KEY_BYTES, context)

    async def decrypt(self, caller: Caller, arn: str, blob: bytes, context: Mapping[str, str]) -> bytes:
        """A data key again."""
        return self.keyring.decrypt(self._find(caller, arn).record, blob, context)

    def authorize(self, caller: Caller, action: str, arn: str, context: Mapping[str, str]) -> None:
        """Raise DENIED if a caller may not use a key.  One that is not there is for others to report."""
        held = self.keys.find_id(arn.rpartition("/")[2])
        if held is not None:
            self.check_allowed(caller, action, held.record, context)

    # In the background

    async def run(self) -> None:
        """Delete and rotate what is due, for ever."""
        while True:
            await self.clock.sleep(SWEEP_MS)
            try:
                await self.sweep()
            except (MetaUnavailable, ServiceError) as error:  # the disk is full or away, or the master key is
                logger.warning("keys are not deleted or rotated for now: %s", error)

    async def sweep(self) -> None:
        """Delete the material of keys that are gone, and rotate those whose period is over."""
        for held in self.keys.all():
            with suppress(Conflict):  # another change came first: the next sweep looks again
                if held.record.gone(self.clock.now_ms()):
                    await self.keys.remove(held)
                elif self._rotation_due(held.record):
                    await self.rotate(held, "AUTOMATIC")

    def _rotation_due(self, key: Key) -> bool:
        due_ms = next_rotation_ms(key)
        return due_ms is not None and key.enabled and key.deletion_ms is None and self.clock.now_ms() >= due_ms


def next_rotation_ms(key: Key) -> Millis | None:
    """When a key is rotated next by itself."""
    if key.rotation_days is None or key.rotation_from_ms is None:
        return None
    return Millis(key.rotation_from_ms + key.rotation_days * DAY_MS)


async def open_kms(
    meta: MetaStore, master: MasterKeys, *, clock: Clock, entropy: Entropy, tasks: Tasks, guard: Guard | None = None
) -> Kms:
    """Start the service: read its state, begin the background work.  Raises MASTER_KEY for a master key file that holds none."""
    keys = Keys(meta, master, clock)
    await keys.open()
    kms = Kms(keys, Keyring(keys, entropy), guard or OpenGuard(), clock, entropy)
    tasks.spawn(kms.run(), "keys")
    return kms
