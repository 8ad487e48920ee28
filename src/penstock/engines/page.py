"""How many records a page takes: one rule for every engine."""

from collections.abc import Sequence


def fit(
    keys: Sequence[bytes], data: Sequence[bytes], skip: int, most: int, left_bytes: int, *, empty: bool
) -> tuple[int, int]:
    """How many records of two columns, after `skip`, still fit, and their bytes.  The first of an empty page always fits."""
    taken = used = 0
    for key, blob in zip(keys[skip : skip + most], data[skip : skip + most], strict=True):
        size = len(key) + len(blob)
        if used + size > left_bytes and not (empty and taken == 0):
            break
        used += size
        taken += 1
    return taken, used
