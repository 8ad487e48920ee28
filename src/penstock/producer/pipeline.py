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
from itertools import takewhile
from typing import Any, Final

from penstock.core.hashkeys import HashRange
from penstock.producer import measures
from penstock.producer.config import ProducerConfig
from penstock.producer.limiter import Limiter
from penstock.producer.measures import Measures
from penstock.producer.records import Attempt, Batch, Entry, Put, UserRecord, UserRecordFailed, UserRecordResult
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
        self._batches: dict[Batch, list[Put | None]] = {}  # the oldest first; of each the records without a result
        self.outstanding = 0  # records without a result
        self.outstanding_bytes = 0

    def put(self, puts: Sequence[Put], now_ms: int) -> None:
        """Take new records: whole batches, one after the other."""
        at = 0
        while at < len(puts):
            batch = puts[at].batch
            self._batches[batch] = list(puts[at : at + batch.count])
            at += batch.count
        self.outstanding += len(puts)
        self.outstanding_bytes += sum([put.held_bytes for put in puts])
        self._received += len(puts)
        self._place(puts, now_ms)

    @property
    def oldest(self) -> Batch | None:
        """What came first of what has records without a result."""
        return next(iter(self._batches), None)

    def _place(self, puts: Sequence[Put], now_ms: int) -> None:
        shards = self.shards
        if not shards.is_ready:
            for put in puts:
                self._collect(entry_alone(put, None))
        elif not self._config.aggregation_enabled:
            for put in puts:
                self._limit(entry_alone(put, shards.shard_ids[shards.place(put.hash_key)]), now_ms)
        else:
            groups: dict[int, list[Put]] = {}
            for put, place in zip(puts, shards.places([put.hash_key for put in puts]), strict=True):
                groups.setdefault(place, []).append(put)
            for place, group in groups.items():
                for full in self._in_order[place].add(group):
                    self._limit(full, now_ms)

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
            self._packers[shard_id] = Packer(shard_id, self._config, self._due)
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
            if held is None or not all(held.start <= put.hash_key <= held.end for put in entry.puts):
                message = f"it went to {shard_id or 'no shard'}, and {entry.shard_id} was expected"
                self._measures.error(WRONG_SHARD, entry.shard_id)
                self._again(entry, WRONG_SHARD, message, began_ms, now_ms)
                return
        self._measure_success(entry, shard_id, began_ms)
        self._succeed(entry.puts, shard_id, number, began_ms, now_ms)

    def _succeed(self, puts: Sequence[Put], shard_id: str, number: str, began_ms: int, now_ms: int) -> None:
        """Tell every record of an entry where it is.  Those that came in the same millisecond share what they are told."""
        took_ms, batch, waiting, since_ms = now_ms - began_ms, None, None, -1
        result: UserRecordResult | None = None
        count = held_bytes = 0
        for put in puts:
            if put.batch is not batch:
                batch = put.batch
                waiting = self._batches.get(batch)
            at = put.at
            if waiting is None or waiting[at] is None:
                continue  # its time was up while it was under way
            waiting[at] = None
            count += 1
            held_bytes += put.held_bytes
            if result is None or put.last_ms != since_ms or put.attempts:
                since_ms = put.last_ms if not put.attempts else -1
                attempt = Attempt(began_ms - put.last_ms, took_ms, True)
                result = UserRecordResult(True, shard_id, number, (*put.attempts, attempt))
            if batch.settle(at, result):
                del self._batches[batch]
        self.outstanding -= count
        self.outstanding_bytes -= held_bytes

    def abandon(self) -> None:
        """Nothing more is sent: what has no result fails."""
        for put in self._unsettled(list(self._batches)):
            self._note(put, CLOSED, "the producer was closed", put.last_ms, put.last_ms)
            self._fail(put, None)

    def _unsettled(self, batches: Iterable[Batch]) -> list[Put]:
        return [put for batch in batches for put in self._batches[batch] if put is not None]

    def _overlooked(self, now_ms: int) -> None:
        """Give up records that nobody wants to wait for any longer."""
        patience_ms = self._config.user_record_timeout_in_millis
        if not patience_ms:
            return
        late = takewhile(lambda batch: batch.arrived_ms + patience_ms <= now_ms, self._batches)
        for put in self._unsettled(late):
            self._note(put, TIMED_OUT, f"there was no result after {patience_ms} ms", now_ms, now_ms)
            self._fail(put, None)

    def _sample(self, now_ms: int) -> None:
        if self._received:
            self._measures.put(measures.USER_RECORDS_RECEIVED, 1, times=self._received)
            self._received = 0
        if now_ms >= self._sample_ms:
            self._sample_ms = now_ms + PENDING_EVERY_MS
            self._measures.put(measures.USER_RECORDS_PENDING, self.outstanding)

    def _measure_request(self, request: Request, began_ms: int, now_ms: int) -> None:
        self._measures.put(measures.REQUEST_TIME, now_ms - began_ms)
        self._measures.put(measures.KINESIS_RECORDS_PER_REQUEST, len(request))
        self._measures.put(measures.USER_RECORDS_PER_REQUEST, sum(len(entry.puts) for entry in request))

    def _measure_success(self, entry: Entry, shard_id: str, began_ms: int) -> None:
        measured, puts = self._measures, entry.puts
        if not measured.wanted:
            return
        measured.put(measures.KINESIS_RECORDS_PUT, 1, shard_id)
        measured.put(measures.USER_RECORDS_PUT, 1, shard_id, len(puts))
        measured.put(measures.KINESIS_RECORDS_DATA_PUT, entry.size_bytes, shard_id)
        measured.put(measures.USER_RECORDS_PER_KINESIS_RECORD, len(puts), shard_id)
        measured.put_all(measures.BUFFERING_TIME, [began_ms - put.batch.arrived_ms for put in puts], shard_id)
        measured.put_all(measures.USER_RECORDS_DATA_PUT, [len(put.data) for put in puts], shard_id)
        measured.put_all(measures.RETRIES_PER_RECORD, [len(put.attempts) for put in puts], shard_id)

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
        for put in entry.puts:
            self._note(put, code, message, began_ms, now_ms)
            if not self._is_waiting(put):
                continue  # its time was up while it was under way
            if put.expires_ms <= now_ms:
                self._expire(put, entry.shard_id, "the record has reached its expiration", now_ms)
            else:
                put.deadline_ms = now_ms + self._config.record_max_buffered_time // 2
                again.append(put)
        self._place(again, now_ms)

    def _fail_all(self, entry: Entry, code: str, message: str, began_ms: int, now_ms: int) -> None:
        for put in entry.puts:
            self._note(put, code, message, began_ms, now_ms)
            self._fail(put, entry.shard_id)

    def _give_up(self, entry: Entry, now_ms: int) -> None:
        for put in entry.puts:
            self._expire(put, entry.shard_id, "the record has expired while it waited in the limiter", now_ms)

    def _expire(self, put: Put, shard_id: str | None, message: str, now_ms: int) -> None:
        self._measures.put(measures.USER_RECORD_EXPIRED, 1, shard_id)
        self._measures.error(EXPIRED, shard_id)
        self._note(put, EXPIRED, message, now_ms, now_ms)
        self._fail(put, shard_id)

    @staticmethod
    def _note(put: Put, code: str, message: str, began_ms: int, now_ms: int) -> None:
        attempt = Attempt(began_ms - put.last_ms, now_ms - began_ms, False, code, message)
        put.attempts, put.last_ms = (*put.attempts, attempt), now_ms

    def _fail(self, put: Put, shard_id: str | None) -> None:
        if not self._is_waiting(put):
            return
        self._batches[put.batch][put.at] = None
        self.outstanding -= 1
        self.outstanding_bytes -= put.held_bytes
        self._measures.put(measures.USER_RECORDS_PUT, 0, shard_id)
        back = self._config.return_user_record_on_failure
        record = UserRecord(put.partition_key, put.explicit_hash_key, put.data) if back else None
        error = UserRecordFailed(UserRecordResult(False, None, None, put.attempts), record)
        if put.batch.fail(put.at, error):
            del self._batches[put.batch]

    def _is_waiting(self, put: Put) -> bool:
        return put.batch in self._batches and self._batches[put.batch][put.at] is not None
