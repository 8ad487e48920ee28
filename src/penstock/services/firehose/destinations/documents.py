"""Documents: records as OpenSearch's `_bulk` takes them, and what it says of each.

Theory.  A bulk body is lines: an action, then its document.  A record that had a line break in it could thus smuggle actions in; so
each one is read as JSON first, and stands on one line afterwards.  The answer has an item for each action, in their order.
Rules of this file: pure; whatever an answer is, each document ends in exactly one of three ways.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

from penstock.services.firehose.destinations.rotation import index_name
from penstock.services.firehose.destinations.shapes import Rotation
from penstock.services.firehose.entries import Entry

ID_MAX_BYTES: Final = 512  # of OpenSearch
_BREAKS: Final = bytes.maketrans(b"\r\n", b"  ")
_AGAIN: Final = frozenset({429, 502, 503, 504})
_BLOCKED: Final = "cluster_block_exception"  # a full disk and the like: 403 in old versions


class Naming(NamedTuple):
    """Where documents go, and how they are called."""

    name: str  # of the index, without a time
    rotation: Rotation
    type: str | None  # of versions before 7
    with_ids: bool

    def index_of(self, entry: Entry) -> str:
        """The index of a record's document."""
        return index_name(self.name, self.rotation, entry.arrival_ms)

    def id_of(self, entry: Entry) -> str:
        """The document's id: the record's own, so that a repetition replaces instead of adding."""
        return entry.record_id[:ID_MAX_BYTES] if self.with_ids else ""


class Verdict(NamedTuple):
    """What became of one document."""

    status: int
    error: str  # JSON, or empty

    @property
    def delivered(self) -> bool:
        """Whether it is indexed."""
        return 200 <= self.status < 300

    @property
    def again(self) -> bool:
        """Whether another try may help."""
        return self.status in _AGAIN or self.status >= 500 or (self.status == 403 and _BLOCKED in self.error)


class _Item(msgspec.Struct):
    status: int
    error: msgspec.Raw = msgspec.Raw()


class _Answer(msgspec.Struct):
    items: list[dict[str, _Item]]


_document: Final = msgspec.json.Decoder(dict)
_answer: Final = msgspec.json.Decoder(_Answer)
_encoder: Final = msgspec.json.Encoder()


def lines_of(entry: Entry, naming: Naming) -> bytes | None:
    """The two lines of a record; None where it is no JSON object."""
    try:
        _document.decode(entry.data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    action = {"_index": naming.index_of(entry)}
    if naming.type:
        action["_type"] = naming.type
    if naming.with_ids:
        action["_id"] = naming.id_of(entry)
    return b"%b\n%b\n" % (_encoder.encode({"index": action}), entry.data.strip().translate(_BREAKS))


def verdicts(body: bytes, count: int) -> Sequence[Verdict] | None:
    """What became of `count` documents; None where the answer does not say."""
    try:
        answer = _answer.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    if len(answer.items) != count or any(len(item) != 1 for item in answer.items):
        return None
    return [
        Verdict(one.status, bytes(one.error).decode("utf-8", "replace"))
        for item in answer.items
        for one in item.values()
    ]
