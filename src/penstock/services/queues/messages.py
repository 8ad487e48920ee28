"""The messages of queues: sent, received, hidden, moved to where failures go, deleted.

Rules of this file:
  1. A message's record and its pointer change in one commit, so that there is always one of each.
  2. Whoever receives from a queue does so alone: no message is given to two at once.
  3. Expired messages are not given out; they are deleted when they are met.
  4. Between looking for a queue and the commit that gives it a message nothing waits.  Commits apply in the order in which they were asked
     for, so a deletion that is not seen yet comes after, and takes the message along.
"""

import asyncio
from collections.abc import Callable, Sequence
from itertools import count
from typing import Final, NamedTuple
from weakref import WeakValueDictionary

from msgspec.structs import replace

from penstock.core.ids import Millis
from penstock.core.queue_errors import QueueError
from penstock.engines.api import KEY_END, Conflict, MetaStore, Versioned, Write
from penstock.services.queues.state import (
    DELAYED,
    DUE,
    GONE,
    IN_FLIGHT,
    MESSAGES,
    WAITING,
    Counts,
    Message,
    Pointer,
    decode_message,
    decode_pointer,
    due_name,
    encode,
    message_key,
)

PAGE: Final = 500  # pointers that are read at a time
TRIES: Final = 5

Row = tuple[str, Versioned]


class Failing(NamedTuple):
    """Where messages go that were received too often."""

    receives_max: int
    uid: str  # of the other queue
    source: str  # the ARN of this one


class Taking(NamedTuple):
    """How messages are received."""

    count_max: int
    hidden_ms: int  # the visibility timeout
    retention_ms: int
    failing: Callable[[], Failing | None]  # as it is now


