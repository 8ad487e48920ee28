"""What feeds a processor: pages of user records, in a queue that is bounded.

Theory.  A feed fetches ahead of the processor, and stops when the application has so many bytes in its hands as it may; the processor
takes pages in order.  One page above the bound may be in flight for each shard, because its size is known when it is there.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

from msgspec import Struct

from penstock.consumer.lineage import Shard
from penstock.consumer.position import Checkpoint

PAGES_MAX: Final = 4  # fetched ahead for one shard


class Record(Struct, frozen=True, gc=False):
    """One user record: a Kinesis record, or one of those that an aggregate carried."""

    data: bytes
    partition_key: str
    sequence_number: str  # of the Kinesis record
    sub_sequence_number: int  # place in the aggregate; 0 for a plain record
    arrived_ms: int  # approximate arrival, since the epoch
    explicit_hash_key: str | None = None
    aggregated: bool = False

    @property
    def checkpoint(self) -> Checkpoint:
        """The checkpoint that says: processed up to this one."""
        return Checkpoint(self.sequence_number, self.sub_sequence_number)


class Raw(Struct, frozen=True, gc=False):
    """A Kinesis record as it was fetched."""

    data: bytes
    partition_key: str
    sequence_number: str
    arrived_ms: int


class Fetched(Struct, frozen=True):
    """An answer of GetRecords, or an event of a subscription."""

    records: list[Raw]
    next: str | None  # iterator, or continuation sequence number; None at the end of the shard
    behind_ms: int
    children: tuple[Shard, ...] = ()  # at the end


class Start(Struct, frozen=True):
    """Where to begin in a shard, in GetShardIterator's terms."""

    kind: str  # AT_SEQUENCE_NUMBER, AFTER_SEQUENCE_NUMBER, TRIM_HORIZON, LATEST, AT_TIMESTAMP
    sequence: str | None = None
    at_ms: int | None = None


class Page(Struct, frozen=True):
    """What a processor is given at once."""

    records: list[Record]
    behind_ms: int
    size_bytes: int = 0
    ended: bool = False  # there is nothing after it
    children: tuple[str, ...] = ()


class ShardGone(Exception):
    """The stream or the shard is not there any more."""


class CallFailed(Exception):
    """A call to Kinesis that may be made again later."""

    def __init__(self, text: str, *, code: str = "", throttled: bool = False, lasting: bool = False) -> None:
        super().__init__(text)
        self.code = code
        self.throttled = throttled
        self.lasting = lasting  # it will fail again until somebody does something about it


class Source(Protocol):
    """What a consumer asks of Kinesis.  Every method may raise CallFailed, ShardGone."""

    async def shards(self) -> list[Shard]:
        """All shards that are still listed."""
        ...

    async def iterator(self, shard_id: str, start: Start) -> str:
        """A shard iterator."""
        ...

    async def fetch(self, iterator: str, limit: int) -> Fetched:
        """The next records."""
        ...


class Budget:
    """Bytes that are fetched and not processed, over all shards."""

    def __init__(self, most_bytes: int) -> None:
        self.used_bytes = 0
        self._most_bytes = most_bytes
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def room(self) -> None:
        """Wait until there is some."""
        while self.used_bytes >= self._most_bytes:
            woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(woken)
            await woken

    def add(self, size_bytes: int) -> None:
        """Note what was fetched, or, below 0, what was processed."""
        self.used_bytes += size_bytes
        while self._waiting and self.used_bytes < self._most_bytes:
            woken = self._waiting.popleft()
            if not woken.done():
                woken.set_result(None)


class Pipe:
    """Pages of one shard, from its feed to its processor."""

    def __init__(self, budget: Budget, on_page: Callable[[], object] = lambda: None) -> None:
        self._budget = budget
        self._on_page = on_page  # called when there is another page
        self._pages: deque[Page] = deque()
        self._taker: asyncio.Future[None] | None = None
        self._giver: asyncio.Future[None] | None = None
        self._in_hand_bytes = 0
        self.last: Checkpoint | None = None  # of the newest record that was put

    async def room(self) -> None:
        """Wait until another page may be fetched."""
        while len(self._pages) >= PAGES_MAX:
            self._giver = asyncio.get_running_loop().create_future()
            await self._giver
        await self._budget.room()

    def put(self, page: Page) -> None:
        """Give a page."""
        if page.records:
            self.last = page.records[-1].checkpoint
        self._budget.add(page.size_bytes)
        self._pages.append(page)
        self.wake()
        self._on_page()

    @property
    def ready(self) -> bool:
        """Whether a page can be taken at once."""
        return bool(self._pages)

    async def take(self) -> Page | None:
        """The next page, or None after `wake` with nothing there.  Taking one says that the last was processed."""
        self.settle()
        if not self._pages:
            self._taker = asyncio.get_running_loop().create_future()
            await self._taker
            if not self._pages:
                return None
        page = self._pages.popleft()
        self._in_hand_bytes = page.size_bytes
        if self._giver is not None and not self._giver.done():
            self._giver.set_result(None)
        return page

    def wake(self) -> None:
        """Let the taker look again."""
        if self._taker is not None and not self._taker.done():
            self._taker.set_result(None)

    def close(self) -> None:
        """Give back all the room that was taken."""
        self.settle()
        self._budget.add(-sum(page.size_bytes for page in self._pages))
        self._pages.clear()

    def settle(self) -> None:
        """Say that the page that was taken was processed."""
        self._budget.add(-self._in_hand_bytes)
        self._in_hand_bytes = 0
