"""What destinations other than S3 are configured with, and the table of all.

Rules of this file: those of services/firehose/shapes.py.
"""

from collections.abc import Mapping, Sequence
from typing import Final, Literal

from penstock.services.firehose.shapes import (
    S3,
    BufferingHints,
    Destined,
    DocumentIdOptions,
    ExtendedS3,
    RetryOptions,
    SecretsManagerConfiguration,
    Shape,
    VpcConfiguration,
)


class CopyCommand(Shape, kw_only=True, frozen=True):
    """What is copied into, and how."""

    data_table_name: str
    data_table_columns: str | None = None
    copy_options: str | None = None


class Redshift(Destined, kw_only=True, frozen=True):
    """Tables of Redshift and of what speaks PostgreSQL's protocol."""

    role_arn: str
    cluster_jdbc_url: str
    copy_command: CopyCommand
    username: str | None = None
    password: str | None = None
    retry_options: RetryOptions = RetryOptions(duration_in_seconds=3600)
    s3_configuration: S3
    s3_backup_mode: Literal["Disabled", "Enabled"] = "Disabled"
    s3_backup_configuration: S3 | None = None
    secrets_manager_configuration: SecretsManagerConfiguration | None = None


Rotation = Literal["NoRotation", "OneHour", "OneDay", "OneWeek", "OneMonth"]
DocumentBackup = Literal["FailedDocumentsOnly", "AllDocuments"]
DataBackup = Literal["FailedDataOnly", "AllData"]


class OpenSearch(Destined, kw_only=True, frozen=True):
    """Documents of OpenSearch; Elasticsearch has the same members."""

    role_arn: str
    domain_arn: str | None = None
    cluster_endpoint: str | None = None
    index_name: str
    type_name: str | None = None
    index_rotation_period: Rotation = "OneDay"
    buffering_hints: BufferingHints = BufferingHints()
    retry_options: RetryOptions = RetryOptions()
    s3_backup_mode: DocumentBackup = "FailedDocumentsOnly"
    s3_configuration: S3
    vpc_configuration: VpcConfiguration | None = None
    document_id_options: DocumentIdOptions | None = None


class OpenSearchServerless(Destined, kw_only=True, frozen=True):
    """Documents of a collection."""

    role_arn: str
    collection_endpoint: str | None = None
    index_name: str
    buffering_hints: BufferingHints = BufferingHints()
    retry_options: RetryOptions = RetryOptions()
    s3_backup_mode: DocumentBackup = "FailedDocumentsOnly"
    s3_configuration: S3
    vpc_configuration: VpcConfiguration | None = None


class Splunk(Destined, kw_only=True, frozen=True):
    """Events of Splunk, by its HTTP event collector."""

    hec_endpoint: str
    hec_endpoint_type: Literal["Raw", "Event"]
    hec_token: str | None = None
    hec_acknowledgment_timeout_in_seconds: int = 180
    retry_options: RetryOptions = RetryOptions()
    buffering_hints: BufferingHints = BufferingHints(interval_in_seconds=60)
    s3_backup_mode: Literal["FailedEventsOnly", "AllEvents"] = "FailedEventsOnly"
    s3_configuration: S3
    secrets_manager_configuration: SecretsManagerConfiguration | None = None


class EndpointConfiguration(Shape, kw_only=True, frozen=True):
    """Where requests go."""

    url: str
    name: str | None = None
    access_key: str | None = None


class CommonAttribute(Shape, kw_only=True, frozen=True):
    """One attribute of every request."""

    attribute_name: str
    attribute_value: str


class RequestConfiguration(Shape, kw_only=True, frozen=True):
    """What requests are."""

    content_encoding: Literal["NONE", "GZIP"] = "NONE"
    common_attributes: Sequence[CommonAttribute] = ()


class HttpEndpoint(Destined, kw_only=True, frozen=True):
    """Requests to an HTTP endpoint."""

    endpoint_configuration: EndpointConfiguration
    buffering_hints: BufferingHints = BufferingHints()
    request_configuration: RequestConfiguration = RequestConfiguration()
    role_arn: str | None = None
    retry_options: RetryOptions = RetryOptions()
    s3_backup_mode: DataBackup = "FailedDataOnly"
    s3_configuration: S3
    secrets_manager_configuration: SecretsManagerConfiguration | None = None


