"""The functions service: what its operations share, put together once."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeVar

from penstock.core.context import Caller
from penstock.core.function_errors import FunctionError
from penstock.core.ids import UUID_BYTES, AccountId, Millis, Region, uuid_text
from penstock.core.ports import Clock, Entropy, Tasks
from penstock.engines.api import BlobsUnavailable, MetaStore
from penstock.services.functions.directory import Directory, Held
from penstock.services.functions.events import EventQueue
from penstock.services.functions.invoking import Invocation, Invoked, Invoker
from penstock.services.functions.links import CodeLinks
from penstock.services.functions.names import FunctionName, read_name
from penstock.services.functions.outlets import Outlets
from penstock.services.functions.packages import Packages
from penstock.services.functions.state import Function, Version

logger = logging.getLogger(__name__)

Item = TypeVar("Item")

PAGE: Final = 50  # functions, versions, aliases of one answer, at most and where the caller does not say


class NoInvoker:
    """Where functions do not run."""

    async def invoke(self, invocation: Invocation) -> Invoked:
        """Refuse."""
        raise FunctionError.NOT_RUN()


class TaggedMappings(Protocol):
    """Event source mappings, as the operations on tags see them.  Every method raises a refusal for one that is not there."""

    def tags(self, account: str, region: str, uuid: str) -> Mapping[str, str]:
        """Its tags."""
        ...

    async def retag(
        self, account: str, region: str, uuid: str, change: Callable[[Mapping[str, str]], dict[str, str]]
    ) -> None:
        """Give it other tags."""
        ...


@dataclass(slots=True)
class Functions:
    """Everything that an operation of this service may need."""

    directory: Directory
    packages: Packages
    clock: Clock
    entropy: Entropy
    tasks: Tasks
    transition_ms: int
    invoker: Invoker
    links: CodeLinks
    events: EventQueue
    mappings: TaggedMappings | None = None  # when they are open
    reserving: asyncio.Lock = field(default_factory=asyncio.Lock)  # held by who looks at all reserves and adds to them

    def new_id(self) -> str:
        """A new revision id, or any other UUID."""
        return uuid_text(self.entropy.bytes(UUID_BYTES))

    def named(self, caller: Caller, text: str, qualifier: str | None = None) -> FunctionName:
        """What a name in an input means.  Raises what `read_name` raises."""
        return read_name(caller.account, caller.region, text, qualifier)

    def held(self, caller: Caller, text: str) -> Held:
        """The function that an operation on functions is about, whatever its qualifier.  Raises NO_FUNCTION."""
        return self.directory.held(self.named(caller, text))

    def changeable(self, caller: Caller, text: str) -> Held:
        """A function that may be changed now.  Raises NO_FUNCTION, NOT_ACTIVE, UPDATING."""
        held = self.held(caller, text)
        latest, now_ms = held.function.latest, self.clock.now_ms()
        if latest.state(now_ms) != "Active":
            raise FunctionError.NOT_ACTIVE(state=latest.state(now_ms))
        if latest.updating(now_ms):
            raise FunctionError.UPDATING(arn=held.function.arn)
        return held

    def found(self, caller: Caller, text: str, qualifier: str | None = None) -> tuple[FunctionName, Function, Version]:
        """The function and the version that an input names.  Raises NO_FUNCTION."""
        name = self.named(caller, text, qualifier)
        function = self.directory.held(name).function
        version = self.directory.version(function, name.qualifier)
        if version is None:
            raise FunctionError.NO_FUNCTION(arn=name.qualified_arn)
        return name, function, version

    def after_transition(self) -> Millis:
        """When a change that begins now is over."""
        return Millis(self.clock.now_ms() + self.transition_ms)

    async def hand_on(self, account: str, arn: str, payload: bytes) -> None:
        """Keep an event for another function, which a record is for.  Raises NO_FUNCTION, QUEUE_FULL."""
        name = read_name(AccountId(account), Region(arn.split(":")[3]), arn)
        self.directory.held(name)
        await self.events.put(name, payload)

    async def clear(self) -> None:
        """Forget everything.  Background work must have been stopped."""
        await self.directory.clear()
        await self.events.clear()


def page(items: Sequence[tuple[str, Item]], marker: str | None, max_items: int | None) -> tuple[list[Item], str | None]:
    """The items behind a marker, by their names in order, and the next marker.  Raises MARKER for one that is too long."""
    if marker is not None and len(marker) > 1024:
        raise FunctionError.MARKER()
    rest = [item for item in items if not marker or item[0] > marker]
    count = min(max_items or PAGE, PAGE)
    taken = rest[:count]
    return [item for _, item in taken], taken[-1][0] if len(rest) > len(taken) else None


async def open_functions(
    meta: MetaStore,
    packages: Packages,
    outlets: Outlets,
    *,
    clock: Clock,
    entropy: Entropy,
    tasks: Tasks,
    transition_ms: int,
    code_path: str,
    invoker: Invoker | None = None,
) -> Functions:
    """Start the service: read its state.  Events go on as soon as there is an invoker and `events.open` was called."""
    directory = Directory(meta, clock, entropy)
    await directory.open()
    needed = frozenset(
        code.blob for function in directory.all() for code in directory.codes(function) if code.blob is not None
    )
    try:
        await packages.sweep(needed)
    except BlobsUnavailable as error:
        logger.warning("code that nothing needs stays for now: %s", error)
    functions = Functions(
        directory,
        packages,
        clock,
        entropy,
        tasks,
        transition_ms,
        NoInvoker() if invoker is None else invoker,
        CodeLinks(clock, entropy, code_path),
        EventQueue(meta, directory, outlets, lambda: functions.invoker, clock, entropy, tasks),
    )
    outlets.functions = functions.hand_on
    return functions