class Messages:
    """The messages of every queue, each named by the queue's uid."""

    def __init__(self, meta: MetaStore, came: Callable[[str], None] = lambda uid: None) -> None:
        self._meta = meta
        self._came = came  # told which queue got messages from another
        self._orders = count()
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def send(self, uid: str, messages: Sequence[tuple[Message, int]], now_ms: Millis) -> None:
        """Keep new messages, each with how long it is delayed; their `due` is set here."""
        writes: list[Write] = []
        for message, delay_ms in messages:
            due = due_name(now_ms + delay_ms, next(self._orders), message.id)
            writes += self._written(uid, replace(message, due=due), DELAYED if delay_ms else WAITING)
        await self._meta.commit(writes)

    def _written(self, uid: str, message: Message, state: int, version: int = 0) -> list[Write]:
        pointer = Pointer(message.id, message.sent_ms, state)
        return [
            Write(message_key(uid, message.id), encode(message), version),
            Write(f"{DUE}{uid}/{message.due}", encode(pointer), 0),
        ]

    async def find(self, uid: str, message_id: str) -> tuple[Message, int] | None:
        """A message and its version."""
        held = await self._meta.get(message_key(uid, message_id))
        return None if held is None else (decode_message(held.value), held.version)

    async def next_due_ms(self, uid: str) -> int | None:
        """When the first message becomes visible, or became so."""
        rows = await self._meta.page(f"{DUE}{uid}/", f"{DUE}{uid}/{KEY_END}", 1)
        return _moment(rows[0][0]) if rows else None

    async def take(self, uid: str, how: Taking, now_ms: Millis) -> list[Message]:
        """Receive messages that are visible, and hide them."""
        async with self._locks.setdefault(uid, asyncio.Lock()):
            while rows := await self._visible(uid, how.count_max, now_ms):
                taken = await self._take(uid, rows, how, now_ms)
                if taken:
                    return taken
        return []

    async def _visible(self, uid: str, limit: int, now_ms: Millis) -> Sequence[Row]:
        return await self._meta.page(f"{DUE}{uid}/", f"{DUE}{uid}/{now_ms + 1:014d}", limit)

    async def _take(self, uid: str, rows: Sequence[Row], how: Taking, now_ms: Millis) -> list[Message]:
        """Receive the messages of some pointers; those that have expired or failed too often go where they belong."""
        every = [await self.find(uid, decode_pointer(held.value).id) for _, held in rows]
        failing = how.failing()
        writes = [Write(key, None, held.version) for key, held in rows]
        taken: list[Message] = []
        for found in every:
            if found is None:
                continue
            message, version = found
            if message.sent_ms <= now_ms - how.retention_ms:
                writes.append(Write(message_key(uid, message.id), None, version))
            elif failing is not None and message.receives >= failing.receives_max:
                writes.append(Write(message_key(uid, message.id), None, version))
                due = due_name(now_ms, next(self._orders), message.id)
                # UNVERIFIED: that a message which was moved is counted anew
                moved = replace(message, due=due, receives=0, first_receive_ms=None, source=failing.source)
                writes += self._written(failing.uid, moved, WAITING)
            else:
                seen = self._seen(message, how.hidden_ms, now_ms)
                writes += self._written(uid, seen, IN_FLIGHT, version)
                taken.append(seen)
        try:
            await self._meta.commit(writes)
        except Conflict:  # one was deleted meanwhile
            return []
        if failing is not None:
            self._came(failing.uid)
        return taken

    def _seen(self, message: Message, hidden_ms: int, now_ms: Millis) -> Message:
        return replace(
            message,
            due=due_name(now_ms + hidden_ms, next(self._orders), message.id),
            receives=message.receives + 1,
            first_receive_ms=message.first_receive_ms or now_ms,
        )

    async def hide(self, uid: str, message_id: str, receives: int, hidden_ms: int, now_ms: Millis) -> bool:
        """Hide a received message for another while from now on; False if it is not in flight."""
        for _ in range(TRIES):
            found = await self.find(uid, message_id)
            if found is None or found[0].receives != receives or _moment(found[0].due) <= now_ms:
                return False
            message, version = found
            pointer = await self._meta.get(f"{DUE}{uid}/{message.due}")
            moved = replace(message, due=due_name(now_ms + hidden_ms, next(self._orders), message_id))
            gone = [] if pointer is None else [Write(f"{DUE}{uid}/{message.due}", None, pointer.version)]
            try:
                await self._meta.commit(
                    [*gone, *self._written(uid, moved, IN_FLIGHT if hidden_ms else WAITING, version)]
                )
            except Conflict:
                continue
            return True
        raise QueueError.CHANGED()

    async def delete(self, uid: str, message_id: str, receives: int) -> None:
        """Delete a message, if it was not received again since."""
        for _ in range(TRIES):
            found = await self.find(uid, message_id)
            if found is None or found[0].receives != receives:
                return
            message, version = found
            pointer = await self._meta.get(f"{DUE}{uid}/{message.due}")
            gone = [] if pointer is None else [Write(f"{DUE}{uid}/{message.due}", None, pointer.version)]
            try:
                await self._meta.commit([*gone, Write(message_key(uid, message_id), None, version)])
            except Conflict:
                continue
            return
        raise QueueError.CHANGED()

    async def count(self, uid: str, now_ms: Millis) -> Counts:
        """How many messages there are.  Cost: every pointer of the queue is read."""
        counts = [0, 0, 0]
        start, end = f"{DUE}{uid}/", f"{DUE}{uid}/{KEY_END}"
        while rows := await self._meta.page(start, end, PAGE):
            for key, held in rows:
                counts[WAITING if _moment(key) <= now_ms else decode_pointer(held.value).state] += 1
            start = rows[-1][0] + "\0"
        return Counts(counts[WAITING], counts[IN_FLIGHT], counts[DELAYED])

    async def expire(self, uid: str, before_ms: int) -> None:
        """Delete the messages that stand first, as far as they were sent before a moment."""
        while rows := await self._meta.page(f"{DUE}{uid}/", f"{DUE}{uid}/{KEY_END}", PAGE):
            old = [(key, held) for key, held in rows if decode_pointer(held.value).sent_ms < before_ms]
            writes = [Write(key, None, held.version) for key, held in old]
            for _, held in old:
                found = await self.find(uid, decode_pointer(held.value).id)
                if found is not None:
                    writes.append(Write(message_key(uid, found[0].id), None, found[1]))
            if not writes or not await self._tried(writes) or len(old) < PAGE:
                return

    # What was deleted or purged

    async def purge(self) -> None:
        """Remove the messages of queues that are gone."""
        while notes := await self._meta.page(GONE, GONE + KEY_END, PAGE):
            for key, note in notes:
                uid = key.removeprefix(GONE)
                await self.remove_all(f"{DUE}{uid}/")
                await self.remove_all(f"{MESSAGES}{uid}/")
                await self._tried([Write(key, None, note.version)])

    async def remove_all(self, prefix: str) -> None:
        """Delete every key with a prefix."""
        while rows := await self._meta.page(prefix, prefix + KEY_END, PAGE):
            await self._tried([Write(key, None, held.version) for key, held in rows])

    async def _tried(self, writes: list[Write]) -> bool:
        try:
            await self._meta.commit(writes)
        except Conflict:  # something changed meanwhile; the caller looks again
            return False
        return True


def _moment(due: str) -> int:
    """When a pointer's message becomes visible, by its name or key."""
    return int(due.rpartition("/")[2][:14])
