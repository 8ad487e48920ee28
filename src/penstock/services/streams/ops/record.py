"""Records: PutRecord, PutRecords, GetShardIterator, GetRecords.

The inputs and outputs of the hot operations are columns, which codec.py fills and reads without a step between.
"""

from collections.abc import Sequence
from typing import Literal

import msgspec

from penstock.core import limits
from penstock.core.context import Caller
from penstock.core.errors import Error, ServiceError
from penstock.core.ids import Millis, shard_id
from penstock.engines.api import Page, Position
from penstock.engines.column import size_of
from penstock.services.streams import sequence
from penstock.services.streams.directory import ShardView, StreamView
from penstock.services.streams.iterator import ShardIterator, open_iterator, seal
from penstock.services.streams.ops.naming import StreamArnRequest, StreamRequest
from penstock.services.streams.ops.shard import ChildShard, describe_children
from penstock.services.streams.reader import is_last, millis_behind
from penstock.services.streams.sealed import OpenedPage
from penstock.services.streams.service import Streams
from penstock.services.streams.starting import Start, StartType, find_start
from penstock.services.streams.topology import HASH_KEY_MAX
from penstock.services.streams.writer import ScatteredRows, Written, WrittenRows
from penstock.wire.nativeparts import Rows
from penstock.wire.operation import Output

EncryptionType = Literal["KMS"]  # AWS leaves the member out where nothing is encrypted


class PutRecordRequest(StreamRequest, kw_only=True):
    """PutRecord."""

    data: bytes
    partition_key: str | None = None
    explicit_hash_key: str | None = None
    sequence_number_for_ordering: str | None = None
    dry_run: bool = False


class HashedRecordRequest(PutRecordRequest, kw_only=True):
    """PutRecord as the native part has read it: it has a partition key."""

    hash_key: int  # of that


class PutRecordOutput(Output):
    """Where the record went."""

    shard_id: str
    sequence_number: str
    encryption_type: EncryptionType | None = None


async def put_record(streams: Streams, caller: Caller, request: PutRecordRequest) -> PutRecordOutput:
    """Write one record.

    Raises THROUGHPUT_EXCEEDED, RECORD_TOO_LARGE, HASH_KEY_RANGE, ORDERING_NUMBER_INVALID, StreamKeyError.
    """
    view = streams.find_readable(caller, request)
    if request.sequence_number_for_ordering is not None:
        _check_ordering(streams, view, request.sequence_number_for_ordering)
    key, hash_key = _place(streams, view, request)
    _check_size(view, len(key) + len(request.data))
    if request.dry_run:
        raise Error.DRY_RUN()
    seal = None if view.stream.key_id is None else await streams.envelope.seal_for(caller, view)
    result = await streams.writer.write_one(view, key, request.data, hash_key, seal)
    if isinstance(result, ServiceError):
        streams.traffic.stream(view.stream.uid).failed_ones += 1
        raise result
    return PutRecordOutput(
        shard_id=result.shard_id,
        sequence_number=result.sequence_number,
        encryption_type=None if seal is None else "KMS",
    )


class PutRecordsRequest(StreamRequest, kw_only=True):
    """PutRecords, its records in columns of one length, or as the native part has read them; each of those has a key."""

    data: Sequence[bytes] = ()
    partition_keys: Sequence[str | None] = ()
    explicit_hash_keys: Sequence[str | None] = ()
    framed: Rows | None = None
    dry_run: bool = False


class PutRecordsOutput(msgspec.Struct, frozen=True):
    """One result per record, in the order of the request."""

    results: Sequence[Written | ServiceError] | WrittenRows | ScatteredRows
    encryption_type: EncryptionType | None = None


async def put_records(streams: Streams, caller: Caller, request: PutRecordsRequest) -> PutRecordsOutput:
    """Write up to 500 records; each succeeds or fails by itself, but a request that is invalid in any is refused whole.

    Raises RECORD_TOO_LARGE, REQUEST_TOO_LARGE, HASH_KEY_RANGE, StreamKeyError.
    """
    view = streams.find_readable(caller, request)
    rows = request.framed
    if rows is not None:
        _check_sizes(view, rows.largest_bytes, rows.size_bytes, len(rows))
        if streams.writer.takes_framed(view):
            return PutRecordsOutput(await streams.writer.write_framed(view, rows))
    keys, data, hash_keys = _records(streams, view, request)
    sizes = [len(key) + len(blob) for key, blob in zip(keys, data, strict=True)]
    _check_sizes(view, max(sizes), sum(sizes), len(sizes))
    if request.dry_run:
        raise Error.DRY_RUN()
    seal = None if view.stream.key_id is None else await streams.envelope.seal_for(caller, view)
    results = await streams.writer.write(view, keys, data, hash_keys, seal)
    return PutRecordsOutput(results, None if seal is None else "KMS")


