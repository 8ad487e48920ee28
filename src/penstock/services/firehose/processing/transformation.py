"""Transformation: records go through a function of the user's, in invocations of at most so many bytes.

Theory.  The function answers for each record by its id: Ok with other data, Dropped, or ProcessingFailed.  What it says of a record counts
for that record alone; an answer that cannot be read, or none at all, counts for all that it was asked about.
Rules of this file:
  1. Retries are for what may pass: a time-out, a throttle, a fault of the function's host.  An answer is final, however bad it is.
  2. A function that lies - ids that it was not given, ids twice, no data - loses nothing: what it does not answer for properly has failed.
Source: Firehose developer guide, "Transform source data in Amazon Data Firehose", "Troubleshooting".
UNVERIFIED: that records of one invocation fail by themselves where an id is missing or double.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple

import msgspec
import pybase64

from penstock.core.errors import ServiceError
from penstock.core.limits import MIB, SECOND_MS
from penstock.services.firehose.entries import NO_KEYS, Entry, Failure
from penstock.services.firehose.processing.api import Processed
from penstock.services.firehose.processing.measures import Measures
from penstock.services.firehose.processing.routing import BadRoute, keys_of, route_of
from penstock.services.firehose.site import Site
from penstock.services.functions.invoking import Invocation, Invoked, Invoker

PAYLOAD_MAX_BYTES: Final = 6 * MIB  # both ways
RECORD_OVERHEAD_BYTES: Final = 512  # at most, of a record in a payload beside its data, ids and partition key
PATIENCE_S: Final = 5 * 60  # for one invocation, however long the function may run
PAUSE_MS: Final = SECOND_MS  # before the first retry; twice as long before each further one
PAUSE_MAX_MS: Final = 60 * SECOND_MS
CONCURRENCY: Final = 5  # invocations of a delivery stream at a time
THROTTLED: Final = "TooManyRequestsException"

# Codes and texts by the code of a refusal
_REFUSALS: Final[Mapping[str, tuple[str, str]]] = {
    "ResourceNotFoundException": (
        "Lambda.ResourceNotFound",
        "The specified Lambda function does not exist. Use a different function that does exist.",
    ),
    "AccessDeniedException": (
        "Lambda.InvokeAccessDenied",
        "Access was denied. Ensure that the access policy allows the Lambda function to be invoked.",
    ),
    THROTTLED: (
        "Lambda.InvokeLimitExceeded",
        "Lambda function execution is throttled. Increase the Lambda function execution limit.",
    ),
}
_NO_REFUSAL: Final = ("Lambda.InvokeFailed", "The Lambda function could not be invoked: {text}")  # ours
_FUNCTION: Final = (
    "Lambda.FunctionError",
    "The Lambda function was successfully invoked but it returned an error result.",
)
_TIMED_OUT: Final = ("Lambda.FunctionTimedOut", "The Lambda function timed out.")
_NOT_READ: Final = (
    "Lambda.JsonProcessingException",
    "There was an error parsing returned records from the Lambda function. Ensure that the returned records follow the"
    " status model required by Amazon Data Firehose.",
)
_MISSING: Final = (
    "Lambda.MissingRecordId",
    "One or more record Ids were not returned. Ensure that the Lambda function returns all received record Ids.",
)
_DOUBLE: Final = (
    "Lambda.DuplicatedRecordId",
    "Multiple records were returned with the same record ID. Ensure that the Lambda function returns unique record IDs"
    " for each record.",
)
_FAILED: Final = ("Lambda.ProcessingFailedStatus", "ProcessingFailed status set for record")
_TOO_LARGE: Final = ("Lambda.RecordTooLarge", "The record is too large for an invocation.")  # UNVERIFIED: code, wording


class Lambda(NamedTuple):
    """How a function is used."""

    arn: str
    retries: int = 3
    buffer_bytes: int = MIB  # of records' data in one invocation
    concurrency: int = CONCURRENCY


class _Answered(msgspec.Struct, rename={"record_id": "recordId"}):
    """What a function says of a record."""

    record_id: str
    result: Literal["Ok", "Dropped", "ProcessingFailed"]
    data: str | None = None
    metadata: dict[str, Any] | None = None


class _Answer(msgspec.Struct):
    records: list[msgspec.Raw]


_ANSWER: Final = msgspec.json.Decoder(_Answer)
_RECORD: Final = msgspec.json.Decoder(_Answered)


class Failed(Exception):
    """All records of an invocation have failed."""

    def __init__(self, why: tuple[str, str], attempts: int) -> None:
        super().__init__(*why)
        self.why = why
        self.attempts = attempts


class Transformation:
    """Sends batches through a function."""

    def __init__(self, function: Lambda, site: Site, invoker: Invoker, measures: Measures) -> None:
        self._function = function
        self._site = site
        self._invoker = invoker
        self._measures = measures
        self._free = asyncio.Semaphore(function.concurrency)

    async def process(self, entries: Sequence[Entry]) -> Processed:
        """Transform a batch, in as many invocations as it takes; the order stays."""
        outcomes = await asyncio.gather(
            *(self._transform(some) for some in self._invocations(entries)), return_exceptions=True
        )
        done: list[Processed] = []
        for outcome in outcomes:  # all have ended, so that none goes on beside the next try
            if isinstance(outcome, BaseException):
                raise outcome
            done.append(outcome)
        kept = [entry for each in done for entry in each.kept]
        failed = [failure for each in done for failure in each.failed]
        self._measures.add("SucceedProcessing.Records", len(kept))
        self._measures.add("SucceedProcessing.Bytes", sum(len(entry.data) for entry in kept))
        return Processed(kept, failed, sum(each.dropped for each in done))

    def _invocations(self, entries: Sequence[Entry]) -> Iterator[list[Entry]]:
        """Entries in groups that fit."""
        group: list[Entry] = []
        data_bytes = payload_bytes = 0
        for entry in entries:
            size = payload_size(entry)
            full = (
                data_bytes + len(entry.data) > self._function.buffer_bytes or payload_bytes + size > PAYLOAD_MAX_BYTES
            )
            if group and full:
                yield group
                group, data_bytes, payload_bytes = [], 0, 0
            group.append(entry)
            data_bytes += len(entry.data)
            payload_bytes += size
        if group:
            yield group

    async def _transform(self, entries: list[Entry]) -> Processed:
        if len(entries) == 1 and payload_size(entries[0]) > PAYLOAD_MAX_BYTES:
            return Processed([], [self._failure(entries[0], _TOO_LARGE, 1)], 0)
        try:
            async with self._free:
                payload, attempts = await self._ask(entries)
            return self._read(entries, payload, attempts)
        except Failed as problem:
            failed = [self._failure(entry, problem.why, problem.attempts) for entry in entries]
            return Processed([], failed, 0)

    async def _ask(self, entries: list[Entry]) -> tuple[bytes, int]:
        """The function's answer, and how often it was asked.  Raises Failed."""
        payload = self._payload(entries)
        invocation = Invocation(
            account=self._site.account,
            region=self._site.region,
            function=self._function.arn,
            payload=payload,
            patience_s=PATIENCE_S,
        )
        attempts = 0
        while True:
            attempts += 1
            why, passes = await self._try(invocation)
            if isinstance(why, bytes):
                return why, attempts
            if not passes or attempts > self._function.retries:
                raise Failed(why, attempts)
            await self._site.clock.sleep(min(PAUSE_MS << min(attempts - 1, 10), PAUSE_MAX_MS))

    async def _try(self, invocation: Invocation) -> tuple[bytes | tuple[str, str], bool]:
        """An answer, or why there is none and whether that may pass."""
        began_ms = self._site.clock.now_ms()
        try:
            invoked = await self._invoker.invoke(invocation)
        except ServiceError as refusal:
            self._measure(began_ms, 0)
            code, text = _REFUSALS.get(refusal.code, _NO_REFUSAL)
            why = (code, text.format(text=refusal.message or refusal.code))
            return why, refusal.code == THROTTLED or code == _NO_REFUSAL[0]
        self._measure(began_ms, int(invoked.function_error is None))
        if invoked.function_error is None:
            return invoked.payload, False
        timed_out = _has_timed_out(invoked)
        return _TIMED_OUT if timed_out else _FUNCTION, timed_out

    def _measure(self, began_ms: int, success: int) -> None:
        self._measures.add("ExecuteProcessing.Duration", max(0, self._site.clock.now_ms() - began_ms))
        self._measures.add("ExecuteProcessing.Success", success)

    def _payload(self, entries: list[Entry]) -> bytes:
        event: dict[str, object] = {
            "invocationId": self._site.entropy.bytes(16).hex(),
            "deliveryStreamArn": self._site.arn,
            "region": self._site.region,
            "records": [_event_record(entry) for entry in entries],
        }
        if self._site.source_arn is not None:
            event["sourceKinesisStreamArn"] = self._site.source_arn
        return msgspec.json.encode(event)

    def _read(self, entries: list[Entry], payload: bytes, attempts: int) -> Processed:
        """What became of each record.  Raises Failed for an answer that is none."""
        answered, broken = _records_of(payload, attempts)
        counts = Counter(answer.record_id for answer in answered)
        by_id = {answer.record_id: answer for answer in answered}
        kept: list[Entry] = []
        failed: list[Failure] = []
        dropped = 0
        for entry in entries:
            answer = by_id.get(entry.record_id)
            if answer is None:
                why = _NOT_READ if broken else _MISSING
            elif counts[entry.record_id] > 1:
                why = _DOUBLE
            elif answer.result == "Dropped":
                dropped += 1
                continue
            else:
                made = _made(entry, answer) if answer.result == "Ok" else _FAILED
                if isinstance(made, Entry):
                    kept.append(made)
                    continue
                why = made
            failed.append(self._failure(entry, why, attempts))
        return Processed(kept, failed, dropped)

    def _failure(self, entry: Entry, why: tuple[str, str], attempts: int) -> Failure:
        return Failure(entry, "processing-failed", *why, attempts=attempts, lambda_arn=self._function.arn)


