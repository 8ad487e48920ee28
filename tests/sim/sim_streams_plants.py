"""Planted bugs of the streams service: each takes one rule out of resharding, and the simulation must notice."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final
from unittest.mock import patch

from msgspec.structs import replace

from penstock.engines.api import LogId, Page, Position
from penstock.engines.local.log import LocalLog
from penstock.services.streams import reader, resharding
from penstock.services.streams.directory import ShardView, StreamView
from penstock.services.streams.state import Shard


@contextmanager
def parents_not_sealed() -> Iterator[None]:
    """Shards are closed while writes to them are in flight."""

    async def seal(log: LocalLog, name: LogId) -> Position:
        return (await log.bounds(name)).end

    with patch.object(LocalLog, "seal", seal):
        yield


@contextmanager
def readers_sent_on_at_the_seal() -> Iterator[None]:
    """A reader is told that a shard has ended before its children are open."""

    def is_last(_view: StreamView, _held: ShardView, page: Page) -> bool:
        return page.sealed and page.next == page.end

    with patch.object(reader, "is_last", is_last):
        yield


@contextmanager
def children_of_the_same_second() -> Iterator[None]:
    """Children are dated by the clock alone."""

    def dated(child: Shard, moment: Any) -> Shard:
        return replace(child, created_ms=moment, created_s=moment // 1000)

    with patch.object(resharding, "_dated", dated):
        yield


STREAMS_PLANTS: Final[dict[str, Callable[[], Any]]] = {
    plant.__name__: plant for plant in (parents_not_sealed, readers_sent_on_at_the_seal, children_of_the_same_second)
}
