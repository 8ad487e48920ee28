"""Redshift, and what else speaks PostgreSQL's protocol: a parcel is staged as an object, and the database is told to copy it.

Theory.  The object's key comes from the parcel's id, so that a repeated attempt stages the same object.  A Redshift server is given a
manifest and COPY in AWS's own words: it reads the object itself.  Any other server is given COPY FROM STDIN with the rows that
Redshift would have read (copyrows.py).  Either loads all of a parcel or nothing, in one transaction.
Rules of this file:
  1. A load that fails is tried again as a whole, whatever the reason: somebody may repair the table meanwhile.  Records have no error
     objects; a parcel that is given up stays staged, and a manifest under errors/ names it.
  2. Names and options of a configuration are read before they stand in a statement.
Source: developer guide, "Data delivery failure handling" (Redshift), "Redshift data delivery errors" (codes).
"""

import re
from collections.abc import Sequence
from typing import Final

import msgspec

from penstock.core.warehouse import Column, Login, Session, WarehouseFailed
from penstock.engines.buckets import (
    BadObjectName,
    BucketDenied,
    BucketsUnavailable,
    NoSuchBucket,
    NoSuchObject,
    ObjectHead,
    ObjectTooLarge,
)
from penstock.services.firehose.destinations.api import Again, Delivered, Hints, Outcome, Parcel
from penstock.services.firehose.destinations.copyoptions import read_options
from penstock.services.firehose.destinations.copyrows import BadRow, Path, copy_text, read_paths
from penstock.services.firehose.destinations.credentials import NoSecret, members
from penstock.services.firehose.destinations.jdbc import read_jdbc
from penstock.services.firehose.destinations.shapes import Redshift
from penstock.services.firehose.destinations.tablenames import column_names, literal, table_name
from penstock.services.firehose.destinations.told import concealed
from penstock.services.firehose.entries import Failure
from penstock.services.firehose.framing import FRAMINGS
from penstock.services.firehose.objectkey import UTC, object_name, zone_of
from penstock.services.firehose.prefix import Values, in_zone, read_prefix
from penstock.services.firehose.site import Site

PATHS_MAX_BYTES: Final = 1024 * 1024
MANIFESTS: Final = "manifests/"
ERRORS: Final = "errors/"
_MIB: Final = 1024 * 1024
_PATHS_URL: Final = re.compile(r"s3://([^/]+)/(.+)", re.DOTALL)
_DENIED_BY_S3: Final = "S3ServiceException:Access Denied"
_CODES: Final = (  # by the beginning of SQLSTATE, the longer ones first
    ("42P01", "Redshift.TableNotFound"), ("42703", "Redshift.ColumnNotFound"), ("42601", "Redshift.SyntaxError"),
    ("42501", "Redshift.InsufficientPrivilege"), ("3D000", "Redshift.DatabaseNotFound"), ("25006", "Redshift.ReadOnlyCluster"),
    ("53100", "Redshift.DiskFull"), ("28", "Redshift.AuthenticationFailed"), ("08", "Redshift.ConnectionFailed"),
    ("57", "Redshift.ConnectionFailed"), ("53", "Redshift.ConnectionFailed"),
)  # fmt: skip


