"""Packages: the zips of functions, from where they come to where they are kept, and until nothing needs them.

Theory.  Every upload is an object of its own in the Blobs, named by its function's uid and a fresh id; versions of the function share it.
So it can be forgotten as soon as no version of that one function has it, whatever else is uploaded meanwhile.
Rule of this file: an object is durable before anything names it, and unnamed before it is deleted.
"""

import logging
from collections.abc import Iterable
from functools import partial
from hashlib import sha256
from typing import Final, Protocol

import pybase64

from penstock.core.errors import Error
from penstock.core.function_errors import FunctionError
from penstock.core.ports import Threads
from penstock.engines.api import Blobs, BlobsUnavailable
from penstock.engines.buckets import (
    BadObjectName,
    BucketDenied,
    Buckets,
    BucketsUnavailable,
    NoSuchBucket,
    NoSuchObject,
    ObjectTooLarge,
)
from penstock.host.workplace import is_directory
from penstock.services.functions import archive
from penstock.services.functions.state import Code

logger = logging.getLogger(__name__)

DIRECTORY_BUCKET: Final = "penstock-directory"  # as S3Bucket: S3Key is a directory of the server's machine
FOLDER: Final = "functions/"  # of the Blobs
ZIPPED_MAX_BYTES: Final = 52_428_800  # in a request
# Of a request, as AWS's refusals tell it.  UNVERIFIED: that of UpdateFunctionCode
REQUEST_MAX_BYTES: Final = {"CreateFunction": 70_167_211, "UpdateFunctionCode": 69_905_067}


class Source(Protocol):
    """Where an input says that code comes from."""

    zip_file: bytes | None
    s3_bucket: str | None
    s3_key: str | None
    s3_object_version: str | None
    image_uri: str | None


class Packages:
    """Fetches, keeps and forgets zips."""

    def __init__(self, blobs: Blobs, buckets: Buckets, threads: Threads, *, directories: bool = False) -> None:
        self._directories = directories  # of this machine may be named as code
        self._blobs = blobs
        self._buckets = buckets
        self._threads = threads

    async def fetch(self, source: Source, operation: str) -> bytes | Code:
        """The zip that an input gives or names, checked; or the directory that it names, which is used as it is.

        Raises NO_CODE, DIRECTORY, CODE_TWICE, UNSUPPORTED, ZIPPED_TOO_LARGE, NO_BUCKET, NO_OBJECT, BUCKET_DENIED, and what
        `archive.check` raises.
        """
        bucket, key = source.s3_bucket, source.s3_key
        if source.image_uri is not None:
            raise FunctionError.UNSUPPORTED(what="ImageUri (PackageType Image)")
        if source.zip_file is not None:
            if bucket is not None or key is not None:
                raise FunctionError.CODE_TWICE()
            data = source.zip_file
            if len(data) > ZIPPED_MAX_BYTES:
                raise FunctionError.ZIPPED_TOO_LARGE(limit=REQUEST_MAX_BYTES[operation], operation=operation)
        elif bucket is None or key is None:
            raise FunctionError.NO_CODE()
        elif bucket == DIRECTORY_BUCKET:
            return await self._directory(key)
        elif source.s3_object_version is not None:
            raise FunctionError.UNSUPPORTED(what="S3ObjectVersion")
        else:
            data = await self._from_bucket(bucket, key)
        await self._threads.run(partial(archive.check, data))
        return data

    async def _directory(self, path: str) -> Code:
        if not self._directories:
            raise FunctionError.DIRECTORY(path=path, why="a directory is code only with --auth open")
        if not await self._threads.run(partial(is_directory, path)):
            raise FunctionError.DIRECTORY(
                path=path, why="it must be the absolute path of a directory of the server's machine"
            )
        return Code("", 0, directory=path)

    async def _from_bucket(self, bucket: str, key: str) -> bytes:
        try:
            return await self._buckets.get(bucket, key, archive.UNZIPPED_MAX_BYTES)
        except (NoSuchBucket, BadObjectName):
            raise FunctionError.NO_BUCKET() from None
        except NoSuchObject:
            raise FunctionError.NO_OBJECT() from None
        except ObjectTooLarge:
            raise FunctionError.UNZIPPED_TOO_LARGE(limit=archive.UNZIPPED_MAX_BYTES) from None
        except BucketDenied:
            raise FunctionError.BUCKET_DENIED() from None
        except BucketsUnavailable as error:
            logger.warning("code cannot be read from %s: %s", bucket, error)
            raise Error.INTERNAL_FAILURE() from None

    async def store(self, uid: str, fresh_id: str, data: bytes | Code) -> Code:
        """Keep a zip, durably; a directory stays where it is."""
        if isinstance(data, Code):
            return data
        blob = f"{FOLDER}{uid}/{fresh_id}.zip"
        digest = await self._threads.run(lambda: sha256(data).digest())
        try:
            await self._blobs.put(blob, data)
        except BlobsUnavailable as error:
            logger.error("code cannot be stored: %s", error)
            raise Error.INTERNAL_FAILURE() from None
        return Code(pybase64.b64encode_as_string(digest), len(data), blob)

    async def forget(self, codes: Iterable[Code], still: Iterable[Code] = ()) -> None:
        """Delete zips, but for those that are still needed.  One that cannot be deleted now is deleted at the next start."""
        needed = {code.blob for code in still}
        for blob in sorted({code.blob for code in codes if code.blob is not None} - needed):
            try:
                await self._blobs.delete(blob)
            except BlobsUnavailable as error:
                logger.warning("code that nothing needs stays for now: %s", error)

    async def sweep(self, needed: frozenset[str]) -> None:
        """Delete what no function names: a start's work, since a crash may leave such."""
        found = [entry.name async for entry in self._blobs.list(FOLDER)]
        for blob in found:
            if blob not in needed:
                await self._blobs.delete(blob)