def _records(
    streams: Streams, view: StreamView, request: PutRecordsRequest
) -> tuple[Sequence[bytes], Sequence[bytes], Sequence[int | None]]:
    """Keys, data and hash keys of a request."""
    if request.framed is None:
        keys, hash_keys = _placed(streams, view, request.partition_keys, request.explicit_hash_keys)
        return keys, request.data, hash_keys
    framed_keys, data, hashes = request.framed.lists()
    if view.stream.distribution == "AUTO":
        return framed_keys, data, _spread(streams, len(data))
    return framed_keys, data, [int.from_bytes(one, "big") for one in hashes]


def _place(streams: Streams, view: StreamView, request: PutRecordRequest) -> tuple[bytes, int | None]:
    """As `_placed`, of one record."""
    if isinstance(request, HashedRecordRequest) and view.stream.distribution != "AUTO":
        assert request.partition_key is not None
        return request.partition_key.encode(), request.hash_key
    [key], [hash_key] = _placed(streams, view, [request.partition_key], [request.explicit_hash_key])
    return key, hash_key


def _placed(
    streams: Streams, view: StreamView, keys: Sequence[str | None], hash_keys: Sequence[str | None]
) -> tuple[list[bytes], list[int | None]]:
    """Partition keys as bytes and explicit hash keys as numbers; with strategy AUTO, keys of no meaning and numbers of our own."""
    if view.stream.distribution == "AUTO":
        return [(key or "").encode() for key in keys], _spread(streams, len(keys))
    if None in keys:
        raise Error.PARTITION_KEY_MISSING()
    return [key.encode() for key in keys if key is not None], [
        None if text is None else _explicit_hash_key(text) for text in hash_keys
    ]


def _spread(streams: Streams, count: int) -> list[int | None]:
    """Hash keys of our own."""
    drawn = streams.entropy.bytes(16 * count)
    return [int.from_bytes(drawn[at : at + 16], "big") for at in range(0, len(drawn), 16)]


def _explicit_hash_key(text: str) -> int:
    value = int(text)
    if value > HASH_KEY_MAX:
        raise Error.HASH_KEY_RANGE(value=text)
    return value


def _check_sizes(view: StreamView, largest_bytes: int, size_bytes: int, count: int) -> None:
    _check_size(view, largest_bytes)
    if size_bytes > limits.PUT_RECORDS_MAX_BYTES and count > 1:
        raise Error.REQUEST_TOO_LARGE(limit_bytes=limits.PUT_RECORDS_MAX_BYTES)


def _check_size(view: StreamView, size_bytes: int) -> None:
    limit_bytes = view.stream.max_record_kib * limits.KIB
    if size_bytes > limit_bytes:
        raise Error.RECORD_TOO_LARGE(size_bytes=size_bytes, limit_bytes=limit_bytes, stream=view.stream.name)


def _check_ordering(streams: Streams, view: StreamView, text: str) -> None:
    """Refuse a number that no shard of this stream can have issued yet.  The record's own is then above it by construction."""
    decoded = sequence.decode(text)
    held = view.shards.get(decoded.shard_no) if decoded is not None else None
    known = decoded is not None and held is not None and decoded.created_s == held.shard.created_s
    if not known or decoded is None or decoded.arrived_s * 1000 > streams.clock.now_ms():
        number = sequence.normalise(int(text))
        raise Error.ORDERING_NUMBER_INVALID(number=number, stream=view.stream.name, account=view.stream.account)


class GetShardIteratorRequest(StreamRequest, kw_only=True):
    """GetShardIterator."""

    shard_id: str
    shard_iterator_type: StartType
    starting_sequence_number: str | None = None
    timestamp: Millis | None = None
    dry_run: bool = False


class GetShardIteratorOutput(Output):
    """An iterator, good for 5 minutes."""

    shard_iterator: str


