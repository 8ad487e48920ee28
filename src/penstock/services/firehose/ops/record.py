"""Records: put one, put many."""

from collections.abc import Sequence
from typing import Final

import msgspec

from penstock.core import limits
from penstock.core.context import Caller
from penstock.core.errors import Error, ServiceError
from penstock.core.firehose_errors import FirehoseError
from penstock.engines.api import AppendError
from penstock.services.firehose.directory import DeliveryView
from penstock.services.firehose.ops.naming import NamedRequest
from penstock.services.firehose.service import Firehose
from penstock.services.firehose.tally import Tally
from penstock.services.streams.directory import StreamView
from penstock.services.streams.envelope import Seal
from penstock.services.streams.faults import delivery_fault
from penstock.services.streams.measures import Unit
from penstock.wire.operation import Input, Output


class Record(Input):
    """One record."""

    data: bytes


class PutRecordRequest(NamedRequest, kw_only=True):
    """PutRecord."""

    record: Record


class PutRecordOutput(Output):
    """Where it is."""

    record_id: str
    encrypted: bool


class PutRecordBatchRequest(NamedRequest, kw_only=True):
    """PutRecordBatch, its records as a column."""

    data: Sequence[bytes] = ()


class PutRecordBatchOutput(msgspec.Struct, frozen=True):
    """One result per record, in the order of the request: its id, or why it was not written."""

    results: Sequence[str | ServiceError]
    encrypted: bool


async def put_record(firehose: Firehose, caller: Caller, request: PutRecordRequest) -> PutRecordOutput:
    """Write a record durably.  Raises NO_STREAM, OTHER_SOURCE, RECORD_SIZE, SLOW_DOWN, KMS."""
    began_ms = firehose.clock.now_ms()
    view, inlet = _open(firehose, caller, request.delivery_stream_name)
    data = request.record.data
    _check_size(data)
    if _refused(firehose, view, [data]):
        raise FirehoseError.SLOW_DOWN()
    seal = await _seal(firehose, caller, view, inlet)
    [record_id] = await firehose.inlets.put(inlet, [data], seal)
    _count(firehose, view, "PutRecord", 1, len(data), began_ms)
    return PutRecordOutput(record_id=record_id, encrypted=seal is not None)


async def put_record_batch(firehose: Firehose, caller: Caller, request: PutRecordBatchRequest) -> PutRecordBatchOutput:
    """Write up to 500 records durably; each succeeds or fails by itself.

    Raises NO_STREAM, OTHER_SOURCE, RECORD_SIZE, BATCH_SIZE, KMS.
    """
    began_ms = firehose.clock.now_ms()
    view, inlet = _open(firehose, caller, request.delivery_stream_name)
    data = request.data
    size_bytes = sum(map(len, data))
    if size_bytes > limits.PUT_BATCH_MAX_BYTES:
        raise FirehoseError.BATCH_SIZE()
    if len(max(data, key=len)) > limits.DELIVERY_RECORD_MAX_BYTES:
        _check_size(max(data, key=len))
    refused = _refused(firehose, view, data)
    seal = await _seal(firehose, caller, view, inlet)
    taken = data if not refused else [blob for at, blob in enumerate(data) if at not in refused]
    written = await _put(firehose, inlet, taken, seal) if taken else ()
    rest = iter(written)
    results = [FirehoseError.SLOW_DOWN() if at in refused else next(rest) for at in range(len(data))]
    stored = taken if written and isinstance(written[0], str) else ()  # all of them, or none
    _count(firehose, view, "PutRecordBatch", len(stored), sum(map(len, stored)), began_ms)
    return PutRecordBatchOutput(results, seal is not None)


def _open(firehose: Firehose, caller: Caller, name: str) -> tuple[DeliveryView, StreamView]:
    """The delivery stream that takes direct puts, and its inlet."""
    view = firehose.find(caller, name)
    stream = view.stream
    if stream.type != "DirectPut":
        raise FirehoseError.OTHER_SOURCE(type=stream.type)
    inlet = firehose.inlets.find(stream)
    if stream.status != "ACTIVE" or inlet is None:
        raise FirehoseError.NO_STREAM(name=name, account=caller.account)
    return view, inlet


async def _seal(firehose: Firehose, caller: Caller, view: DeliveryView, inlet: StreamView) -> Seal | None:
    if inlet.stream.key_id is None:
        return None
    try:
        return await firehose.streams.envelope.seal_for(caller, inlet)
    except ServiceError as error:
        _tally(firehose, view).refused(error.code)
        raise FirehoseError.KMS(text=error.message) from None


async def _put(
    firehose: Firehose, inlet: StreamView, data: Sequence[bytes], seal: Seal | None
) -> Sequence[str | ServiceError]:
    """Write the records of a batch; where the storage refuses, each of them is answered so."""
    try:
        return await firehose.inlets.put(inlet, data, seal)
    except ServiceError as refusal:
        return [refusal] * len(data)
    except AppendError:
        return [Error.INTERNAL_FAILURE()] * len(data)


def _check_size(data: bytes) -> None:
    if len(data) > limits.DELIVERY_RECORD_MAX_BYTES:
        raise FirehoseError.RECORD_SIZE(size_bytes=len(data), limit_bytes=limits.DELIVERY_RECORD_MAX_BYTES)


_NONE: Final[frozenset[int]] = frozenset()
_LIMITS: Final[Sequence[tuple[str, Unit, int]]] = (  # UNVERIFIED: their units, which the developer guide does not tell
    ("BytesPerSecondLimit", "Bytes", limits.DIRECT_BYTES_PER_S),
    ("RecordsPerSecondLimit", "Count", limits.DIRECT_RECORDS_PER_S),
    ("PutRequestsPerSecondLimit", "Count", limits.DIRECT_CALLS_PER_S),
)


def _refused(firehose: Firehose, view: DeliveryView, data: Sequence[bytes]) -> frozenset[int]:
    """The places of records that are told to slow down: by a fault, or under `--limits aws` by the quota."""
    faults, name = firehose.streams.faults, view.stream.name
    if faults.quiet and not firehose.enforce_limits:
        return _NONE
    found = {at for at in range(len(data)) if faults.fails(delivery_fault(name))}
    if firehose.enforce_limits:
        throttled = firehose.quotas.over(view.stream.uid, data, firehose.clock.now_ms())
        found |= set(range(len(data) - throttled, len(data)))
    if found:
        _tally(firehose, view).count("ThrottledRecords", len(found))
    return frozenset(found)


def _count(firehose: Firehose, view: DeliveryView, call: str, records: int, size_bytes: int, began_ms: int) -> None:
    tally = _tally(firehose, view)
    for name, unit, limit in _LIMITS if firehose.enforce_limits else ():
        tally.add(name, unit, limit)
    tally.count("IncomingRecords", records)
    tally.add("IncomingBytes", "Bytes", size_bytes)
    tally.count("IncomingPutRequests")
    tally.count(f"{call}.Requests")
    tally.add(f"{call}.Bytes", "Bytes", size_bytes)
    tally.add(f"{call}.Latency", "Milliseconds", max(firehose.clock.now_ms() - began_ms, 0))
    if call == "PutRecordBatch":
        tally.count(f"{call}.Records", records)


def _tally(firehose: Firehose, view: DeliveryView) -> Tally:
    stream = view.stream
    return firehose.tallies.of((stream.account, stream.region, stream.name))
