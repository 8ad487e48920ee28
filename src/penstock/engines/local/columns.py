"""Columns: how records lie on disk, in the journal and in segments alike.

Theory.  A block holds consecutive records of one log: a fixed head, runs of arrival times (a run is the records of one commit), the
lengths of all keys, the lengths of all data, then all keys, then all data.  Blocks are joined by joining columns, and decoding cuts two
byte strings; nothing is parsed record by record.
Rules of this file: pure; every length is checked against the bytes at hand before anything is cut; `decode` raises Damaged and
nothing else.

Head (little-endian, 32 bytes): log number u64, incarnation u32, record count u32, first offset u64, run count u32, zero u32.
Run (12 bytes): record count u32, arrival i64 ms.  Key lengths: u16 each.  Data lengths: u32 each.
"""

import struct
from array import array
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from penstock.engines.column import DATA_WIDTH, KEY_WIDTH, Column, Span

_HEAD: Final = struct.Struct("<QIIQII")
_RUN: Final = struct.Struct("<Iq")
HEAD_BYTES: Final = _HEAD.size
assert HEAD_BYTES == 32
ONE_RUN_BYTES: Final = HEAD_BYTES + _RUN.size  # of a block of records that arrived together, without them
RECORD_BYTES: Final = 6  # of a record beside its key and data: their lengths
assert array("H").itemsize == 2
assert array("I").itemsize == 4


Bytes = bytes | memoryview  # a view where the bytes are only passed on


class Damaged(Exception):
    """Bytes that are not what was written."""


class Run(NamedTuple):
    """Records that arrived together."""

    records: int
    arrival_ms: int


class Block(NamedTuple):
    """Consecutive records of one log, as columns of bytes."""

    log_no: int
    incarnation: int
    first_offset: int
    runs: Sequence[Run]
    key_lengths: Bytes
    data_lengths: Bytes
    keys: Bytes
    data: Bytes

    @property
    def records(self) -> int:
        """How many."""
        return len(self.data_lengths) // 4

    @property
    def end(self) -> int:
        """One past its last offset."""
        return self.first_offset + self.records

    @property
    def size_bytes(self) -> int:
        """Bytes of keys and data."""
        return len(self.keys) + len(self.data)


class Records(NamedTuple):
    """The records of a block."""

    first_offset: int
    keys: Column
    data: Column
    arrivals_ms: Sequence[int]


def encode_rows(log_no: int, first_offset: int, arrival_ms: int, keys: Column, data: Column) -> list[bytes]:
    """The pieces of the bytes of a block of records that arrive together, copying none of them."""
    count = len(data)
    assert len(keys) == count > 0
    return [
        _HEAD.pack(log_no, 0, count, first_offset, 1, 0) + _RUN.pack(count, arrival_ms),
        *[lengths for lengths, _ in keys.spans],
        *[lengths for lengths, _ in data.spans],
        *[body for _, body in keys.spans],
        *[body for _, body in data.spans],
    ]


def join(blocks: Sequence[Block]) -> Block:
    """One block of blocks that follow each other."""
    if len(blocks) == 1:
        return blocks[0]
    assert all(before.end == after.first_offset for before, after in pairwise(blocks))
    return Block(
        blocks[0].log_no,
        blocks[0].incarnation,
        blocks[0].first_offset,
        tuple(_joined_runs(blocks)),
        b"".join(block.key_lengths for block in blocks),
        b"".join(block.data_lengths for block in blocks),
        b"".join(block.keys for block in blocks),
        b"".join(block.data for block in blocks),
    )


def _joined_runs(blocks: Sequence[Block]) -> Iterator[Run]:
    held: Run | None = None
    for run in (run for block in blocks for run in block.runs):
        if held is not None and held.arrival_ms == run.arrival_ms:
            held = Run(held.records + run.records, run.arrival_ms)
            continue
        if held is not None:
            yield held
        held = run
    if held is not None:
        yield held


def encode(block: Block) -> list[bytes]:
    """The pieces of a block's bytes, to be joined with others."""
    head = _HEAD.pack(block.log_no, block.incarnation, block.records, block.first_offset, len(block.runs), 0)
    runs = b"".join(_RUN.pack(run.records, run.arrival_ms) for run in block.runs)
    return [head, runs, *map(bytes, (block.key_lengths, block.data_lengths, block.keys, block.data))]


def decode(body: Bytes) -> Block:
    """A block from its bytes; of views, where a view is given.  Raises Damaged."""
    if len(body) < HEAD_BYTES:
        raise Damaged("a block is shorter than its head")
    log_no, incarnation, count, first_offset, run_count, _ = _HEAD.unpack_from(body)
    runs_end = HEAD_BYTES + run_count * _RUN.size
    keys_at = runs_end + 6 * count
    if not 0 < run_count <= count or keys_at > len(body):
        raise Damaged("a block is shorter than its columns")
    runs = tuple(Run(*_RUN.unpack_from(body, at)) for at in range(HEAD_BYTES, runs_end, _RUN.size))
    key_lengths, data_lengths = body[runs_end : runs_end + 2 * count], body[runs_end + 2 * count : keys_at]
    data_at = keys_at + sum(_lengths("H", key_lengths))
    if sum(run.records for run in runs) != count or data_at + sum(_lengths("I", data_lengths)) != len(body):
        raise Damaged("the columns of a block do not add up")
    return Block(
        log_no, incarnation, first_offset, runs, key_lengths, data_lengths, body[keys_at:data_at], body[data_at:]
    )


def records_of(block: Block) -> Records:
    """The records of a block, not cut."""
    arrivals: list[int] = []
    for run in block.runs:
        arrivals += [run.arrival_ms] * run.records
    return Records(
        block.first_offset,
        Column(KEY_WIDTH, (Span(bytes(block.key_lengths), bytes(block.keys)),)),
        Column(DATA_WIDTH, (Span(bytes(block.data_lengths), bytes(block.data)),)),
        arrivals,
    )


def cut_one_run(content: bytes, at: int, end: int, first_offset: int, arrival_ms: int, count: int) -> Records:
    """The records of a sound block of one run that lies from `at` to `end`.  Cost: 2 us, where `decode` takes 15."""
    key_lengths_at = at + ONE_RUN_BYTES
    data_lengths_at = key_lengths_at + KEY_WIDTH * count
    keys_at = data_lengths_at + DATA_WIDTH * count
    key_lengths = content[key_lengths_at:data_lengths_at]
    data_at = keys_at + sum(memoryview(key_lengths).cast("H"))
    keys = Column(KEY_WIDTH, (Span(key_lengths, content[keys_at:data_at]),))
    data = Column(DATA_WIDTH, (Span(content[data_lengths_at:keys_at], content[data_at:end]),))
    return Records(first_offset, keys, data, [arrival_ms] * count)


def _lengths(kind: str, column: Bytes) -> "array[int]":
    lengths = array(kind)
    lengths.frombytes(column)
    return lengths
