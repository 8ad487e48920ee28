"""Blocks that the native part joins are, byte for byte, those that Python joins."""

from array import array
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penstock.engines.column import DATA_WIDTH, KEY_WIDTH, Column
from penstock.engines.local import columns, frame, segment
from penstock.engines.local.columns import Block, Run
from penstock.engines.local.frame import HEADER_BYTES, Kind
from penstock.engines.local.segment import Built
from penstock.wire.native import NATIVE, Native

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


def journal_of(bodies: list[bytes]) -> tuple[bytes, bytes]:
    """A journal file of these blocks, and where each lies."""
    content, places = b"\0" * 64, array("Q")
    for body in bodies:
        places.append(len(content) + HEADER_BYTES)
        content += b"".join(frame.encode(Kind.RECORDS, FILE_NO, 3, [body]))
    return content, places.tobytes()


def native() -> Native:
    assert NATIVE is not None
    return NATIVE


def told(built: Built) -> tuple[bytes, int, int, object]:
    return b"".join(built.pieces), built.size_bytes, built.index_checksum, list(built.ranges)


@settings(max_examples=300, derandomize=True, suppress_health_check=list(HealthCheck))
@given(blocks=BLOCKS)
def test_add_joined_when_given_any_blocks_builds_what_python_builds(
    blocks: list[tuple[bool, int, list[tuple[bytes, bytes]], list[int]]],
) -> None:
    bodies = bodies_of(blocks)
    one_by_one, at_once = segment.Builder(DATA_ID), segment.Builder(DATA_ID)
    for body in bodies:
        one_by_one.add(body)
    content, places = journal_of(bodies)
    assert at_once.add_joined(native(), content, places)
    assert told(at_once.finish()) == told(one_by_one.finish())


def test_add_joined_when_it_follows_others_then_they_are_not_joined() -> None:
    bodies = bodies_of([(True, 0, [(b"k", b"a")], []), (True, 0, [(b"k", b"b")], [])])
    content, places = journal_of(bodies)
    builder, expected = segment.Builder(DATA_ID), segment.Builder(DATA_ID)
    builder.add(bodies[0])
    assert builder.add_joined(native(), content, places[8:])
    for body in bodies:
        expected.add(body)
    assert told(builder.finish()) == told(expected.finish())


@pytest.mark.parametrize("places", [[0], [31], [10**9], [2**63], [96, 97]])
def test_add_joined_when_there_is_no_block_then_it_takes_nothing(places: list[int]) -> None:
    content, _ = journal_of(bodies_of([(True, 0, [(b"k", b"ab")], [])]))
    assert not segment.Builder(DATA_ID).add_joined(native(), content, array("Q", places).tobytes())


def test_add_joined_when_the_columns_of_a_sound_frame_do_not_add_up_then_it_takes_nothing() -> None:
    [body] = bodies_of([(True, 0, [(b"k", b"ab"), (b"l", b"c")], [1])])
    for at in range(len(body)):
        lying = body[:at] + bytes([body[at] ^ 0x41]) + body[at + 1 :]
        content, places = journal_of([lying])
        builder, expected = segment.Builder(DATA_ID), segment.Builder(DATA_ID)
        try:
            expected.add(lying)
        except columns.Damaged:
            assert not builder.add_joined(native(), content, places)
        else:
            assert builder.add_joined(native(), content, places)
            assert told(builder.finish()) == told(expected.finish())
