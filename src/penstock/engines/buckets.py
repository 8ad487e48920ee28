"""Buckets: users' objects, where services deliver to and read from; "S3" to them, while `Blobs` are the server's own.

Theory.  A bucket is a name, and an object bytes under a key in it.  Any key that S3 allows is kept: keys are texts, not paths, so `a`,
`a/b`, `a//b` and `../a` are four objects.  The engines: files/folders (engines/filebuckets.py), S3 and what speaks like it
(engines/s3buckets.py), and memory (engines/memory.py) for simulations.
Rules for every engine (tests/conformance/test_buckets.py holds them to it):
  1. An object is whole: a reader sees the old one or the new one.  It is durable when `put` returns.
  2. A put that raised, or was given up, may have replaced the object or not; it may be repeated.
  3. Nothing outside the bucket is touched, whatever the key.
  4. What is wrong is told apart: a name that nobody can use (BadObjectName), what is not there (NoSuchBucket, NoSuchObject), what is
     forbidden (BucketDenied: somebody must act), and what may work later (BucketsUnavailable).  Texts are one line, without secrets.
"""

import re
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Final, NamedTuple, Protocol

import msgspec

BUCKET_NAME: Final = re.compile(r"(?!.*\.\.)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", re.ASCII)
OBJECT_KEY_BYTES: Final = 1024  # longest key, in UTF-8
MERGED_BYTES: Final = 256 << 10  # smaller pieces of an object are put together before they are written

Body = (
    bytes | Iterable[bytes]
)  # of an object: whole, or pieces that may be made while they are taken, on another thread


class ObjectHead(msgspec.Struct, frozen=True):
    """What is said of an object beside its bytes.  An engine without a place for it drops it, and its module says so."""

    content_type: str = "application/octet-stream"
    content_encoding: str | None = None
    sse: str | None = None  # "aws:kms" or "AES256"; None: as the bucket has it
    sse_key: str | None = None  # an id or ARN, with "aws:kms"; None: AWS's own key
    metadata: dict[str, str] = {}


PLAIN: Final = ObjectHead()


class ObjectEntry(NamedTuple):
    """An object as a listing shows it."""

    key: str
    size_bytes: int


class BadObjectName(ValueError):
    """A bucket's name or a key that S3 allows for none."""


class NoSuchBucket(Exception):
    """There is no bucket of that name."""


class NoSuchObject(Exception):
    """There is no object under that key."""


class ObjectTooLarge(Exception):
    """The object is larger than its reader takes."""


class BucketDenied(Exception):
    """The credentials, or their rights, do not suffice; trying again changes nothing until somebody acts."""


class BucketsUnavailable(Exception):
    """The storage cannot be reached, or is full: try again later."""


class Buckets(Protocol):
    """Objects in buckets.

    Every method raises BadObjectName, BucketDenied and BucketsUnavailable.
    """

    async def put(self, bucket: str, key: str, body: Body, head: ObjectHead = PLAIN) -> None:
        """Store or replace an object, durably.  Raises NoSuchBucket where buckets are made elsewhere (S3), and what its pieces raise."""
        ...

    async def get(self, bucket: str, key: str, max_bytes: int) -> bytes:
        """An object's bytes.  Raises NoSuchBucket, NoSuchObject; ObjectTooLarge for one of more than `max_bytes`, before it is read."""
        ...

    def list(self, bucket: str, prefix: str) -> AsyncIterator[ObjectEntry]:
        """The objects whose keys begin with a prefix, in the order of their keys' UTF-8.  Raises NoSuchBucket, at the first step."""
        ...

    async def close(self) -> None:
        """Let what was begun come to its end."""
        ...


def check_bucket(bucket: str) -> None:
    """Raise BadObjectName unless a bucket may have this name: 3 to 63 of a-z, 0-9, `-` and single dots, a letter or digit at both ends."""
    if not BUCKET_NAME.fullmatch(bucket):
        raise BadObjectName(f"no name of a bucket: {bucket[:80]!r}")


def check_object(bucket: str, key: str) -> None:
    """Raise BadObjectName unless the bucket may have this name, and an object this key: 1 to OBJECT_KEY_BYTES bytes of UTF-8."""
    check_bucket(bucket)
    try:
        length = len(key.encode())
    except UnicodeEncodeError:
        raise BadObjectName(f"key that UTF-8 has no bytes for: {key[:80]!r}") from None
    if not 0 < length <= OBJECT_KEY_BYTES:
        raise BadObjectName(f"key of {length} bytes, instead of 1 to {OBJECT_KEY_BYTES}: {key[:80]!r}")


def whole(body: Body) -> bytes:
    """An object's bytes, put together."""
    return body if isinstance(body, bytes) else b"".join(body)


def merged(body: Body) -> Iterator[bytes]:
    """An object's bytes in pieces of MERGED_BYTES at least, but for the last: never more in memory than one of them and one of its own."""
    if isinstance(body, bytes):
        yield body
        return
    held: list[bytes] = []
    held_bytes = 0
    for piece in body:
        held.append(piece)
        held_bytes += len(piece)
        if held_bytes >= MERGED_BYTES:
            yield b"".join(held)  # of one piece it is that piece
            held, held_bytes = [], 0
    if held:
        yield b"".join(held)
