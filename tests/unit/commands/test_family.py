"""The family tree of shards: how it is drawn, and in which order it is read."""

from penstock.commands.family import HASH_KEYS, Shard, draw, from_listing, hex_text, map_text, range_text

HALF = HASH_KEYS // 2


def shard(number: int, *parents: int, first: int = 0, last: int = HASH_KEYS - 1, still: bool = True) -> Shard:
    return Shard(f"shardId-{number:012d}", first, last, tuple(f"shardId-{parent:012d}" for parent in parents), still)


def drawn(*shards: Shard) -> str:
    return "\n".join(f"{line.text}  {line.note}".rstrip() for line in draw(shards))


def test_draw_when_nothing_was_resharded_lists_the_shards_by_number() -> None:
    assert drawn(shard(10), shard(9), shard(0)) == "0\n9\n10"


def test_draw_when_a_shard_was_split_hangs_both_children_beneath_it() -> None:
    assert drawn(shard(0), shard(1), shard(2, 0), shard(3, 0)) == "0\n├─ 2\n└─ 3\n1"


def test_draw_when_two_shards_were_merged_hangs_the_child_under_the_first_and_points_from_the_second() -> None:
    assert drawn(shard(0), shard(1), shard(2, 0, 1), shard(3)) == (
        "0\n"
        "└─ 2  merge of 0 and 1\n"
        "1\n"
        "└─ → 2  merged, stands under 0\n"
        "3"
    )  # fmt: skip


def test_draw_over_several_generations_of_splits_and_merges() -> None:
    family = [
        shard(0), shard(1), shard(2, 0), shard(3, 0), shard(4, 1), shard(5, 1),
        shard(6, 3, 4), shard(7, 6), shard(8, 6), shard(9, 2, 7), shard(10, 5, 8),
    ]  # fmt: skip

    assert drawn(*family) == (
        "0\n"
        "├─ 2\n"
        "│  └─ 9  merge of 2 and 7\n"
        "└─ 3\n"
        "   └─ 6  merge of 3 and 4\n"
        "      ├─ 7\n"
        "      │  └─ → 9  merged, stands under 2\n"
        "      └─ 8\n"
        "         └─ → 10  merged, stands under 5\n"
        "1\n"
        "├─ 4\n"
        "│  └─ → 6  merged, stands under 3\n"
        "└─ 5\n"
        "   └─ 10  merge of 5 and 8"
    )


def test_draw_when_a_parent_has_expired_begins_with_its_children_and_says_so() -> None:
    assert drawn(shard(1), shard(2, 0), shard(3, 0, 1)) == (
        "1\n"
        "└─ 3  merge of 0 and 1, 0 expired\n"
        "2  0 expired"
    )  # fmt: skip


def test_draw_when_a_thousand_generations_deep_does_not_recurse() -> None:
    family = [shard(0), *(shard(number, number - 1) for number in range(1, 2001))]

    assert sum(1 for _ in draw(family)) == 2001


def test_ranges_are_told_in_per_cent_in_hex_and_as_a_map() -> None:
    quarter = shard(1, first=HASH_KEYS // 4, last=HALF - 1)

    assert range_text(quarter) == " 25.00 –  50.00 %"
    assert hex_text(quarter, whole=False) == "40000000…–7fffffff…"
    assert hex_text(quarter, whole=True) == "4" + "0" * 31 + "–7" + "f" * 31
    assert map_text(quarter) == "····████········"
    assert map_text(shard(0)) == "█" * 16
    assert map_text(shard(0, first=HASH_KEYS - 2, last=HASH_KEYS - 1)) == "·" * 15 + "█", "the narrowest is seen"


def test_from_listing_reads_parents_ranges_and_whether_a_shard_is_open() -> None:
    listed = from_listing(
        [
            {
                "ShardId": "shardId-000000000002",
                "ParentShardId": "shardId-000000000000",
                "AdjacentParentShardId": "shardId-000000000001",
                "HashKeyRange": {"StartingHashKey": "5", "EndingHashKey": "9"},
                "SequenceNumberRange": {"StartingSequenceNumber": "1", "EndingSequenceNumber": "2"},
            }
        ]
    )

    assert listed == [shard(2, 0, 1, first=5, last=9, still=False)]
