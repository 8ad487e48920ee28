"""Leases as items of KCL's lease table, and back.

Rules of this file:
  1. Pure.
  2. Attribute names and types are KCL 3's.  `penstockBeganMs` is ours; KCL leaves alone what it does not know.
  3. An update writes what differs and nothing else: KCL's workers write some attributes without asking for the counter.
"""

from typing import Any, Final

from msgspec import Struct

from penstock.consumer.lease import Lease
from penstock.consumer.position import BadPosition, Checkpoint
from penstock.core.hashkeys import HashRange

KEY: Final = "leaseKey"
OWNER: Final = "leaseOwner"
ENTITY: Final = "entityType"
LEASE: Final = "LEASE"  # of entityType; items of before KCL 3.5 have none
PENDING: Final = ("pendingCheckpoint", "pendingCheckpointSubSequenceNumber", "pendingCheckpointState")

Item = dict[str, dict[str, Any]]


class Update(Struct, frozen=True):
    """The expressions of a conditional write."""

    expression: str
    condition: str
    names: dict[str, str]
    values: Item


def item_of(lease: Lease) -> Item:
    """A whole item."""
    return {KEY: {"S": lease.key}, ENTITY: {"S": LEASE}, **_attributes(lease)}


def lease_of(item: Item) -> Lease | None:
    """The lease that an item is; None for KCL's other entities, and for what is none."""
    if item.get(ENTITY, {"S": LEASE}).get("S") != LEASE or KEY not in item or "checkpoint" not in item:
        return None
    try:
        return Lease(
            key=_text(item, KEY) or "",
            checkpoint=Checkpoint(_text(item, "checkpoint") or "", _number(item, "checkpointSubSequenceNumber")),
            counter=_number(item, "leaseCounter"),
            owner=_text(item, OWNER),
            checkpoint_owner=_text(item, "checkpointOwner"),
            switches=_number(item, "ownerSwitchesSinceCheckpoint"),
            parents=tuple(sorted(item.get("parentShardId", {}).get("SS", ()))),
            children=tuple(sorted(item.get("childShardIds", {}).get("SS", ()))),
            hash_keys=_hash_keys(item),
            began_ms=_number(item, "penstockBeganMs") or None,
            throughput_kbps=float(item.get("throughputKBps", {}).get("N", 0)),
        )
    except (BadPosition, ValueError):
        return None


def update_of(old: Lease, new: Lease) -> Update:
    """What turns the one into the other, if it is still there as it was."""
    before, after = _attributes(old), _attributes(new)
    sets = {name: value for name, value in after.items() if before.get(name) != value}
    removes = [name for name in before if name not in after]
    if new.checkpoint != old.checkpoint:
        removes += PENDING
    condition, names, values = condition_of(old)
    names |= {f"#n{place}": name for place, name in enumerate((*sets, *removes))}
    values |= {f":n{place}": value for place, value in enumerate(sets.values())}
    parts = []
    if sets:
        parts.append("SET " + ", ".join(f"#n{place} = :n{place}" for place in range(len(sets))))
    if removes:
        parts.append("REMOVE " + ", ".join(f"#n{len(sets) + place}" for place in range(len(removes))))
    return Update(" ".join(parts), condition, names, values)


def condition_of(lease: Lease) -> tuple[str, dict[str, str], Item]:
    """That a stored lease is in this state: the condition, its names and its values."""
    names = {"#counter": "leaseCounter", "#owner": OWNER, "#holder": "checkpointOwner", "#at": "checkpoint"}
    names["#sub"] = "checkpointSubSequenceNumber"
    at = lease.checkpoint
    values: Item = {":counter": {"N": str(lease.counter)}, ":at": {"S": at.sequence}, ":sub": {"N": str(at.sub)}}
    sub = "#sub = :sub" if at.sub else "(#sub = :sub OR attribute_not_exists(#sub))"
    parts = ["#counter = :counter", "#at = :at", sub]
    for name, owner in (("owner", lease.owner), ("holder", lease.checkpoint_owner)):
        if owner is None:
            parts.append(f"attribute_not_exists(#{name})")
        else:
            parts.append(f"#{name} = :{name}")
            values[f":{name}"] = {"S": owner}
    return " AND ".join(parts), names, values


def _attributes(lease: Lease) -> Item:
    at = lease.checkpoint
    found: Item = {
        "checkpoint": {"S": at.sequence},
        "checkpointSubSequenceNumber": {"N": str(at.sub)},
        "leaseCounter": {"N": str(lease.counter)},
        "ownerSwitchesSinceCheckpoint": {"N": str(lease.switches)},
    }
    for name, text in ((OWNER, lease.owner), ("checkpointOwner", lease.checkpoint_owner)):
        if text is not None:
            found[name] = {"S": text}
    for name, texts in (("parentShardId", lease.parents), ("childShardIds", lease.children)):
        if texts:
            found[name] = {"SS": list(texts)}
    if lease.hash_keys is not None:
        found["startingHashKey"] = {"S": str(lease.hash_keys.start)}
        found["endingHashKey"] = {"S": str(lease.hash_keys.end)}
    if lease.began_ms is not None:
        found["penstockBeganMs"] = {"N": str(lease.began_ms)}
    if lease.throughput_kbps:
        found["throughputKBps"] = {"N": str(lease.throughput_kbps)}
    return found


def _text(item: Item, name: str) -> str | None:
    value = item.get(name, {}).get("S")
    return None if value is None else str(value)


def _number(item: Item, name: str) -> int:
    return int(item.get(name, {}).get("N", 0))


def _hash_keys(item: Item) -> HashRange | None:
    start, end = _text(item, "startingHashKey"), _text(item, "endingHashKey")
    return None if start is None or end is None else HashRange(int(start), int(end))
