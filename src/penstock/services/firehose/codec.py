"""Short ways for direct puts: bytes to columns and results to bytes, without the generic walk.

Theory and rules: those of services/streams/codec.py.  A fast decoder says yes or nothing; a test holds it against the generic way.
"""

from collections.abc import Callable
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from penstock.core.errors import ServiceError
from penstock.core.limits import DELIVERY_RECORD_MAX_BYTES, PUT_BATCH_MAX_COUNT
from penstock.services.firehose.ops.record import (
    PutRecordBatchOutput,
    PutRecordBatchRequest,
    PutRecordRequest,
    Record,
)
from penstock.wire import cbor, json
from penstock.wire.operation import Codec, Output

_Name = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"\A[a-zA-Z0-9_.-]+\Z")]


class _Record(Struct, forbid_unknown_fields=True):
    """One record."""

    Data: str


class _Batch(Struct, forbid_unknown_fields=True):
    """PutRecordBatch."""

    DeliveryStreamName: _Name
    Records: Annotated[list[_Record], Meta(min_length=1, max_length=PUT_BATCH_MAX_COUNT)]


class _One(Struct, forbid_unknown_fields=True):
    """PutRecord."""

    DeliveryStreamName: _Name
    Record: _Record


_batch = msgspec.json.Decoder(_Batch)
_one = msgspec.json.Decoder(_One)


def _read_batch(body: bytes) -> PutRecordBatchRequest | None:
    rows = _batch.decode(body)
    data = [json.decode_base64(record.Data) for record in rows.Records]
    if len(max(data, key=len)) > DELIVERY_RECORD_MAX_BYTES:
        return None
    return PutRecordBatchRequest(delivery_stream_name=rows.DeliveryStreamName, data=data)


def _read_one(body: bytes) -> PutRecordRequest | None:
    row = _one.decode(body)
    data = json.decode_base64(row.Record.Data)
    if len(data) > DELIVERY_RECORD_MAX_BYTES:
        return None
    return PutRecordRequest(delivery_stream_name=row.DeliveryStreamName, record=Record(data=data))


def _or_none(decode: Callable[[bytes], Any]) -> Callable[[bytes], Any | None]:
    def attempt(body: bytes) -> Any | None:
        try:
            return decode(body)
        except (msgspec.MsgspecError, ServiceError, UnicodeDecodeError, RecursionError):
            return None

    return attempt


def _batch_from_document(document: dict[str, Any]) -> PutRecordBatchRequest:
    return PutRecordBatchRequest(
        delivery_stream_name=document["DeliveryStreamName"], data=[record["Data"] for record in document["Records"]]
    )


class _Result(Output):
    """One result of a batch."""

    record_id: str | None = None
    error_code: str | None = None
    error_message: str | None = None


class _Results(Output):
    """The answer to a batch."""

    failed_put_count: int
    encrypted: bool
    request_responses: list[_Result]


def _results(output: PutRecordBatchOutput) -> _Results:
    rows = [
        _Result(record_id=result)
        if isinstance(result, str)
        else _Result(error_code=result.code, error_message=result.message)
        for result in output.results
    ]
    failed = sum(not isinstance(result, str) for result in output.results)
    return _Results(failed_put_count=failed, encrypted=output.encrypted, request_responses=rows)


_encoder = msgspec.json.Encoder()


def _write_json(output: PutRecordBatchOutput) -> bytes:
    return _encoder.encode(_results(output))


def _write_cbor(output: PutRecordBatchOutput) -> bytes:
    return cbor.encode_document(msgspec.to_builtins(_results(output)))


CODECS: Final = {
    "PutRecord": Codec(decode={"json": _or_none(_read_one)}),
    "PutRecordBatch": Codec(
        decode={"json": _or_none(_read_batch)},
        convert=_batch_from_document,
        encode={"json": _write_json, "cbor": _write_cbor, "rpc": _write_cbor},
    ),
}
