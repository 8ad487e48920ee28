"""Short cuts through the native part, for requests and pages of plain records.

Theory.  A whole answer is worded once without its records, in Python; the native part puts the records into it.  Whatever it does not
take it leaves alone (None), and codec.py goes the long way to the same bytes; tests hold the two against each other.
"""

from collections.abc import Callable, Sequence
from struct import pack
from typing import Final

from penstock.engines.api import Page
from penstock.engines.column import DATA_WIDTH, KEY_WIDTH, Column
from penstock.services.streams import sequence
from penstock.services.streams.ops.record import HashedRecordRequest, PutRecordsRequest
from penstock.services.streams.sealed import OpenedPage
from penstock.services.streams.writer import ScatteredRows, WrittenRows
from penstock.wire.native import NATIVE
from penstock.wire.nativeoutlets import Outlet
from penstock.wire.nativeparts import Format, Rows
from penstock.wire.operation import LongBody

_PageParts = tuple[Format, bytes, Sequence[tuple[bytes, bytes, bytes, bytes]], bytes, Sequence[int], bytes]

_JSON_LIST: Final = b"[]"
_CBOR_LIST: Final = b"\x80"
_RECORDS: Final = {"json": b'"Records":', "cbor": b"\x67Records"}


def read_records(body: bytes, form: Format) -> PutRecordsRequest | None:
    """PutRecords from its bytes."""
    if NATIVE is None:
        return None
    found = NATIVE.read_json(body) if form == "json" else NATIVE.read_cbor(body)
    return None if found is None else framed_records(*found)


def framed_records(name: str, rows: Rows) -> PutRecordsRequest:
    """PutRecords from what was read of it."""
    return PutRecordsRequest(stream_name=name, framed=rows)


def read_record(body: bytes, form: Format) -> HashedRecordRequest | None:
    """PutRecord from its bytes."""
    found = None if NATIVE is None else NATIVE.read_record(form, body)
    if found is None:
        return None
    name, key, data, hashed = found
    return HashedRecordRequest(stream_name=name, data=data, partition_key=key, hash_key=int.from_bytes(hashed, "big"))


def write_page(envelope: bytes, number_base: int, page: Page, form: Format) -> bytes | None:
    """An answer with a page's records; `envelope` is one whose list of records is empty."""
    parts = _parts(envelope, number_base, page, form)
    return None if NATIVE is None or parts is None else NATIVE.write_page(*parts)


def _is_plain(page: Page) -> bool:
    return not isinstance(page, OpenedPage) and bool(page.arrivals_ms)


def _parts(envelope: bytes, number_base: int, page: Page, form: Format) -> _PageParts | None:
    """What the native part makes it of; None where it does not."""
    if not _is_plain(page):
        return None
    keys, data = Column.of(page.keys, KEY_WIDTH), Column.of(page.data, DATA_WIDTH)
    spans = [(*key_span, *data_span) for key_span, data_span in zip(keys.spans, data.spans, strict=True)]
    number = (number_base + sequence.tail(page.first, 0)).to_bytes(sequence.NUMBER_BYTES, "little")
    head, tail = _opened(envelope, len(page.arrivals_ms), form)
    return form, head, spans, number, page.arrivals_ms, tail


def long_page(
    envelope: bytes, number_base: int, page: Page, form: Format, slowly: Callable[[], bytes]
) -> LongBody | None:
    """The same, to be written when it is sent; `slowly` does what is left to Python then."""
    if NATIVE is None or not _is_plain(page):
        return None
    write = NATIVE.write_page

    def send(head_of: Callable[[int], bytes], outlet: Outlet | None) -> bytes:
        parts = _parts(envelope, number_base, page, form)  # here, since values that are apart are joined
        left = None if parts is None else write(*parts, head_of, outlet)
        if left is None:
            whole = slowly()
            return head_of(len(whole)) + whole
        return left

    return LongBody(send)


def write_written(envelope: bytes, rows: WrittenRows | ScatteredRows, form: Format) -> bytes:
    """The answer to PutRecords."""
    assert NATIVE is not None, "what is framed was framed by it"
    if isinstance(rows, ScatteredRows):
        head, tail = _opened(envelope, rows.records, form)
        return rows.placed.write_written(form, head, rows.names, tail)
    head, tail = _opened(envelope, len(rows.order) // 2, form)
    return NATIVE.write_written(form, head, rows.order, rows.shards, tail)


def _opened(envelope: bytes, count: int, form: Format) -> tuple[bytes, bytes]:
    """What stands before and behind the items of an envelope's list of records, when it has `count` of them."""
    head, name, rest = envelope.partition(_RECORDS[form])
    if form == "json":
        assert rest.startswith(_JSON_LIST)
        return head + name + b"[", rest[1:]
    assert rest.startswith(_CBOR_LIST)
    return head + name + _cbor_list(count), rest[1:]


def _cbor_list(count: int) -> bytes:
    """The head of a CBOR list (RFC 8949, 3.1)."""
    if count < 24:
        return pack("B", 0x80 | count)
    return pack(">BB", 0x98, count) if count < 1 << 8 else pack(">BH", 0x99, count)
