"""What a delivery stream is configured with, as typed values: the shapes of the API, read once a configuration was accepted.

Theory.  The API has each destination three times: as Configuration, Update and Description.  Here it is once, with the members of the
Configuration, whose defaults are AWS's; a Description is the same told without secrets, an Update the same with members missing.
What is kept (state.py) is the document as it was given; these are made from it with `msgspec.convert`.
Rules of this file: pure; members keep AWS's names at the wire; secrets are in these values, so none of them is logged or shown.
"""

from collections.abc import Mapping, Sequence
from typing import Final, Literal

import msgspec

from penstock.wire.operation import member_name

_CASED: Final[Mapping[str, str]] = {
    "size_in_mbs": "SizeInMBs",
    "kms_encryption_config": "KMSEncryptionConfig",
    "aws_kms_key_arn": "AWSKMSKeyARN",
    "cloudwatch_logging_options": "CloudWatchLoggingOptions",
    "cluster_jdbc_url": "ClusterJDBCURL",
    "hec_endpoint": "HECEndpoint",
    "hec_endpoint_type": "HECEndpointType",
    "hec_token": "HECToken",
    "hec_acknowledgment_timeout_in_seconds": "HECAcknowledgmentTimeoutInSeconds",
}


class Shape(msgspec.Struct, kw_only=True, frozen=True, rename=lambda name: _CASED.get(name) or member_name(name)):
    """Base of what is in a configuration."""


class BufferingHints(Shape, kw_only=True, frozen=True):
    """When a buffer is delivered: whichever comes first."""

    size_in_mbs: int = 5
    interval_in_seconds: int = 300


class KMSEncryptionConfig(Shape, kw_only=True, frozen=True):
    """Objects under a key of one's own."""

    aws_kms_key_arn: str


class EncryptionConfiguration(Shape, kw_only=True, frozen=True):
    """How S3 encrypts objects."""

    no_encryption_config: Literal["NoEncryption"] | None = None
    kms_encryption_config: KMSEncryptionConfig | None = None


class CloudWatchLoggingOptions(Shape, kw_only=True, frozen=True):
    """Where delivery errors are logged."""

    enabled: bool = False
    log_group_name: str | None = None
    log_stream_name: str | None = None


class ProcessorParameter(Shape, kw_only=True, frozen=True):
    """One parameter of a processor."""

    parameter_name: str
    parameter_value: str


class Processor(Shape, kw_only=True, frozen=True):
    """One step of processing."""

    type: Literal[
        "RecordDeAggregation",
        "Decompression",
        "CloudWatchLogProcessing",
        "Lambda",
        "MetadataExtraction",
        "AppendDelimiterToRecord",
    ]
    parameters: Sequence[ProcessorParameter] = ()

    def get(self, name: str) -> str | None:
        """The first value of a parameter."""
        return next((one.parameter_value for one in self.parameters if one.parameter_name == name), None)


class ProcessingConfiguration(Shape, kw_only=True, frozen=True):
    """What happens to records before they are delivered."""

    enabled: bool = False
    processors: Sequence[Processor] = ()


class SchemaConfiguration(Shape, kw_only=True, frozen=True):
    """The table of the Glue catalog that has the schema."""

    role_arn: str | None = None
    catalog_id: str | None = None  # None: the account's
    database_name: str | None = None
    table_name: str | None = None
    region: str | None = None  # None: the delivery stream's
    version_id: str = "LATEST"


class OpenXJsonSerDe(Shape, kw_only=True, frozen=True):
    """How OpenX reads JSON."""

    convert_dots_in_json_keys_to_underscores: bool = False
    case_insensitive: bool = True
    column_to_json_key_mappings: Mapping[str, str] = {}


class HiveJsonSerDe(Shape, kw_only=True, frozen=True):
    """How Hive reads JSON."""

    timestamp_formats: Sequence[str] = ()


class Deserializer(Shape, kw_only=True, frozen=True):
    """One of the two."""

    open_x_json_ser_de: OpenXJsonSerDe | None = None
    hive_json_ser_de: HiveJsonSerDe | None = None


class InputFormatConfiguration(Shape, kw_only=True, frozen=True):
    """How input is read."""

    deserializer: Deserializer = Deserializer()


