"""Smithy RPC v2 CBOR: bytes to documents and back.

As AWS's older CBOR, but for three things: a path names the operation, an input may have no body at all, and timestamps count
**seconds**, with a fraction where there is one.  Source: the protocol's specification, smithy.io.
"""

import re
from typing import Any, Final

import cbor2

from penstock.core.limits import DOCUMENT_DEPTH_MAX
from penstock.wire import cbor
from penstock.wire.document import Scalars

CONTENT_TYPE: Final = "application/cbor"
HEADER: Final = ("smithy-protocol", "rpc-v2-cbor")  # of each request and each answer
_PATH = re.compile(r"/service/([^/]+)/operation/([^/]+)")

encode_document = cbor.encode_document


def name_in_path(path: str) -> tuple[str, str] | None:
    """The service and operation that a path names, or None for a path of another kind."""
    match = _PATH.fullmatch(path)
    return None if match is None else (match[1], match[2])


def decode_document(body: bytes, depth_max: int = DOCUMENT_DEPTH_MAX) -> dict[str, Any]:
    """The map in a body, empty where there is none.  Raises BODY_NOT_PARSED for anything else."""
    return cbor.decode_document(body, depth_max) if body else {}


def _timestamp(ms: int) -> cbor2.CBORTag:
    return cbor.timestamp(ms // 1000) if ms % 1000 == 0 else cbor2.CBORTag(1, ms / 1000)


SCALARS: Final = Scalars(
    blob_in=cbor.SCALARS.blob_in,
    blob_out=bytes,
    timestamp_in=lambda seconds: round(seconds * 1000),
    timestamp_out=_timestamp,
)
