"""STS: its operations.  It judges its own calls, because trust policies are part of what it answers."""

from typing import Final

from penstock.composition.identities import open_identities
from penstock.composition.room import Plug, Room
from penstock.services.iam.ops import sts
from penstock.wire.operation import Codec

OPERATIONS: Final = (sts,)
CODECS: Final[dict[str, Codec]] = {}


async def plug(room: Room) -> Plug:
    """Identities."""
    iam = await room.open(open_identities)
    return Plug(iam)