async def get_shard_iterator(
    streams: Streams, caller: Caller, request: GetShardIteratorRequest
) -> GetShardIteratorOutput:
    """Issue an iterator for a place in a shard."""
    view = streams.find_readable(caller, request)
    held = streams.find_shard(caller, view, request.shard_id)
    start = Start(request.shard_iterator_type, request.starting_sequence_number, request.timestamp)
    position = await find_start(streams.reader, streams.clock, caller, view, held, start)
    if not streams.meter.admit_iterator(view, held, streams.clock.now_ms()):
        raise _throughput_exceeded(streams, view, held)
    if request.dry_run:
        raise Error.DRY_RUN()
    return GetShardIteratorOutput(shard_iterator=_issue(streams, caller, view, held, position))


def _issue(streams: Streams, caller: Caller, view: StreamView, held: ShardView, position: Position) -> str:
    stream = view.stream
    now_ms = streams.clock.now_ms()
    iterator = ShardIterator(stream.name, stream.uid, held.shard.no, *position, now_ms, stream.account)
    return seal(streams.sealer, streams.nonce(), caller, iterator)


class GetRecordsRequest(StreamArnRequest, kw_only=True):
    """GetRecords."""

    shard_iterator: str
    limit: int = limits.GET_RECORDS_MAX_COUNT
    dry_run: bool = False


class GetRecordsOutput(msgspec.Struct, frozen=True):
    """A page of a shard, and how to read on."""

    number_base: int  # sequence.base of the shard
    page: Page
    millis_behind_latest: int
    next_shard_iterator: str | None  # None at the end of a closed shard
    child_shards: Sequence[ChildShard] | None = None  # given there


async def get_records(streams: Streams, caller: Caller, request: GetRecordsRequest) -> GetRecordsOutput:
    """Read a page from an iterator on: at most 10,000 records and 10 MiB.

    Raises ITERATOR_INVALID, ITERATOR_EXPIRED, THROUGHPUT_EXCEEDED, StreamKeyError, and SHARD_DOES_NOT_EXIST if the stream is gone.
    """
    now_ms = streams.clock.now_ms()
    iterator = open_iterator(streams.sealer, caller, request.shard_iterator, now_ms)
    view, held = _iterated(streams, caller, request, iterator)
    if streams.faults.throttles(view.stream.name, held.shard.no) or not streams.meter.admit_read(view, held, now_ms):
        raise _throughput_exceeded(streams, view, held)
    if request.dry_run:
        raise Error.DRY_RUN()
    position = iterator.position if iterator.uid == view.stream.uid else Position(0, 0)
    page = await streams.reader.scan(view, held, position, request.limit, limits.GET_RECORDS_MAX_BYTES)
    if isinstance(page, OpenedPage):
        streams.envelope.check_page(caller, view, page)
    size_bytes = size_of(page.data) + size_of(page.keys)
    streams.meter.count_read(view, held, size_bytes, now_ms)
    streams.metrics.records_out.inc(len(page.data))
    streams.metrics.bytes_out.inc(size_bytes)
    behind_ms = millis_behind(page, now_ms)
    streams.traffic.read(held, len(page.data), size_bytes, behind_ms, now_ms, streams.clock.now_ms() - now_ms)
    ended = is_last(view, held, page)
    return GetRecordsOutput(
        number_base=held.number_base,
        page=page,
        millis_behind_latest=behind_ms,
        next_shard_iterator=None if ended else _issue(streams, caller, view, held, page.next),
        child_shards=describe_children(view.children(held.shard.no)) if ended else None,
    )


def _iterated(
    streams: Streams, caller: Caller, request: GetRecordsRequest, iterator: ShardIterator
) -> tuple[StreamView, ShardView]:
    named = None if request.stream_arn is None else streams.find(caller, request)
    view = streams.directory.find(iterator.account or caller.account, caller.region, iterator.stream)
    held = view.shards.get(iterator.shard_no) if view is not None else None
    if view is None or held is None:
        raise _shard_gone(caller, iterator)
    if named not in (None, view):
        raise Error.ITERATOR_OTHER_STREAM(arn=request.stream_arn)
    if request.stream_id not in (None, view.stream.uid):
        raise Error.ITERATOR_OTHER_STREAM(arn=request.stream_id)
    return view, held


def _shard_gone(caller: Caller, iterator: ShardIterator) -> ServiceError:
    return Error.SHARD_DOES_NOT_EXIST(shard=shard_id(iterator.shard_no), stream=iterator.stream, account=caller.account)


def _throughput_exceeded(streams: Streams, view: StreamView, held: ShardView) -> ServiceError:
    streams.metrics.refused_reads.inc()
    streams.traffic.refused_read(held, streams.clock.now_ms())
    return Error.THROUGHPUT_EXCEEDED(
        shard=shard_id(held.shard.no), stream=view.stream.name, account=view.stream.account
    )
