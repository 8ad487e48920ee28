"""Buckets of S3, or of whatever speaks as S3 does, through obstore.

Theory.  S3 keeps our promises: a PUT or a completed multipart upload replaces an object at once, and is durable when it is answered.
Buckets are made elsewhere.  Region and credentials are AWS's: its environment variables, a web identity, or the machine's role; they are
renewed by obstore.
Rules of this file:
  1. obstore is the extra `penstock[s3]`: it is imported when a bucket is first used, not before.
  2. Up to WHOLE_BYTES an object is one PUT; a larger one is uploaded in parts.  An upload that fails is aborted; one that a crash breaks
     off shows nowhere, but its parts stay until a lifecycle rule of the bucket aborts it.  An object that is made while it is uploaded
     is never whole in memory: beyond STREAM_BYTES it goes in parts of that size, and STREAMS_MAX of them are under way at a time.
  3. Requests are tried again, in vain for RETRY_S at most; a server that accepts and says nothing is given up after TIMEOUT.
  4. obstore's paths have no empty segments: up to the last of a key's, it becomes part of the address of the bucket.  They have no `.` or
     `..` segments, no control characters, and no `/` at the end either: such keys are BadObjectName here, instead of an object under
     another key.  A listing fails where there is a key that is no path.
  5. What S3 answers is told apart by its status and code; a client's error that does not pass by itself is BucketDenied.
"""

import asyncio
import os
import re
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from itertools import chain
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import quote

from penstock.engines.buckets import (
    PLAIN,
    BadObjectName,
    Body,
    BucketDenied,
    BucketsUnavailable,
    NoSuchBucket,
    NoSuchObject,
    ObjectEntry,
    ObjectHead,
    ObjectTooLarge,
    check_bucket,
    check_object,
)

if TYPE_CHECKING:
    from obstore import Attributes
    from obstore.store import ClientConfig, S3Config, S3Store

WHOLE_BYTES: Final = 64 << 20  # largest object that is one PUT
PART_BYTES: Final = 16 << 20  # S3 takes 10,000 parts
PARTS_AT_ONCE: Final = 4
STREAM_BYTES: Final = 5 << 20  # of what is made while it is uploaded: the largest PUT, and its parts; S3's least
STREAMS_MAX: Final = 3  # such objects at a time: each has a part on its way and one that is being made
LIST_PAGE: Final = 1000  # keys that one request of a listing answers
RETRIES_MAX: Final = 3
RETRY_S: Final = 30
TIMEOUT: Final = "120s"  # of one request: WHOLE_BYTES in it are 4.5 Mbit/s
STORES_MAX: Final = 64  # buckets, each with its way of encryption, that connections are held for

_SPELLABLE: Final = re.compile(r"(?!/)(?:(?!\.{1,2}(?:/|\Z))[^/\x00-\x1f\x7f]+(?:/(?!\Z)|\Z))+")
_DOTLESS: Final = re.compile(r"(?:(?!\.{1,2}(?:/|\Z))[^/\x00-\x1f\x7f]*(?:/|\Z))*")
_STATUS: Final = re.compile(r"status code: ([0-9]{3})")
_CODE: Final = re.compile(r"<Code>([A-Za-z0-9.]{1,80})</Code>")
_MESSAGE: Final = re.compile(r"<Message>([^<]{1,400})</Message>")
_PASSING: Final = frozenset(
    {"RequestTimeout", "OperationAborted", "IncompleteBody", "SlowDown"}
)  # codes of 4xx that pass


class _Name(NamedTuple):
    """What connections are held for."""

    bucket: str
    beginning: str | None = None  # of keys that have empty segments, up to the last of those
    sse: str | None = None
    sse_key: str | None = None


