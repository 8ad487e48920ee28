"""From Kinesis records to user records: aggregates are taken apart, and what the checkpoint covers is left out.

Rule of this file: pure.
"""

from typing import Final

from penstock.consumer.feed import Fetched, Page, Raw, Record
from penstock.consumer.lease import Lease
from penstock.wire.aggregate import MAGIC, unpack

IDS_MAX: Final = 10_000  # unique ids remembered of one shard


class Unpacker:
    """Unpacks what is fetched of one shard, in order.

    An aggregate with a record of other hash keys than the shard's is dropped whole, as KCL drops it: its producer sends all of it again.
    A record whose unique id came before is a producer's second try, and dropped; so many ids are remembered as one tenure of the shard
    has seen, up to IDS_MAX.
    """

    def __init__(self, lease: Lease, *, opened: bool = True) -> None:
        self._opened = opened
        self._keys = lease.hash_keys
        self._after = lease.checkpoint if lease.checkpoint.begun else None  # until something behind it is seen
        self._ids: dict[str, None] = {}  # in the order in which they came

    def page(self, fetched: Fetched) -> Page:
        """A page from an answer."""
        records: list[Record] = []
        size = 0
        for raw in fetched.records:
            size += len(raw.data)
            if self._after is None and not raw.data.startswith(MAGIC):
                records.append(_plain(raw))
            else:
                records += self._records(raw)
        children = tuple(child.shard_id for child in fetched.children)
        return Page(records, fetched.behind_ms, size, fetched.next is None, children)

    def _records(self, raw: Raw) -> list[Record]:
        inner = unpack(raw.data, self._keys) if self._opened else None
        if inner is None:
            found = [_plain(raw)]
        else:
            number, arrived_ms = raw.sequence_number, raw.arrived_ms
            found = [
                Record(
                    user.data,
                    user.partition_key,
                    number,
                    user.sub_sequence_number,
                    arrived_ms,
                    user.explicit_hash_key,
                    True,
                )
                for user in inner
                if user.unique_id is None or self._is_new(user.unique_id)
            ]
        return found if self._after is None else self._behind(raw, found)

    def _behind(self, raw: Raw, found: list[Record]) -> list[Record]:
        """What of a record is behind the checkpoint that reading began at."""
        assert self._after is not None
        after = self._after.rank
        if int(raw.sequence_number) > after[0]:
            self._after = None
            return found
        return [record for record in found if record.checkpoint.rank > after]

    def _is_new(self, unique_id: str) -> bool:
        if unique_id in self._ids:
            return False
        self._ids[unique_id] = None
        if len(self._ids) > IDS_MAX:
            del self._ids[next(iter(self._ids))]
        return True


def _plain(raw: Raw) -> Record:
    return Record(raw.data, raw.partition_key, raw.sequence_number, 0, raw.arrived_ms)
