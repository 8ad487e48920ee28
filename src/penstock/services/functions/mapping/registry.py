"""The registry of mappings: what is kept of each, and how it goes from state to state.

Theory.  The MetaStore is the truth, this a view of it that every change goes through.  A change begins in a state of its own (Creating,
Enabling, Updating, Disabling, Deleting), in which the mapping takes no other change, and is over after the server's transition time; a
start carries on with what was between two states.  A mapping is at work (poller.py) while it is Enabled.
Rules of this file:
  1. A new mapping is stored together with its first checkpoints: LATEST is the moment of its creation.
  2. A mapping that is deleted takes its checkpoints with it, in the same commit.
  3. A poller is closed before what it works by is changed.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from collections.abc import Mapping as Dictionary
from contextlib import suppress
from typing import Final

from msgspec.structs import replace

from penstock.core.arn import parse_stream_arn
from penstock.core.ids import StreamUid
from penstock.core.limits import SECOND_MS
from penstock.core.mapping_errors import MappingError
from penstock.engines.api import Change, Conflict, MetaStore, MetaUnavailable, Versioned, Write
from penstock.services.functions.invoking import FunctionSource
from penstock.services.functions.mapping.poller import NOTHING_YET, Poller
from penstock.services.functions.mapping.shardrun import Site
from penstock.services.functions.mapping.state import MAPPINGS, Mapping, ShardPlace, State, decode_mapping, encode
from penstock.services.streams.directory import Directory
from penstock.services.streams.state import ROOT as STREAMS_ROOT

logger = logging.getLogger(__name__)

Tags = Dictionary[str, str]

RETRY_MS: Final = SECOND_MS
PATIENCE_MS: Final = 3 * SECOND_MS  # with invocations, when the server stops; what has not ended then is repeated
LOOK_MS: Final = 20
_STREAMS: Final = STREAMS_ROOT + "stream/"


class Registry:
    """Every mapping."""

    def __init__(
        self, meta: MetaStore, site: Site, directory: Directory, functions: FunctionSource, transition_ms: int
    ) -> None:
        self._meta = meta
        self._site = site
        self._directory = directory
        self._functions = functions
        self._transition_ms = transition_ms
        self._held: dict[str, tuple[Mapping, int]] = {}  # with its version
        self._coming: dict[str, Mapping] = {}  # being stored
        self._pollers: dict[str, Poller] = {}
        self._unwatch = [meta.watch(MAPPINGS, self._watched), meta.watch(_STREAMS, self._streams_changed)]

    async def open(self, entries: Sequence[tuple[str, Versioned]]) -> None:
        """Take what the store held at the start, and carry on."""
        self._watched([Change(key, held) for key, held in entries])
        for mapping, _ in list(self._held.values()):
            if mapping.state in ("Enabled", "Disabled"):
                self._set_to_work(mapping)
            else:
                self._site.tasks.spawn(self._settle(mapping.uuid, asyncio.Event()), f"{mapping.state} {mapping.key}")

    def find(self, account: str, region: str, uuid: str) -> Mapping:
        """A mapping.  Raises NOT_FOUND."""
        held = self._held.get(uuid)
        if held is None or (held[0].account, held[0].region) != (account, region):
            raise MappingError.NOT_FOUND()
        return held[0]

    def of(self, account: str, region: str) -> list[Mapping]:
        """The mappings of an account and region, by their ids."""
        found = (
            mapping for mapping, _ in self._held.values() if (mapping.account, mapping.region) == (account, region)
        )
        return sorted(found, key=lambda mapping: mapping.uuid)

    def result(self, mapping: Mapping) -> str:
        """LastProcessingResult."""
        poller = self._pollers.get(mapping.uuid)
        return NOTHING_YET if poller is None else poller.result

    async def create(self, mapping: Mapping, places: Sequence[ShardPlace]) -> Mapping:
        """Begin a mapping.  Raises EXISTS, MetaUnavailable."""
        self.check_unique(mapping)
        writes = [Write(mapping.key, encode(mapping), 0), *(Write(place.key, encode(place), 0) for place in places)]
        self._coming[mapping.uuid] = mapping
        try:
            await self._meta.commit(writes)
        finally:
            del self._coming[mapping.uuid]
        self._site.checkpoints.begin(places)
        await self._carry_on(mapping)
        return mapping

    def check_unique(self, mapping: Mapping) -> None:
        """Raise EXISTS if another mapping has the same source and function."""
        for other in [*self._coming.values(), *(held for held, _ in self._held.values())]:
            if other.uuid != mapping.uuid and (other.source_arn, other.function) == (
                mapping.source_arn,
                mapping.function,
            ):
                name = mapping.function.split(":")[6]
                raise MappingError.EXISTS(source=mapping.source_arn, function=name, uuid=other.uuid)

    async def change(self, mapping: Mapping, state: State) -> Mapping:
        """Give a mapping other settings, through a state.  Raises IN_USE if another change is under way."""
        now = self._steady(mapping.uuid)
        changed = replace(mapping, state=state, modified_ms=self._site.clock.now_ms())
        try:
            await self._replace(now, changed)
        except Conflict:
            raise MappingError.IN_USE() from None
        await self._carry_on(changed)
        return changed

    def tags(self, account: str, region: str, uuid: str) -> Tags:
        """A mapping's tags.  Raises NOT_FOUND."""
        return self.find(account, region, uuid).tags

    async def retag(self, account: str, region: str, uuid: str, change: Callable[[Tags], dict[str, str]]) -> None:
        """Give a mapping other tags; its state stays.  Raises NOT_FOUND, IN_USE if another change came first."""
        mapping = self.find(account, region, uuid)
        try:
            await self._replace(mapping, replace(mapping, tags=change(mapping.tags)))
        except Conflict:
            raise MappingError.IN_USE() from None

    async def adopt(self, mapping: Mapping, uid: StreamUid) -> Mapping:
        """Have a mapping read another stream of the same name, from its beginning."""
        while True:
            now = self._held[mapping.uuid][0]
            with suppress(Conflict):
                await self._replace(now, replace(now, stream_uid=uid, since=0))
                return replace(mapping, stream_uid=uid, since=0)

    async def close(self) -> None:
        """Begin nothing more, and let what is under way end, if it does so soon."""
        for stop in self._unwatch:
            stop()
        for poller in self._pollers.values():
            poller.drain()
        for _ in range(PATIENCE_MS // LOOK_MS):
            if not any(poller.busy for poller in self._pollers.values()):
                break
            await self._site.clock.sleep(LOOK_MS)
        self._pollers.clear()

    def _steady(self, uuid: str) -> Mapping:
        """A mapping that takes a change now.  Raises NOT_FOUND, IN_USE."""
        held = self._held.get(uuid)
        if held is None:
            raise MappingError.NOT_FOUND()
        if held[0].state not in ("Enabled", "Disabled"):
            raise MappingError.IN_USE()
        return held[0]

    async def _replace(self, now: Mapping, changed: Mapping) -> None:
        await self._meta.commit([Write(now.key, encode(changed), self._held[now.uuid][1])])

    async def _carry_on(self, mapping: Mapping) -> None:
        """Take a mapping on; with a transition of 0 ms, return when it is there (or could not get there yet)."""
        tried = asyncio.Event()
        self._site.tasks.spawn(self._settle(mapping.uuid, tried), f"{mapping.state} {mapping.key}")
        if not self._transition_ms:
            await tried.wait()

    async def _settle(self, uuid: str, tried: asyncio.Event) -> None:
        """Bring a mapping out of the state in which its change began."""
        try:
            poller = self._pollers.pop(uuid, None)
            if poller is not None:
                if poller.busy:
                    tried.set()  # an invocation may take minutes
                await poller.close()
            await self._site.clock.sleep(self._transition_ms)
            await self._advance(uuid)
        finally:
            tried.set()

    async def _advance(self, uuid: str) -> None:
        while uuid in self._held:
            mapping = self._held[uuid][0]
            try:
                if mapping.state == "Deleting":
                    await self._remove(mapping)
                    return
                if mapping.state not in ("Enabled", "Disabled"):
                    await self._replace(mapping, replace(mapping, state="Enabled" if mapping.enabled else "Disabled"))
                self._set_to_work(self._held[uuid][0])
                return
            except Conflict:
                continue
            except MetaUnavailable as error:
                logger.error("mapping %s stays %s for now: %s", uuid, mapping.state, error)
                await self._site.clock.sleep(RETRY_MS)

    async def _remove(self, mapping: Mapping) -> None:
        await self._site.checkpoints.drop(mapping.uuid)
        removal = self._site.checkpoints.removal(mapping.uuid)
        await self._meta.commit([Write(mapping.key, None, self._held[mapping.uuid][1]), *removal])

    def _set_to_work(self, mapping: Mapping) -> None:
        if mapping.state == "Enabled" and mapping.uuid not in self._pollers:
            poller = Poller(self._site, mapping, self._directory, self._functions, self)
            self._pollers[mapping.uuid] = poller
            poller.start()

    def _watched(self, changes: Sequence[Change]) -> None:
        for key, now in changes:
            uuid = key.removeprefix(MAPPINGS)
            if now is None:
                self._held.pop(uuid, None)
            else:
                self._held[uuid] = (decode_mapping(now.value), now.version)

    def _streams_changed(self, changes: Sequence[Change]) -> None:
        """A stream came, went or changed: those whose source has its name look again."""
        if not self._pollers:
            return
        names = {tuple(change.key.removeprefix(_STREAMS).split("/")) for change in changes}
        for poller in self._pollers.values():
            arn = parse_stream_arn(poller.mapping.source_arn)
            if (arn.account, arn.region, arn.name) in names:
                poller.look()
