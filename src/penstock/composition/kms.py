"""KMS: its operations."""

from typing import Final

from penstock.composition.keys import open_keys
from penstock.composition.room import Plug, Room
from penstock.services.binding import Gate
from penstock.services.kms.ops import alias, crypto, key, policy, rotation, tag
from penstock.wire.operation import Codec

OPERATIONS: Final = (alias, crypto, key, policy, rotation, tag)
CODECS: Final[dict[str, Codec]] = {}


async def plug(room: Room) -> Plug:
    """Its own KMS, even where streams use another.  Of most operations the guard decides, once the key is found."""
    kms, authoriser = (await room.open(open_keys)).kms, room.authoriser
    if authoriser is None:
        return Plug(kms)

    def admit(operation: str) -> Gate | None:
        return authoriser.gate("kms", operation, {}) if authoriser.is_unnamed("kms", operation) else None

    return Plug(kms, admit)
