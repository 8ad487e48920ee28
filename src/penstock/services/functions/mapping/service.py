"""Event source mappings: what their operations share, put together once.

Rule of this file: where there is no mapping, nothing runs; where there is one, it is at work as soon as this is opened.
"""

import logging
from dataclasses import dataclass

from penstock.core.ports import Clock, Entropy, Tasks
from penstock.engines.api import MetaStore, MetaUnavailable, Write
from penstock.services.functions.invoking import FunctionSource, Invoker
from penstock.services.functions.mapping.checkpoints import Checkpoints
from penstock.services.functions.mapping.destinations import Destinations
from penstock.services.functions.mapping.measures import Measures, Sink
from penstock.services.functions.mapping.registry import Registry
from penstock.services.functions.mapping.shardrun import RoleJudge, Site
from penstock.services.functions.mapping.state import MAPPINGS, PLACES, ROOT
from penstock.services.streams.service import Streams

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Mappings:
    """Everything that an operation on mappings may need."""

    registry: Registry
    functions: FunctionSource
    streams: Streams
    clock: Clock
    entropy: Entropy
    meta: MetaStore
    checkpoints: Checkpoints
    measures: Measures
    judge: RoleJudge | None = None  # None: every role may read

    async def close(self) -> None:
        """Let invocations that are under way end, and make durable how far everything has come."""
        await self.registry.close()
        self.measures.collect()
        try:
            await self.checkpoints.flush()
        except MetaUnavailable as error:
            logger.error("checkpoints of mappings were not kept, and what was done since is done again: %s", error)
        self.checkpoints.close()

    async def clear(self) -> None:
        """Forget every mapping.  It must have been closed."""
        entries = await self.meta.scan(ROOT)
        if entries:
            await self.meta.commit([Write(key, None, held.version) for key, held in entries])


async def open_mappings(
    meta: MetaStore,
    streams: Streams,
    *,
    functions: FunctionSource,
    invoker: Invoker,
    destinations: Destinations,
    clock: Clock,
    entropy: Entropy,
    tasks: Tasks,
    transition_ms: int,
    sink: Sink | None = None,
    judge: RoleJudge | None = None,
) -> Mappings:
    """Read what is kept, and carry on with it."""
    checkpoints, measures = Checkpoints(meta, clock, tasks), Measures(sink, clock, tasks)
    site = Site(
        streams.reader, invoker, checkpoints, destinations, measures, clock, entropy, tasks, streams.traffic, judge
    )
    registry = Registry(meta, site, streams.directory, functions, transition_ms)
    entries = await meta.scan(ROOT)
    checkpoints.take([(key, held) for key, held in entries if key.startswith(PLACES)])
    await registry.open([(key, held) for key, held in entries if key.startswith(MAPPINGS)])
    return Mappings(registry, functions, streams, clock, entropy, meta, checkpoints, measures, judge)
