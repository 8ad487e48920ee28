"""The shards of a stream and the leases that stand for them: which are missing, which may be read, which are done with.

Theory.  A shard's records come before those of its children, so a lease may be worked on once every parent that has a lease is at its
end; a parent without one was done with, or never asked for.  For that to be true, leases are made parents first, and go when their
children have been begun: of a shard that has leased descendants nothing needs to be made any more.
Rules of this file:
  1. Pure: listings in, leases out.
  2. `missing` answers in the order in which leases must be made; whoever stops half-way leaves nothing that is read too early.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from msgspec import Struct

from penstock.consumer.lease import Lease
from penstock.consumer.position import FROM_OLDEST, LATEST, Begin, Checkpoint
from penstock.core.hashkeys import HashRange

HASH_KEYS: Final = 1 << 128


class Shard(Struct, frozen=True):
    """A shard, as ListShards tells of it."""

    shard_id: str
    hash_keys: HashRange
    parents: tuple[str, ...] = ()  # one after a split, two after a merge
    open: bool = True


def missing(shards: Sequence[Shard], leases: Mapping[str, Lease], begin: Begin) -> list[Lease]:
    """The leases to make, in this order.

    A descendant of a leased shard is read from its first record; any other shard from where the application begins, and when that is the
    latest record, a closed one not at all.
    """
    ordered = _parents_first(shards)
    below = _with_leased_ancestor(ordered, leases)
    above = _with_leased_descendant(ordered, leases)
    made = []
    for shard in ordered:
        if shard.shard_id in leases or shard.shard_id in above:
            continue
        if shard.shard_id in below:
            made.append(_lease(shard, FROM_OLDEST))
        elif shard.open or begin.kind != LATEST:
            made.append(_lease(shard, Checkpoint(begin.kind)))
    return made


def may_start(lease: Lease, leases: Mapping[str, Lease]) -> bool:
    """Whether a lease may be worked on: it is not at its end, and its parents are."""
    if lease.checkpoint.ended:
        return False
    return all(parent not in leases or leases[parent].checkpoint.ended for parent in lease.parents)


def has_hole(leases: Iterable[Lease]) -> bool:
    """Whether some hash keys are nobody's: no lease at work covers them, nor one that ended and whose children have none.

    A lease whose range is not known is taken to cover everything: KCL fills it in.
    """
    at_work = [lease for lease in leases if not lease.checkpoint.ended]
    if any(lease.hash_keys is None for lease in at_work):
        return False
    covered = 0
    for keys in sorted((lease.hash_keys.start, lease.hash_keys.end) for lease in at_work if lease.hash_keys):
        if keys[0] > covered:
            return True
        covered = max(covered, keys[1] + 1)
    return covered < HASH_KEYS


def done_with(leases: Mapping[str, Lease]) -> list[Lease]:
    """Ended leases that may go: every child has a lease, and was begun or has ended."""
    return [lease for lease in leases.values() if lease.checkpoint.ended and _children_begun(lease, leases)]


def _children_begun(lease: Lease, leases: Mapping[str, Lease]) -> bool:
    children = [leases.get(child) for child in lease.children]
    return bool(children) and all(child is not None and child.checkpoint.begun for child in children)


def children_of(shard_id: str, shards: Iterable[Shard]) -> tuple[str, ...]:
    """The children of a shard among those that are listed."""
    return tuple(sorted(shard.shard_id for shard in shards if shard_id in shard.parents))


def _lease(shard: Shard, checkpoint: Checkpoint) -> Lease:
    return Lease(key=shard.shard_id, checkpoint=checkpoint, parents=shard.parents, hash_keys=shard.hash_keys)


def _parents_first(shards: Sequence[Shard]) -> list[Shard]:
    by_id = {shard.shard_id: shard for shard in shards}
    ordered: dict[str, Shard] = {}
    for root in sorted(by_id):
        waiting = [root]
        while waiting:
            shard = by_id[waiting[-1]]
            before = [parent for parent in shard.parents if parent in by_id and parent not in ordered]
            if before and shard.shard_id not in before and len(waiting) <= len(by_id):
                waiting += before
            else:
                ordered[waiting.pop()] = shard
    return list(ordered.values())


def _with_leased_ancestor(ordered: Sequence[Shard], leases: Mapping[str, Lease]) -> set[str]:
    found: set[str] = set()
    for shard in ordered:
        if any(parent in leases or parent in found for parent in shard.parents):
            found.add(shard.shard_id)
    return found


def _with_leased_descendant(ordered: Sequence[Shard], leases: Mapping[str, Lease]) -> set[str]:
    found: set[str] = set()
    for shard in reversed(ordered):
        if shard.shard_id in leases or shard.shard_id in found:
            found.update(shard.parents)
    return found
