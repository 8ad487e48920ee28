"""Inlets: where direct puts land, a hidden stream of the streams service for each delivery stream.

Theory.  A direct put is a record of the same log as any other: durable before it is acknowledged, kept for 24 hours, encrypted by the same
envelope, and read by the same reader; delivery is a consumer of it with a checkpoint.  So there is no second store of buffers.
What was accounted for is trimmed at once, not after 24 hours.
Rules of this file: an inlet has one shard, number 0, for ever; its name holds a colon, which no client can name.
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from msgspec.structs import replace

from penstock.core.firehose_errors import FirehoseError
from penstock.core.ids import StreamName, stream_uid
from penstock.core.limits import DELIVERY_RETENTION_HOURS
from penstock.engines.api import Appended, AppendError, Batch, Conflict, Overloaded, RecordLog
from penstock.services.firehose.rows import record_id
from penstock.services.firehose.state import DeliveryStream
from penstock.services.streams import sequence
from penstock.services.streams.directory import StreamView
from penstock.services.streams.envelope import Seal
from penstock.services.streams.service import Streams
from penstock.services.streams.state import Shard, Stream
from penstock.services.streams.topology import uniform

SHARD_NO: Final = 0
AWS_OWNED: Final = "alias/aws/kinesis"  # of the account: AWS's own key stands in for a key that AWS owns
_NO_KEY: Final = b""


class Inlets:
    """The inlets of all delivery streams."""

    def __init__(self, streams: Streams, log: RecordLog) -> None:
        self._streams = streams
        self._log = log

    def find(self, stream: DeliveryStream) -> StreamView | None:
        """The inlet of a delivery stream."""
        return self._streams.directory.find(stream.account, stream.region, stream.inlet)

    async def make(self, stream: DeliveryStream) -> None:
        """Begin the inlet of a delivery stream; one that is there stays."""
        if self.find(stream) is not None:
            return
        now_ms = self._streams.clock.now_ms()
        hidden = Stream(
            account=stream.account,
            region=stream.region,
            name=StreamName(stream.inlet),
            uid=stream_uid(self._streams.entropy.bytes(24)),
            created_ms=now_ms,
            status="CREATING",
            mode="PROVISIONED",
            retention_hours=DELIVERY_RETENTION_HOURS,
            key_id=_key_of(stream),
        )
        [whole] = uniform(1)
        shard = Shard(
            uid=hidden.uid,
            no=SHARD_NO,
            hash_start=str(whole.start),
            hash_end=str(whole.end),
            created_ms=now_ms,
            created_s=now_ms // 1000,
        )
        await self._streams.lifecycle.create(hidden, [shard])

    async def encrypt(self, stream: DeliveryStream) -> None:
        """Have an inlet's records encrypted as its delivery stream asks, from now on."""
        view, key_id = self.find(stream), _key_of(stream)
        while view is not None and view.stream.key_id != key_id:
            with suppress(Conflict):
                await self._streams.directory.replace(view, replace(view.stream, key_id=key_id))

    async def drop(self, stream: DeliveryStream) -> None:
        """Forget an inlet and what is in it."""
        view = self.find(stream)
        if view is not None:
            await self._streams.lifecycle.forget(view)

    async def put(self, view: StreamView, data: Sequence[bytes], seal: Seal | None) -> list[str]:
        """Write records durably; their ids.  Raises SLOW_DOWN where the storage is behind, AppendError where it fails."""
        held = view.shards[SHARD_NO]
        keys = [_NO_KEY] * len(data)
        batch = Batch(held.log, keys, data) if seal is None else Batch(held.log, *seal.rows(held.log, keys, data))
        [outcome] = await self._log.append([batch])
        if not isinstance(outcome, Appended):
            raise _refusal(outcome)
        number = held.number_base + sequence.tail(outcome.first, outcome.arrival_ms)
        return [record_id(number + place * sequence.NEXT_RECORD) for place in range(len(data))]


def _key_of(stream: DeliveryStream) -> str | None:
    """The master key that an inlet is encrypted with."""
    encryption = stream.encryption
    if encryption.status not in ("ENABLED", "ENABLING"):
        return None
    return encryption.key_arn or AWS_OWNED


def _refusal(error: AppendError) -> Exception:
    return FirehoseError.SLOW_DOWN() if isinstance(error, Overloaded) else error
