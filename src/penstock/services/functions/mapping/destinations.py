"""Destinations: where the documents of what was given up go.

Theory.  A queue or topic gets the document, a bucket the document with its records.  What may succeed later is tried again a few times;
then the records are lost, which is counted and logged: a destination never stops a shard for ever, as on AWS.
Rules of this file: what is refused in good order raises nothing; the answer is why it was not delivered, or None.
"""

import logging
from collections.abc import Mapping as Dictionary
from typing import Final, Protocol

import msgspec

from penstock.core.errors import ServiceError
from penstock.core.ids import UUID_BYTES, uuid_text
from penstock.core.limits import SECOND_MS
from penstock.core.ports import Clock, Entropy
from penstock.engines.api import AppendError, MetaUnavailable
from penstock.services.functions.mapping.document import describe, object_key, with_payload
from penstock.services.functions.mapping.event import Wording
from penstock.services.functions.mapping.lane import Deliver
from penstock.services.functions.mapping.state import Mapping

logger = logging.getLogger(__name__)

TRIES: Final = 4  # UNVERIFIED: how often, and how long, AWS tries
PAUSE_MS: Final = SECOND_MS


class Undelivered(Exception):
    """Why a document was not delivered."""

    def __init__(self, why: str, *, again: bool) -> None:
        super().__init__(why)
        self.again = again  # it may succeed later


class Queues(Protocol):
    """Where queues are."""

    async def send(self, account: str, arn: str, body: str, attributes: Dictionary[str, str]) -> str:
        """Send a message.  Raises ServiceError."""
        ...


class Topics(Protocol):
    """Where topics are."""

    async def publish(self, account: str, arn: str, message: str, attributes: Dictionary[str, str]) -> str:
        """Publish a message.  Raises ServiceError."""
        ...


class ObjectStore(Protocol):
    """Where buckets are."""

    async def store(self, bucket: str, key: str, body: bytes) -> None:
        """Store a JSON document.  Raises Undelivered."""
        ...


class Destinations:
    """Sends documents."""

    def __init__(
        self, queues: Queues | None, topics: Topics | None, objects: ObjectStore | None, clock: Clock, entropy: Entropy
    ) -> None:
        self._queues = queues
        self._topics = topics
        self._objects = objects
        self._clock = clock
        self._entropy = entropy

    async def send(self, mapping: Mapping, stream_arn: str, wording: Wording, doomed: Deliver) -> str | None:
        """Deliver a document; answer why it could not be."""
        now_ms = self._clock.now_ms()
        document = describe(
            doomed.verdict, doomed.rows, wording.source,
            function=mapping.function, stream=stream_arn, at_ms=now_ms, request_id=self._new_id(),
        )  # fmt: skip
        key = object_key(mapping.uuid, wording.shard_id, now_ms, self._new_id())
        why = None
        for turn in range(TRIES):
            if turn:
                await self._clock.sleep(PAUSE_MS << turn - 1)
            try:
                await self._send(mapping, document, key, wording, doomed)
            except Undelivered as error:
                why = str(error)
                if not error.again:
                    return why
            except ServiceError as error:
                return f"{error.code}: {error.message}"
            except (AppendError, MetaUnavailable) as error:  # a queue's storage is away
                why = str(error)
            else:
                return None
        return why

    async def _send(
        self, mapping: Mapping, document: Dictionary[str, object], key: str, wording: Wording, doomed: Deliver
    ) -> None:
        arn = mapping.destination or ""
        service, bucket = arn.split(":")[2], arn.rpartition(":")[2]
        text = msgspec.json.encode(document).decode()
        if service == "sqs" and self._queues is not None:
            await self._queues.send(mapping.account, arn, text, {})
        elif service == "sns" and self._topics is not None:
            await self._topics.publish(mapping.account, arn, text, {})
        elif service == "s3" and self._objects is not None:
            body = with_payload(document, wording, doomed.rows, doomed.window)
            await self._objects.store(bucket, key, body)
        else:
            raise Undelivered(f"there is no service for {arn}", again=False)

    def _new_id(self) -> str:
        return uuid_text(self._entropy.bytes(UUID_BYTES))
