"""How a record is shown: for eyes on a terminal, as a line for a pipe, as a JSON object for a program.

Rules of this file: pure; whatever the bytes, what is shown is text that a terminal does not obey.
"""

import base64
from collections.abc import Iterator
from typing import Final, NamedTuple

import msgspec

from penstock.commands.paper import clock_text, tame
from penstock.core.ids import Millis

KPL_MAGIC: Final = b"\xf3\x89\x9a\xc2"  # how an aggregate of the Kinesis Producer Library begins
HEX_SHOWN_BYTES: Final = 256  # of binary data on a terminal
HEX_ROW_BYTES: Final = 16


class Shown(NamedTuple):
    """A record as it was read."""

    shard_id: str
    number: str  # its sequence number
    key: str
    data: bytes
    arrived_ms: Millis
    sub_number: int | None = None  # its place, where an aggregate carried it


def document(record: Shown) -> bytes:
    """One JSON object in one line: data as text where it is UTF-8, else as base64 under another name."""
    fields: dict[str, str | int] = {
        "shard_id": record.shard_id,
        "sequence_number": record.number,
        "partition_key": record.key,
        "arrived": clock_text(record.arrived_ms),
    }
    if record.sub_number is not None:
        fields["sub_sequence_number"] = record.sub_number
    try:
        fields["data"] = record.data.decode()
    except UnicodeDecodeError:
        fields["data_base64"] = base64.b64encode(record.data).decode()
    return msgspec.json.encode(fields)


def line(record: Shown) -> str:
    """Arrival, shard, key and data in one line, with tabs between."""
    data = _text(record.data)
    shown = _kind(record.data) + base64.b64encode(record.data).decode() if data is None else _one_line(data)
    return "\t".join((clock_text(record.arrived_ms), record.shard_id, _one_line(record.key), shown))


def body(data: bytes) -> tuple[str, bool]:
    """Data for eyes, over as many lines as it takes, and whether it is JSON."""
    text = _text(data)
    if text is None:
        return "\n".join(_hex_rows(data)), False
    if data[:1] in (b"{", b"["):
        try:
            msgspec.json.decode(data)
            return tame(msgspec.json.format(text, indent=2)), True
        except (msgspec.MsgspecError, RecursionError):
            pass
    return tame(text), False


def _text(data: bytes) -> str | None:
    """Data as text; None where it is none: not UTF-8, or with the zero bytes that texts do not have."""
    try:
        return None if b"\0" in data else data.decode()
    except UnicodeDecodeError:
        return None


def _one_line(text: str) -> str:
    return tame(text).replace("\t", "\\t").replace("\n", "\\n")


def _kind(data: bytes) -> str:
    return "kpl-aggregate:base64:" if data.startswith(KPL_MAGIC) else "base64:"


def _hex_rows(data: bytes) -> Iterator[str]:
    if data.startswith(KPL_MAGIC):
        yield f"an aggregate of the Kinesis Producer Library, {len(data):,} bytes, not opened"
    for start in range(0, min(len(data), HEX_SHOWN_BYTES), HEX_ROW_BYTES):
        row = data[start : start + HEX_ROW_BYTES]
        signs = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
        yield f"{start:04x}  {row.hex(' '):<{3 * HEX_ROW_BYTES}} {signs}"
    if len(data) > HEX_SHOWN_BYTES:
        yield f"... {len(data) - HEX_SHOWN_BYTES:,} bytes more"
