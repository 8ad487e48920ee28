"""Concurrency: how many invocations may be under way, of a function and of an account.

Rules of this file: pure.  A function with a reservation is counted against that alone, others against what their account has.
"""

from collections import Counter
from typing import Final

from penstock.core.invoke_errors import RESERVED, UNRESERVED, throttled
from penstock.services.functions.invoking import FunctionVersion

Key = tuple[str, ...]


class Concurrency:
    """Counts them."""

    def __init__(self, account_max: int) -> None:
        self._account_max: Final = account_max
        self._under_way: Counter[Key] = Counter()

    def enter(self, version: FunctionVersion) -> int:
        """One more; how many of the function are under way with it.  Raises TOO_MANY."""
        account, function = _keys(version)
        reserved = version.reserved_concurrency
        if reserved is not None and self._under_way[function] >= reserved:
            raise throttled(RESERVED)
        if reserved is None and self._under_way[account] >= self._account_max:
            raise throttled(UNRESERVED)
        self._under_way[function] += 1
        if reserved is None:
            self._under_way[account] += 1
        return self._under_way[function]

    def leave(self, version: FunctionVersion) -> None:
        """One less; of the version as it was when it entered."""
        account, function = _keys(version)
        for key in (function, account) if version.reserved_concurrency is None else (function,):
            self._under_way[key] -= 1
            if not self._under_way[key]:
                del self._under_way[key]


def _keys(version: FunctionVersion) -> tuple[Key, Key]:
    place = (version.account, version.region)
    return place, (*place, version.name)
