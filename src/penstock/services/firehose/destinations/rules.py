"""Rules: what a destination's configuration must be, beyond what the model says, and what of it may change.

Theory.  The model bounds lengths, numbers and patterns; the shapes have AWS's defaults.  Here is the rest, a function for each kind.
Rules of this file: pure; a refusal is a row of core/destination_errors.py, and quotes no secret.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from penstock.core.destination_errors import DestinationError
from penstock.services.firehose.destinations.copyoptions import NotCopyable, read_options
from penstock.services.firehose.destinations.jdbc import read_jdbc
from penstock.services.firehose.destinations.presets import preset_of
from penstock.services.firehose.destinations.shapes import (
    DestinationKind,
    HttpEndpoint,
    Iceberg,
    OpenSearch,
    OpenSearchServerless,
    Redshift,
    Snowflake,
    Splunk,
)
from penstock.services.firehose.destinations.tablenames import BadName, column_names, table_name
from penstock.services.firehose.destinations.told import is_header
from penstock.services.firehose.shapes import S3, SecretsManagerConfiguration

DEEP: Final = frozenset({"EndpointConfiguration", "BufferingHints", "RetryOptions"})  # merged member by member
KEEPS_ALL: Final = frozenset({"Enabled", "AllDocuments", "AllEvents", "AllData"})  # modes of backup that stay
_RIVALS: Final = (("DomainARN", "ClusterEndpoint"), ("ClusterEndpoint", "DomainARN"))
_URLS: Final = ("ClusterEndpoint", "CollectionEndpoint", "HECEndpoint")

Document = Mapping[str, Any]


def prepared(kind: DestinationKind, document: Document) -> Document:
    """The configuration with what a preset adds: the vendor's buffer, where none was asked for."""
    if kind != "HttpEndpoint" or document.get("BufferingHints"):
        return document
    preset = preset_of(document["EndpointConfiguration"]["Url"])
    if preset is None:
        return document
    hints = {"SizeInMBs": preset.size_in_mbs, "IntervalInSeconds": preset.interval_in_seconds}
    return {**document, "BufferingHints": hints}


def replaced(held: Document, update: Document) -> Document:
    """What is held, without the member that the update puts another one in the place of: a domain is named in one of two ways."""
    gone = {other for one, other in _RIVALS if update.get(one) and not update.get(other)}
    return {name: value for name, value in held.items() if name not in gone}


def check(kind: DestinationKind, shape: Any) -> None:
    """Raise what a configuration is refused with."""
    rule = _RULES.get(kind)
    if rule is not None:
        rule(shape)


def check_update(kind: DestinationKind, before: Any, after: Any) -> None:
    """Raise if an update would undo what stays."""
    old, new = getattr(before, "s3_backup_mode", None), getattr(after, "s3_backup_mode", None)
    if old in KEEPS_ALL and new != old:
        raise DestinationError.BACKUP_STAYS(before=old, after=new)
    check(kind, after)


def shown(kind: DestinationKind, document: Document) -> Document:
    """What a description tells of a configuration.  The members that its shape lacks are left out by the model."""
    urls: dict[str, object] = {name: without_user(document[name]) for name in _URLS if document.get(name)}
    endpoint = document.get("EndpointConfiguration")
    if endpoint is not None:
        urls["EndpointConfiguration"] = {**endpoint, "Url": without_user(endpoint["Url"])}
    return {**document, **urls}


