"""Whose keys streams are encrypted with: those of the server's own KMS, or those of an external one; opened and closed as one."""

from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from penstock.core.errors import ServiceError
from penstock.core.ports import Clock, Entropy, Tasks
from penstock.core.settings import SettingError, Settings
from penstock.engine import Engine
from penstock.host.apimodels import load_model
from penstock.host.masterkey import MasterKeyFile
from penstock.host.remotekms import NoCredentials, RemoteKms
from penstock.services.binding import Admit, bind
from penstock.services.kms.guard import Guard
from penstock.services.kms.ops import alias, crypto, key, policy, rotation, tag
from penstock.services.kms.service import Kms, open_kms
from penstock.services.streams.envelope import KeyService
from penstock.wire.operation import Service

KMS_OPERATIONS: Final = (alias, crypto, key, policy, rotation, tag)


class KeyServices(NamedTuple):
    """What there is of KMS."""

    kms: Kms  # the server's own, which is served in any case
    keys: KeyService  # what streams ask
    close: Callable[[], None]

    def bind(self, admit: Admit | None) -> Service:
        """Its operations, each behind its gate."""
        return bind(load_model("kms"), KMS_OPERATIONS, self.kms, {}, admit)

    async def clear(self) -> None:
        """Forget every key, and ask no more.  Background work must have been stopped."""
        self.close()
        await self.kms.keys.clear()


async def open_keys(
    settings: Settings,
    engine: Engine,
    master_key: Path,
    clock: Clock,
    entropy: Entropy,
    tasks: Tasks,
    guard: Guard | None = None,
) -> KeyServices:
    """Open the server's KMS, and the external one if the settings name it.

    Raises SettingError for what cannot be used; the engine is closed then.
    """
    master = MasterKeyFile(master_key, entropy)
    try:
        kms = await open_kms(engine.meta, master, clock=clock, entropy=entropy, tasks=tasks, guard=guard)
        remote = RemoteKms(settings.kms_endpoint, clock) if settings.kms_endpoint else None
    except (ServiceError, NoCredentials) as error:
        await tasks.stop()
        await engine.close()
        what = f"--kms-endpoint: {error}" if isinstance(error, NoCredentials) else error.message
        raise SettingError(str(what)) from None
    if remote is None:
        return KeyServices(kms, kms, lambda: None)
    return KeyServices(kms, remote, remote.close)
