"""Destinations: where the documents of what was given up go.

Theory.  A queue or topic gets the document, a bucket the document with its records.  What may succeed later is tried again a few times;
then the records are lost, which is counted and logged: a destination never stops a shard for ever, as on AWS.
Rules of this file: what is refused in good order raises nothing; the answer is why it was not delivered, or None.
"""

from typing import Final

import msgspec

from penstock.core.ids import UUID_BYTES, uuid_text
from penstock.core.limits import SECOND_MS
from penstock.core.ports import Clock, Entropy
from penstock.services.functions.mapping.document import describe, object_key, with_payload
from penstock.services.functions.mapping.event import Wording
from penstock.services.functions.mapping.lane import Deliver
from penstock.services.functions.mapping.state import Mapping
from penstock.services.functions.outlets import Outlets, Sender, Undelivered, kind_of

TRIES: Final = 4  # UNVERIFIED: how often, and how long, AWS tries
PAUSE_MS: Final = SECOND_MS


class Destinations:
    """Sends documents."""

    def __init__(self, outlets: Outlets, clock: Clock, entropy: Entropy) -> None:
        self._outlets = outlets
        self._clock = clock
        self._entropy = entropy

    async def send(self, mapping: Mapping, stream_arn: str, wording: Wording, doomed: Deliver) -> str | None:
        """Deliver a document; answer why it could not be."""
        now_ms, arn = self._clock.now_ms(), mapping.destination or ""
        document = describe(
            doomed.verdict, doomed.rows, wording.source,
            function=mapping.function, stream=stream_arn, at_ms=now_ms, request_id=self._new_id(),
        )  # fmt: skip
        key = object_key(mapping.uuid, wording.shard_id, now_ms, self._new_id())
        whole = kind_of(arn) == "s3"
        body = with_payload(document, wording, doomed.rows, doomed.window) if whole else msgspec.json.encode(document)
        return await self._try(Sender(mapping.account, wording.source.role), arn, body, key)

    async def _try(self, sender: Sender, arn: str, body: bytes, key: str) -> str | None:
        turn = 0
        while True:
            try:
                await self._outlets.deliver(sender, arn, body, key)
            except Undelivered as problem:
                turn += 1
                if not problem.again or turn == TRIES:
                    return str(problem)
            else:
                return None
            await self._clock.sleep(PAUSE_MS << turn - 1)

    def _new_id(self) -> str:
        return uuid_text(self._entropy.bytes(UUID_BYTES))
