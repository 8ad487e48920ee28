"""The pipeline: what happens to user records between `put` and their result.

Theory.  A record goes to the packer of the shard that the shard map predicts, from there as (part of) a Kinesis record to the limiter,
then to the collector, and in a PutRecords request to AWS.  What comes back is judged: a record that was not taken, or that landed in a
shard that does not own it, begins anew, at once, until it expires.  While the map is not ready, records skip packers and limiter.
    put -> Packer (one a shard) -> Limiter -> Collector -> a request -> answered | failed -> a result, or back to put
Rules of this file:
  1. Pure: the driver tells the time, makes the calls and reports what came of them; `requests` is what it has to send.
  2. Every record that was put gets one result, whatever answers look like.
  3. An aggregate of which any record belongs elsewhere is put again whole, because a reader drops it whole (wire/aggregate.py).  KPL
     puts only the foreign records again, and a reader may then miss the others.

Source: KPL's pipeline.h and retrier.cc.
"""

from collections.abc import Iterable, Mapping, Sequence
from heapq import heappop
from itertools import repeat
from typing import Any, Final

from penstock.core.hashkeys import HashRange
from penstock.producer import measures
from penstock.producer.config import ProducerConfig
from penstock.producer.limiter import Limiter
from penstock.producer.measures import Measures
from penstock.producer.records import Attempt, Entry, Lot, UnderWay, UserRecord, UserRecordFailed, UserRecordResult
from penstock.producer.reducers import NEVER_MS, Collector, Due, Packer, Request, entry_alone
from penstock.producer.shardmap import ShardMap

FLUSH_AFTER_MS: Final = 80  # flush gives the limiter so long before it empties the collector
PENDING_EVERY_MS: Final = 200
THROTTLED: Final = "ProvisionedThroughputExceededException"
EXPIRED: Final = "Expired"
WRONG_SHARD: Final = "Wrong Shard"
COUNT_MISMATCH: Final = "Record Count Mismatch"
TIMED_OUT: Final = "User Record Timeout"
CLOSED: Final = "Closed"


