"""The directory of streams: the view in memory that every operation looks things up in.

Theory.  The MetaStore is the truth; the view is a projection of it, fed by one scan at start and then only by its watch, in the order
of commits.  A change is a commit that names the versions it was based on; whoever loses a race is told so, and nothing is half done.
Rules of this file: the view is changed in `_apply` and nowhere else, and a commit's changes become visible together.
"""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import suppress

from penstock.core.errors import Error
from penstock.core.ids import StreamUid, shard_id
from penstock.engines.api import Change, Conflict, Fan, MetaStore, Write
from penstock.services.streams import sequence
from penstock.services.streams.quota import tagged_rates
from penstock.services.streams.state import (
    DATA_KEYS,
    ROOT,
    Consumer,
    DataKey,
    Shard,
    Stream,
    decode_consumer,
    decode_data_key,
    decode_shard,
    decode_stream,
    encode,
)
from penstock.services.streams.topology import Ring
from penstock.wire import native, nativeparts


class ShardView:
    """One shard as operations see it: its record, with what the hot path needs computed once."""

    __slots__ = ("log", "number_base", "shard", "shard_id", "version")

    def __init__(self, shard: Shard, version: int) -> None:
        self.shard = shard
        self.version = version
        self.log = shard.log
        self.shard_id = shard_id(shard.no)
        self.number_base = sequence.base(shard.origin)  # of the sequence numbers of its records


class ConsumerView:
    """One registered consumer as operations see it."""

    __slots__ = ("consumer", "version")

    def __init__(self, consumer: Consumer, version: int) -> None:
        self.consumer = consumer
        self.version = version


class DataKeyView:
    """One data key of a stream as its envelope sees it."""

    __slots__ = ("data_key", "version")

    def __init__(self, data_key: DataKey, version: int) -> None:
        self.data_key = data_key
        self.version = version


class StreamView:
    """One stream as operations see it."""

    __slots__ = (
        *(
            "_changed",
            "_fan",
            "_names",
            "_ring",
            "consumers",
            "data_keys",
            "newest_key",
            "own_rates",
            "shards",
            "stalled",
            "stream",
        ),
        "version",
    )

    def __init__(self, stream: Stream, version: int) -> None:
        self.stream = stream
        self.version = version
        self.own_rates = tagged_rates(stream.tags)  # None: those of the server
        self.shards: dict[int, ShardView] = {}  # by number, in its order
        self.consumers: dict[str, ConsumerView] = {}  # by name
        self.data_keys: dict[int, DataKeyView] = {}  # by number; none in a stream that was never encrypted
        self.newest_key: DataKey | None = None
        self._ring: Ring[ShardView] | None = None
        self._fan: Fan | None = None
        self._names: nativeparts.ShardNames | None = None
        self._changed = asyncio.Event()
        self.stalled = False  # its last step from state to state failed and is to be tried again

    @property
    def ring(self) -> Ring[ShardView]:
        """The open shards by hash key."""
        if self._ring is None:
            self._ring = Ring([(view.shard.hash_range, view) for view in self.open_shards()])
        return self._ring

    @property
    def fan(self) -> Fan:
        """The logs of the ring's owners."""
        if self._fan is None:
            self._fan = Fan([held.log for held in self.ring.owners])
        return self._fan

    @property
    def names(self) -> nativeparts.ShardNames:
        """The ring's owners for the native part; asked for only where there is one."""
        if self._names is None:
            assert native.NATIVE is not None
            self._names = native.NATIVE.ShardNames(
                [
                    (held.shard_id, held.number_base.to_bytes(sequence.NUMBER_BYTES, "little"), held.shard.no)
                    for held in self.ring.owners
                ]
            )
        return self._names

    def open_shards(self) -> list[ShardView]:
        """The shards that take writes, by number."""
        return [view for view in self.shards.values() if view.shard.closed_ms is None]

    async def change(self) -> None:
        """Return after the next change of its shards, or when it stalls or is deleted."""
        await self._changed.wait()

    def is_open(self, number: int) -> bool:
        """Whether a shard exists and takes writes."""
        held = self.shards.get(number)
        return held is not None and held.shard.closed_ms is None

    def children(self, number: int) -> list[Shard]:
        """The shards that continue a closed one."""
        shards = (held.shard for held in self.shards.values())
        return [shard for shard in shards if number in (shard.parent_no, shard.adjacent_parent_no)]

    def announce_change(self) -> None:
        """Wake who waits in `change`."""
        self._changed.set()
        self._changed = asyncio.Event()

    def set_shard(self, number: int, view: ShardView | None) -> None:
        """Put a shard's record in, or take it out; the ring is built anew when it is next asked for."""
        if view is None:
            self.shards.pop(number, None)
        else:
            self.shards[number] = view
        self._ring = self._fan = self._names = None

    def set_consumer(self, name: str, held: ConsumerView | None) -> None:
        """Put a consumer's record in, or take it out."""
        if held is None:
            self.consumers.pop(name, None)
        else:
            self.consumers[name] = held

    def set_data_key(self, number: int, held: DataKeyView | None) -> None:
        """Put a data key's record in, or take it out."""
        if held is None:
            self.data_keys.pop(number, None)
        else:
            self.data_keys[number] = held
        newest = max(self.data_keys, default=None)
        self.newest_key = None if newest is None else self.data_keys[newest].data_key


