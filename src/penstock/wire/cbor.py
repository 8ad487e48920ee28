"""AWS CBOR 1.1: bytes to documents and back.  Blobs are byte strings, timestamps tag 1 with integer **milliseconds**.

Rules of this file: no tag but 1 is given a meaning (cbor2 would otherwise build dates, patterns, fractions and big integers for a
stranger), nesting is bounded, and trailing bytes are refused.
"""

import io
from collections.abc import Callable, Mapping
from typing import Any, Final

import cbor2

from penstock.core.errors import Error
from penstock.core.limits import DOCUMENT_DEPTH_MAX
from penstock.wire.document import Scalars

_TIMESTAMP_TAG: Final = 1
# Every tag that cbor2 decodes by itself; each is refused but 1, whose number is passed on as it is.
_BUILT_IN_TAGS: Final = (
    0,
    1,
    2,
    3,
    4,
    5,
    25,
    28,
    29,
    30,
    35,
    36,
    37,
    43000,
    52,
    54,
    100,
    256,
    258,
    260,
    261,
    1004,
    55799,
)


def decode_document(body: bytes, depth_max: int = DOCUMENT_DEPTH_MAX) -> dict[str, Any]:
    """The map in a body.  Raises BODY_NOT_PARSED for anything else."""
    source = io.BytesIO(body)
    try:
        document = cbor2.load(
            source,
            semantic_decoders=_SEMANTICS,
            tag_hook=_refuse_tag,
            max_depth=depth_max,
            strict_hashable_types=True,
        )
    except (cbor2.CBORError, ValueError, TypeError, RecursionError, OverflowError, MemoryError):
        raise Error.BODY_NOT_PARSED() from None
    if not isinstance(document, dict) or source.tell() != len(body):
        raise Error.BODY_NOT_PARSED()
    return document


def encode_document(document: object) -> bytes:
    """The bytes of a document."""
    return cbor2.dumps(document)


def timestamp(ms: int) -> cbor2.CBORTag:
    """A moment as AWS's CBOR carries it."""
    return cbor2.CBORTag(_TIMESTAMP_TAG, ms)


def _refuse_tag(*_: object) -> object:
    raise ValueError("tag without a meaning in AWS's CBOR")


def _number(value: object, _immutable: bool) -> object:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("a timestamp is a number")
    return value


_SEMANTICS: Final[Mapping[int, Callable[[Any, bool], Any]]] = {
    **dict.fromkeys(_BUILT_IN_TAGS, _refuse_tag),
    _TIMESTAMP_TAG: _number,
}


def _blob_in(value: Any) -> bytes:
    if not isinstance(value, bytes):
        raise Error.WRONG_TYPE(text="class java.lang.String can not be converted to a Blob")  # UNVERIFIED: for CBOR
    return value


SCALARS: Final = Scalars(blob_in=_blob_in, blob_out=bytes, timestamp_in=round, timestamp_out=timestamp)