def without_user(url: str) -> str:
    """A URL without the user and password that it may hold."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _http(shape: HttpEndpoint) -> None:
    _url("EndpointConfiguration.Url", shape.endpoint_configuration.url)
    if not is_header(shape.endpoint_configuration.access_key or ""):
        raise DestinationError.HEADER_MALFORMED(member="EndpointConfiguration.AccessKey")
    _secret(shape.secrets_manager_configuration)


def _search(shape: OpenSearch) -> None:
    if (shape.domain_arn is None) == (shape.cluster_endpoint is None):
        raise DestinationError.ONE_OF_TWO(one="DomainARN", other="ClusterEndpoint")
    if shape.cluster_endpoint is not None:
        _url("ClusterEndpoint", shape.cluster_endpoint)


def _serverless(shape: OpenSearchServerless) -> None:
    if shape.collection_endpoint is None:
        raise DestinationError.MISSING(member="CollectionEndpoint", why="")
    _url("CollectionEndpoint", shape.collection_endpoint)


def _splunk(shape: Splunk) -> None:
    _url("HECEndpoint", shape.hec_endpoint)
    if not is_header(shape.hec_token or ""):
        raise DestinationError.HEADER_MALFORMED(member="HECToken")
    if not _secret(shape.secrets_manager_configuration) and not shape.hec_token:
        raise DestinationError.MISSING(member="HECToken", why="")


def _redshift(shape: Redshift) -> None:
    if read_jdbc(shape.cluster_jdbc_url) is None:
        raise DestinationError.JDBC_MALFORMED()
    if not _secret(shape.secrets_manager_configuration):
        for member, value in (("Username", shape.username), ("Password", shape.password)):
            if value is None:
                raise DestinationError.MISSING(member=member, why="")
    _staged(shape.s3_configuration)
    command = shape.copy_command
    for member, text, read in (
        ("DataTableName", command.data_table_name, table_name),
        ("DataTableColumns", command.data_table_columns, column_names),
    ):
        try:
            _ = read(text) if text else None
        except BadName:
            raise DestinationError.SQL_NAME(member=f"CopyCommand.{member}") from None
    if shape.s3_backup_mode == "Enabled" and shape.s3_backup_configuration is None:
        raise DestinationError.MISSING(member="S3BackupConfiguration", why=" where S3BackupMode is Enabled")
    try:
        read_options(command.copy_options or "")
    except NotCopyable as error:
        raise DestinationError.COPY_OPTIONS(problem=str(error)) from None


def _staged(s3: S3) -> None:
    if s3.compression_format not in ("UNCOMPRESSED", "GZIP"):
        raise DestinationError.STAGED_COMPRESSION(compression=s3.compression_format)
    for member, text in (("Prefix", s3.prefix), ("ErrorOutputPrefix", s3.error_output_prefix)):
        if "!{" in text:
            raise DestinationError.STAGED_PREFIX(member=member)


def _iceberg(shape: Iceberg) -> None:
    catalog = shape.catalog_configuration
    if catalog.catalog_arn is None and catalog.warehouse_location is None:
        raise DestinationError.MISSING(member="CatalogARN", why=" where there is no WarehouseLocation")
    seen = set()
    for table in shape.destination_table_configuration_list:
        name = f"{table.destination_database_name}.{table.destination_table_name}"
        if name in seen:
            raise DestinationError.TABLE_TWICE(table=name)
        seen.add(name)


def _snowflake(shape: Snowflake) -> None:
    if not _secret(shape.secrets_manager_configuration):
        for member, value in (("User", shape.user), ("PrivateKey", shape.private_key)):
            if value is None:
                raise DestinationError.MISSING(member=member, why="")
    if shape.data_loading_option != "JSON_MAPPING" and shape.content_column_name is None:
        raise DestinationError.MISSING(member="ContentColumnName", why=f" for {shape.data_loading_option}")
    with_metadata = shape.data_loading_option == "VARIANT_CONTENT_AND_METADATA_MAPPING"
    if with_metadata and shape.meta_data_column_name is None:
        raise DestinationError.MISSING(member="MetaDataColumnName", why=f" for {shape.data_loading_option}")


def _url(member: str, text: str) -> None:
    try:
        parts = urlsplit(text)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        good = False
    if not good or not text.isascii() or any(char <= " " for char in text):
        raise DestinationError.URL_MALFORMED(member=member)


def _secret(configuration: SecretsManagerConfiguration | None) -> bool:
    """Whether credentials come from Secrets Manager."""
    if configuration is None or not configuration.enabled:
        return False
    if configuration.secret_arn is None:
        raise DestinationError.MISSING(member="SecretARN", why=" where SecretsManagerConfiguration is enabled")
    return True


_RULES: Final[Mapping[DestinationKind, Callable[[Any], None]]] = {
    "HttpEndpoint": _http,
    "Elasticsearch": _search,
    "Amazonopensearchservice": _search,
    "AmazonOpenSearchServerless": _serverless,
    "Splunk": _splunk,
    "Redshift": _redshift,
    "Iceberg": _iceberg,
    "Snowflake": _snowflake,
}
