"""Resharding: carrying a stream from the tiling that it has to the one it is to have.

Theory.  The target is part of the stream's record, so it survives a crash.  Each round takes every step that may be taken
(topology.next_round): the children's logs are created, the parents' logs sealed, and one commit then closes the parents and opens the
children.  What was in flight to a parent lies before its seal, or is answered `Sealed` and goes to the children (writer.py).
Rules of this file:
  1. A shard is closed in the directory only when its log is sealed, and its children open in the same commit: no key is ever without
     an owner, and no reader meets a closed shard that could still grow.
  2. A round may be repeated after a crash or a lost race: creating and sealing again are harmless, and numbers that no commit used
     are used by the next.
"""

import asyncio

from msgspec.structs import replace

from penstock.core.ids import Millis
from penstock.core.ports import Clock
from penstock.engines.api import RecordLog
from penstock.services.streams.directory import Directory, StreamView
from penstock.services.streams.state import Shard
from penstock.services.streams.topology import HashRange, Step, next_round


class Resharder:
    """Takes streams to their targets."""

    def __init__(self, log: RecordLog, directory: Directory, clock: Clock) -> None:
        self._log = log
        self._directory = directory
        self._clock = clock

    async def advance(self, view: StreamView) -> None:
        """Take one round towards the stream's target; the last one leaves it ACTIVE and without a target.

        Raises Conflict if another change came first, and what the engine raises; it may then be called again.
        """
        target = [int(start) for start in view.stream.target]
        open_shards = {held.shard.hash_range: held.shard for held in view.open_shards()}
        steps = next_round(list(open_shards), target)
        ahead = {*open_shards} - {parent for step in steps for parent in step.parents}
        ahead |= {child for step in steps for child in step.children}
        children = _children(view, open_shards, steps)
        await self._log.create([child.log for child in children])
        parents = [open_shards[parent] for step in steps for parent in step.parents]
        await asyncio.gather(*(self._log.seal(parent.log) for parent in parents))
        moment = await self._moment(parents)
        await self._directory.reshard(
            view,
            view.stream if next_round(list(ahead), target) else replace(view.stream, status="ACTIVE", target=()),
            [replace(parent, closed_ms=moment) for parent in parents],
            [_dated(child, moment) for child in children],
        )

    async def _moment(self, parents: list[Shard]) -> Millis:
        """When the parents close: now, but not before their last records arrived, whatever the clock did since."""
        last_ms = [(await self._log.bounds(parent.log)).last_arrival_ms or 0 for parent in parents]
        return Millis(max([self._clock.now_ms(), *last_ms]))


def _children(view: StreamView, shards: dict[HashRange, Shard], steps: list[Step]) -> list[Shard]:
    """The shards that a round opens, not yet dated but for the second that their parents force on them."""
    number = max(view.shards) + 1  # the highest number is always an open shard's, so none is ever used again
    children: list[Shard] = []
    for step in steps:
        parents = [shards[parent] for parent in step.parents]
        for held in step.children:
            children.append(
                Shard(
                    uid=view.stream.uid,
                    no=number + len(children),
                    hash_start=str(held.start),
                    hash_end=str(held.end),
                    created_ms=Millis(0),
                    created_s=max(parent.created_s for parent in parents) + 1,
                    parent_no=parents[0].no,
                    adjacent_parent_no=parents[1].no if len(parents) > 1 else None,
                )
            )
    return children


def _dated(child: Shard, moment: Millis) -> Shard:
    return replace(child, created_ms=moment, created_s=max(child.created_s, moment // 1000))
