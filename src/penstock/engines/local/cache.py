"""Two bounded caches: the newest records, while they still lie in the journal, and the blocks that were read last."""

from collections import OrderedDict, deque

from penstock.engines.local.blocks import Kept
from penstock.engines.local.columns import Records

BlockKey = tuple[str, int]  # file, place in it


class TailCache:
    """Keeps the records of the newest journal blocks in memory, up to a number of bytes."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._held_bytes = 0
        self._kept: deque[tuple[Kept, int]] = deque()

    def add(self, kept: Kept, size_bytes: int) -> None:
        """Take in what was just committed; the oldest give up their records for it."""
        self._kept.append((kept, size_bytes))
        self._held_bytes += size_bytes
        while self._held_bytes > self._limit_bytes:
            oldest, freed_bytes = self._kept.popleft()
            oldest.content = None
            self._held_bytes -= freed_bytes


class BlockCache:
    """Keeps the blocks that were used last, up to a number of bytes; a reader of small pages decodes each block once."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._held_bytes = 0
        self._blocks: OrderedDict[BlockKey, tuple[Records, int]] = OrderedDict()

    def get(self, key: BlockKey) -> Records | None:
        """A block's records, if they are held."""
        found = self._blocks.get(key)
        if found is None:
            return None
        self._blocks.move_to_end(key)
        return found[0]

    def put(self, key: BlockKey, records: Records, size_bytes: int) -> None:
        """Hold a block's records."""
        held = self._blocks.pop(key, None)
        if held is not None:
            self._held_bytes -= held[1]
        self._blocks[key] = (records, size_bytes)
        self._held_bytes += size_bytes
        while self._held_bytes > self._limit_bytes and self._blocks:
            _, (_, freed_bytes) = self._blocks.popitem(last=False)
            self._held_bytes -= freed_bytes
