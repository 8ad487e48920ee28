"""Pages of listings: a marker is where the last page ended, sealed by nothing, since it tells nothing."""

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import pybase64

from penstock.core.kms_errors import KmsError

PAGE: Final = 100  # items, where the caller does not say
TAGS_PAGE: Final = 50

Item = TypeVar("Item")


def page_of(
    items: Sequence[Item], name: Callable[[Item], str], limit: int, marker: str | None
) -> tuple[list[Item], str | None]:
    """The items after a marker, which are sorted by name, and the marker of the next page.  Raises MARKER."""
    after = "" if marker is None else _read(marker)
    rest = [item for item in items if name(item) > after]
    page = rest[:limit]
    return page, _marker(name(page[-1])) if len(rest) > len(page) else None


def _marker(name: str) -> str:
    return pybase64.b64encode_as_string(name.encode())


def _read(marker: str) -> str:
    try:
        return pybase64.b64decode(marker, validate=True).decode()
    except ValueError:
        raise KmsError.MARKER() from None
