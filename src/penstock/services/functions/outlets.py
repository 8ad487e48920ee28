"""Outlets: where the records of events go, and the events that nobody could process.

Theory.  A queue, a topic, a bucket or another function, told apart by its ARN.  Who keeps them is filled in by the composition; what is
not there is said in a log line, because the record of a function that failed must never stop the queue behind it.
Rules of this file:
  1. `send` answers why something was not delivered, or None; it raises nothing but a cancellation.
  2. Nothing is sent to another account: a function must not be a way around that account's policies.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from penstock.core.errors import ServiceError
from penstock.engines.buckets import (
    BadObjectName,
    BucketDenied,
    Buckets,
    BucketsUnavailable,
    NoSuchBucket,
    ObjectHead,
)

logger = logging.getLogger(__name__)

Kind = Literal["sqs", "sns", "s3", "lambda"]
KINDS: Final = ("sqs", "sns", "s3", "lambda")
_NUMBERS: Final = ("ErrorCode",)  # of a dead letter
_JSON: Final = ObjectHead(content_type="application/json")


TypedValue = tuple[str, str | bytes]  # "Number" and its text


class Queues(Protocol):
    """Where queues are."""

    async def send(self, account: str, arn: str, body: str, attributes: Mapping[str, str | TypedValue]) -> str:
        """Send a message.  Raises ServiceError."""
        ...


class Topics(Protocol):
    """Where topics are."""

    async def publish(self, account: str, arn: str, message: str, attributes: Mapping[str, str]) -> str:
        """Publish a message.  Raises ServiceError."""
        ...


def kind_of(arn: str) -> str:
    """Which service an ARN is of."""
    return [*arn.split(":"), "", "", ""][2]


@dataclass(slots=True)
class Outlets:
    """Sends records."""

    buckets: Buckets
    queues: Callable[[], Awaitable[Queues]] | None = None
    topics: Callable[[], Awaitable[Topics]] | None = None
    functions: Callable[[str, str, bytes], Awaitable[None]] | None = None  # of account, ARN and event

    async def send(
        self, account: str, arn: str, body: str, key: str, attributes: Mapping[str, str] | None = None
    ) -> str | None:
        """Send a text to whatever an ARN names; in a bucket it is put under `key`."""
        owner = [*arn.split(":"), *[""] * 5][4]
        if owner not in ("", account):
            return f"{arn} is another account's"
        try:
            return await self._send(account, arn, body, key, attributes or {})
        except ServiceError as error:
            return f"{error.code}: {error.message}"
        except (NoSuchBucket, BadObjectName, BucketDenied, BucketsUnavailable) as error:
            return f"{type(error).__name__}: {error}"

    async def _send(self, account: str, arn: str, body: str, key: str, attributes: Mapping[str, str]) -> str | None:
        kind = kind_of(arn)
        if kind == "sqs" and self.queues is not None:
            typed = {name: ("Number" if name in _NUMBERS else "String", text) for name, text in attributes.items()}
            await (await self.queues()).send(account, arn, body, typed)
        elif kind == "sns" and self.topics is not None:
            await (await self.topics()).publish(account, arn, body, attributes)
        elif kind == "s3":
            await self.buckets.put(arn.rpartition(":")[2], key, body.encode(), _JSON)
        elif kind == "lambda" and self.functions is not None:
            await self.functions(account, arn, body.encode())
        else:
            return f"nothing here serves {arn}"
        return None
