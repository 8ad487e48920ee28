"""Whose keys streams are encrypted with: those of the server's own KMS, or those of an external one; opened and closed as one."""

from collections.abc import Mapping
from typing import NamedTuple

from penstock.composition.room import Held, Room
from penstock.core.context import Caller
from penstock.core.errors import ServiceError
from penstock.core.kms_errors import KmsError
from penstock.core.settings import SettingError
from penstock.host.masterkey import MasterKeyFile
from penstock.host.remotekms import NoCredentials, RemoteKms
from penstock.services.iam.authorisation import Authoriser
from penstock.services.iam.evaluate import Need
from penstock.services.kms.guard import Guard, OpenGuard
from penstock.services.kms.service import Kms, open_kms
from penstock.services.kms.state import Key
from penstock.services.streams.envelope import KeyService
from penstock.services.targets import Target


class KeyServices(NamedTuple):
    """What there is of KMS."""

    kms: Kms  # the server's own, which is served in any case
    keys: KeyService  # what streams ask


class KeyGuard:
    """With `--auth enforced`: keys are used as their policies, and those of who asks, allow."""

    def __init__(self, authoriser: Authoriser) -> None:
        self._authoriser = authoriser

    def refusal(self, caller: Caller, action: str, key: Key, context: Mapping[str, str]) -> ServiceError | None:
        """Why a caller may not do `action` with a key."""
        own = key.manager == "AWS" and caller.account == key.account
        if own and not caller.operation.startswith("kms:"):
            return None  # AWS's policy of it lets the account's principals use it through the service that it is for
        target = Target(key.arn, key.account, None if own else key.policy, key.tags)
        why = self._authoriser.why_not(caller, action, target, None, Need.UNION if own else Need.REQUIRED)
        return None if why is None else KmsError.DENIED(text=why)

    def check_policy(self, text: str) -> str | None:
        """What is wrong with a key policy."""
        return self._authoriser.problem_of(text)


async def open_keys(room: Room) -> Held[KeyServices]:
    """Open the server's KMS, and the external one if the settings name it.  Raises SettingError for what cannot be used."""
    guard: Guard = OpenGuard() if room.authoriser is None else KeyGuard(room.authoriser)
    master, endpoint = MasterKeyFile(room.master_key, room.entropy), room.settings.kms_endpoint
    try:
        remote = RemoteKms(endpoint, room.clock) if endpoint else None
        kms = await open_kms(
            room.engine.meta, master, clock=room.clock, entropy=room.entropy, tasks=room.tasks, guard=guard
        )
    except NoCredentials as error:
        raise SettingError(f"--kms-endpoint: {error}") from None
    except ServiceError as error:
        raise SettingError(str(error.message)) from None
    if remote is None:
        return Held(KeyServices(kms, kms), kms.keys.clear)

    async def close() -> None:
        remote.close()

    return Held(KeyServices(kms, remote), kms.keys.clear, close)


def why_role_may_not_decrypt(room: Room, role_arn: str, session: str, arn: str) -> str | None:
    """Why a service may not decrypt with a key, as a role of the key's account that it was given; None if it may."""
    opened = room.opened(open_keys)
    held = None if opened is None else opened.kms.keys.find_id(arn.rpartition("/")[2])
    if room.authoriser is None or held is None or held.record.manager == "AWS":
        return None  # a key of an external KMS is judged there
    key = held.record
    target = Target(key.arn, key.account, key.policy, key.tags)
    return room.authoriser.why_role_not(role_arn, session, "kms:Decrypt", target, Need.REQUIRED)