class SnowflakeRoleConfiguration(Shape, kw_only=True, frozen=True):
    """A role of Snowflake's."""

    enabled: bool = False
    snowflake_role: str | None = None


class SnowflakeVpcConfiguration(Shape, kw_only=True, frozen=True):
    """Kept and told."""

    private_link_vpce_id: str


class Snowflake(Destined, kw_only=True, frozen=True):
    """Rows of Snowflake."""

    account_url: str
    private_key: str | None = None
    key_passphrase: str | None = None
    user: str | None = None
    database: str
    schema: str
    table: str
    snowflake_role_configuration: SnowflakeRoleConfiguration | None = None
    data_loading_option: Literal["JSON_MAPPING", "VARIANT_CONTENT_MAPPING", "VARIANT_CONTENT_AND_METADATA_MAPPING"] = (
        "JSON_MAPPING"
    )
    meta_data_column_name: str | None = None
    content_column_name: str | None = None
    snowflake_vpc_configuration: SnowflakeVpcConfiguration | None = None
    role_arn: str
    retry_options: RetryOptions = RetryOptions(duration_in_seconds=60)
    s3_backup_mode: DataBackup = "FailedDataOnly"
    s3_configuration: S3
    secrets_manager_configuration: SecretsManagerConfiguration | None = None
    buffering_hints: BufferingHints = BufferingHints(size_in_mbs=128, interval_in_seconds=0)


class PartitionField(Shape, kw_only=True, frozen=True):
    """A column that a table is partitioned by."""

    source_name: str


class PartitionSpec(Shape, kw_only=True, frozen=True):
    """How a new table is partitioned."""

    identity: Sequence[PartitionField] = ()


class DestinationTableConfiguration(Shape, kw_only=True, frozen=True):
    """One table, and what identifies its rows."""

    destination_table_name: str
    destination_database_name: str
    unique_keys: Sequence[str] = ()
    partition_spec: PartitionSpec | None = None
    s3_error_output_prefix: str | None = None


class Switch(Shape, kw_only=True, frozen=True):
    """On or off."""

    enabled: bool = False


class CatalogConfiguration(Shape, kw_only=True, frozen=True):
    """Where tables are found."""

    catalog_arn: str | None = None
    warehouse_location: str | None = None


class Iceberg(Destined, kw_only=True, frozen=True):
    """Rows of Iceberg tables."""

    destination_table_configuration_list: Sequence[DestinationTableConfiguration] = ()
    schema_evolution_configuration: Switch = Switch()
    table_creation_configuration: Switch = Switch()
    buffering_hints: BufferingHints = BufferingHints()  # UNVERIFIED: the documents name no default
    s3_backup_mode: DataBackup = "FailedDataOnly"
    retry_options: RetryOptions = RetryOptions()
    role_arn: str
    append_only: bool = False
    catalog_configuration: CatalogConfiguration
    s3_configuration: S3


DestinationShape = (
    S3 | ExtendedS3 | Redshift | OpenSearch | OpenSearchServerless | Splunk | HttpEndpoint | Snowflake | Iceberg
)
DestinationKind = Literal[
    "S3",
    "ExtendedS3",
    "Redshift",
    "Elasticsearch",
    "Amazonopensearchservice",
    "AmazonOpenSearchServerless",
    "Splunk",
    "HttpEndpoint",
    "Snowflake",
    "Iceberg",
]
SHAPES: Final[Mapping[DestinationKind, type[Shape]]] = {  # by the part of the member's name before "Destination"
    "S3": S3,
    "ExtendedS3": ExtendedS3,
    "Redshift": Redshift,
    "Elasticsearch": OpenSearch,
    "Amazonopensearchservice": OpenSearch,
    "AmazonOpenSearchServerless": OpenSearchServerless,
    "Splunk": Splunk,
    "HttpEndpoint": HttpEndpoint,
    "Snowflake": Snowflake,
    "Iceberg": Iceberg,
}
