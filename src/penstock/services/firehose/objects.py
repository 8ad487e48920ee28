"""Objects in one bucket as an S3 configuration wants them: under its prefix, compressed and encrypted as it says.

Theory.  A writer is made once for each S3 configuration of a delivery stream: of its destination, its backup, its error objects.  The key
of an object depends on nothing but what it is given, so writing it again replaces it.  Its bytes come as pieces that lie in memory
already; what compression makes of them is made while it is written, by the threads that write.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from penstock.core.limits import KIB
from penstock.engines.buckets import (
    BadObjectName,
    BucketDenied,
    BucketsUnavailable,
    NoSuchBucket,
    ObjectHead,
)
from penstock.services.firehose.framing import FRAMINGS
from penstock.services.firehose.objectkey import UTC, object_name, random_strings, zone_of
from penstock.services.firehose.prefix import Prefix, Values, in_zone
from penstock.services.firehose.shapes import S3, ExtendedS3
from penstock.services.firehose.site import Site

_INLINE_BYTES: Final = 64 * KIB  # compressed on the loop, as a whole


class NotWritten(Exception):
    """An object that is not there, or not known to be; what `code` and the text say goes to the delivery log."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Told(NamedTuple):
    """What an object's key is made from."""

    at_ms: int  # arrival of its oldest record
    uuid: str
    extension: str  # of its content; compression adds its own


class ObjectWriter:
    """Writes objects."""

    def __init__(self, s3: S3, site: Site) -> None:
        self._s3 = s3
        self._site = site
        self._zone = zone_of(s3.custom_time_zone if isinstance(s3, ExtendedS3) else UTC)
        self._extension = s3.file_extension if isinstance(s3, ExtendedS3) else ""
        self._framing = FRAMINGS[s3.compression_format]
        self._random = random_strings(site.entropy.bytes)
        kms = s3.encryption_configuration.kms_encryption_config
        self._sealing = ("aws:kms", kms.aws_kms_key_arn) if kms is not None else (None, None)

    def values(self, at_ms: int) -> Values:
        """What its prefixes are evaluated with, but for what only some have."""
        return Values(in_zone(at_ms, self._zone), self._random)

    async def write(
        self, prefix: Prefix, values: Values, told: Told, pieces: Sequence[bytes], *, packed: bool = True
    ) -> int:
        """Write an object; the bytes that it has.  Raises NotWritten, and TooLong for its prefix."""
        framing = self._framing if packed else FRAMINGS["UNCOMPRESSED"]
        extension = self._extension if self._extension and packed else told.extension + framing.extension
        site = self._site
        name = object_name(site.stream, site.version, told.at_ms, self._zone, told.uuid, extension)
        key = prefix.evaluate(values) + name
        sse, sse_key = self._sealing
        head = ObjectHead(content_encoding=framing.content_encoding, sse=sse, sse_key=sse_key)
        size_bytes = sum(map(len, pieces))
        if framing.content_encoding is None:
            await self._put(key, pieces, head)
            return size_bytes
        packed_pieces = _Counted(framing.pack(pieces, told.uuid))
        await self._put(key, list(packed_pieces) if size_bytes <= _INLINE_BYTES else packed_pieces, head)
        return packed_pieces.size_bytes

    async def _put(self, key: str, content: Iterable[bytes], head: ObjectHead) -> None:
        bucket, rights = self._s3.bucket, self._site.rights
        if rights is not None:
            why = await rights.why_not(self._s3.role_arn, "s3:PutObject", f"arn:aws:s3:::{bucket}/{key}")
            if why is not None:
                raise NotWritten("S3.AccessDenied", why)
        try:
            await self._site.objects.put(bucket, key, content, head)
        except NoSuchBucket:
            raise NotWritten("S3.NoSuchBucket", f"The specified bucket does not exist: {bucket}.") from None
        except BucketDenied as error:
            raise NotWritten("S3.AccessDenied", f"Access was denied to the bucket {bucket}: {error}") from None
        except BadObjectName as error:
            raise NotWritten("S3.InvalidName", str(error)) from None
        except BucketsUnavailable as error:
            raise NotWritten("S3.InternalError", str(error)) from None


class _Counted:
    """Pieces, counted as they pass."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self.size_bytes = 0

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            self.size_bytes += len(piece)
            yield piece