def payload_size(entry: Entry) -> int:
    """About what a record takes of a payload, and not less."""
    key_chars = 0 if entry.origin is None else 6 * len(entry.origin.partition_key)  # each may be escaped
    return len(entry.data) * 4 // 3 + len(entry.record_id) + key_chars + RECORD_OVERHEAD_BYTES


def _event_record(entry: Entry) -> dict[str, object]:
    record: dict[str, object] = {
        "recordId": entry.record_id,
        "approximateArrivalTimestamp": entry.arrival_ms,
        "data": pybase64.b64encode_as_string(entry.data),
    }
    if entry.origin is not None:
        origin = entry.origin
        record["kinesisRecordMetadata"] = {
            "sequenceNumber": origin.sequence_number,
            "subsequenceNumber": origin.subsequence_number,
            "partitionKey": origin.partition_key,
            "shardId": origin.shard_id,
            "approximateArrivalTimestamp": origin.arrival_ms,
        }
    return record


def _records_of(payload: bytes, attempts: int) -> tuple[list[_Answered], int]:
    """The records of an answer, and how many of them could not be read.  Raises Failed."""
    if len(payload) > PAYLOAD_MAX_BYTES:
        raise Failed(_NOT_READ, attempts)
    try:
        raw = _ANSWER.decode(payload).records
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise Failed(_NOT_READ, attempts) from None
    answered: list[_Answered] = []
    for record in raw:
        try:
            answered.append(_RECORD.decode(record))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            continue
    return answered, len(raw) - len(answered)


def _made(entry: Entry, answer: _Answered) -> Entry | tuple[str, str]:
    """What the function made of a record, or why that cannot be used."""
    try:
        data = pybase64.b64decode(answer.data or "", validate=True)
    except ValueError:
        return _NOT_READ
    if answer.data is None:
        return _NOT_READ
    metadata = answer.metadata or {}
    keys, table = metadata.get("partitionKeys"), metadata.get("otfMetadata")
    try:
        found = keys_of(keys) if keys else NO_KEYS
        route = route_of(table) if table else entry.route
    except BadRoute as problem:
        return (_NOT_READ[0], str(problem))
    return msgspec.structs.replace(entry, data=data, lambda_keys=found, route=route)


def _has_timed_out(invoked: Invoked) -> bool:
    return b"Task timed out after" in invoked.payload or b"Sandbox.Timedout" in invoked.payload
