"""The logs service: what its operations share, put together once; and what goes on in the background."""

import logging
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from penstock.core.context import Caller
from penstock.core.errors import ServiceError
from penstock.core.ids import AccountId, Region
from penstock.core.limits import HOUR_MS
from penstock.core.log_errors import LogError
from penstock.core.ports import Clock, Entropy, Tasks
from penstock.engines.api import MetaStore, MetaUnavailable
from penstock.services.logs.events import Events, Told
from penstock.services.logs.inbox import Inbox, Target
from penstock.services.logs.records import Records
from penstock.services.logs.state import GROUPS, ROOT, Group, LogStream

logger = logging.getLogger(__name__)

UID_BYTES: Final = 8
_ARN: Final = re.compile(
    r"arn:aws[a-z-]*:logs:(?P<region>[a-z0-9-]+):(?P<account>\d{12}):log-group:(?P<name>[.\-_/#A-Za-z0-9]{1,512})(?::\*)?",
    re.ASCII,
)


@dataclass(slots=True)
class Logs:
    """Everything that an operation of this service may need; and where other services put events (sink.py)."""

    records: Records
    events: Events
    clock: Clock
    entropy: Entropy
    tasks: Tasks
    inbox: Inbox = field(init=False)

    def __post_init__(self) -> None:
        self.inbox = Inbox(self._take, self.clock, self.tasks)

    # Looking things up

    async def group(self, caller: Caller, name: str | None, identifier: str | None = None) -> tuple[Group, int]:
        """The group that a name, or a name or ARN, means, and its version.  Raises NO_GROUP, and what `name_of` raises."""
        account, region, found = name_of(caller, name, identifier)
        held = await self.records.group(account, region, found)
        if held is None:
            raise LogError.NO_GROUP()
        return held

    async def stream(self, group: Group, name: str) -> LogStream:
        """A stream of a group.  Raises NO_STREAM."""
        held = await self.records.stream(group, name)
        if held is None:
            raise LogError.NO_STREAM()
        return held[0]

    def new_uid(self) -> str:
        """A uid that nothing had before."""
        return self.entropy.bytes(UID_BYTES).hex()

    def new_group(self, account: AccountId, region: Region, name: str) -> Group:
        """A group that is not stored yet."""
        return Group(account=account, region=region, name=name, uid=self.new_uid(), created_ms=self.clock.now_ms())

    def new_stream(self, group: Group, name: str) -> LogStream:
        """A stream that is not stored yet."""
        return LogStream(group_uid=group.uid, name=name, uid=self.new_uid(), created_ms=self.clock.now_ms())

    # Events of the server's own services

    def put(self, account: str, region: str, group: str, stream: str, at_ms: int, message: str) -> None:
        """Keep an event, a little later; see sink.py."""
        self.inbox.put(Target(account, region, group, stream), at_ms, message)

    async def _take(self, target: Target, batch: Sequence[Told]) -> None:
        """Write a batch; group and stream are made where they are missing."""
        group = await self._made_group(target)
        stream = self.new_stream(group, target.stream)
        if await self.records.stream(group, target.stream) is None:
            with suppress(ServiceError):  # somebody was quicker
                await self.records.add_stream(stream)
        await self.events.append(stream.key, batch, self.clock.now_ms())

    async def _made_group(self, target: Target) -> Group:
        account, region = AccountId(target.account), Region(target.region)
        for _ in range(2):
            held = await self.records.group(account, region, target.group)
            if held is not None:
                return held[0]
            with suppress(ServiceError):  # somebody was quicker
                await self.records.add_group(self.new_group(account, region, target.group))
        raise LogError.NO_GROUP()

    # In the background

    async def run(self) -> None:
        """Delete what has expired, for ever."""
        while True:
            try:
                await self.sweep()
            except MetaUnavailable as error:
                logger.warning("expired log events are not deleted for now: %s", error)
            await self.clock.sleep(HOUR_MS)

    async def sweep(self) -> None:
        """Delete what has expired, and what belongs to nothing any more."""
        await self.records.purge()
        async for group in self.records.all_groups(GROUPS):
            horizon_ms = group.horizon_ms(self.clock.now_ms())
            if horizon_ms:
                async for stream in self.records.streams(group):
                    await self.events.expire(stream, horizon_ms)

    def purge_soon(self) -> None:
        """Remove what was just deleted, in the background."""
        self.tasks.spawn(self.records.purge(), "deleted logs")

    async def clear(self) -> None:
        """Forget everything.  Background work must have been stopped."""
        await self.records.clear(ROOT)

    async def close(self) -> None:
        """Write what is in memory.  Background work must have been stopped.  Raises MetaUnavailable."""
        await self.inbox.flush()


def start_logs(meta: MetaStore, *, clock: Clock, entropy: Entropy, tasks: Tasks) -> Logs:
    """Start the service: nothing is read, the background work begins."""
    logs = Logs(Records(meta), Events(meta), clock, entropy, tasks)
    tasks.spawn(logs.run(), "log retention")
    return logs


def name_of(caller: Caller, name: str | None, identifier: str | None = None) -> tuple[AccountId, Region, str]:
    """The account, region and name of the group that an input means.

    Raises GROUP_UNNAMED, GROUP_NAMED_TWICE, GROUP_ARN; NO_GROUP for an ARN of another region.
    """
    if name is not None and identifier is not None:
        raise LogError.GROUP_NAMED_TWICE()
    given = name if name is not None else identifier
    if given is None:
        raise LogError.GROUP_UNNAMED()
    if not given.startswith("arn:"):
        return caller.account, caller.region, given
    match = _ARN.fullmatch(given)
    if match is None:
        raise LogError.GROUP_ARN(arn=given)
    if match["region"] != caller.region:
        raise LogError.NO_GROUP()
    return AccountId(match["account"]), caller.region, match["name"]
