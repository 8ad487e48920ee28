"""The family of a stream's shards: who came from whom, drawn as a tree.

Theory.  A split gives a shard two children, a merge gives a child two parents: a graph whose arrows point from older shards to newer.
Rules of this file:
  1. Pure.  A listing is all that is known: a parent that is not listed has gone, with its last record.
  2. In the tree a merged child stands under its first parent; beneath the second a line points to it.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from penstock.core.ids import parse_shard_id

if TYPE_CHECKING:
    from mypy_boto3_kinesis.type_defs import ShardTypeDef

HASH_KEYS: Final = 2**128
MAP_CELLS: Final = 16


class Shard(NamedTuple):
    """A shard, as ListShards tells of it."""

    shard_id: str
    start: int  # first hash key, inclusive
    end: int  # last hash key, inclusive
    parents: tuple[str, ...] = ()  # one after a split, two after a merge
    open: bool = True

    @property
    def number(self) -> int:
        """Its number in the stream."""
        number = parse_shard_id(self.shard_id)
        return -1 if number is None else number

    @property
    def label(self) -> str:
        """Its number as text; the whole id where that has none."""
        return str(self.number) if self.number >= 0 else self.shard_id


def from_listing(listed: "Iterable[ShardTypeDef]") -> list[Shard]:
    """Shards from answers of ListShards."""
    return [
        Shard(
            shard["ShardId"],
            int(shard["HashKeyRange"]["StartingHashKey"]),
            int(shard["HashKeyRange"]["EndingHashKey"]),
            tuple(parent for parent in (shard.get("ParentShardId"), shard.get("AdjacentParentShardId")) if parent),
            "EndingSequenceNumber" not in shard["SequenceNumberRange"],
        )
        for shard in listed
    ]


class Line(NamedTuple):
    """One line of the tree."""

    branch: str  # what is drawn left of the shard
    shard: Shard
    note: str  # what the drawing cannot show
    pointer: bool = False  # not the shard itself, but the place where it would stand under its second parent

    @property
    def text(self) -> str:
        """The line without its columns."""
        name = f"→ {self.shard.label}" if self.pointer else self.shard.label
        return f"{self.branch}{name}"


def draw(shards: Sequence[Shard]) -> Iterator[Line]:
    """The tree, from the oldest shards to the newest.  Neither depth nor number is bounded."""
    by_id = {shard.shard_id: shard for shard in shards}
    children: defaultdict[str, list[tuple[Shard, bool]]] = defaultdict(list)
    roots: list[Shard] = []
    for shard in sorted(shards, key=lambda shard: shard.number):
        listed = [parent for parent in shard.parents if parent in by_id]
        if not listed:
            roots.append(shard)
        for parent in listed:
            children[parent].append((shard, parent != listed[0]))
    for root in roots:
        waiting = [(root, False, "", "")]
        while waiting:
            shard, pointer, branch, below = waiting.pop()
            yield Line(branch, shard, _note(shard, by_id, pointer), pointer)
            if pointer:
                continue
            brood = children[shard.shard_id]
            last = len(brood) - 1
            for place, (child, points) in reversed(list(enumerate(brood))):
                arm, under = ("└─ ", "   ") if place == last else ("├─ ", "│  ")
                waiting.append((child, points, below + arm, below + under))


def _note(shard: Shard, by_id: Mapping[str, Shard], pointer: bool) -> str:
    if pointer:
        return f"merged, stands under {_label(shard.parents[0])}"
    gone = [parent for parent in shard.parents if parent not in by_id]
    notes = []
    if len(shard.parents) > 1:
        notes.append("merge of " + " and ".join(_label(parent) for parent in shard.parents))
    if gone:
        notes.append(" and ".join(_label(parent) for parent in gone) + " expired")
    return ", ".join(notes)


def _label(shard_id: str) -> str:
    return Shard(shard_id, 0, 0).label


def range_text(shard: Shard) -> str:
    """Its hash keys in per cent of the hash space."""
    first, last = (f"{100 * key / HASH_KEYS:.2f}" for key in (shard.start, shard.end + 1))
    return f"{first:>6} – {last:>6} %"


def hex_text(shard: Shard, *, whole: bool) -> str:
    """Its first and last hash key; `whole`, or the first 8 of 32 digits."""
    first, last = f"{shard.start:032x}", f"{shard.end:032x}"
    return f"{first}–{last}" if whole else f"{first[:8]}…–{last[:8]}…"


def map_text(shard: Shard) -> str:
    """Where in the hash space it lies, drawn in MAP_CELLS cells; the narrowest still fills one."""
    first = shard.start * MAP_CELLS // HASH_KEYS
    last = ((shard.end + 1) * MAP_CELLS - 1) // HASH_KEYS
    return "·" * first + "█" * (last - first + 1) + "·" * (MAP_CELLS - 1 - last)
