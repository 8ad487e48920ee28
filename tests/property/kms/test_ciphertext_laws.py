"""Ciphertexts and sealed records: whatever bit is changed, and in whatever other context, they do not open."""

from dataclasses import dataclass
from typing import Final

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from penstock.engines.api import LogId, Page, Position
from penstock.services.kms.vault import Vault, open_sealed, seal, take_apart
from penstock.services.streams.sealed import (
    NONCE_BYTES,
    Tampered,
    key_cell,
    open_page,
    seal_rows,
    sealed_cells,
)

MATERIAL: Final = AESGCM(bytes(range(32)))
KEY_ID: Final = "12345678-1234-4234-8234-123456789012"
NONCE: Final = b"n" * 12
LOG: Final = LogId("a" * 20 + "-aaa/0")

contexts = st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3)


def opened(blob: bytes, context: dict[str, str]) -> bytes | None:
    taken = take_apart(blob)
    if taken is None or (taken.key_id, taken.material_no) != (KEY_ID, 3):  # another key, or a version that is not there
        return None
    return open_sealed(MATERIAL, taken, context)


@given(st.binary(max_size=64), contexts)
def test_a_ciphertext_opens_in_its_own_context(plaintext: bytes, context: dict[str, str]) -> None:
    assert opened(seal(MATERIAL, KEY_ID, 3, plaintext, context, NONCE), context) == plaintext


@given(st.binary(max_size=64), contexts, contexts)
def test_a_ciphertext_opens_in_no_other_context(
    plaintext: bytes, context: dict[str, str], other: dict[str, str]
) -> None:
    blob = seal(MATERIAL, KEY_ID, 3, plaintext, context, NONCE)
    assert (opened(blob, other) is None) == (context != other)


def test_no_bit_of_a_ciphertext_can_be_changed() -> None:
    blob = seal(MATERIAL, KEY_ID, 3, b"plaintext", {"a": "b"}, NONCE)
    assert opened(blob, {"a": "b"}) == b"plaintext"
    for bit in range(8 * len(blob)):
        changed = bytearray(blob)
        changed[bit // 8] ^= 1 << bit % 8
        assert opened(bytes(changed), {"a": "b"}) is None, bit


@given(st.binary(max_size=200))
def test_whatever_is_no_ciphertext_does_not_open(blob: bytes) -> None:
    assert opened(blob, {}) is None


def test_material_opens_with_its_own_master_key_for_its_own_key_and_version() -> None:
    vault = Vault(b"m" * 32)
    stored = vault.seal("arn:a", 1, b"k" * 32, NONCE)
    assert vault.open("arn:a", 1, stored) is not None
    assert vault.open("arn:b", 1, stored) is None
    assert vault.open("arn:a", 2, stored) is None
    assert Vault(b"x" * 32).open("arn:a", 1, stored) is None
    assert vault.open("arn:a", 1, stored[:-1]) is None


@dataclass
class Row:
    """A record, and whether it is sealed."""

    key: str
    data: bytes
    sealed: bool


rows = st.lists(st.builds(Row, st.text(min_size=1, max_size=256), st.binary(max_size=100), st.booleans()), min_size=1)


@given(rows, st.integers(1, 2**32 - 1))
def test_pages_of_sealed_and_plain_records_open_as_they_were_written(records: list[Row], number: int) -> None:
    cell = key_cell(number)
    keys = [cell if row.sealed else row.key.encode() for row in records]
    data = [
        seal_rows(MATERIAL, LOG, [row.key.encode()], [row.data], bytes([place % 256]) * NONCE_BYTES)[0]
        if row.sealed
        else row.data
        for place, row in enumerate(records)
    ]
    page = page_of(keys, data)
    assert sealed_cells(page) == ({cell} if any(row.sealed for row in records) else set())
    found = open_page(page, LOG, {cell: MATERIAL})
    assert list(zip(found.keys, found.data, found.sealed_rows, strict=True)) == [
        (row.key.encode(), row.data, row.sealed) for row in records
    ]


def test_a_sealed_record_that_was_changed_or_moved_does_not_open() -> None:
    cell = key_cell(1)
    [sealed] = seal_rows(MATERIAL, LOG, [b"key"], [b"data"], NONCE)
    for bit in range(8 * len(sealed)):
        changed = bytearray(sealed)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(Tampered):
            open_page(page_of([cell], [bytes(changed)]), LOG, {cell: MATERIAL})
    with pytest.raises(Tampered):
        open_page(page_of([cell], [sealed]), LogId("a" * 20 + "-aaa/1"), {cell: MATERIAL})
    for length in range(len(sealed)):
        with pytest.raises(Tampered):
            open_page(page_of([cell], [sealed[:length]]), LOG, {cell: MATERIAL})


def page_of(keys: list[bytes], data: list[bytes]) -> Page:
    end = Position(0, len(keys))
    return Page(Position(0, 0), keys, data, [0] * len(keys), end, end, sealed=False)
