"""Singles: calls of PutRecord that arrived together, written as one PutRecords would be.

Theory.  What the native part reads as a PutRecord is like any other of its stream: a name, a key, data.  If its caller may put to the
stream whatever the circumstances, and nobody looks at each record of it, many such calls are one write, and one answer each.
Rule of this file: a call that is not plainly fine is not taken, and one whose shard did not take it was not written; both go the long way.
"""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from msgspec import Struct

from penstock.core.context import Caller
from penstock.services.streams.codec import CODECS
from penstock.services.streams.directory import StreamView
from penstock.services.streams.ops.record import PutRecordOutput
from penstock.services.streams.service import Streams
from penstock.wire.native import Native
from penstock.wire.nativeparts import Format, PutCall
from penstock.wire.signature import Proof

ACTION: Final = "kinesis:PutRecord"
_ENCODE: Final = CODECS["PutRecord"].encode
_HEADERS: Final = {
    form: (("content-type", f"application/x-amz-{form}-1.1"),) for form in ("json", "cbor")
}  # of answers; source: the content types of requests

Claimants = Callable[[str, str, str], tuple[Caller, Proof | None] | None]  # as server/door.py says it
Allows = Callable[[Caller, StreamView], bool]


class Standing(NamedTuple):
    """Who puts to which stream, and may."""

    view: StreamView
    form: Format
    proof: Proof | None

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """Of answers."""
        return _HEADERS[self.form]

    def proves(self, call: PutCall) -> bool:
        """Whether a call is signed by who claims to make it."""
        proof = self.proof
        return proof is None or call.is_signed(proof.names, proof.key, proof.before)


class Lot:
    """Calls to one stream."""

    def __init__(self, streams: Streams, view: StreamView, native: Native) -> None:
        self._streams = streams
        self._view = view
        self._calls = native.PutCalls()
        self._forms: list[Format] = []

    def add(self, call: PutCall, standing: Standing) -> bool:
        """Take one more in."""
        taken = self._calls.add(call)
        if taken:
            self._forms.append(standing.form)
        return taken

    async def carry_out(self) -> Sequence[bytes | None]:
        """Write them."""
        writer, view = self._streams.writer, self._view
        if not writer.takes_framed(view):  # any more
            return [None] * len(self._forms)
        written = await writer.write_ones(view, self._calls.take())
        return [
            None if where is None else _ENCODE[form](PutRecordOutput(*where))
            for form, where in zip(self._forms, written, strict=True)
        ]


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

    def stand(self, call: PutCall) -> Standing | None:
        """Who makes it, if they may put to its stream and its records can be written as they came.

        Such a call is smaller than any limit of a record's size.
        """
        claimant = self.claimants(call.claim, call.date, ACTION)
        if claimant is None:
            return None
        caller, proof = claimant
        view = self.streams.directory.find(caller.account, caller.region, call.stream)
        if view is None or view.stream.status == "CREATING" or not self.streams.writer.takes_framed(view):
            return None
        return Standing(view, call.form, proof) if self.allows(caller, view) else None

    def place(self, standing: Standing) -> StreamView:
        """Its stream."""
        return standing.view

    def lot(self, standing: Standing) -> Lot:
        """Calls to its stream."""
        return Lot(self.streams, standing.view, self.native)