class _Failed(Exception):
    """An attempt that came to nothing."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class WarehouseDestination:
    """One table."""

    name = "Redshift"

    def __init__(self, shape: Redshift, site: Site) -> None:
        self._shape = shape
        self._site = site
        self._staging = shape.s3_configuration
        self._plan = read_options(shape.copy_command.copy_options or "")
        self._table = table_name(shape.copy_command.data_table_name)
        self._columns = (
            column_names(shape.copy_command.data_table_columns) if shape.copy_command.data_table_columns else []
        )

    @property
    def hints(self) -> Hints:
        """Those of the staging bucket; copies are made one after the other."""
        hints = self._staging.buffering_hints
        return Hints(hints.size_in_mbs * _MIB, hints.interval_in_seconds * 1000)

    @property
    def retry_ms(self) -> int:
        """As configured."""
        return self._shape.retry_options.duration_in_seconds * 1000

    async def deliver(self, parcel: Parcel) -> Outcome:
        """Stage, and copy."""
        data = b"".join([entry.data for entry in parcel.entries])
        try:
            staged_bytes = await self._stage(parcel, data)
            login = await self._login()
            session = await self._open(login)
            try:
                await self._load(session, parcel, data)
            finally:
                await session.close()
        except _Failed as error:
            return Again(error.code, concealed(str(error)), parcel.entries)
        except WarehouseFailed as error:
            return Again(_code(error), concealed(str(error)), parcel.entries)
        return Delivered(staged_bytes, len(parcel.entries))

    async def give_up(self, parcel: Parcel, again: Again) -> Sequence[Failure]:
        """No error objects: a manifest of the object, which is staged once more should it not be there."""
        try:
            await self._stage(parcel, b"".join([entry.data for entry in parcel.entries]))
            await self._put(ERRORS + MANIFESTS + self._key(parcel), self._manifest(parcel), ObjectHead())
        except _Failed as error:
            raise BucketsUnavailable(str(error)) from None
        return ()

    async def close(self) -> None:
        """Nothing stays open between parcels."""

    async def _stage(self, parcel: Parcel, data: bytes) -> int:
        """Write the parcel's object; how large it is."""
        framing = FRAMINGS[self._staging.compression_format]
        body = data
        if framing.content_encoding is not None:
            body = await self._site.threads.run(lambda: b"".join(framing.pack([data], parcel.id)))
        kms = self._staging.encryption_configuration.kms_encryption_config
        head = ObjectHead(
            content_encoding=framing.content_encoding,
            sse="aws:kms" if kms is not None else None,
            sse_key=kms.aws_kms_key_arn if kms is not None else None,
        )
        await self._put(self._key(parcel), body, head)
        return len(body)

    async def _put(self, key: str, body: bytes, head: ObjectHead) -> None:
        bucket = self._staging.bucket
        try:
            await self._site.objects.put(bucket, key, body, head)
        except NoSuchBucket:
            raise _Failed("S3.NoSuchBucket", f"The specified bucket does not exist: {bucket}.") from None
        except BucketDenied as error:
            raise _Failed("S3.AccessDenied", f"Access was denied to the bucket {bucket}: {error}") from None
        except (BadObjectName, BucketsUnavailable) as error:
            raise _Failed("S3.InternalError", str(error)) from None

    def _key(self, parcel: Parcel) -> str:
        """The key of a parcel's object."""
        framing, zone = FRAMINGS[self._staging.compression_format], zone_of(UTC)
        name = object_name(self._site.stream, self._site.version, parcel.oldest_ms, zone, parcel.id, framing.extension)
        return read_prefix(self._staging.prefix).evaluate(Values(in_zone(parcel.oldest_ms, zone), str)) + name

    def _manifest(self, parcel: Parcel) -> bytes:
        url = f"s3://{self._staging.bucket}/{self._key(parcel)}"
        return msgspec.json.encode({"entries": [{"url": url, "mandatory": True}]})

    async def _login(self) -> Login:
        database = read_jdbc(self._shape.cluster_jdbc_url)
        assert database is not None, "rules.py has read it"
        try:
            secret = await members(self._shape.secrets_manager_configuration, self._site, ("username", "password"))
        except NoSecret as error:
            raise _Failed("Redshift.AuthenticationFailed", str(error)) from None
        user = secret["username"] if secret is not None else self._shape.username or ""
        password = secret["password"] if secret is not None else self._shape.password or ""
        return Login(database.host, database.port, database.name, user, password, database.ssl_mode)

    async def _open(self, login: Login) -> Session:
        assert self._site.warehouses is not None
        try:
            return await self._site.warehouses.open(login)
        except WarehouseFailed as error:
            code = "Redshift.ConnectionFailed" if not error.state else _code(error)
            raise _Failed(code, str(error)) from None

    async def _load(self, session: Session, parcel: Parcel, data: bytes) -> None:
        if "redshift" in (await session.version()).lower():
            key = MANIFESTS + self._key(parcel)
            await self._put(key, self._manifest(parcel), ObjectHead())
            await session.execute(self.statement(key))
            return
        if self._plan.unsupported:
            raise _Failed("Redshift.IncorrectCopyOptions", f"{self._plan.unsupported} needs a Redshift server")
        listed = ", ".join(self._columns)
        query = f"SELECT {listed or '*'} FROM {self._table} LIMIT 0"  # noqa: S608 - names were read by tablenames.py
        columns = await session.columns(query)
        paths = await self._paths()
        pieces = await self._site.threads.run(lambda: self._text(data, columns, paths))
        names = ", ".join('"' + column.name.replace('"', '""') + '"' for column in columns)
        await session.copy(f"COPY {self._table} ({names}) FROM STDIN", pieces)

    def _text(self, data: bytes, columns: Sequence[Column], paths: Sequence[Path] | None) -> list[bytes]:
        try:
            return copy_text(self._plan, data, columns, paths)
        except BadRow as error:
            raise _Failed("Redshift.DataLoadFailed", f"Loading data into the table failed: {error}") from None

    def statement(self, manifest_key: str) -> str:
        """COPY as a Redshift server is told it."""
        columns = f" ({', '.join(self._columns)})" if self._columns else ""
        url = literal(f"s3://{self._staging.bucket}/{manifest_key}")
        role = literal(f"aws_iam_role={self._shape.role_arn}")
        options = (self._shape.copy_command.copy_options or "").strip().removesuffix(";")
        packed = " GZIP" if self._staging.compression_format == "GZIP" and not self._plan.packed else ""
        return f"COPY {self._table}{columns} FROM {url} CREDENTIALS {role} MANIFEST {options}{packed};"

    async def _paths(self) -> Sequence[Path] | None:
        """The paths of a file that the options name, if they name one."""
        match = _PATHS_URL.fullmatch(self._plan.json)
        if self._plan.format != "json" or match is None:
            return None
        try:
            return read_paths(await self._site.objects.get(match[1], match[2], PATHS_MAX_BYTES))
        except BadRow as error:
            raise _Failed("Redshift.IncorrectJsonPathsFile", str(error)) from None
        except (NoSuchBucket, NoSuchObject, ObjectTooLarge, BadObjectName, BucketDenied, BucketsUnavailable) as error:
            said = f"{self._plan.json} cannot be read: {error}"
            raise _Failed("Redshift.IncorrectJsonPathsFile", said) from None


def _code(error: WarehouseFailed) -> str:
    if _DENIED_BY_S3 in str(error):
        return "Redshift.S3BucketAccessDenied"
    if not error.state:
        return "Redshift.ConnectionFailed"
    return next((code for state, code in _CODES if error.state.startswith(state)), "Redshift.DataLoadFailed")
