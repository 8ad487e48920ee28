"""Outlets: where the records of events and of batches go, and the events that nobody could process.

Theory.  A queue, a topic, a bucket or another function, told apart by its ARN.  Whatever is sent is sent as the function's execution role,
which must be allowed to.  Who keeps queues and topics is opened when the first record goes to one.
Rules of this file:
  1. `deliver` raises Undelivered and nothing else, `send` only a cancellation: a record must never stop what is behind it.
  2. Nothing is sent to another account: a function must not be a way around that account's policies.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, NamedTuple, Protocol

from penstock.core.errors import ServiceError
from penstock.engines.api import AppendError, MetaUnavailable
from penstock.engines.buckets import (
    BadObjectName,
    BucketDenied,
    Buckets,
    BucketsUnavailable,
    NoSuchBucket,
    ObjectHead,
)
from penstock.services.targets import RoleRights

_ACTIONS: Final = {
    "sqs": "sqs:SendMessage",
    "sns": "sns:Publish",
    "s3": "s3:PutObject",
    "lambda": "lambda:InvokeFunction",
}
KINDS: Final = tuple(_ACTIONS)
_NUMBERS: Final = ("ErrorCode",)  # of a dead letter
_JSON: Final = ObjectHead(content_type="application/json")
_NO_ATTRIBUTES: Final[Mapping[str, str]] = MappingProxyType({})


TypedValue = tuple[str, str | bytes]  # "Number" and its text


class Queues(Protocol):
    """Where queues are."""

    async def send(self, account: str, arn: str, body: str, attributes: Mapping[str, str | TypedValue]) -> str:
        """Send a message.  Raises ServiceError, MetaUnavailable."""
        ...


class Topics(Protocol):
    """Where topics are."""

    async def publish(self, account: str, arn: str, message: str, attributes: Mapping[str, str]) -> str:
        """Publish a message.  Raises ServiceError, MetaUnavailable."""
        ...


class Undelivered(Exception):
    """Why a record was not delivered."""

    def __init__(self, why: str, *, again: bool = False) -> None:
        super().__init__(why)
        self.again = again  # it may succeed later


class Sender(NamedTuple):
    """A function that sends."""

    account: str
    role: str  # its execution role


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
    rights: RoleRights | None = None  # None: every role may

    async def send(
        self, sender: Sender, arn: str, body: bytes, key: str, attributes: Mapping[str, str] = _NO_ATTRIBUTES
    ) -> str | None:
        """As `deliver`, but answer why something was not delivered."""
        try:
            await self.deliver(sender, arn, body, key, attributes)
        except Undelivered as problem:
            return str(problem)
        return None

    async def deliver(
        self, sender: Sender, arn: str, body: bytes, key: str, attributes: Mapping[str, str] = _NO_ATTRIBUTES
    ) -> None:
        """Send a text in UTF-8 to whatever an ARN names; in a bucket it is put under `key`.  Raises Undelivered."""
        owner = [*arn.split(":"), *[""] * 5][4]
        if owner not in ("", sender.account):
            raise Undelivered(f"{arn} is another account's")
        try:
            await self._check_right(sender, arn, key)
            await self._deliver(sender, arn, body, key, attributes)
        except ServiceError as error:
            raise Undelivered(f"{error.code}: {error.message}") from None
        except (BadObjectName, BucketDenied, NoSuchBucket) as error:
            raise Undelivered(f"{type(error).__name__}: {error}") from None
        except (BucketsUnavailable, AppendError, MetaUnavailable) as error:  # what keeps it is away
            raise Undelivered(f"{type(error).__name__}: {error}", again=True) from None

    async def _check_right(self, sender: Sender, arn: str, key: str) -> None:
        kind = kind_of(arn)
        if self.rights is None or kind not in _ACTIONS:
            return
        why = await self.rights.why_not(sender.role, _ACTIONS[kind], f"{arn}/{key}" if kind == "s3" else arn)
        if why is not None:
            raise Undelivered(f"AccessDenied: {why}")

    async def _deliver(self, sender: Sender, arn: str, body: bytes, key: str, attributes: Mapping[str, str]) -> None:
        kind, account = kind_of(arn), sender.account
        if kind == "sqs" and self.queues is not None:
            typed = {name: ("Number" if name in _NUMBERS else "String", text) for name, text in attributes.items()}
            await (await self.queues()).send(account, arn, body.decode(errors="replace"), typed)
        elif kind == "sns" and self.topics is not None:
            await (await self.topics()).publish(account, arn, body.decode(errors="replace"), attributes)
        elif kind == "s3":
            await self.buckets.put(arn.rpartition(":")[2], key, body, _JSON)
        elif kind == "lambda" and self.functions is not None:
            await self.functions(account, arn, body)
        else:
            raise Undelivered(f"nothing here serves {arn}")
