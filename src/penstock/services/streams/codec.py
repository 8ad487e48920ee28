"""Short ways for the hot operations: bytes to columns and columns to bytes, without the generic walk.

Theory.  A fast decoder is a typed one: msgspec checks types and the model's constraints while it reads.  Whatever it does not accept -
bad or merely unusual - it leaves alone (None), and the generic path decides.  Unknown members are among that: msgspec would skip
them unread, broken or not.  A test holds the two against each other.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import repeat
from typing import Annotated, Any, Final, Generic, NamedTuple, TypeVar

import msgspec
from cbor2 import CBORTag
from msgspec import Meta, Struct

from penstock.core.errors import ServiceError
from penstock.core.limits import KIB, PARTITION_KEY_MAX_CHARS, PUT_RECORDS_MAX_COUNT, RECORD_MAX_MAX_KIB
from penstock.engines.api import Page
from penstock.engines.column import size_of
from penstock.services.streams import native, sequence
from penstock.services.streams.hub import Pushed
from penstock.services.streams.ops.record import (
    EncryptionType,
    GetRecordsOutput,
    PutRecordRequest,
    PutRecordsOutput,
    PutRecordsRequest,
)
from penstock.services.streams.ops.shard import ChildShard, describe_children
from penstock.services.streams.sealed import OpenedPage
from penstock.services.streams.writer import ScatteredRows, WrittenRows
from penstock.wire import cbor, json
from penstock.wire.nativeparts import Format
from penstock.wire.operation import Codec, LongBody, Output, Protocol

_Name = Annotated[str, Meta(min_length=1, max_length=128, pattern=r"\A[a-zA-Z0-9_.-]+\Z")]
_Key = Annotated[str, Meta(min_length=1, max_length=PARTITION_KEY_MAX_CHARS)]
_HashKey = Annotated[str, Meta(pattern=r"\A(0|[1-9][0-9]{0,38})\Z")]
LARGE_PAGE_BYTES: Final = 256 * KIB  # takes longer than a thread's turn
_DATA_MAX_BYTES: Final = RECORD_MAX_MAX_KIB * 1024

Blob = TypeVar("Blob", str, bytes)  # base64 in JSON, bytes in CBOR
Written = TypeVar("Written")


class _Entry(Struct, Generic[Blob], forbid_unknown_fields=True):
    """One record of PutRecords."""

    Data: Blob
    PartitionKey: _Key | None = None
    ExplicitHashKey: _HashKey | None = None


class _PutRecords(Struct, Generic[Blob], forbid_unknown_fields=True):
    """PutRecords by name; by ARN it goes the generic way (its pattern is not worth a second copy)."""

    StreamName: _Name
    Records: Annotated[list[_Entry[Blob]], Meta(min_length=1, max_length=PUT_RECORDS_MAX_COUNT)]


class _PutRecord(Struct, Generic[Blob], forbid_unknown_fields=True):
    """PutRecord by name, without SequenceNumberForOrdering."""

    StreamName: _Name
    Data: Blob
    PartitionKey: _Key | None = None
    ExplicitHashKey: _HashKey | None = None


_json_records = msgspec.json.Decoder(_PutRecords[str])
_json_record = msgspec.json.Decoder(_PutRecord[str])


def _records_from_json(body: bytes) -> PutRecordsRequest:
    return native.read_records(body, "json") or _columns(_json_records.decode(body), json.decode_base64)


def _records_from_cbor(body: bytes) -> PutRecordsRequest:
    return native.read_records(body, "cbor") or _columns(
        msgspec.convert(cbor.decode_document(body), _PutRecords[bytes], builtin_types=(bytes,)), _checked
    )


def _columns(rows: _PutRecords[Blob], blob: Callable[[Blob], bytes]) -> PutRecordsRequest:
    entries = rows.Records
    return PutRecordsRequest(
        stream_name=rows.StreamName,
        data=[_checked(blob(entry.Data)) for entry in entries],
        partition_keys=[entry.PartitionKey for entry in entries],
        explicit_hash_keys=[entry.ExplicitHashKey for entry in entries],
    )


def _record_from_json(body: bytes) -> PutRecordRequest:
    return native.read_record(body, "json") or _single(_json_record.decode(body), json.decode_base64)


def _record_from_cbor(body: bytes) -> PutRecordRequest:
    return native.read_record(body, "cbor") or _single(
        msgspec.convert(cbor.decode_document(body), _PutRecord[bytes], builtin_types=(bytes,)), _checked
    )


def _single(row: _PutRecord[Blob], blob: Callable[[Blob], bytes]) -> PutRecordRequest:
    return PutRecordRequest(
        stream_name=row.StreamName,
        data=_checked(blob(row.Data)),
        partition_key=row.PartitionKey,
        explicit_hash_key=row.ExplicitHashKey,
    )


def _checked(data: bytes) -> bytes:
    if len(data) > _DATA_MAX_BYTES:
        raise msgspec.ValidationError
    return data


def _or_none(decode: Callable[[bytes], Any]) -> Callable[[bytes], Any | None]:
    """A decoder that answers None where it would refuse."""

    def attempt(body: bytes) -> Any | None:
        try:
            return decode(body)
        except (msgspec.MsgspecError, ServiceError, UnicodeDecodeError, RecursionError):
            return None

    return attempt


def _records_from_document(document: dict[str, Any]) -> PutRecordsRequest:
    """Columns from a generic document that kept every constraint."""
    records = document["Records"]
    return PutRecordsRequest(
        stream_name=document.get("StreamName"),
        stream_arn=document.get("StreamARN"),
        stream_id=document.get("StreamId"),
        dry_run=document.get("DryRun", False),
        data=[record["Data"] for record in records],
        partition_keys=[record.get("PartitionKey") for record in records],
        explicit_hash_keys=[record.get("ExplicitHashKey") for record in records],
    )


class _Result(Output):
    """One result of PutRecords, written or refused."""

    sequence_number: str | None = None
    shard_id: str | None = None
    error_code: str | None = None
    error_message: str | None = None


class _PutRecordsOut(Output):
    failed_record_count: int
    records: Sequence[_Result]
    encryption_type: EncryptionType | None = None


class _Form(NamedTuple):
    """A protocol, as answers are written in it."""

    name: Format
    encode: Callable[[Output], bytes]
    moment: Callable[[int], float | CBORTag]  # from milliseconds


def _to_cbor(output: Output) -> bytes:
    return cbor.encode_document(msgspec.to_builtins(output, builtin_types=(bytes, CBORTag)))


_JSON: Final = _Form("json", json.encode_document, json.SCALARS.timestamp_out)
_CBOR: Final = _Form("cbor", _to_cbor, cbor.SCALARS.timestamp_out)


def _put_records_out(output: PutRecordsOutput, form: _Form) -> bytes:
    results = output.results
    if isinstance(results, WrittenRows | ScatteredRows):
        return native.write_written(form.encode(_PutRecordsOut(failed_record_count=0, records=())), results, form.name)
    rows = [
        _Result(error_code=result.code, error_message=result.message)
        if isinstance(result, ServiceError)
        else _Result(sequence_number=result.sequence_number, shard_id=result.shard_id)
        for result in results
    ]
    return form.encode(
        _PutRecordsOut(
            failed_record_count=sum(row.error_code is not None for row in rows),
            records=rows,
            encryption_type=output.encryption_type,
        )
    )


class _Record(Output):
    """One record of GetRecords.  `data` is written as base64 in JSON and as it is in CBOR."""

    sequence_number: str
    approximate_arrival_timestamp: float | CBORTag  # in the format's own form
    data: bytes
    partition_key: str


class _EncryptedRecord(_Record, omit_defaults=False):
    """One record of an encrypted stream.  A type of its own, so that other records pay nothing for the member."""

    encryption_type: EncryptionType = "KMS"


class _GetRecordsOut(Output):
    records: Sequence[_Record]
    millis_behind_latest: int
    next_shard_iterator: str | None = None
    child_shards: Sequence[ChildShard] | None = None


def _rows(number_base: int, page: Page, moment: Callable[[int], float | CBORTag]) -> list[_Record]:
    number = number_base + sequence.tail(page.first, 0)
    rows: list[_Record] = []
    kinds: Iterable[type[_Record]] = repeat(_Record)
    if isinstance(page, OpenedPage):
        kinds = [_EncryptedRecord if sealed else _Record for sealed in page.sealed_rows]
    for data, key, arrival_ms, kind in zip(page.data, page.keys, page.arrivals_ms, kinds):  # noqa: B905 - repeat has no end
        text = str(number + sequence.arrived(arrival_ms))
        rows.append(
            kind(
                sequence_number=text,
                approximate_arrival_timestamp=moment(arrival_ms),
                data=data,
                partition_key=key.decode(),
            )
        )
        number += sequence.NEXT_RECORD
    return rows


def _paged(envelope: "_GetRecordsOut | _PushedOut", number_base: int, page: Page, form: _Form) -> bytes:
    """The bytes of an answer with the records of a page; `envelope` has none yet."""
    written = native.write_page(form.encode(envelope), number_base, page, form.name)
    if written is not None:
        return written
    envelope.records = _rows(number_base, page, form.moment)
    return form.encode(envelope)


def _get_records_envelope(output: GetRecordsOutput) -> _GetRecordsOut:
    return _GetRecordsOut(
        records=(),
        millis_behind_latest=output.millis_behind_latest,
        next_shard_iterator=output.next_shard_iterator,
        child_shards=output.child_shards,
    )


def _get_records_out(output: GetRecordsOutput, form: _Form) -> bytes:
    return _paged(_get_records_envelope(output), output.number_base, output.page, form)


def _long_get_records_out(output: GetRecordsOutput, form: _Form) -> LongBody | None:
    envelope = form.encode(_get_records_envelope(output))
    slowly = partial(_get_records_out, output, form)
    return native.long_page(envelope, output.number_base, output.page, form.name, slowly)


class _PushedOut(Output):
    """SubscribeToShardEvent."""

    records: Sequence[_Record]
    millis_behind_latest: int
    continuation_sequence_number: str | None = None  # KCL knows the end of a shard by its absence
    child_shards: Sequence[ChildShard] | None = None


def _pushed_out(pushed: Pushed, form: _Form) -> bytes:
    envelope = _PushedOut(
        records=(),
        millis_behind_latest=pushed.millis_behind_latest,
        continuation_sequence_number=pushed.continuation,
        child_shards=None if pushed.children is None else describe_children(pushed.children),
    )
    return _paged(envelope, pushed.number_base, pushed.page, form)


def _is_large(output: GetRecordsOutput) -> bool:
    return size_of(output.page.data) > LARGE_PAGE_BYTES


def _in_both(write: Callable[[Any, _Form], Written]) -> dict[Protocol, Callable[[Any], Written]]:
    return {"json": lambda output: write(output, _JSON), "cbor": lambda output: write(output, _CBOR)}


CODECS: Final = {
    "PutRecord": Codec(
        decode={"json": _or_none(_record_from_json), "cbor": _or_none(_record_from_cbor)},
        encode={"json": _JSON.encode, "cbor": _CBOR.encode},
    ),
    "PutRecords": Codec(
        decode={"json": _or_none(_records_from_json), "cbor": _or_none(_records_from_cbor)},
        convert=_records_from_document,
        framed=native.framed_records,
        encode=_in_both(_put_records_out),
    ),
    "GetRecords": Codec(
        encode=_in_both(_get_records_out), is_large=_is_large, encode_long=_in_both(_long_get_records_out)
    ),
    "SubscribeToShard": Codec(encode_event=_in_both(_pushed_out)),
}
