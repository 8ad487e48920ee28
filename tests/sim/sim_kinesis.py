"""A stream of the simulation: shards, records, reshards; and what a consumer asks of it, late and with failures."""

from collections.abc import Awaitable, Callable
from typing import Final

from sim_history import expect

from penstock.consumer.feed import CallFailed, Fetched, Raw, Start
from penstock.consumer.lineage import HASH_KEYS, Shard
from penstock.core.hashkeys import HashRange, hash_key
from penstock.host.sim.chance import Chance

FIRST_NUMBER: Final = 10**40


class SimShard:
    """One shard and its records."""

    def __init__(self, shard: Shard) -> None:
        self.shard = shard
        self.open = True
        self.records: list[Raw] = []


class SimStream:
    """The truth about a stream."""

    def __init__(self, shards: int) -> None:
        self.shards: dict[str, SimShard] = {}
        self.latest: dict[str, int] = {}  # the first number that came after a shard's latest record was asked for
        self._number = FIRST_NUMBER
        for index in range(shards):
            self._add(HASH_KEYS * index // shards, HASH_KEYS * (index + 1) // shards - 1)

    def _add(self, start: int, end: int, *parents: str) -> Shard:
        shard_id = f"shardId-{len(self.shards):012d}"
        shard = Shard(shard_id, HashRange(start, end), tuple(sorted(parents)))
        self.shards[shard_id] = SimShard(shard)
        return shard

    @property
    def next_number(self) -> int:
        """The sequence number of the record to come."""
        return self._number + 1

    def put(self, key: str, turn: int, now_ms: int) -> None:
        """Write a record."""
        at = hash_key(key.encode())
        held = next(held for held in self.open_shards() if held.shard.hash_keys.start <= at <= held.shard.hash_keys.end)
        self._number += 1
        held.records.append(Raw(f"{key}.{turn}".encode(), key, str(self._number), now_ms))

    def open_shards(self) -> list[SimShard]:
        """Shards that take records, by their hash keys."""
        return sorted((held for held in self.shards.values() if held.open), key=lambda held: held.shard.hash_keys.start)

    def split(self, draw: Chance) -> str | None:
        """Split one."""
        parent = draw.choice(self.open_shards())
        keys = parent.shard.hash_keys
        if keys.end - keys.start < 1000:
            return None
        middle = (keys.start + keys.end) // 2
        parent.open = False
        self._add(keys.start, middle, parent.shard.shard_id)
        self._add(middle + 1, keys.end, parent.shard.shard_id)
        return parent.shard.shard_id

    def merge(self, draw: Chance) -> str | None:
        """Merge two neighbours."""
        held = self.open_shards()
        if len(held) < 2:
            return None
        place = draw.randrange(len(held) - 1)
        first, second = held[place], held[place + 1]
        first.open = second.open = False
        ids = first.shard.shard_id, second.shard.shard_id
        self._add(first.shard.hash_keys.start, second.shard.hash_keys.end, *ids)
        return " and ".join(ids)

    def listing(self) -> list[Shard]:
        """As ListShards tells."""
        return [
            Shard(held.shard.shard_id, held.shard.hash_keys, held.shard.parents, held.open)
            for held in self.shards.values()
        ]


class SimSource:
    """One worker's client of it."""

    def __init__(self, stream: SimStream, call: Callable[[], Awaitable[None]], draw: Chance) -> None:
        self._stream = stream
        self._call = call
        self._draw = draw

    async def shards(self) -> list[Shard]:
        """ListShards."""
        await self._call()
        listing = self._stream.listing()
        await self._call()
        return listing

    async def iterator(self, shard_id: str, start: Start) -> str:
        """GetShardIterator."""
        await self._call()
        records = self._stream.shards[shard_id].records
        numbers = [int(record.sequence_number) for record in records]
        match start.kind:
            case "TRIM_HORIZON":
                place = 0
            case "LATEST":
                place = len(records)
                self._stream.latest.setdefault(shard_id, self._stream.next_number)
            case "AT_TIMESTAMP":
                at_ms = start.at_ms or 0
                place = sum(record.arrived_ms < at_ms for record in records)
            case "AT_SEQUENCE_NUMBER":
                place = sum(number < int(start.sequence or 0) for number in numbers)
            case _:
                expect(start.kind == "AFTER_SEQUENCE_NUMBER", "an iterator of kind", start.kind)
                place = sum(number <= int(start.sequence or 0) for number in numbers)
        await self._call()
        return f"{shard_id} {place}"

    async def fetch(self, iterator: str, limit: int) -> Fetched:
        """GetRecords."""
        await self._call()
        if self._draw.random() < 0.03:
            code = self._draw.choice(("ExpiredIteratorException", "ProvisionedThroughputExceededException"))
            raise CallFailed("simulated", code=code, throttled=True)
        shard_id, _, place = iterator.partition(" ")
        held = self._stream.shards[shard_id]
        begin = int(place)
        records = held.records[begin : begin + min(limit, self._draw.choice((1, 3, 20)))]
        end = begin + len(records)
        at_end = end == len(held.records) and not held.open
        children = tuple(shard for shard in self._stream.listing() if shard_id in shard.parents) if at_end else ()
        fetched = Fetched(records, None if at_end else f"{shard_id} {end}", len(held.records) - end, children)
        await self._call()
        return fetched
