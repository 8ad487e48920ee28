"""How many records a page takes: one rule for every engine."""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from operator import add

from penstock.engines.column import lengths_of, size_of


def fit(
    keys: Sequence[bytes], data: Sequence[bytes], skip: int, most: int, left_bytes: int, *, empty: bool
) -> tuple[int, int]:
    """How many records of two columns, after `skip`, still fit, and their bytes.  The first of an empty page always fits."""
    if skip == 0 and len(data) <= most and (size_bytes := size_of(keys) + size_of(data)) <= left_bytes:
        return len(data), size_bytes
    ends = slice(skip, skip + most)
    used = list(accumulate(map(add, lengths_of(keys[ends]), lengths_of(data[ends]))))
    taken = bisect_right(used, left_bytes)
    if taken == 0 and empty and used:
        taken = 1
    return taken, used[taken - 1] if taken else 0
