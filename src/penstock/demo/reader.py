"""The readers: one thread for each shard, from its first record to its last.

Theory.  A shard that a reshard closed ends with a list of its children; a child is begun when all of its parents were read to their
end, and so a key's records are read in order across the reshard.  An open shard has no end: its reader stops at the tip, once nothing
more is fed and nothing is missing, or has turned up for LINGER_S.
"""

import logging
import threading
from typing import TYPE_CHECKING, Final

import msgspec

from penstock.clients.calls import CALL_ERRORS, Fate, Patience, error_code, error_text, fate_of
from penstock.demo.outbox import Stamp
from penstock.demo.progress import Progress
from penstock.host.clock import monotonic_s

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient
    from mypy_boto3_kinesis.type_defs import ChildShardTypeDef, GetRecordsOutputTypeDef, RecordTypeDef

POLL_S: Final = 0.2  # at the tip: five reads a second is what a shard allows
LINGER_S: Final = 2.0

logger = logging.getLogger(__name__)

_decode_stamp = msgspec.json.Decoder(Stamp).decode


class Readers:
    """All readers of one stream."""

    def __init__(self, client: "KinesisClient", stream: str, progress: Progress) -> None:
        self._client = client
        self._stream = stream
        self._progress = progress
        self._lock = threading.Lock()
        self._threads: dict[str, threading.Thread] = {}  # by shard
        self._ended: set[str] = set()

    def start(self, shard_ids: list[str]) -> None:
        """Read these shards, each from its beginning."""
        for shard_id in shard_ids:
            self._start(shard_id)

    @property
    def running(self) -> bool:
        """Whether any reader still reads."""
        with self._lock:
            return any(thread.is_alive() for thread in self._threads.values())

    def join(self, timeout_s: float) -> None:
        """Wait for the readers to end, so long in all."""
        until_s = monotonic_s() + timeout_s
        with self._lock:
            threads = list(self._threads.values())
        for thread in threads:
            thread.join(max(0.0, until_s - monotonic_s()))

    def _start(self, shard_id: str) -> None:
        thread = threading.Thread(target=self._run, args=(shard_id,), name=shard_id, daemon=True)
        with self._lock:
            self._threads[shard_id] = thread
            thread.start()

    def _run(self, shard_id: str) -> None:
        try:
            children = _Reader(self._client, self._stream, shard_id, self._progress).read()
            if children is not None:
                self._progress.closed(shard_id)
                self._go_on(shard_id, children)
        except Exception as error:
            logger.exception("the reader of %s broke", shard_id)
            self._progress.fail(f"the reader of {shard_id} broke: {error!r}")

    def _go_on(self, shard_id: str, children: "list[ChildShardTypeDef]") -> None:
        with self._lock:
            self._ended.add(shard_id)
            ready = [
                child["ShardId"]
                for child in children
                if child["ShardId"] not in self._threads and self._ended.issuperset(child["ParentShards"])
            ]
        for child_id in ready:
            self._start(child_id)


class _Reader:
    """One shard's reader."""

    def __init__(self, client: "KinesisClient", stream: str, shard_id: str, progress: Progress) -> None:
        self._client = client
        self._stream = stream
        self._shard_id = shard_id
        self._progress = progress
        self._iterator: str | None = None
        self._last_number: str | None = None  # of the last record read
        self._pages = 0
        self._patience = Patience()
        self._fed_s: float | None = None  # since when this reader has known that no more is fed

    def read(self) -> "list[ChildShardTypeDef] | None":
        """Read until the end: the children of a closed shard, or None where the demo ends."""
        halt = self._progress.halt
        while not halt.is_set():
            began_s = monotonic_s()
            fed = self._progress.fed.is_set()  # asked before the call: the page is then newer than the last put
            try:
                page = self._call()
            except CALL_ERRORS as error:
                self._failed(error)
                continue
            self._patience.worked()
            self._progress.waiting(self._shard_id, None)
            self._account(page)
            self._iterator = page.get("NextShardIterator")
            if not self._iterator:
                return page.get("ChildShards", [])
            if page["MillisBehindLatest"] == 0:
                if fed and not page["Records"] and self._may_leave():
                    return None
                halt.wait(max(0.0, began_s + POLL_S - monotonic_s()))
        return None

    def _call(self) -> "GetRecordsOutputTypeDef":
        if self._iterator is None:
            self._iterator = self._open()
        return self._client.get_records(ShardIterator=self._iterator)

    def _open(self) -> str:
        if self._last_number is None:
            answer = self._client.get_shard_iterator(
                StreamName=self._stream, ShardId=self._shard_id, ShardIteratorType="TRIM_HORIZON"
            )
        else:
            answer = self._client.get_shard_iterator(
                StreamName=self._stream,
                ShardId=self._shard_id,
                ShardIteratorType="AFTER_SEQUENCE_NUMBER",
                StartingSequenceNumber=self._last_number,
            )
        return answer["ShardIterator"]

    def _failed(self, error: Exception) -> None:
        if error_code(error) == "ExpiredIteratorException":
            self._iterator = None
            return
        wait_s = None if fate_of(error) is Fate.FAILED else self._patience.wait_s()
        if wait_s is None:
            self._progress.fail(f"cannot read {self._shard_id}: {error_text(error)}")
        else:
            self._progress.waiting(self._shard_id, error_text(error))
            self._progress.halt.wait(wait_s)

    def _account(self, page: "GetRecordsOutputTypeDef") -> None:
        records = page["Records"]
        size = sum(len(record["Data"]) + len(record["PartitionKey"]) for record in records)
        self._pages += 1
        latest = (
            records[self._pages % len(records)]["Data"] if records else None
        )  # not always the last: it would be dull
        self._progress.read(
            self._shard_id, [_stamp(record) for record in records], size, page["MillisBehindLatest"], latest
        )
        if records:
            self._last_number = records[-1]["SequenceNumber"]

    def _may_leave(self) -> bool:
        if self._fed_s is None:
            self._fed_s = monotonic_s()
        return self._progress.outstanding == 0 or monotonic_s() - self._fed_s >= LINGER_S


def _stamp(record: "RecordTypeDef") -> Stamp | str:
    """The stamp of a record, or what is wrong with it."""
    try:
        stamp = _decode_stamp(record["Data"])
    except msgspec.DecodeError as error:
        return f"record {record['SequenceNumber']} is damaged: {error}"
    if stamp.key != record["PartitionKey"]:
        return (
            f"record {record['SequenceNumber']} of {stamp.key} came with the partition key {record['PartitionKey']!r}"
        )
    return stamp
