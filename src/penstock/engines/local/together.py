"""Two things that are waited for at once."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

One = TypeVar("One")
Other = TypeVar("Other")


async def both(one: Awaitable[One], other: Awaitable[Other]) -> tuple[One, Other]:
    """Do two things at once.  Where one fails, it is raised when both have ended: nothing is left under way."""
    first, second = await asyncio.gather(one, other, return_exceptions=True)
    if isinstance(first, BaseException):
        raise first
    if isinstance(second, BaseException):
        raise second
    return first, second
