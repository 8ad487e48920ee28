"""The core of IAM and STS."""

import logging

from penstock.composition.room import Held, Room
from penstock.core.settings import SettingError, issuer_sources
from penstock.host.fetch import CannotFetch, fetch
from penstock.host.masterkey import MasterKeyFile
from penstock.services.iam.identities import MasterKeyProblem
from penstock.services.iam.service import Iam, open_iam

logger = logging.getLogger(__name__)


async def open_identities(room: Room) -> Held[Iam]:
    """Open it, and see that secrets can be opened.  Raises SettingError."""
    settings = room.settings
    try:
        iam = await open_iam(
            room.engine.meta,
            MasterKeyFile(room.master_key, room.entropy),
            clock=room.clock,
            entropy=room.entropy,
            management=settings.account_id,
            sources=issuer_sources(settings.oidc_issuer),
            audiences=frozenset(text.strip() for text in settings.oidc_audience.split(",")),
            fetch=fetch,
            refused=CannotFetch,
        )
    except MasterKeyProblem as problem:
        raise SettingError(str(problem)) from None
    lost = iam.identities.sealed_shut()
    if lost:
        text = f"the secrets of {len(lost)} access keys cannot be opened with {room.master_key}"
        if settings.auth == "enforced":
            raise SettingError(f"{text}: put the master key back, or revoke the keys (penstock credentials list)")
        logger.warning("%s: those keys are not known", text)
    return Held(iam, iam.clear)
