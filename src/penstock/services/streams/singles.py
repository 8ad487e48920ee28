"""Singles: calls of PutRecord that arrived together, written as one PutRecords would be.

Theory.  What the native part reads as a PutRecord is like any other of its stream: a name, a key, data.  If its caller may put to the
stream whatever the circumstances, and nobody looks at each record of it, many such calls are one write, and one answer each.
Rule of this file: a call that is not plainly fine is in no lot, and one whose shard did not take it was not written; both go the long way.
"""

from collections.abc import Callable, Sequence
from typing import Final

from msgspec import Struct

from penstock.core.context import Caller
from penstock.services.streams.directory import StreamView
from penstock.services.streams.service import Streams
from penstock.services.streams.writer import ScatteredRows
from penstock.wire.native import Native
from penstock.wire.nativecalls import PutAnswer, PutCall
from penstock.wire.signature import Proof

ACTION: Final = "kinesis:PutRecord"

Claimants = Callable[[str, str, str], tuple[Caller, Proof | None] | None]  # as server/door.py says it
Allows = Callable[[Caller, StreamView], bool]


class Lot(Struct, frozen=True):
    """Calls to one stream, by those who may."""

    streams: Streams
    view: StreamView
    native: Native
    calls: Sequence[PutCall]

    async def carry_out(self, drawn: bytes) -> Sequence[PutAnswer | None]:
        """Write them."""
        written = await self.streams.writer.write_ones(self.view, self.native.PutCall.rows(self.calls))
        if isinstance(written, ScatteredRows):
            return written.placed.answer_calls(self.calls, written.names, drawn)
        return self.native.PutCall.answers(self.calls, written.order, written.shards, drawn)


class Singles(Struct, frozen=True):
    """PutRecord, gathered."""

    streams: Streams
    claimants: Claimants
    allows: Allows
    native: Native
    operation: str = "PutRecord"

    def read(self, request: bytes) -> PutCall | None:
        """A call."""
        return self.native.PutCall.read(request)

    def lots(self, calls: Sequence[PutCall]) -> Sequence[tuple[Lot, Sequence[int]]]:
        """A lot for each stream."""
        by_stream: dict[StreamView, list[int]] = {}
        for places in self.native.PutCall.by_origin(calls):
            found = self._stand(calls[places[0]])
            if found is None:
                continue
            view, proof = found
            if proof is not None:
                places = self.native.PutCall.proven(calls, places, proof.names, proof.key, proof.before)
            if places:
                by_stream.setdefault(view, []).extend(places)
        return [
            (Lot(self.streams, view, self.native, [calls[place] for place in places]), places)
            for view, places in by_stream.items()
        ]

    def _stand(self, call: PutCall) -> tuple[StreamView, Proof | None] | None:
        """The stream of a call and what its signature is held against, if its caller may put there and records can be written as they came.

        Such a call is smaller than any limit of a record's size.
        """
        claimant = self.claimants(call.claim, call.date, ACTION)
        if claimant is None:
            return None
        caller, proof = claimant
        view = self.streams.directory.find(caller.account, caller.region, call.stream)
        if view is None or view.stream.status == "CREATING" or not self.streams.writer.takes_framed(view):
            return None
        return (view, proof) if self.allows(caller, view) else None
