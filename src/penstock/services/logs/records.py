"""Groups and streams: their records, looked up and changed.

Deletion is one commit that takes the record away and leaves a note of its uid; what stood under that is removed afterwards, and after a
crash by the next start's first call.
"""

from collections.abc import AsyncIterator, Sequence
from typing import Final

from penstock.core.log_errors import LogError
from penstock.engines.api import KEY_END, Conflict, MetaStore, Versioned, Write
from penstock.services.logs.state import (
    EVENTS,
    GONE,
    STREAMS,
    Group,
    LogStream,
    decode_group,
    decode_stream,
    encode,
    group_key,
    stream_key,
)

PAGE: Final = 200  # records that are read at a time
TRIES: Final = 5


class Records:
    """The records of groups and streams."""

    def __init__(self, meta: MetaStore) -> None:
        self._meta = meta

    async def group(self, account: str, region: str, name: str) -> tuple[Group, int] | None:
        """A group and its version."""
        held = await self._meta.get(group_key(account, region, name))
        return None if held is None else (decode_group(held.value), held.version)

    async def stream(self, group: Group, name: str) -> tuple[LogStream, int] | None:
        """A stream and its version."""
        held = await self._meta.get(stream_key(group.uid, name))
        return None if held is None else (decode_stream(held.value), held.version)

    async def groups(self, account: str, region: str, prefix: str = "", after: str = "") -> AsyncIterator[Group]:
        """The groups of a place whose names begin with a prefix, by name, those behind `after`."""
        async for held in self._pages(group_key(account, region, prefix), group_key(account, region, after)):
            yield decode_group(held.value)

    async def streams(self, group: Group, prefix: str = "", after: str = "") -> AsyncIterator[LogStream]:
        """The streams of a group whose names begin with a prefix, by name, those behind `after`."""
        async for held in self._pages(stream_key(group.uid, prefix), stream_key(group.uid, after)):
            yield decode_stream(held.value)

    async def all_groups(self, root: str) -> AsyncIterator[Group]:
        """Every group, of every account and region."""
        async for held in self._pages(root, root):
            yield decode_group(held.value)

    async def _pages(self, prefix: str, after: str) -> AsyncIterator[Versioned]:
        start = max(prefix, after + "\0")
        while rows := await self._meta.page(start, prefix + KEY_END, PAGE):
            for _, held in rows:
                yield held
            start = rows[-1][0] + "\0"

    # Changes

    async def add_group(self, group: Group) -> None:
        """Store a new group.  Raises GROUP_EXISTS."""
        await self._add(group.key, encode(group), LogError.GROUP_EXISTS)

    async def add_stream(self, stream: LogStream) -> None:
        """Store a new stream.  Raises STREAM_EXISTS."""
        await self._add(stream.key, encode(stream), LogError.STREAM_EXISTS)

    async def _add(self, key: str, value: bytes, taken: LogError) -> None:
        try:
            await self._meta.commit([Write(key, value, 0)])
        except Conflict:
            raise taken() from None

    async def replace_group(self, group: Group, version: int) -> None:
        """Store a group anew.  Raises GROUP_CHANGED if another change came first."""
        try:
            await self._meta.commit([Write(group.key, encode(group), version)])
        except Conflict:
            raise LogError.GROUP_CHANGED() from None

    async def remove(self, key: str, uid: str) -> None:
        """Delete the record under a key, and note that what belongs to `uid` is to go."""
        for _ in range(TRIES):
            held = await self._meta.get(key)
            if held is None:
                return
            try:
                await self._meta.commit([Write(key, None, held.version), Write(GONE + uid, b"", 0)])
            except Conflict:  # an event was written meanwhile
                continue
            return
        raise LogError.GROUP_CHANGED()

    # What was deleted

    async def purge(self) -> None:
        """Remove all that belongs to what was deleted."""
        while notes := await self._meta.page(GONE, GONE + KEY_END, PAGE):
            for key, note in notes:
                await self._purge(key.removeprefix(GONE))
                await self._delete([(key, note)])

    async def _purge(self, uid: str) -> None:
        """Remove the events of a stream, or the streams of a group with theirs."""
        events, streams = f"{EVENTS}{uid}/", f"{STREAMS}{uid}/"
        while rows := await self._meta.page(events, events + KEY_END, PAGE):
            await self._delete(rows)
        while rows := await self._meta.page(streams, streams + KEY_END, PAGE):
            for _, held in rows:
                await self._purge(decode_stream(held.value).uid)
            await self._delete(rows)

    async def _delete(self, rows: Sequence[tuple[str, Versioned]]) -> None:
        try:
            await self._meta.commit([Write(key, None, held.version) for key, held in rows])
        except Conflict:
            return  # the caller looks again

    async def clear(self, root: str) -> None:
        """Forget everything."""
        while rows := await self._meta.page(root, root + KEY_END, PAGE):
            await self._delete(rows)
