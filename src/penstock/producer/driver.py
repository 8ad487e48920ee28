"""The driver: gives the pipeline its time, makes its calls, and holds back who puts too much.

Theory.  One task ticks while anything is under way and sleeps when nothing is; each request is a task of its own, and the service's
threads bound how many are really under way.  Whoever puts while too much memory is held waits in line until records have a result.
Rules of this file:
  1. Everything runs on one event loop; nothing here may be called from another thread.
  2. No answer, however wrong, ends the driver: it becomes the result of the records that it is about.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

from penstock.clients.aws import Service
from penstock.clients.calls import CALL_ERRORS, error_code, error_text
from penstock.core.ports import Clock, Tasks
from penstock.producer.config import ProducerConfig
from penstock.producer.limiter import DRAIN_MS
from penstock.producer.pipeline import Pipeline
from penstock.producer.records import Lot, ProducerClosed, Put, lots_of
from penstock.producer.reducers import Request
from penstock.producer.shardmap import BadListing, read_listing
from penstock.producer.wire import Stream, put_records_body

logger = logging.getLogger("penstock.producer")

SHARDS_A_PAGE: Final = 1000
PAGES_MAX: Final = 1000  # of one listing
FLUSH_EVERY_MS: Final = 500
INBOX_MAX: Final = 500
NONSENSE: Final = (
    AttributeError,
    KeyError,
    TypeError,
    ValueError,
)  # what botocore's parser makes of some wrong answers
NO_ANSWER: Final = "Invalid Response"  # the code of attempts that it ends
REQUEST_FAILED: Final = (*CALL_ERRORS, TimeoutError, *NONSENSE)


class Driver:
    """What makes one stream's pipeline run."""

    def __init__(
        self, pipeline: Pipeline, stream: Stream, service: Service, config: ProducerConfig, clock: Clock, tasks: Tasks
    ) -> None:
        self.pipeline = pipeline
        self._stream = stream
        self._service = service
        self._clock = clock
        self._tasks = tasks
        self._tick_ms = max(1, min(DRAIN_MS, config.record_max_buffered_time // 4))
        self._buffered_ms, self._ttl_ms = config.record_max_buffered_time, config.record_ttl
        self._most_bytes = config.outstanding_max_bytes
        self._work = asyncio.Event()
        self._inbox: list[Put] = []
        self._inbox_bytes = 0
        self._inbox_most_bytes = self._most_bytes  # what there is room for
        self.must_wait = (
            False  # whether a record has to wait for its turn: for room, for others before it, or to let them run
        )
        self.on_results: Callable[[], None] | None = None
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def start(self) -> None:
        """Begin to tick, once the shards were listed or could not be: what comes before that cannot be packed."""
        self._loop = asyncio.get_running_loop()
        self.pipeline.shards.begin_listing()
        await self._list(self._clock.now_ms())
        self._tasks.spawn(self._run(), "producer")

    def put(self, put: Put) -> None:
        """Take a record; who may not wait need not ask whether it must."""
        if not self._inbox:
            self._loop.call_soon(self.take_in)
        self._inbox.append(put)
        self._inbox_bytes += put.held_bytes
        if self.must_wait or len(self._inbox) >= INBOX_MAX or self._inbox_bytes >= self._inbox_most_bytes:
            self.take_in()
            self._admit()
            self.must_wait = True  # and be it to let others run

    def put_lot(self, lot: Lot) -> None:
        """Take records that need not wait."""
        self.take_in()
        self._hand_over((lot,))

    def put_all(self, puts: Sequence[Put]) -> None:
        """Take records that need not wait, and were put one by one."""
        self.take_in()
        self._hand_over(lots_of(puts, self._buffered_ms, self._ttl_ms))

    def take_in(self) -> None:
        """Hand over to the pipeline what was put since it was last done: many at a time are quicker than one by one."""
        puts = self._inbox
        if puts:
            self._inbox, self._inbox_bytes = [], 0
            self._hand_over(lots_of(puts, self._buffered_ms, self._ttl_ms))
        self._inbox_most_bytes = self._most_bytes - self.pipeline.under_way.held_bytes

    def _hand_over(self, lots: Sequence[Lot]) -> None:
        if lots:
            self._work.set()
            self.pipeline.put(lots, self._clock.now_ms())

    async def turn(self) -> None:
        """Return when it is the caller's turn to put, which it has to do at once.  Raises ProducerClosed."""
        if not self._waiting and self.has_room:
            await self._clock.sleep(0)  # putting alone never waits, and nothing would ever be sent
            if not self._waiting and self.has_room:
                self.must_wait = False
                return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            self._admit()  # its turn may have come, and is the next one's then
            raise

    def _admit(self) -> None:
        """Let the next one in line put, if there is room."""
        while self._waiting and self.has_room:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self.must_wait = bool(self._waiting) or not self.has_room

    @property
    def has_room(self) -> bool:
        """Whether less is under way than there may be."""
        return self.pipeline.under_way.held_bytes < self._most_bytes

    def dismiss(self) -> None:
        """Turn away who still waits to put."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_exception(ProducerClosed())

    def flush(self) -> None:
        """Send what is held, soon."""
        self.take_in()
        self.pipeline.flush(self._clock.now_ms())
        self._pump()

    async def flush_sync(self) -> None:
        """Return when every record that was put has its result."""
        self.take_in()
        while self.pipeline.under_way.records:
            self.flush()
            again_ms = self._clock.now_ms() + FLUSH_EVERY_MS
            while self.pipeline.under_way.records and self._clock.now_ms() < again_ms:
                await self._clock.sleep(self._tick_ms)

    async def _run(self) -> None:
        while True:
            self.take_in()
            if not self.pipeline.under_way.records:
                self._work.clear()
                await self._work.wait()
            now_ms = self._clock.now_ms()
            at_ms = self.pipeline.shards.list_at_ms
            if at_ms is not None and at_ms <= now_ms:
                self.pipeline.shards.begin_listing()
                self._tasks.spawn(self._list(now_ms), "shard map")
            self.pipeline.tick(now_ms)
            self._pump()
            await self._clock.sleep(self._tick_ms)

    def _pump(self) -> None:
        requests, self.pipeline.requests = self.pipeline.requests, []
        for request in requests:
            self._tasks.spawn(self._send(request), "PutRecords")
        self._admit()
        if self.on_results is not None:
            self.on_results()

    async def _send(self, request: Request) -> None:
        began_ms = self._clock.now_ms()

        def body() -> bytes:
            nonlocal began_ms
            began_ms = self._clock.now_ms()  # a thread is free
            return put_records_body(self._stream, request)

        try:
            told = _records(await self._service.call_encoded("put_records", body, **self._stream.arguments))
        except REQUEST_FAILED as error:
            code = NO_ANSWER if isinstance(error, NONSENSE) else error_code(error) or type(error).__name__
            logger.info("PutRecords of %d records failed: %s", len(request), error_text(error))
            self.pipeline.failed(request, code, error_text(error), began_ms, self._clock.now_ms())
        else:
            self.pipeline.answered(request, told, began_ms, self._clock.now_ms())
        self._pump()

    async def _list(self, began_ms: int) -> None:
        try:
            found = read_listing(await self._listing())
        except REQUEST_FAILED as error:
            logger.warning("the shards of %s cannot be listed: %s", self._stream.shown, error_text(error))
            self.pipeline.shards.failed(self._clock.now_ms())
        else:
            self.pipeline.shards_listed(found, began_ms)
        self._pump()

    async def _listing(self) -> list[dict[str, Any]]:
        first = {**self._stream.arguments, "ShardFilter": {"Type": "AT_LATEST"}}
        page = await self._service.call("list_shards", MaxResults=SHARDS_A_PAGE, **first)
        shards: list[dict[str, Any]] = []
        for _ in range(PAGES_MAX):
            shards += page.get("Shards") or ()
            token = page.get("NextToken")
            if not token:
                return shards
            page = await self._service.call("list_shards", MaxResults=SHARDS_A_PAGE, NextToken=token)
        raise BadListing(f"there is no end after {PAGES_MAX} pages")


def _records(answer: dict[str, Any]) -> list[dict[str, Any]]:
    """What an answer tells of each record.  Raises ValueError where it tells nothing: botocore reads half a document as an empty one."""
    told = answer.get("Records")
    if not isinstance(told, list) or not all(isinstance(each, dict) for each in told):
        raise ValueError("the answer tells nothing of the records")
    return told
