"""Sealed records: how one is laid out in the cells of the engine, which knows nothing of it.

    key cell   0xFF, number of the data key (4 bytes)
    data cell  nonce (12 bytes), then AES-256-GCM of: length of the partition key (2 bytes), partition key, data; and its tag

A byte 0xFF occurs in no UTF-8 text, so the first byte of a key cell tells a sealed record from a plain one.  The log's name is bound to
each record: it opens in its own shard only.
Rules of this file: pure; nonces come from the caller.  A format: never changed; another one gets another first byte.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from penstock.engines.api import LogId, Page

MARK: Final = b"\xff"
NONCE_BYTES: Final = 12
_NUMBER_BYTES: Final = 4
_LENGTH_BYTES: Final = 2
_TAG_BYTES: Final = 16
OVERHEAD_BYTES: Final = len(MARK) + _NUMBER_BYTES + NONCE_BYTES + _LENGTH_BYTES + _TAG_BYTES  # of each record


class Tampered(Exception):
    """A sealed record that does not open with its data key."""


class OpenedPage(Page):
    """A page in which there were sealed records, all opened."""

    sealed_rows: Sequence[bool]  # which they were
    numbers: Sequence[int]  # of the data keys that opened them


def key_cell(number: int) -> bytes:
    """The key cell of every record that a data key seals."""
    return MARK + number.to_bytes(_NUMBER_BYTES, "big")


def seal_rows(cipher: AESGCM, log: LogId, keys: Sequence[bytes], data: Sequence[bytes], nonces: bytes) -> list[bytes]:
    """The data cells of records.  `nonces` are 12 fresh bytes for each.  Cost: 2 us for 1 KiB."""
    assert len(nonces) == NONCE_BYTES * len(keys)
    encrypt, bound = cipher.encrypt, log.encode()
    cells: list[bytes] = []
    at = 0
    for key, blob in zip(keys, data, strict=True):
        nonce = nonces[at : at + NONCE_BYTES]
        at += NONCE_BYTES
        cells.append(nonce + encrypt(nonce, len(key).to_bytes(_LENGTH_BYTES, "big") + key + blob, bound))
    return cells


def sealed_cells(page: Page) -> set[bytes]:
    """The key cells of a page's sealed records; none where all are plain.  Cost: 50 ns a record."""
    return {key for key in page.keys if key.startswith(MARK)}


def number_in(cell: bytes) -> int:
    """The number of the data key that a key cell names."""
    return int.from_bytes(cell[len(MARK) :], "big")


def open_page(page: Page, log: LogId, ciphers: Mapping[bytes, AESGCM]) -> OpenedPage:
    """A page with its records opened, by the key cells of those that are sealed.  Raises Tampered.  Cost: 2 us for 1 KiB."""
    bound = log.encode()
    keys: list[bytes] = []
    data: list[bytes] = []
    rows: list[bool] = []
    for cell, blob in zip(page.keys, page.data, strict=True):
        cipher = ciphers.get(cell)
        rows.append(cipher is not None)
        if cipher is None:
            keys.append(cell)
            data.append(blob)
            continue
        try:
            plain = cipher.decrypt(blob[:NONCE_BYTES], blob[NONCE_BYTES:], bound)
        except (InvalidTag, ValueError):
            raise Tampered from None
        end = _LENGTH_BYTES + int.from_bytes(plain[:_LENGTH_BYTES], "big")
        keys.append(plain[_LENGTH_BYTES:end])
        data.append(plain[end:])
    opened = OpenedPage(page.first, keys, data, page.arrivals_ms, page.next, page.end, page.sealed)
    opened.sealed_rows = rows
    opened.numbers = sorted(map(number_in, ciphers))
    return opened
