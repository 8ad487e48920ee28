"""The course of a durable consumer through a stream: which of its shards may be read now, and which checkpoints may go.

Theory.  A consumer keeps one checkpoint per shard: unfinished (a place) or finished.  A shard that has none is ahead of the consumer or
behind it.  Ahead: it was opened since the consumer began, or belonged to its beginning.  Behind: it was there before, and was never the
consumer's; or it was read to its end, which shows in the checkpoint of one of its descendants.
Shard numbers only grow, so that `since` - the number that the next shard was to have when the consumer began - tells old shards from new
ones even where a shard between them has vanished with its last record.
Rules of this file:
  1. Pure: listings in, numbers out.
  2. A shard is read when every parent that is known, and of the consumer's course, is finished: records of a key keep their order.
  3. A checkpoint goes only if `plan` answers the same without it, now and after every later change of the stream.
Used by event source mappings and by delivery streams that read from a stream.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

from penstock.services.streams.state import Shard

StartingPosition = Literal["TRIM_HORIZON", "LATEST", "AT_TIMESTAMP"]


class Link(NamedTuple):
    """A shard's place in the lineage."""

    no: int
    parents: tuple[int, ...] = ()  # one after a split, two after a merge
    open: bool = True


class Beginning(NamedTuple):
    """What a new consumer keeps: `since`, and the shards that get a checkpoint right away, at its starting position."""

    since: int
    first: tuple[int, ...]


class Plan(NamedTuple):
    """What is to be done now."""

    start: tuple[int, ...]  # shards to be read, those that are being read among them; ascending
    forget: tuple[int, ...]  # shards whose checkpoint may go; ascending


def link_of(shard: Shard) -> Link:
    """A stored shard's place in the lineage."""
    parents = tuple(no for no in (shard.parent_no, shard.adjacent_parent_no) if no is not None)
    return Link(shard.no, parents, shard.closed_ms is None)


def begin(shards: Sequence[Link], kind: StartingPosition) -> Beginning:
    """Where a consumer's course begins.

    LATEST: the shards that are open now, each at its end, and every later one from its first record.  TRIM_HORIZON and AT_TIMESTAMP:
    every shard that there is, the oldest first; which record of it comes first is the reader's question.
    Source: Lambda and KCL agree on this.
    """
    if kind != "LATEST":
        return Beginning(0, ())
    since = max((link.no for link in shards), default=-1) + 1
    return Beginning(since, tuple(sorted(link.no for link in shards if link.open)))


def plan(shards: Sequence[Link], since: int, finished: Mapping[int, bool]) -> Plan:
    """What to read now, and which checkpoints to forget; `finished` has a row for each shard with a checkpoint."""
    known = {link.no: link for link in shards}
    passed = _passed(known, finished)

    def is_done(no: int) -> bool:
        return finished.get(no, no < since or no in passed)

    start = [no for no, link in known.items() if not is_done(no) and all(map(is_done, _known(link.parents, known)))]
    children = _children(shards)
    forget = [no for no, ended in finished.items() if no not in known or (ended and _begun(children.get(no), finished))]
    return Plan(tuple(sorted(start)), tuple(sorted(forget)))


def _known(parents: Iterable[int], known: Mapping[int, Link]) -> Iterable[int]:
    return (parent for parent in parents if parent in known)


def _passed(known: Mapping[int, Link], finished: Mapping[int, bool]) -> set[int]:
    """The ancestors of every shard that has a checkpoint: it would have none if they were not finished."""
    found: set[int] = set()
    waiting = [no for no in finished if no in known]
    while waiting:
        for parent in _known(known[waiting.pop()].parents, known):
            if parent not in found:
                found.add(parent)
                waiting.append(parent)
    return found


def _children(shards: Sequence[Link]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for link in shards:
        for parent in link.parents:
            found.setdefault(parent, []).append(link.no)
    return found


def _begun(children: Sequence[int] | None, finished: Mapping[int, bool]) -> bool:
    return bool(children) and all(child in finished for child in children or ())