class ParquetSerDe(Shape, kw_only=True, frozen=True):
    """How Parquet is written."""

    block_size_bytes: int = 268435456
    page_size_bytes: int = 1048576
    compression: Literal["UNCOMPRESSED", "GZIP", "SNAPPY"] = "SNAPPY"
    enable_dictionary_compression: bool = False
    max_padding_bytes: int = 0
    writer_version: Literal["V1", "V2"] = "V1"


class OrcSerDe(Shape, kw_only=True, frozen=True):
    """How ORC is written."""

    stripe_size_bytes: int = 67108864
    block_size_bytes: int = 268435456
    row_index_stride: int = 10000
    enable_padding: bool = False
    padding_tolerance: float = 0.05
    compression: Literal["NONE", "ZLIB", "SNAPPY"] = "SNAPPY"
    bloom_filter_columns: Sequence[str] = ()
    bloom_filter_false_positive_probability: float = 0.05
    dictionary_key_threshold: float = 0.0
    format_version: Literal["V0_11", "V0_12"] = "V0_12"


class Serializer(Shape, kw_only=True, frozen=True):
    """One of the two."""

    parquet_ser_de: ParquetSerDe | None = None
    orc_ser_de: OrcSerDe | None = None


class OutputFormatConfiguration(Shape, kw_only=True, frozen=True):
    """How output is written."""

    serializer: Serializer = Serializer()


class DataFormatConversionConfiguration(Shape, kw_only=True, frozen=True):
    """Conversion to a format of columns."""

    enabled: bool = True
    schema_configuration: SchemaConfiguration | None = None
    input_format_configuration: InputFormatConfiguration | None = None
    output_format_configuration: OutputFormatConfiguration | None = None


class RetryOptions(Shape, kw_only=True, frozen=True):
    """For how long delivery is tried."""

    duration_in_seconds: int = 300


class DynamicPartitioningConfiguration(Shape, kw_only=True, frozen=True):
    """Objects by values of their records."""

    enabled: bool = False
    retry_options: RetryOptions = RetryOptions()


class SecretsManagerConfiguration(Shape, kw_only=True, frozen=True):
    """Credentials that are a secret of Secrets Manager."""

    enabled: bool = False
    secret_arn: str | None = None
    role_arn: str | None = None


class VpcConfiguration(Shape, kw_only=True, frozen=True):
    """Kept and told; the server reaches what its machine reaches."""

    subnet_ids: Sequence[str]
    role_arn: str
    security_group_ids: Sequence[str]


class DocumentIdOptions(Shape, kw_only=True, frozen=True):
    """Who names documents."""

    default_document_id_format: Literal["FIREHOSE_DEFAULT", "NO_DOCUMENT_ID"] = "FIREHOSE_DEFAULT"


Compression = Literal["UNCOMPRESSED", "GZIP", "ZIP", "Snappy", "HADOOP_SNAPPY"]


class S3(Shape, kw_only=True, frozen=True):
    """Objects in a bucket: a destination of its own, a backup, a staging place or the home of error objects."""

    role_arn: str
    bucket_arn: str
    prefix: str = ""
    error_output_prefix: str = ""
    buffering_hints: BufferingHints = BufferingHints()
    compression_format: Compression = "UNCOMPRESSED"
    encryption_configuration: EncryptionConfiguration = EncryptionConfiguration(no_encryption_config="NoEncryption")
    cloudwatch_logging_options: CloudWatchLoggingOptions = CloudWatchLoggingOptions()

    @property
    def bucket(self) -> str:
        """The bucket's name."""
        return self.bucket_arn.rpartition(":")[2]


class Destined(Shape, kw_only=True, frozen=True):
    """What most destinations have."""

    processing_configuration: ProcessingConfiguration = ProcessingConfiguration()
    cloudwatch_logging_options: CloudWatchLoggingOptions = CloudWatchLoggingOptions()


class ExtendedS3(S3, kw_only=True, frozen=True):
    """S3, with all that can happen on the way."""

    processing_configuration: ProcessingConfiguration = ProcessingConfiguration()
    s3_backup_mode: Literal["Disabled", "Enabled"] = "Disabled"
    s3_backup_configuration: S3 | None = None
    data_format_conversion_configuration: DataFormatConversionConfiguration = DataFormatConversionConfiguration(
        enabled=False
    )
    dynamic_partitioning_configuration: DynamicPartitioningConfiguration = DynamicPartitioningConfiguration()
    file_extension: str = ""
    custom_time_zone: str = "UTC"