class Directory:
    """Streams by account, region and name."""

    def __init__(self, meta: MetaStore) -> None:
        self._meta = meta
        self._by_key: dict[str, StreamView] = {}
        self._by_uid: dict[StreamUid, StreamView] = {}

    async def open(self) -> None:
        """Read what the store holds and follow it from then on."""
        self._meta.watch(ROOT, self._apply)
        entries = await self._meta.scan(ROOT)
        self._apply([Change(key, value) for key, value in entries])
        await self._drop_lost_keys([(key, held.version) for key, held in entries if key.startswith(DATA_KEYS)])

    def find(self, account: str, region: str, name: str) -> StreamView | None:
        """The stream of that name, in whatever state."""
        return self._by_key.get(f"{ROOT}stream/{account}/{region}/{name}")

    def find_uid(self, uid: str) -> StreamView | None:
        """The stream with that StreamId."""
        return self._by_uid.get(StreamUid(uid))

    def all(self) -> Iterator[StreamView]:
        """Every stream of every account and region; the directory may change while this is iterated."""
        return iter(list(self._by_key.values()))

    def of(self, account: str, region: str) -> list[StreamView]:
        """The streams of one account and region, by name, but for hidden ones."""
        prefix = f"{ROOT}stream/{account}/{region}/"
        views = [self._by_key[key] for key in sorted(self._by_key) if key.startswith(prefix)]
        return [view for view in views if not view.stream.is_hidden]

    async def create(self, stream: Stream, shards: Sequence[Shard]) -> StreamView:
        """Store a new stream with its shards.  Raises STREAM_EXISTS if its name is taken by then."""
        writes = [Write(stream.key, encode(stream), 0), *(Write(shard.key, encode(shard), 0) for shard in shards)]
        try:
            await self._meta.commit(writes)
        except Conflict:
            raise Error.STREAM_EXISTS(stream=stream.name, account=stream.account) from None
        return self._by_key[stream.key]

    async def update(self, view: StreamView, stream: Stream) -> None:
        """Replace a stream's record.  Raises STREAM_NOT_ACTIVE if another change came first."""
        try:
            await self.replace(view, stream)
        except Conflict:
            raise Error.STREAM_NOT_ACTIVE(stream=stream.name, account=stream.account, status="UPDATING") from None

    async def replace(self, view: StreamView, stream: Stream) -> None:
        """Replace a stream's record.  Raises Conflict if another change came first."""
        await self._meta.commit([Write(stream.key, encode(stream), view.version)])

    async def reshard(self, view: StreamView, stream: Stream, closed: Sequence[Shard], opened: Sequence[Shard]) -> None:
        """Close shards and open their children, with the stream's record, at once.  Raises Conflict if another change came first."""
        await self._meta.commit(
            [
                Write(stream.key, encode(stream), view.version),
                *(Write(shard.key, encode(shard), view.shards[shard.no].version) for shard in closed),
                *(Write(shard.key, encode(shard), 0) for shard in opened),
            ]
        )

    async def remove(self, view: StreamView) -> None:
        """Forget a stream, its shards, consumers and data keys.  Raises Conflict if another change came first."""
        shards = [Write(held.shard.key, None, held.version) for held in view.shards.values()]
        consumers = [Write(held.consumer.key, None, held.version) for held in view.consumers.values()]
        keys = [Write(held.data_key.key, None, held.version) for held in view.data_keys.values()]
        await self._meta.commit([Write(view.stream.key, None, view.version), *shards, *consumers, *keys])

    async def register(self, consumer: Consumer) -> None:
        """Store a new consumer.  Raises Conflict if its name is taken by then."""
        await self._meta.commit([Write(consumer.key, encode(consumer), 0)])

    async def replace_consumer(self, held: ConsumerView, consumer: Consumer | None) -> None:
        """Replace a consumer's record, or forget it.  Raises Conflict if another change came first."""
        value = None if consumer is None else encode(consumer)
        await self._meta.commit([Write(held.consumer.key, value, held.version)])

    async def add_data_key(self, view: StreamView, data_key: DataKey) -> None:
        """Store a new data key of a stream, durably.  Raises Conflict if its number is taken by then."""
        await self._meta.commit([Write(data_key.key, encode(data_key), 0)])
        if self._by_uid.get(data_key.uid) is not view:  # the stream was deleted meanwhile
            held = await self._meta.get(data_key.key)
            if held is not None:
                await self._meta.commit([Write(data_key.key, None, held.version)])

    async def remove_data_keys(self, gone: Sequence[DataKeyView]) -> None:
        """Forget data keys.  Raises Conflict if another change came first."""
        await self._meta.commit([Write(held.data_key.key, None, held.version) for held in gone])

    async def _drop_lost_keys(self, found: Sequence[tuple[str, int]]) -> None:
        """Forget data keys whose stream was deleted while they were made, and the server stopped then."""
        lost = [Write(key, None, version) for key, version in found if StreamUid(key.split("/")[2]) not in self._by_uid]
        if lost:
            with suppress(Conflict):  # another process does the same
                await self._meta.commit(lost)

    async def remove_shard(self, held: ShardView) -> None:
        """Forget a shard.  Raises Conflict if another change came first."""
        await self._meta.commit([Write(held.shard.key, None, held.version)])

    def _apply(self, changes: Sequence[Change]) -> None:
        touched: set[StreamView] = set()
        for key, now in changes:
            if key.startswith(ROOT + "stream/"):
                view = None if now is None else StreamView(decode_stream(now.value), now.version)
                self._apply_stream(key, view)
        for key, now in changes:
            kind, uid, name = key.removeprefix(ROOT).split("/", 2) if key.count("/") == 3 else ("", "", "")
            owner = self._by_uid.get(StreamUid(uid))
            if owner is None:
                continue
            if kind == "shard":
                owner.set_shard(int(name), None if now is None else ShardView(decode_shard(now.value), now.version))
                touched.add(owner)
            elif kind == "consumer":
                held = None if now is None else ConsumerView(decode_consumer(now.value), now.version)
                owner.set_consumer(name, held)
            elif kind == "datakey":
                found = None if now is None else DataKeyView(decode_data_key(now.value), now.version)
                owner.set_data_key(int(name), found)
        for view in touched:
            view.announce_change()

    def _apply_stream(self, key: str, now: StreamView | None) -> None:
        held = self._by_key.get(key)
        if held is not None and now is not None and now.version < held.version:
            return  # from the scan at start, overtaken by the watch
        if now is None:
            if held is not None:
                del self._by_key[key], self._by_uid[held.stream.uid]
                held.announce_change()
        elif held is not None and held.stream.uid == now.stream.uid:
            held.stream, held.version = now.stream, now.version  # who holds the view sees the change
            held.own_rates = now.own_rates
        else:
            self._by_key[key] = self._by_uid[now.stream.uid] = now
