"""Which shards a ShardFilter keeps, over generations of parents and children."""

from typing import get_args

import pytest
from streams_world import make_stream

from penstock.core.ids import Millis
from penstock.services.streams.ops.shard import FilterType, describe_shard, select
from penstock.services.streams.sequence import decode
from penstock.services.streams.state import Shard


def shard(no: int, created_ms: int, closed_ms: int | None = None, parents: tuple[int, ...] = ()) -> Shard:
    """A shard of a made-up history; `select` looks at numbers and times only."""
    parent, adjacent = (*parents, None, None)[:2]
    return Shard(
        uid=make_stream().uid,
        no=no,
        hash_start="0",
        hash_end="1",
        created_ms=Millis(created_ms),
        created_s=created_ms // 1000,
        parent_no=parent,
        adjacent_parent_no=adjacent,
        closed_ms=None if closed_ms is None else Millis(closed_ms),
    )


# 0 is split at 1000 into 2 and 3; 1 and 2 are merged at 2000 into 4; 3 and 4 are open.
HISTORY = [
    shard(0, 0, 1000),
    shard(1, 0, 2000),
    shard(2, 1000, 2000, (0,)),
    shard(3, 1000, None, (0,)),
    shard(4, 2000, None, (2, 1)),
]

SELECTED: list[tuple[FilterType, int, list[int]]] = [
    ("AFTER_SHARD_ID", 0, [0, 1, 2, 3, 4]),
    ("AT_LATEST", 0, [3, 4]),
    ("AT_LATEST", 9999, [3, 4]),
    # At a moment: the shards open then; at a moment of resharding, parents and children both.
    ("AT_TIMESTAMP", 0, [0, 1]),
    ("AT_TIMESTAMP", 999, [0, 1]),
    ("AT_TIMESTAMP", 1000, [0, 1, 2, 3]),
    ("AT_TIMESTAMP", 1001, [1, 2, 3]),
    ("AT_TIMESTAMP", 2000, [1, 2, 3, 4]),
    ("AT_TIMESTAMP", 2001, [3, 4]),
    ("AT_TRIM_HORIZON", 500, [0, 1]),
    ("AT_TRIM_HORIZON", 1500, [1, 2, 3]),
    # From a moment on: besides those, all that were opened later.
    ("FROM_TIMESTAMP", 0, [0, 1, 2, 3, 4]),
    ("FROM_TIMESTAMP", 1000, [0, 1, 2, 3, 4]),
    ("FROM_TIMESTAMP", 1001, [1, 2, 3, 4]),
    ("FROM_TIMESTAMP", 2001, [3, 4]),
    ("FROM_TRIM_HORIZON", 1500, [1, 2, 3, 4]),
    ("FROM_TRIM_HORIZON", 9999, [3, 4]),
]


@pytest.mark.parametrize(("kind", "at_ms", "numbers"), SELECTED)
def test_select_when_shards_have_generations_then_it_keeps_those_of_the_moment(
    kind: FilterType, at_ms: int, numbers: list[int]
) -> None:
    assert [held.no for held in select(HISTORY, kind, at_ms)] == numbers


def test_select_when_every_type_is_tried_then_the_table_above_has_it() -> None:
    assert {kind for kind, _, _ in SELECTED} == set(get_args(FilterType))


def test_describe_when_a_shard_is_open_then_it_has_no_ending_number() -> None:
    described = describe_shard(HISTORY[3])
    assert described.shard_id == "shardId-000000000003"
    assert (described.parent_shard_id, described.adjacent_parent_shard_id) == ("shardId-000000000000", None)
    assert described.sequence_number_range.ending_sequence_number is None


def test_describe_when_a_shard_was_merged_and_closed_then_parents_and_end_are_told() -> None:
    described = describe_shard(shard(4, 2000, 3500, (2, 1)))
    assert (described.parent_shard_id, described.adjacent_parent_shard_id) == (
        "shardId-000000000002",
        "shardId-000000000001",
    )
    ending = described.sequence_number_range.ending_sequence_number
    assert ending is not None
    decoded = decode(ending)
    assert decoded is not None
    assert (decoded.created_s, decoded.shard_no, decoded.arrived_s) == (2, 4, 3)
