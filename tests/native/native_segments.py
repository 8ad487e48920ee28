"""Blocks that the native part joins are, byte for byte, those that Python joins."""

from collections.abc import Iterator
from itertools import chain

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from native_found import finder_of

from penstock.engines.column import DATA_WIDTH, KEY_WIDTH, Column
from penstock.engines.local import columns, frame, segment
from penstock.engines.local.columns import Block, Run
from penstock.engines.local.frame import SECTOR_BYTES, Kind
from penstock.engines.local.segment import Built
from penstock.wire.native import NATIVE, Native
from penstock.wire.nativeparts import JournalMemory

FILE_NO = 2**40 + 7
DATA_ID = "0123456789abcdef"
RECORDS = st.lists(st.tuples(st.binary(max_size=5), st.binary(max_size=60)), min_size=1, max_size=4)
BLOCKS = st.lists(  # the log is another one, the offsets have a gap, records and their arrivals
    st.tuples(st.booleans(), st.integers(0, 3).map(lambda gap: max(0, gap - 2)), RECORDS, st.lists(st.integers(0, 2))),
    min_size=1,
    max_size=12,
)


@pytest.fixture(autouse=True)
def small_targets() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(segment, "BLOCK_TARGET_BYTES", 150)
        patch.setattr(segment, "BLOCK_ALONE_BYTES", 100)
        yield


def bodies_of(blocks: list[tuple[bool, int, list[tuple[bytes, bytes]], list[int]]]) -> list[bytes]:
    """Blocks of several logs, each log's in the order of offsets."""
    bodies = []
    log_no = first = 0
    arrived_ms = 10
    for another, gap, records, steps in blocks:
        log_no, first = (log_no + 1, 0) if another else (log_no, first + gap)
        keys = Column.of([key for key, _ in records], KEY_WIDTH)
        data = Column.of([blob for _, blob in records], DATA_WIDTH)
        runs = []
        for step in [*steps[: len(records) - 1], 0]:
            arrived_ms += step
            runs.append(Run(1, arrived_ms))
        runs[-1] = Run(len(records) - len(runs) + 1, arrived_ms)
        spans = [
            (b"".join(lengths for lengths, _ in each.spans), b"".join(body for _, body in each.spans))
            for each in (keys, data)
        ]
        block = Block(log_no, 0, first, runs, spans[0][0], spans[1][0], spans[0][1], spans[1][1])
        bodies.append(b"".join(columns.encode(block)))
        first += len(records)
    return bodies


def joined_of(bodies: list[bytes], memory: JournalMemory | None = None) -> Built | None:
    """The segment of a journal file of these blocks, in pieces that end anywhere; None if it is not sound."""
    content = b"".join(b"".join(frame.encode(Kind.RECORDS, FILE_NO, 3, [body])) for body in bodies)
    content = bytes(SECTOR_BYTES) + content + bytes(-len(content) % SECTOR_BYTES)
    logs = list(dict.fromkeys(int.from_bytes(body[:8], "little") for body in bodies))
    sizes = segment.HEADER_BYTES, 1 << 30, segment.BLOCK_TARGET_BYTES, segment.BLOCK_ALONE_BYTES
    finder = finder_of(len(content), FILE_NO, [logs], sizes=sizes, memory=memory)
    for at in range(0, len(content), 1001):
        finder.take(content[at : at + 1001])
    made = finder.segments()
    if made is None:
        return None
    [(_, blocks)] = made
    return segment.joined(DATA_ID, blocks)


def native() -> Native:
    assert NATIVE is not None
    return NATIVE


def told(built: Built) -> tuple[bytes, int, int, object]:
    return b"".join(chain.from_iterable(built.parts)), built.size_bytes, built.index_checksum, list(built.ranges)


def built_of(bodies: list[bytes]) -> Built:
    """By Python.  Raises Damaged."""
    builder = segment.Builder(DATA_ID)
    for body in bodies:
        builder.add(body)
    return builder.finish()


@settings(max_examples=300, derandomize=True, suppress_health_check=list(HealthCheck))
@given(blocks=BLOCKS)
def test_joined_when_given_any_blocks_is_what_python_builds(
    blocks: list[tuple[bool, int, list[tuple[bytes, bytes]], list[int]]],
) -> None:
    bodies = bodies_of(blocks)
    made = joined_of(bodies)
    assert made is not None
    assert told(made) == told(built_of(bodies))


@pytest.mark.parametrize("logs", [15, 16, 300, 1 << 16])
def test_joined_when_there_are_many_blocks_then_the_index_says_how_many(logs: int) -> None:
    bodies = bodies_of([(True, 0, [(b"k", b"a")], [])] * logs)
    made = joined_of(bodies)
    assert made is not None
    assert told(made) == told(built_of(bodies))


def test_finder_when_the_columns_of_a_sound_frame_do_not_add_up_then_it_refuses_the_file() -> None:
    [body] = bodies_of([(True, 0, [(b"k", b"ab"), (b"l", b"c")], [1])])
    for at in range(len(body)):
        lying = body[:at] + bytes([body[at] ^ 0x41]) + body[at + 1 :]
        made = joined_of([lying])
        try:
            expected = built_of([lying])
        except columns.Damaged:
            assert made is None
        else:
            assert made is not None
            assert told(made) == told(expected)


def test_joined_when_blocks_are_large_then_checksums_of_parts_make_those_of_the_whole() -> None:
    sizes = (5000, 511, 512, 1, 70_000, 300_001, 40_000)
    bodies = bodies_of([(False, 0, [(b"k", bytes([at]) * size)], [at]) for at, size in enumerate(sizes)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(segment, "BLOCK_TARGET_BYTES", 1 << 20)
        patch.setattr(segment, "BLOCK_ALONE_BYTES", 256 << 10)
        made = joined_of(bodies)
        assert made is not None
        assert told(made) == told(built_of(bodies))


def test_segments_when_they_were_taken_then_there_are_no_more() -> None:
    finder = finder_of(0, FILE_NO, [])
    assert finder.segments() == []
    finder.take(b"more")
    assert finder.segments() is None


def test_memory_when_a_file_is_still_to_be_written_then_the_next_is_read_elsewhere() -> None:
    first, second = (bodies_of([(True, 0, [(b"k", data)], [])]) for data in (b"first" * 99, b"other" * 99))
    memory = native().JournalMemory()
    made = joined_of(first, memory)
    assert made is not None
    assert joined_of(second, memory) is not None
    assert told(made) == told(built_of(first))
