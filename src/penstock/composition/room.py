"""The room: what services stand on, and the cores that several of them share, each opened when it is first asked for.

Theory.  A service is two things: a core, which holds its state and does its work, and an API, the operations on it.  Cores are shared
(STS and IAM have one, streams use that of KMS) and cost imports, reads and background tasks, so nobody has one who does not use it.
Rules of this file:
  1. A core is opened once, however many ask for it at once; an opening that failed is tried again by who asks next.
  2. What was opened is cleared and closed in the order of its opening, and each is closed, whatever the storage refuses another.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar, cast

from msgspec import Struct

from penstock.core.ports import Clock, Entropy
from penstock.core.settings import Settings
from penstock.engine import Engine
from penstock.engines.api import AppendError, Conflict, MetaStore, MetaUnavailable, Watcher
from penstock.host.masterkey import MASTER_KEY_FILE
from penstock.host.tasks import LoopTasks
from penstock.server.door import Door, OpenDoor
from penstock.services.binding import Admit

if TYPE_CHECKING:
    from penstock.services.iam.authorisation import Authoriser
    from penstock.services.metrics.service import Metrics
    from penstock.services.streams.service import Streams
    from penstock.services.streams.singles import Singles

logger = logging.getLogger(__name__)

Core = TypeVar("Core")


async def nothing() -> None:
    """What there is to do for a core that keeps nothing."""


async def close_anyway(close: Callable[[], Awaitable[None]]) -> None:
    """Close something that may have to write what it holds in memory; where the storage refuses that, all else must still be closed."""
    try:
        await close()
    except (AppendError, Conflict, MetaUnavailable) as error:
        logger.error("what was not stored is lost: %s", error)


class Held(Struct, Generic[Core], frozen=True):
    """A core that is open."""

    core: Core
    clear: Callable[[], Awaitable[None]] = nothing  # forget everything; background work was stopped
    close: Callable[[], Awaitable[None]] = nothing  # at an orderly stop; background work was stopped
    end: Callable[[], Awaitable[None]] = nothing  # at an orderly stop, while background work still runs


Opener = Callable[["Room"], Awaitable[Held[Core]]]


class Plug(NamedTuple):
    """What operations are bound to, and the gates before them."""

    core: object
    admit: Admit | None = None
    others: Mapping[ModuleType, object] = MappingProxyType({})  # the cores of modules that have their own


class OwnWatches:
    """A MetaStore whose watches end with their owner: what a reset replaces hears nothing more."""

    def __init__(self, meta: MetaStore) -> None:
        self.get, self.scan, self.page, self.commit = meta.get, meta.scan, meta.page, meta.commit
        self._watch = meta.watch
        self._stops: dict[Callable[[], None], None] = {}  # in their order

    def watch(self, prefix: str, watcher: Watcher) -> Callable[[], None]:
        """As MetaStore's."""
        stop = self._watch(prefix, watcher)
        self._stops[stop] = None
        return lambda: self._stop(stop)

    def end(self) -> None:
        """End every watch."""
        for stop in list(self._stops):
            self._stop(stop)

    def _stop(self, stop: Callable[[], None]) -> None:
        if stop in self._stops:
            del self._stops[stop]
            stop()


class Room:
    """What a service may need to be opened."""

    def __init__(self, settings: Settings, engine: Engine, data_dir: Path, clock: Clock, entropy: Entropy) -> None:
        self.settings = settings
        self._watches = OwnWatches(engine.meta)
        self.engine = engine._replace(meta=self._watches)
        self.data_dir = data_dir
        self.clock = clock
        self.entropy = entropy
        self.tasks = LoopTasks()
        self.endpoint = ""  # the URL of the server, once it listens
        self.door: Door = OpenDoor(settings.account_id)
        self.authoriser: Authoriser | None = None  # with `--auth enforced`
        self.singles: Singles | None = None  # once streams were asked for anything, where there is a native part
        self.metrics: Metrics  # open from the start, because streams are measured
        self.streams: Streams
        self._held: dict[Opener[Any], Held[Any]] = {}
        self._turns: dict[Opener[Any], asyncio.Lock] = {}

    @property
    def master_key(self) -> Path:
        """Where the master key is, or will be."""
        return Path(self.settings.master_key_file or self.data_dir / MASTER_KEY_FILE)

    async def open(self, opener: Opener[Core]) -> Core:
        """The core that `opener` opens."""
        if opener not in self._held:
            async with self._turns.setdefault(opener, asyncio.Lock()):
                if opener not in self._held:  # another may have opened it while this waited
                    self._held[opener] = await opener(self)
        return cast("Core", self._held[opener].core)

    def opened(self, opener: Opener[Core]) -> Core | None:
        """The core that `opener` opened; None if nobody asked for it yet."""
        held = self._held.get(opener)
        return None if held is None else cast("Core", held.core)

    async def end(self) -> None:
        """Let what every core has under way come to an end."""
        for held in self._held.values():
            await held.end()

    async def clear(self) -> None:
        """Have every core that is open forget everything.  Background work must have been stopped."""
        for held in self._held.values():
            await held.clear()

    async def close(self) -> None:
        """Close every core that is open.  Background work must have been stopped."""
        for held in self._held.values():
            await close_anyway(held.close)
        self._watches.end()