class Pipeline:
    """All that is under way of one stream."""

    def __init__(self, config: ProducerConfig, measured: Measures) -> None:
        self._config = config
        self._measures = measured
        self._due: Due = []
        self._packers: dict[str, Packer] = {}
        self._in_order: list[Packer] = []  # those of the open shards, as the shard map has them
        self._limiter = Limiter(config.rate_limit)
        self._collector = Collector(config)
        self._empty_collector_ms = NEVER_MS
        self._sample_ms = 0
        self._received = 0
        self.shards = ShardMap()
        self.requests: list[Request] = []  # to be sent, in this order
        self.under_way = UnderWay()

    def put(self, lots: Iterable[Lot], now_ms: int) -> None:
        """Take new records."""
        for lot in lots:
            self.under_way.add(lot)
            self._received += len(lot)
            self._place(lot, now_ms)

    def _place(self, lot: Lot, now_ms: int) -> None:
        shards = self.shards
        if not shards.is_ready:
            for each in self._one_by_one(lot):
                self._collect(entry_alone(each, None))
        elif not self._config.aggregation_enabled:
            for each in self._one_by_one(lot):
                self._limit(entry_alone(each, shards.shard_ids[shards.place(each.hash_keys[0])]), now_ms)
        else:
            groups: dict[int, list[int]] = {}
            for at, place in enumerate(shards.places(lot.hash_keys)):
                groups.setdefault(place, []).append(at)
            for place, piece in zip(groups, self.under_way.cut(lot, groups.values()), strict=True):
                for full in self._in_order[place].add(piece):
                    self._limit(full, now_ms)

    def _one_by_one(self, lot: Lot) -> list[Lot]:
        return self.under_way.cut(lot, [(at,) for at in range(len(lot))])

    def _limit(self, entry: Entry, now_ms: int) -> None:
        assert entry.shard_id is not None
        self._limiter.put(entry.shard_id, entry, now_ms)

    def _collect(self, entry: Entry) -> None:
        self.requests += self._collector.add(entry)

    def tick(self, now_ms: int) -> None:
        """Let time pass: send on what is due, what may pass, and give up what has expired."""
        while self._due and self._due[0][0] <= now_ms:
            _, shard_id = heappop(self._due)
            packer = self._packers.get(shard_id)
            if packer is not None and packer.deadline_ms <= now_ms:
                self._unpack(packer, now_ms)
        for entry in self._limiter.drain(now_ms):
            if entry.expires_ms <= now_ms:
                self._give_up(entry, now_ms)
            else:
                self._collect(entry)
        if self._collector.deadline_ms <= now_ms or self._empty_collector_ms <= now_ms:
            self._empty_collector_ms = NEVER_MS
            self._send_collected()
        self._overlooked(now_ms)
        self._sample(now_ms)

    def _unpack(self, packer: Packer, now_ms: int) -> None:
        entry = packer.take()
        if entry is not None:
            self._limit(entry, now_ms)

    def _send_collected(self) -> None:
        if not self._collector.is_empty:
            self.requests.append(self._collector.take())

    def flush(self, now_ms: int) -> None:
        """Send what is held, soon, whether it is due or not."""
        for packer in self._packers.values():
            self._unpack(packer, now_ms)
        self._due.clear()
        self._empty_collector_ms = min(self._empty_collector_ms, now_ms + FLUSH_AFTER_MS)

    def shards_listed(self, shards: Mapping[str, HashRange], now_ms: int) -> None:
        """Take a new shard map."""
        self.shards.listed(shards, now_ms)
        for shard_id in self._packers.keys() - shards.keys():
            self._unpack(self._packers.pop(shard_id), now_ms)
        for shard_id in shards.keys() - self._packers.keys():
            self._packers[shard_id] = Packer(shard_id, self._config, self._due, self.under_way)
        self._in_order = [self._packers[shard_id] for shard_id in self.shards.shard_ids]
        self._limiter.keep_only(frozenset(shards))

    def failed(self, request: Request, code: str, message: str, began_ms: int, now_ms: int) -> None:
        """A request that was not answered, or refused as a whole."""
        self._measure_request(request, began_ms, now_ms)
        self._measures.error(code, None)
        for entry in request:
            self._measures.put(measures.KINESIS_RECORDS_PUT, 0, entry.shard_id)
            self._again(entry, code, message, began_ms, now_ms)

    def answered(self, request: Request, answers: Sequence[Mapping[str, Any]], began_ms: int, now_ms: int) -> None:
        """The `Records` of an answer to a request."""
        self._measure_request(request, began_ms, now_ms)
        if len(answers) != len(request):
            message = f"the request had {len(request)} records, the answer {len(answers)}"
            self._measures.error(COUNT_MISMATCH, None)
            for entry in request:
                self._fail_all(entry, COUNT_MISMATCH, message, began_ms, now_ms)
            return
        for entry, answer in zip(request, answers, strict=True):
            if answer.get("SequenceNumber"):
                self._landed(entry, str(answer.get("ShardId", "")), str(answer["SequenceNumber"]), began_ms, now_ms)
            else:
                code, message = str(answer.get("ErrorCode") or "Unknown"), str(answer.get("ErrorMessage") or "")
                self._refused(entry, code, message, began_ms, now_ms)

    def _landed(self, entry: Entry, shard_id: str, number: str, began_ms: int, now_ms: int) -> None:
        if entry.shard_id is not None and shard_id != entry.shard_id:
            held = self.shards.hash_range(shard_id)
            self.shards.invalidate(began_ms)
            if held is None or not all(held.start <= each <= held.end for lot in entry.lots for each in lot.hash_keys):
                message = f"it went to {shard_id or 'no shard'}, and {entry.shard_id} was expected"
                self._measures.error(WRONG_SHARD, entry.shard_id)
                self._again(entry, WRONG_SHARD, message, began_ms, now_ms)
                return
        self._measure_success(entry, shard_id, began_ms)
        self._succeed(entry.lots, shard_id, number, began_ms, now_ms)

    def _succeed(self, lots: Sequence[Lot], shard_id: str, number: str, began_ms: int, now_ms: int) -> None:
        """Tell every record of an entry where it is."""
        for lot in lots:
            if self.under_way.forget(lot):  # else its time was up while it was under way
                attempt = Attempt(began_ms - lot.last_ms, now_ms - began_ms, True)
                result = UserRecordResult(True, shard_id, number, (*lot.attempts, attempt))
                lot.waiting.settle(lot.places, result)

    def abandon(self) -> None:
        """Nothing more is sent: what has no result fails."""
        for lot in self.under_way.came_by(NEVER_MS):
            self._note(lot, CLOSED, "the producer was closed", lot.last_ms, lot.last_ms)
            self._fail(lot, None)

    def _overlooked(self, now_ms: int) -> None:
        """Give up records that nobody wants to wait for any longer."""
        patience_ms = self._config.user_record_timeout_in_millis
        if not patience_ms:
            return
        for lot in self.under_way.came_by(now_ms - patience_ms):
            self._note(lot, TIMED_OUT, f"there was no result after {patience_ms} ms", now_ms, now_ms)
            self._fail(lot, None)

    def _sample(self, now_ms: int) -> None:
        if self._received:
            self._measures.put(measures.USER_RECORDS_RECEIVED, 1, times=self._received)
            self._received = 0
        if now_ms >= self._sample_ms:
            self._sample_ms = now_ms + PENDING_EVERY_MS
            self._measures.put(measures.USER_RECORDS_PENDING, self.under_way.records)

    def _measure_request(self, request: Request, began_ms: int, now_ms: int) -> None:
        self._measures.put(measures.REQUEST_TIME, now_ms - began_ms)
        self._measures.put(measures.KINESIS_RECORDS_PER_REQUEST, len(request))
        self._measures.put(measures.USER_RECORDS_PER_REQUEST, sum(entry.count for entry in request))

    def _measure_success(self, entry: Entry, shard_id: str, began_ms: int) -> None:
        measured, lots, count = self._measures, entry.lots, entry.count
        if not measured.wanted:
            return
        measured.put(measures.KINESIS_RECORDS_PUT, 1, shard_id)
        measured.put(measures.USER_RECORDS_PUT, 1, shard_id, count)
        measured.put(measures.KINESIS_RECORDS_DATA_PUT, entry.size_bytes, shard_id)
        measured.put(measures.USER_RECORDS_PER_KINESIS_RECORD, count, shard_id)
        measured.put_all(
            measures.BUFFERING_TIME, [began_ms - lot.arrived_ms for lot in lots for _ in lot.places], shard_id
        )
        measured.put_all(measures.USER_RECORDS_DATA_PUT, [len(data) for lot in lots for data in lot.data], shard_id)
        measured.put_all(measures.RETRIES_PER_RECORD, [len(lot.attempts) for lot in lots for _ in lot.places], shard_id)

    def _refused(self, entry: Entry, code: str, message: str, began_ms: int, now_ms: int) -> None:
        self._measures.put(measures.KINESIS_RECORDS_PUT, 0, entry.shard_id)
        self._measures.error(code, entry.shard_id)
        if code == THROTTLED and self._config.fail_if_throttled:
            self._fail_all(entry, code, message, began_ms, now_ms)
        else:
            self._again(entry, code, message, began_ms, now_ms)

    def _again(self, entry: Entry, code: str, message: str, began_ms: int, now_ms: int) -> None:
        """Put records again that were not taken, unless they have expired."""
        again = []
        for lot in entry.lots:
            if lot not in self.under_way:
                continue  # its time was up while it was under way
            self._note(lot, code, message, began_ms, now_ms)
            if lot.expires_ms <= now_ms:
                self._expire(lot, entry.shard_id, "the record has reached its expiration", now_ms)
            else:
                lot.deadline_ms = now_ms + self._config.record_max_buffered_time // 2
                again.append(lot)
        for lot in again:
            self._place(lot, now_ms)

    def _fail_all(self, entry: Entry, code: str, message: str, began_ms: int, now_ms: int) -> None:
        for lot in entry.lots:
            self._note(lot, code, message, began_ms, now_ms)
            self._fail(lot, entry.shard_id)

    def _give_up(self, entry: Entry, now_ms: int) -> None:
        for lot in entry.lots:
            self._expire(lot, entry.shard_id, "the record has expired while it waited in the limiter", now_ms)

    def _expire(self, lot: Lot, shard_id: str | None, message: str, now_ms: int) -> None:
        self._measures.put(measures.USER_RECORD_EXPIRED, 1, shard_id, len(lot))
        self._measures.error(EXPIRED, shard_id, len(lot))
        self._note(lot, EXPIRED, message, now_ms, now_ms)
        self._fail(lot, shard_id)

    @staticmethod
    def _note(lot: Lot, code: str, message: str, began_ms: int, now_ms: int) -> None:
        attempt = Attempt(began_ms - lot.last_ms, now_ms - began_ms, False, code, message)
        lot.attempts, lot.last_ms = (*lot.attempts, attempt), now_ms

    def _fail(self, lot: Lot, shard_id: str | None) -> None:
        if not self.under_way.forget(lot):
            return
        self._measures.put(measures.USER_RECORDS_PUT, 0, shard_id, len(lot))
        result, back = UserRecordResult(False, None, None, lot.attempts), self._config.return_user_record_on_failure
        explicit = lot.explicit_hash_keys or repeat(None)
        for place, key, own, data in zip(lot.places, lot.partition_keys, explicit, lot.data, strict=False):
            record = UserRecord(key, own, data) if back else None
            lot.waiting.fail(place, UserRecordFailed(result, record))
