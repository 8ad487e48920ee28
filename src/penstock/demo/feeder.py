"""The feeder: a thread that turns readings into records at a rate, and puts them until each was taken.

Rule of this file: a record leaves the outbox only on an answer that names its shard; everything else is tried again.
"""

import logging
import threading
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Final

from penstock.clients.calls import CALL_ERRORS, THROTTLING_CODES, Fate, Patience, error_text, fate_of
from penstock.demo.machine import Reading
from penstock.demo.outbox import Outbox, Outgoing, write_record
from penstock.demo.progress import Progress
from penstock.host.clock import SystemClock, monotonic_s

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient
    from mypy_boto3_kinesis.type_defs import PutRecordsRequestEntryTypeDef, PutRecordsResultEntryTypeDef

BACKLOG_MAX_RECORDS: Final = 5_000  # made and not yet taken; a rate that the server cannot follow is not reached
TICK_S: Final = 0.02

logger = logging.getLogger(__name__)


class Pacer:
    """Says how many records are due, so that there are `rate` of them a second; what is overdue by more than a second is waived."""

    def __init__(self, rate: int, now_s: float) -> None:
        self._rate = rate
        self._due = 0.0
        self._asked_s = now_s

    def due(self, now_s: float) -> int:
        """Whole records due now."""
        self._due = min(self._due + (now_s - self._asked_s) * self._rate, float(self._rate))
        self._asked_s = now_s
        return int(self._due)

    def made(self, count: int) -> None:
        """Note that so many were made, of those due."""
        assert count <= self._due
        self._due -= count


class Feeder:
    """Feeds one stream with `readings`, which it takes as they fall due."""

    def __init__(
        self, client: "KinesisClient", stream: str, rate: int, progress: Progress, readings: Iterator[Reading]
    ) -> None:
        self._client = client
        self._stream = stream
        self._rate = rate
        self._progress = progress
        self._outbox = Outbox()
        self._readings = readings
        self._clock = SystemClock()
        self._patience = Patience()
        self._thread = threading.Thread(target=self._run, name="feeder", daemon=True)

    def start(self) -> None:
        """Begin to feed."""
        self._thread.start()

    def join(self, timeout_s: float) -> None:
        """Wait until the thread has ended: after `stop_feeding` that is when all is put, after `halt` at once."""
        self._thread.join(timeout_s)

    def _run(self) -> None:
        try:
            self._feed()
            while len(self._outbox) and not self._progress.halt.is_set():
                self._put()
        except Exception as error:
            logger.exception("the feeder broke")
            self._progress.fail(f"the feeder broke: {error!r}")
        finally:
            self._progress.fed.set()

    def _feed(self) -> None:
        stop, halt = self._progress.stop_feeding, self._progress.halt
        pacer = Pacer(self._rate, monotonic_s())
        while not stop.is_set() and not halt.is_set():
            count = min(pacer.due(monotonic_s()), BACKLOG_MAX_RECORDS - len(self._outbox))
            for reading in islice(self._readings, count):
                self._outbox.add(write_record(reading, self._progress.made(reading.key), self._clock.now_ms()))
            pacer.made(count)
            if len(self._outbox):
                self._put()
            else:
                stop.wait(TICK_S)

    def _put(self) -> None:
        """Put one batch."""
        batch = self._outbox.batch()
        records: list[PutRecordsRequestEntryTypeDef] = [
            {"Data": record.data, "PartitionKey": record.key} for record in batch
        ]
        try:
            answer = self._client.put_records(StreamName=self._stream, Records=records)
        except CALL_ERRORS as error:
            self._put_failed(batch, error)
        else:
            self._settle(batch, answer["Records"])

    def _put_failed(self, batch: list[Outgoing], error: Exception) -> None:
        match fate_of(error):
            case Fate.REFUSED:
                self._progress.refused(len(batch))
            case Fate.UNKNOWN:
                self._progress.unanswered([(record.key, record.number) for record in batch])
            case Fate.FAILED:
                self._progress.fail(f"cannot put records: {error_text(error)}")
                return
        self._pause(error_text(error))

    def _settle(self, batch: list[Outgoing], results: "list[PutRecordsResultEntryTypeDef]") -> None:
        shard_ids: list[str] = []
        sizes: list[int] = []
        refusals: list[str] = []
        for record, result in zip(batch, results, strict=True):
            if code := result.get("ErrorCode"):
                refusals.append(code)
                continue
            self._outbox.taken(record)
            shard_ids.append(result["ShardId"])
            sizes.append(len(record.data) + len(record.key))
        self._progress.put(shard_ids, sizes)
        self._progress.refused(len(refusals))
        if shard_ids:
            self._patience.worked()
            self._progress.waiting("feeder", None)
        if not shard_ids or THROTTLING_CODES.intersection(refusals):
            self._pause(f"records are refused with {refusals[0]}")

    def _pause(self, why: str) -> None:
        wait_s = self._patience.wait_s()
        if wait_s is None:
            self._progress.fail(f"cannot put records: {why}")
        else:
            self._progress.waiting("feeder", why)
            self._progress.halt.wait(wait_s)
