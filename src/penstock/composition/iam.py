"""IAM: its operations."""

from typing import Final

from penstock.composition.identities import open_identities
from penstock.composition.room import Plug, Room
from penstock.services.iam.ops import attachment, inline, key, policy, profile, role, user
from penstock.services.iam.targets import finders
from penstock.wire.operation import Codec

OPERATIONS: Final = (attachment, inline, key, policy, profile, role, user)
CODECS: Final[dict[str, Codec]] = {}


async def plug(room: Room) -> Plug:
    """Identities."""
    iam = await room.open(open_identities)
    return Plug(iam, None if room.authoriser is None else room.authoriser.admit("iam", finders(iam)))