class S3Buckets:
    """Buckets at an endpoint, AWS's own if it is None.  Nothing is asked of it yet."""

    def __init__(self, endpoint: str | None = None, region: str | None = None) -> None:
        self._endpoint = endpoint
        self._region = region
        self._stores: OrderedDict[_Name, S3Store] = OrderedDict()
        self._streams = asyncio.Semaphore(STREAMS_MAX)

    async def close(self) -> None:
        """Let go of connections."""
        self._stores.clear()

    async def put(self, bucket: str, key: str, body: Body, head: ObjectHead = PLAIN) -> None:
        """Store or replace an object, durably.  Pieces that are there already are not copied."""
        beginning, path = _split(bucket, key)
        store = self._store(_Name(bucket, beginning, head.sse, head.sse_key))
        with _translated(bucket, key):
            if isinstance(body, bytes):
                await _send(store, path, body, head, in_parts=len(body) > WHOLE_BYTES)
            elif isinstance(body, Sequence):
                await _send(store, path, body, head, in_parts=sum(map(len, body)) > WHOLE_BYTES)
            else:
                async with self._streams:
                    await _stream(store, path, iter(body), head)

    async def get(self, bucket: str, key: str, max_bytes: int) -> bytes:
        """An object's bytes."""
        beginning, path = _split(bucket, key)
        store = self._store(_Name(bucket, beginning))
        with _translated(bucket, key):
            found = await store.get_async(path)
            size_bytes = found.meta["size"]
            if size_bytes > max_bytes:
                raise ObjectTooLarge(f"{bucket}/{key} has {size_bytes:,} bytes; more than {max_bytes:,}")
            return bytes(await found.bytes_async())

    async def list(self, bucket: str, prefix: str) -> AsyncIterator[ObjectEntry]:
        """The objects under a prefix, in order.  Cost: obstore asks by folders, so those before the prefix in its folder are read too."""
        check_bucket(bucket)
        store = self._store(_Name(bucket))
        folder, slash, _ = prefix.rpartition("/")
        if slash and _split(bucket, folder)[0] is not None:
            raise BadObjectName(f"no prefix of a listing: {prefix[:80]!r}")
        with _translated(bucket, None):
            async for page in store.list(folder or None, chunk_size=LIST_PAGE):
                for found in page:
                    if found["path"].startswith(prefix):
                        yield ObjectEntry(found["path"], found["size"])
                    elif found["path"] > prefix:
                        return

    def _store(self, name: "_Name") -> "S3Store":
        """The connections of a bucket; how objects are encrypted belongs to them in obstore."""
        if name not in self._stores:
            self._stores[name] = self._open(name)
            if len(self._stores) > STORES_MAX:
                self._stores.popitem(last=False)
        self._stores.move_to_end(name)
        return self._stores[name]

    def _open(self, name: "_Name") -> "S3Store":
        try:
            from obstore.store import S3Store
        except ImportError:
            raise BucketsUnavailable("objects in S3 need obstore: pip install 'penstock[s3]'") from None
        settings: S3Config = {}
        client: ClientConfig = {"timeout": TIMEOUT}
        endpoint = self._endpoint
        if name.beginning is not None:
            endpoint = endpoint or f"https://s3.{self._region or _region()}.amazonaws.com"
            endpoint = f"{endpoint.rstrip('/')}/{name.bucket}/{quote(name.beginning, safe='/-_.~')}"
            settings["virtual_hosted_style_request"] = True  # the bucket is in the address already
        if endpoint is not None:
            settings["endpoint"] = endpoint
            client["allow_http"] = endpoint.startswith("http://")
        if self._region is not None:
            settings["region"] = self._region
        if name.sse is not None:
            settings["server_side_encryption"] = name.sse
        if name.sse_key is not None:
            settings["sse_kms_key_id"] = name.sse_key
        retry_timeout = timedelta(seconds=RETRY_S)
        return S3Store(
            name.bucket,
            config=settings,
            client_options=client,
            retry_config={"max_retries": RETRIES_MAX, "retry_timeout": retry_timeout},
        )


def _split(bucket: str, key: str) -> tuple[str | None, str]:
    """A key's beginning up to its last empty segment, if it has any, and the path behind that.  Raises BadObjectName."""
    check_object(bucket, key)
    place = key.rfind("//") + 1
    beginning = key[:place] if place or key.startswith("/") else None
    path = key if beginning is None else key[place + 1 :]
    dotted = beginning is not None and not _DOTLESS.fullmatch(beginning)
    if dotted or not _SPELLABLE.fullmatch(path):
        raise BadObjectName(f"key with a `.` or `..` segment, a control character or a last `/`: {key[:80]!r}")
    return beginning, path


async def _send(
    store: "S3Store", path: str, body: bytes | Iterable[bytes], head: ObjectHead, *, in_parts: bool
) -> None:
    await store.put_async(
        path,
        body,
        attributes=_attributes(head),
        use_multipart=in_parts,
        chunk_size=PART_BYTES,
        max_concurrency=PARTS_AT_ONCE,
    )


async def _stream(store: "S3Store", path: str, pieces: Iterator[bytes], head: ObjectHead) -> None:
    """Upload what is made meanwhile, on threads."""
    begun = await asyncio.get_running_loop().run_in_executor(None, _taken, pieces)
    if sum(map(len, begun)) < STREAM_BYTES:  # that was all
        await _send(store, path, begun, head, in_parts=False)
        return
    await store.put_async(
        path,
        chain(_drained(begun), pieces),
        attributes=_attributes(head),
        use_multipart=True,
        chunk_size=STREAM_BYTES,
        max_concurrency=1,
    )


def _taken(pieces: Iterator[bytes]) -> list[bytes]:
    """Pieces of STREAM_BYTES together, or all that there are."""
    taken: list[bytes] = []
    size_bytes = 0
    for piece in pieces:
        taken.append(piece)
        size_bytes += len(piece)
        if size_bytes >= STREAM_BYTES:
            break
    return taken


def _drained(pieces: list[bytes]) -> Iterator[bytes]:
    """Pieces, each let go as soon as it is taken."""
    pieces.reverse()
    while pieces:
        yield pieces.pop()


def _region() -> str:
    """The region that obstore would take."""
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"


def _attributes(head: ObjectHead) -> "Attributes":
    attributes: Attributes = {"Content-Type": head.content_type, **head.metadata}
    if head.content_encoding is not None:
        attributes["Content-Encoding"] = head.content_encoding
    return attributes


@contextmanager
def _translated(bucket: str, key: str | None) -> Iterator[None]:
    """Turn obstore's errors into ours."""
    from obstore.exceptions import BaseError

    try:
        yield
    except (BaseError, FileNotFoundError) as error:
        raise _refusal(str(error), bucket, key) from error


def _refusal(text: str, bucket: str, key: str | None) -> Exception:
    """What an error of obstore's, which quotes S3's answer, means."""
    status, code, message = (found[1] if (found := each.search(text)) else "" for each in (_STATUS, _CODE, _MESSAGE))
    if status == "404":
        return NoSuchObject(f"{bucket}/{key}") if key is not None and code == "NoSuchKey" else NoSuchBucket(bucket)
    if not status:
        return BucketsUnavailable(f"bucket {bucket}: {text.partition(chr(10))[0]}")
    line = f"bucket {bucket}: {status} {code}: {' '.join(message.split())}"
    passes = status[0] != "4" or status in ("408", "409", "429") or code in _PASSING
    return BucketsUnavailable(line) if passes else BucketDenied(line)
