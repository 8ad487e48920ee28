"""Planted bugs of mappings: each takes one rule out of them, and the simulation must notice."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Any, Final
from unittest.mock import patch

from penstock.services.functions.mapping import poller
from penstock.services.functions.mapping.checkpoints import Checkpoints
from penstock.services.functions.mapping.lane import Lane
from penstock.services.functions.mapping.poller import Poller
from penstock.services.functions.mapping.shard import Shard
from penstock.services.functions.mapping.state import LanePlace, ShardPlace
from penstock.services.streams import course
from penstock.services.streams.course import Link, Plan


@contextmanager
def checkpoint_before_the_answer() -> Iterator[None]:
    """What was read counts as finished."""
    with patch.object(Lane, "checkpoint", lambda lane, read: LanePlace(read, lane.window)):
        yield


@contextmanager
def lanes_by_turn() -> Iterator[None]:
    """Records go to lanes one by one, whatever their keys."""
    turn = count()
    with patch("penstock.services.functions.mapping.shard.crc32", lambda key: next(turn)):
        yield


@contextmanager
def children_beside_their_parents() -> Iterator[None]:
    """Every shard that is not finished is read."""

    def plan(shards: Sequence[Link], since: int, finished: Mapping[int, bool]) -> Plan:
        real = course.plan(shards, since, finished)
        open_ones = tuple(link.no for link in shards if link.open and not finished.get(link.no))
        return Plan(tuple(sorted({*real.start, *open_ones})), real.forget)

    with patch.object(poller, "plan", plan):
        yield


@contextmanager
def checkpoints_kept_in_memory() -> Iterator[None]:
    """A checkpoint is written when its shard is finished."""
    real = Checkpoints.save

    def save(checkpoints: Checkpoints, place: ShardPlace) -> None:
        if place.finished:
            real(checkpoints, place)
        else:
            checkpoints._held.setdefault(place.uuid, {})[place.key] = place

    with patch.object(Checkpoints, "save", save):
        yield


@contextmanager
def next_batch_beside_the_failed_one() -> Iterator[None]:
    """What failed is tried again behind what follows it."""
    real = Lane._fail

    def fail(lane: Lane, *args: Any, **options: Any) -> None:
        real(lane, *args, **options)
        if lane.pending.records and lane._work and lane._work[0].verdict is None:
            lane.pending, lane._work[0].rows = lane._work[0].rows, lane.pending

    with patch.object(Lane, "_fail", fail):
        yield


@contextmanager
def reopened_without_draining() -> Iterator[None]:
    """A mapping that is changed does not wait for what is under way."""

    async def close(owner: Poller) -> None:
        owner._tasks.cancel()
        for run in owner.runs.values():
            run.shard.draining = True
            run._tasks.cancel()
        owner.runs.clear()

    with patch.object(Poller, "close", close):
        yield


@contextmanager
def lanes_repeat_from_the_lowest() -> Iterator[None]:
    """A lane is given again what it had before a restart, because another had not come so far."""
    with patch.object(Shard, "_fresh", lambda shard, lane, rows: rows):
        yield


MAPPING_PLANTS: Final[Mapping[str, Callable[[], Any]]] = {
    plant.__name__: plant
    for plant in (
        checkpoint_before_the_answer,
        lanes_by_turn,
        children_beside_their_parents,
        checkpoints_kept_in_memory,
        next_batch_beside_the_failed_one,
        reopened_without_draining,
        lanes_repeat_from_the_lowest,
    )
}
