"""The directory of delivery streams: the view in memory that every operation looks things up in.

Theory.  The MetaStore is the truth; the view is a projection of it, fed by one scan at start and then only by its watch.
Rules of this file: the view is changed in `_apply` and nowhere else.
"""

from collections.abc import Callable, Iterator, Sequence

from penstock.core.firehose_errors import FirehoseError
from penstock.engines.api import Change, Conflict, MetaStore, Write
from penstock.services.firehose.state import CHECKPOINTS, STREAMS, Checkpoint, DeliveryStream, decode_stream, encode


class DeliveryView:
    """One delivery stream as operations see it; who holds the view sees its changes."""

    __slots__ = ("stream", "version")

    def __init__(self, stream: DeliveryStream, version: int) -> None:
        self.stream = stream
        self.version = version


class Directory:
    """Delivery streams by account, region and name."""

    def __init__(self, meta: MetaStore) -> None:
        self._meta = meta
        self._views: dict[str, DeliveryView] = {}
        self.changed: Callable[[DeliveryView, bool], None] = lambda view, present: None  # told of each change

    async def open(self) -> None:
        """Read what the store holds and follow it from then on."""
        self._meta.watch(STREAMS, self._apply)
        self._apply([Change(key, value) for key, value in await self._meta.scan(STREAMS)])

    def find(self, account: str, region: str, name: str) -> DeliveryView | None:
        """The delivery stream of that name, in whatever state."""
        return self._views.get(f"{STREAMS}{account}/{region}/{name}")

    def all(self) -> Iterator[DeliveryView]:
        """Every one, of every account and region."""
        return iter(list(self._views.values()))

    def of(self, account: str, region: str) -> list[DeliveryStream]:
        """Those of one account and region, by name."""
        prefix = f"{STREAMS}{account}/{region}/"
        return [self._views[key].stream for key in sorted(self._views) if key.startswith(prefix)]

    async def create(self, stream: DeliveryStream, checkpoints: Sequence[Checkpoint]) -> DeliveryView:
        """Store a new one, with where it begins to read.  Raises STREAM_EXISTS."""
        first = [Write(one.key, encode(one), 0) for one in checkpoints]
        try:
            await self._meta.commit([Write(stream.key, encode(stream), 0), *first])
        except Conflict:
            raise FirehoseError.STREAM_EXISTS(name=stream.name, account=stream.account) from None
        return self._views[stream.key]

    async def replace(self, view: DeliveryView, stream: DeliveryStream) -> None:
        """Replace a record.  Raises Conflict if another change came first."""
        await self._meta.commit([Write(stream.key, encode(stream), view.version)])

    async def remove(self, view: DeliveryView) -> None:
        """Forget one, with its checkpoints.  Raises Conflict if another change came first."""
        kept = await self._meta.scan(f"{CHECKPOINTS}{view.stream.uid}/")
        gone = [Write(key, None, held.version) for key, held in kept]
        await self._meta.commit([Write(view.stream.key, None, view.version), *gone])

    def _apply(self, changes: Sequence[Change]) -> None:
        for key, now in changes:
            held = self._views.get(key)
            if now is None:
                if held is not None:
                    del self._views[key]
                    self.changed(held, False)
            elif held is not None and now.version < held.version:
                continue  # from the scan at start, overtaken by the watch
            else:
                self._put(key, DeliveryView(decode_stream(now.value), now.version), held)

    def _put(self, key: str, new: DeliveryView, held: DeliveryView | None) -> None:
        if held is not None and held.stream.uid == new.stream.uid:
            held.stream, held.version = new.stream, new.version
        else:
            if held is not None:
                self.changed(held, False)
            held = self._views[key] = new
        self.changed(held, True)
