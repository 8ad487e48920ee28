"""Pages of listings: a token is where the last page ended."""

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import pybase64

from penstock.core.catalog_errors import CatalogError

PAGE: Final = 100  # items, where the caller does not say, and at most

Item = TypeVar("Item")


def page_of(
    items: Sequence[Item], name: Callable[[Item], str], limit: int | None, token: str | None
) -> tuple[list[Item], str | None]:
    """The items behind the one that a token names, and the token of the next page.  Raises TOKEN."""
    begin = 0
    if token:
        after = _read(token)
        begin = next((number for number, item in enumerate(items, 1) if name(item) == after), len(items))
    page = list(items[begin : begin + (limit or PAGE)])
    more = begin + len(page) < len(items)
    return page, pybase64.b64encode_as_string(name(page[-1]).encode()) if more else None


def _read(token: str) -> str:
    try:
        return pybase64.b64decode(token, validate=True).decode()
    except ValueError:
        raise CatalogError.TOKEN() from None
