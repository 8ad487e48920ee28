"""Segments in the making: which blocks are joined, and that what is written is what the index says."""

import asyncio
from itertools import chain
from pathlib import Path
from typing import Final

import pytest

from penstock.engines.api import Batch, LogId, Position
from penstock.engines.column import DATA_WIDTH, KEY_WIDTH, Column
from penstock.engines.local import columns, segment
from penstock.engines.local.columns import Damaged, Records
from penstock.engines.local.log import Options, open_log
from penstock.engines.local.segment import BLOCK_ALONE_BYTES, BLOCK_TARGET_BYTES, TRAILER_BYTES, BlockRow, Built
from penstock.host.clock import SystemClock
from penstock.host.disk import SystemDisk
from penstock.host.entropy import SystemEntropy
from penstock.host.tasks import LoopTasks

DATA_ID: Final = "0123456789abcdef"


def _body(log_no: int, first: int, data: list[bytes], arrival_ms: int = 5) -> bytes:
    keys = Column.of([b"key"] * len(data), KEY_WIDTH)
    return b"".join(columns.encode_rows(log_no, first, arrival_ms, keys, Column.of(data, DATA_WIDTH)))


def _built(*bodies: bytes) -> Built:
    builder = segment.Builder(DATA_ID)
    for body in bodies:
        builder.add(body)
    return builder.finish()


def _read(built: Built) -> list[tuple[BlockRow, Records]]:
    content = b"".join(chain.from_iterable(built.parts))
    assert len(content) == built.size_bytes
    at, length, checksum = segment.index_place(content[-TRAILER_BYTES:], len(content))
    rows = segment.decode_index(content[at : at + length], checksum)
    return [(row, columns.records_of(segment.decode_block(content[row.at : row.at + row.length], row))) for row in rows]


def test_builder_when_small_blocks_follow_each_other_then_they_become_one() -> None:
    [(row, records)] = _read(_built(_body(1, 0, [b"a", b"b"], 5), _body(1, 2, [b"c"], 6)))
    assert (row.first_offset, row.records) == (0, 3)
    assert records.data == [b"a", b"b", b"c"]
    assert records.arrivals_ms == [5, 5, 6]


@pytest.mark.parametrize(
    "bodies",
    [
        [_body(1, 0, [b"a"]), _body(1, 2, [b"b"])],
        [_body(1, 0, [b"a"]), _body(2, 1, [b"b"])],
        [_body(1, 0, [bytes(BLOCK_ALONE_BYTES)]), _body(1, 1, [b"b"])],
        [_body(1, 0, [b"a"]), _body(1, 1, [bytes(BLOCK_ALONE_BYTES)])],
    ],
    ids=["a gap", "another log", "behind a large one", "before a large one"],
)
def test_builder_when_blocks_do_not_belong_together_then_each_is_passed_on_as_it_is(bodies: list[bytes]) -> None:
    built = _built(*bodies)
    assert all(body in chain.from_iterable(built.parts) for body in bodies)
    assert len(_read(built)) == 2


def test_builder_when_many_small_blocks_come_then_none_grows_beyond_the_target() -> None:
    piece = bytes(BLOCK_ALONE_BYTES // 2)
    read = _read(_built(*(_body(1, first, [piece]) for first in range(20))))
    assert [data for _, records in read for data in records.data] == [piece] * 20
    assert 2 < len(read) < 6
    assert all(sum(map(len, records.data)) <= BLOCK_TARGET_BYTES for _, records in read)


def test_builder_when_a_body_is_damaged_then_it_is_refused_and_the_rest_is_kept() -> None:
    builder = segment.Builder(DATA_ID)
    builder.add(_body(1, 0, [b"a"]))
    with pytest.raises(Damaged):
        builder.add(_body(1, 1, [b"b"])[:-1])
    builder.add(_body(1, 2, [b"c"]))
    assert [records.data for _, records in _read(builder.finish())] == [[b"a"], [b"c"]]


def test_builder_when_nothing_was_added_then_the_segment_is_empty_and_sound() -> None:
    built = _built()
    assert _read(built) == []
    assert list(built.ranges) == []


def test_builder_when_blocks_of_two_logs_were_added_then_the_ranges_say_where_each_begins_and_ends() -> None:
    built = _built(_body(1, 3, [b"a"], 5), _body(1, 9, [b"b"], 7), _body(2, 0, [b"c"], 6))
    spans = [
        (held.log_no, held.first_offset, held.end, held.first_arrival_ms, held.last_arrival_ms) for held in built.ranges
    ]
    assert spans == [(1, 3, 10, 5, 7), (2, 0, 1, 6, 6)]


def test_settle_when_segments_are_small_then_a_journal_file_becomes_several_and_all_is_read(tmp_path: Path) -> None:
    name = LogId("stream/0")

    async def scenario() -> None:
        disk, tasks = SystemDisk(tmp_path), LoopTasks()
        options = Options(journal_file_bytes=1 << 20, tail_cache_bytes=0, segment_bytes=100_000)
        log, _ = await open_log(disk, SystemClock(), SystemEntropy(), tasks, options)
        await log.create([name])
        written = [b"%03d" % number + bytes(10_000) for number in range(150)]
        for record in written:
            await log.append([Batch(name, [b"k"], [record])])
        await log.settle()
        sizes = [path.stat().st_size for path in (tmp_path / "segments" / "stream").iterdir()]
        assert len(sizes) > 8
        assert max(sizes) <= 100_000 + 1000  # the index and the trailer come on top
        page = await log.read(name, Position(0, 0), 1000, 1 << 30)
        found = list(page.data)
        while page.next != page.end:
            page = await log.read(name, page.next, 1000, 1 << 30)
            found += page.data
        assert found == written
        await log.close()
        await tasks.stop()
        disk.close()

    asyncio.run(scenario())


def test_ranges_of_when_logs_have_one_block_or_several_in_any_order_then_each_has_its_first_and_last() -> None:
    one_each = [BlockRow(log_no, 10 * log_no, 3, 5, 6 + log_no, 32, 1, 0) for log_no in (1, 4, 9)]
    expected = [(row.log_no, row.first_offset, row.end, 5, row.last_arrival_ms) for row in one_each]
    assert list(segment.ranges_of(one_each)) == expected
    assert list(segment.ranges_of(one_each[::-1])) == expected
    more = BlockRow(4, 50, 2, 11, 12, 32, 1, 0)
    assert list(segment.ranges_of([*one_each, more]))[1] == (4, 40, 52, 5, 12)
    for log_nos in ([-1], [2**64], [3, 2**64], [2**64, 3]):
        with pytest.raises(Damaged):
            segment.ranges_of([BlockRow(log_no, 0, 1, 0, 0, 32, 1, 0) for log_no in log_nos])
