"""Keys for streams, from a KMS that is opened when the first stream needs one."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from penstock.composition.room import Room
from penstock.core.context import Caller

if TYPE_CHECKING:
    from penstock.services.streams.envelope import KeyService


class LateKeys:
    """A KeyService."""

    def __init__(self, room: Room) -> None:
        self._room = room

    async def open(self) -> "KeyService":
        """The KMS that streams ask.  Raises SettingError."""
        from penstock.composition.keys import open_keys

        return (await self._room.open(open_keys)).keys

    async def resolve(self, caller: Caller, text: str) -> str:
        """The ARN of the key that a key's id, ARN or alias means now."""
        return await (await self.open()).resolve(caller, text)

    async def generate(self, caller: Caller, arn: str, context: Mapping[str, str]) -> tuple[bytes, bytes]:
        """A new data key of 32 bytes: in plain, and encrypted."""
        return await (await self.open()).generate(caller, arn, context)

    async def decrypt(self, caller: Caller, arn: str, blob: bytes, context: Mapping[str, str]) -> bytes:
        """A data key in plain again."""
        return await (await self.open()).decrypt(caller, arn, blob, context)

    def authorize(self, caller: Caller, action: str, arn: str, context: Mapping[str, str]) -> None:
        """Raise if a caller may not use a key so; a KMS that nobody opened has no key, and that is for others to report."""
        from penstock.composition.keys import open_keys

        opened = self._room.opened(open_keys)
        if opened is not None:
            opened.keys.authorize(caller, action, arn, context)
