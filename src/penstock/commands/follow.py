"""Following a stream: every shard read at once, parents before children, a round at a time.

Theory.  A round reads one page of each shard that is due, a few shards at a time, and gives their records in the order of arrival; a
shard's own order is never changed.  A shard at its tip is due again a moment later.  When a shard has ended the stream is listed anew,
and those of whom every parent has ended are begun (family.Lineage): so a key's records come in order across a reshard.
Rules of this file:
  1. A page counts as read when its records were given; an iterator that expires is opened again behind the last of them.
  2. Memory is bounded by WIDTH pages.
"""

import heapq
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from penstock.clients.calls import CALL_ERRORS, THROTTLING_CODES, Fate, Patience, error_code, error_text, fate_of
from penstock.commands.family import Lineage, Shard
from penstock.commands.place import pause
from penstock.commands.shards import list_shards
from penstock.commands.shown import Shown
from penstock.commands.since import Begin
from penstock.core.ids import Millis
from penstock.host.clock import SystemClock, monotonic_s

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient
    from mypy_boto3_kinesis.type_defs import GetRecordsOutputTypeDef, RecordTypeDef

WIDTH: Final = 8  # shards that are read at the same time
POLL_S: Final = 0.25  # between reads of a shard at its tip; AWS allows five a second, among all readers
EXPIRED: Final = "ExpiredIteratorException"


class Wanted(NamedTuple):
    """What is to be read."""

    stream: str
    begin: Begin
    shard_id: str | None = None  # None: all shards
    follow: bool = True  # False: end at the tip


class Follower:
    """Reads what is wanted.  Every method raises one of CALL_ERRORS once nothing has worked for a while."""

    def __init__(self, client: "KinesisClient", wanted: Wanted, say: Callable[[str], None]) -> None:
        self._client = client
        self._wanted = wanted
        self._say = say  # told when a call has to be made again
        self._lineage = Lineage()
        self._readers: list[_Reader] = []

    def start(self, listing: Sequence[Shard]) -> None:
        """Begin, with the shards that there are."""
        wanted = self._wanted
        if wanted.shard_id is not None:
            self._begin([shard for shard in listing if shard.shard_id == wanted.shard_id], wanted.begin)
            return
        if wanted.begin.kind == "LATEST":
            self._lineage = Lineage(shard.shard_id for shard in listing if not shard.open)
        self._begin(self._lineage.ready(listing), wanted.begin)

    def rounds(self) -> Iterator[list[Shown]]:
        """Records, as they are read; ends where there is nothing more to wait for."""
        with ThreadPoolExecutor(WIDTH, "read") as pool:
            while self._readers:
                due = self._due()
                for place in range(0, len(due), WIDTH):
                    pages = list(pool.map(_Reader.read, due[place : place + WIDTH]))
                    yield list(heapq.merge(*pages, key=lambda record: record.arrived_ms))
                self._settle()

    def _due(self) -> list["_Reader"]:
        """The readers whose turn it is, after waiting for the first of them."""
        next_s = min(reader.due_s for reader in self._readers)
        if (wait_s := next_s - monotonic_s()) > 0:
            pause(wait_s)
        now_s = monotonic_s()
        return [reader for reader in self._readers if reader.due_s <= now_s]

    def _settle(self) -> None:
        """Let go of the readers that have done, and begin with who may follow them."""
        ended = [reader for reader in self._readers if reader.ended]
        self._readers = [reader for reader in self._readers if not reader.ended and not reader.left]
        if ended and self._wanted.shard_id is None:
            for reader in ended:
                self._lineage.ended(reader.shard_id)
            listing = list_shards(self._client, self._wanted.stream)
            latest = self._wanted.begin.kind == "LATEST"
            self._begin(self._lineage.ready(listing), Begin("TRIM_HORIZON") if latest else self._wanted.begin)

    def _begin(self, shards: Sequence[Shard], begin: Begin) -> None:
        for shard in shards:
            leave = not self._wanted.follow and shard.open
            self._readers.append(_Reader(self._client, self._wanted.stream, shard.shard_id, begin, leave, self._say))


class _Reader:
    """One shard's reader."""

    def __init__(
        self, client: "KinesisClient", stream: str, shard_id: str, begin: Begin, leave: bool, say: Callable[[str], None]
    ) -> None:
        self.shard_id = shard_id
        self.due_s = 0.0
        self.ended = False  # there is nothing after what was read
        self.left = False  # at the tip, with `leave`
        self._client = client
        self._stream = stream
        self._begin = begin
        self._leave = leave
        self._say = say
        self._iterator: str | None = None
        self._last_number: str | None = None
        self._asked_ms = Millis(0)  # when the last page was asked for that came
        self._patience = Patience()

    def read(self) -> list[Shown]:
        """The records of the next page; none where the call has to be made again."""
        asked_ms = SystemClock().now_ms()
        try:
            page = self._call()
        except CALL_ERRORS as error:
            self._failed(error)
            return []
        self._patience.worked()
        self._asked_ms = asked_ms
        self._iterator = page.get("NextShardIterator")
        self.ended = not self._iterator
        at_tip = page["MillisBehindLatest"] == 0
        self.left = at_tip and self._leave
        self.due_s = monotonic_s() + (POLL_S if at_tip else 0.0)
        shown = [self._shown(record) for record in page["Records"]]
        if shown:
            self._last_number = shown[-1].number
        return shown

    def _shown(self, record: "RecordTypeDef") -> Shown:
        arrived_ms = Millis(round(record["ApproximateArrivalTimestamp"].timestamp() * 1000))
        return Shown(self.shard_id, record["SequenceNumber"], record["PartitionKey"], record["Data"], arrived_ms)

    def _call(self) -> "GetRecordsOutputTypeDef":
        if self._iterator is None:
            self._iterator = self._open()
        return self._client.get_records(ShardIterator=self._iterator)

    def _open(self) -> str:
        client, name, shard_id, begin = self._client, self._stream, self.shard_id, self._begin
        if self._last_number is not None:
            answer = client.get_shard_iterator(
                StreamName=name,
                ShardId=shard_id,
                ShardIteratorType="AFTER_SEQUENCE_NUMBER",
                StartingSequenceNumber=self._last_number,
            )
        elif begin.at_ms is not None:
            answer = client.get_shard_iterator(
                StreamName=name, ShardId=shard_id, ShardIteratorType="AT_TIMESTAMP", Timestamp=_moment(begin.at_ms)
            )
        else:
            answer = client.get_shard_iterator(StreamName=name, ShardId=shard_id, ShardIteratorType=begin.kind)
        return answer["ShardIterator"]

    def _failed(self, error: Exception) -> None:
        if error_code(error) == EXPIRED:
            self._iterator = None
            if self._begin.kind == "LATEST":  # what came after the last page, which was empty, is still wanted
                self._begin = Begin("AT_TIMESTAMP", self._asked_ms)
            return
        wait_s = None if fate_of(error) is Fate.FAILED else self._patience.wait_s()
        if wait_s is None:
            raise error
        if error_code(error) not in THROTTLING_CODES:
            self._say(f"trying again: {error_text(error)}")
        self.due_s = monotonic_s() + wait_s


def _moment(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, UTC)
