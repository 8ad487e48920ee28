"""Shard iterators: sealed tokens that say where the next read of a shard begins, and until when they are good.

A token carries its stream by name and uid: the name is what AWS keeps (an iterator works on a stream that was deleted and created
again), the uid tells that its position means nothing there, so that reading begins at the trim horizon.  Source: recorded answers.
"""

from datetime import UTC, datetime

import msgspec

from penstock.core.context import Caller
from penstock.core.errors import Error
from penstock.core.ids import Millis, StreamName, StreamUid
from penstock.core.limits import ITERATOR_VALID_MS
from penstock.engines.api import Position
from penstock.services.streams.tokens import Sealer


class ShardIterator(msgspec.Struct, frozen=True, array_like=True):
    """What an iterator carries."""

    stream: StreamName
    uid: StreamUid
    shard_no: int
    incarnation: int
    offset: int
    issued_ms: Millis
    account: str = ""  # of the stream; empty: that of the caller

    @property
    def position(self) -> Position:
        """Where reading begins."""
        return Position(self.incarnation, self.offset)


def seal(sealer: Sealer, nonce: bytes, caller: Caller, iterator: ShardIterator) -> str:
    """The text of an iterator: at most 512 characters."""
    return sealer.seal(iterator, nonce, _bound(caller))


def open_iterator(sealer: Sealer, caller: Caller, text: str, now_ms: int) -> ShardIterator:
    """Read an iterator back.

    Clients have been seen to send one in quotes.  Raises ITERATOR_INVALID for one that was not issued to this account and region,
    ITERATOR_EXPIRED from 5 minutes after its issue on.
    """
    iterator = sealer.open(text.strip('"'), _bound(caller), ShardIterator)
    if iterator is None:
        raise Error.ITERATOR_INVALID()
    if now_ms - iterator.issued_ms >= ITERATOR_VALID_MS:
        raise Error.ITERATOR_EXPIRED(
            created=_java_date(iterator.issued_ms), now=_java_date(now_ms), tolerated_ms=ITERATOR_VALID_MS
        )
    return iterator


def _bound(caller: Caller) -> str:
    return f"iterator/{caller.account}/{caller.region}"


def _java_date(ms: int) -> str:
    """A moment as java.util.Date prints it: `Fri Nov 20 16:46:02 UTC 2026`."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%a %b %d %H:%M:%S UTC %Y")
