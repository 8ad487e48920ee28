"""Configurations of destinations: accepted, merged and described.

Theory.  A request brings one destination's document, already held against the model.  It is brought into one form, that of Configuration,
its defaults are filled in, and what AWS's rules refuse is refused.  From then on the document is what is kept: an update is merged into it
and accepted again, a description is the document under the description's names.
Rules of this file: pure; refusals are INVALID rows; a document is never changed, another one is made.
Source: API reference and developer guide; where a text is not AWS's own, its row says UNVERIFIED.
"""

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

import msgspec

from penstock.core.errors import ServiceError
from penstock.core.firehose_errors import FirehoseError
from penstock.services.firehose.destinations.rules import DEEP, check, check_update, prepared, replaced, shown
from penstock.services.firehose.destinations.shapes import SHAPES, DestinationKind
from penstock.services.firehose.framing import MissingCodec, check_codec
from penstock.services.firehose.objectkey import zone_of
from penstock.services.firehose.prefix import LAMBDA, QUERY, BadPrefix, Prefix, read_error_prefix, read_prefix
from penstock.services.firehose.shapes import S3, ExtendedS3, ProcessingConfiguration, Shape
from penstock.services.firehose.state import Document

_UPDATE_NAMES: Final = {"S3Update": "S3Configuration", "S3BackupUpdate": "S3BackupConfiguration"}
_DESCRIPTION_NAMES: Final = {
    "S3Configuration": "S3DestinationDescription",
    "S3BackupConfiguration": "S3BackupDescription",
    "VpcConfiguration": "VpcConfigurationDescription",
}
_STAGED: Final = frozenset(_UPDATE_NAMES.values())
_NESTED: Final = DEEP | _STAGED  # merged member by member
_VPC_ID: Final = "vpc-00000000"  # there is none; the description must have one
_COLUMNS_MIN_MB: Final = 64  # least buffer of format conversion and of dynamic partitioning
_COLUMNS_MB: Final = 128
_S3_FAMILY: Final = frozenset({"S3", "ExtendedS3"})
_SEARCH_FAMILY: Final = frozenset({"Elasticsearch", "Amazonopensearchservice"})
_TOLD: Final = frozenset(  # members whose defaults a description tells
    {
        *("BufferingHints", "CompressionFormat", "EncryptionConfiguration", "CloudWatchLoggingOptions", "S3BackupMode"),
        *("RetryOptions", "IndexRotationPeriod", "CustomTimeZone", "DataLoadingOption", "ProcessingConfiguration"),
        *("HECAcknowledgmentTimeoutInSeconds", "RequestConfiguration"),
    }
)


class Accepted(NamedTuple):
    """A destination that is in order."""

    kind: DestinationKind
    document: Document  # with its secrets
    shape: Shape  # the same, typed


def invalid(text: str) -> ServiceError:
    """A refusal in these words."""
    return FirehoseError.INVALID(text=text)


def accept(kind: DestinationKind, given: Document) -> Accepted:
    """A configuration in the form that is kept.  Raises INVALID."""
    check_hints(given)
    document = _with_defaults(kind, dict(prepared(kind, _renamed(given, _UPDATE_NAMES))))
    shape = read(kind, document)
    _check(kind, shape)
    return Accepted(kind, document, shape)


def read(kind: DestinationKind, document: Document) -> Shape:
    """A document as a typed value.  Raises INVALID for one that lacks a member."""
    try:
        return msgspec.convert(document, SHAPES[kind])
    except msgspec.ValidationError as problem:
        raise invalid(f"{kind}DestinationConfiguration: {problem}") from None


def merge(held_kind: DestinationKind, held: Document, kind: DestinationKind, update: Document) -> Accepted:
    """What becomes of a destination by an update: the same kind is merged, another one replaces it.  Raises INVALID."""
    if kind != held_kind and (held_kind in _SEARCH_FAMILY or kind in _SEARCH_FAMILY):
        # UNVERIFIED: wording; the API reference says that it cannot be switched
        raise invalid(f"The destination cannot be changed from {held_kind} to {kind}.")
    if kind != held_kind and {kind, held_kind} != _S3_FAMILY:
        return accept(kind, update)
    result: DestinationKind = "ExtendedS3" if held_kind == "ExtendedS3" else kind
    check_hints(update)
    accepted = accept(result, _merged(held, _renamed(update, _UPDATE_NAMES)))
    before = read(result, held)
    check_update(result, before, accepted.shape)
    _check_partitioning_stays(before, accepted.shape)
    return accepted


def describe(kind: DestinationKind, document: Document) -> dict[str, Document]:
    """The members of DestinationDescription; secrets are left out by the model, which has no place for them."""
    described = _renamed(dict(shown(kind, document)), _DESCRIPTION_NAMES)
    vpc = described.get("VpcConfigurationDescription")
    if isinstance(vpc, dict):
        described["VpcConfigurationDescription"] = {**vpc, "VpcId": _VPC_ID}
    if kind in _S3_FAMILY:  # UNVERIFIED: that S3 alone is told as both, as ExtendedS3 is
        return {"S3DestinationDescription": described, "ExtendedS3DestinationDescription": described}
    return {f"{kind}DestinationDescription": described}


def _renamed(document: Document, names: Mapping[str, str]) -> Document:
    return {
        names.get(name, name): _renamed(value, names) if name in names and isinstance(value, dict) else value
        for name, value in document.items()
    }


def _merged(held: Document, update: Document) -> Document:
    merged = {**replaced(held, update), **update}
    for name in _NESTED & held.keys() & update.keys():
        inner, changed = held[name], update[name]
        if isinstance(inner, dict) and isinstance(changed, dict):
            merged[name] = {**inner, **changed}
    return merged


def _with_defaults(kind: DestinationKind, document: Document) -> Document:
    """The document with what it does not say and a description tells."""
    full = dict(document)
    for field in msgspec.structs.fields(SHAPES[kind]):
        name = field.encode_name
        if (
            name in _TOLD
            and full.get(name) is None
            and field.default is not msgspec.NODEFAULT
            and field.default is not None
        ):
            full[name] = _without_none(msgspec.to_builtins(field.default))
    for name in _STAGED & full.keys():
        inner = full[name]
        if isinstance(inner, dict):
            full[name] = _with_defaults("S3", inner)
    if "BufferingHints" not in document and (
        _is_on(full, "DataFormatConversionConfiguration") or _is_partitioned(full)
    ):
        full["BufferingHints"] = {"SizeInMBs": _COLUMNS_MB, "IntervalInSeconds": 300}
    return full


def _without_none(value: object) -> object:
    if isinstance(value, dict):
        return {name: _without_none(inner) for name, inner in value.items() if inner is not None}
    return value


def _is_on(document: Document, member: str) -> bool:
    held = document.get(member)
    return isinstance(held, dict) and bool(held.get("Enabled", member == "DataFormatConversionConfiguration"))


def _is_partitioned(document: Document) -> bool:
    return _is_on(document, "DynamicPartitioningConfiguration")


# What is refused


def _check(kind: DestinationKind, shape: Shape) -> None:
    match shape:
        case ExtendedS3():
            _check_extended(shape)
        case S3():
            _check_s3("S3DestinationConfiguration", shape)
        case _:
            check(kind, shape)
    for member, name in (("s3_configuration", "S3Configuration"), ("s3_backup_configuration", "S3BackupConfiguration")):
        inner = getattr(shape, member, None)
        if isinstance(inner, S3):
            _check_s3(f"{kind}DestinationConfiguration.{name}", inner)
    if getattr(shape, "s3_backup_mode", "") == "Enabled":
        _check_backup(getattr(shape, "s3_backup_configuration", None))


def check_hints(document: Document) -> None:
    """Raise INVALID where one of a pair of hints is given without the other."""
    for name, value in document.items():
        if name == "BufferingHints" and isinstance(value, dict) and len(value) == 1:
            # UNVERIFIED: wording; the API reference says that both are needed
            raise invalid("Both SizeInMBs and IntervalInSeconds must be specified in BufferingHints.")
        if isinstance(value, dict):
            check_hints(value)


def _check_backup(backup: S3 | None) -> None:
    if backup is None:  # UNVERIFIED: wording
        raise invalid("S3BackupConfiguration is required when S3BackupMode is Enabled.")
    if backup.buffering_hints.interval_in_seconds == 0:  # UNVERIFIED: wording
        raise invalid("S3BackupConfiguration does not support zero buffering: IntervalInSeconds must be at least 1.")


def _check_s3(path: str, s3: S3) -> Prefix:
    """Hold what every S3 configuration has against the rules; its prefix, read."""
    encryption = s3.encryption_configuration
    if (encryption.no_encryption_config is None) == (encryption.kms_encryption_config is None):  # UNVERIFIED: wording
        raise invalid(f"{path}: EncryptionConfiguration must have exactly one of its members.")
    try:
        check_codec(s3.compression_format)
        prefix = _prefix("Prefix", s3.prefix)
        if prefix.has_expressions and not s3.error_output_prefix:
            raise invalid("ErrorOutputPrefix cannot be null or empty when Prefix contains expressions")
        try:
            read_error_prefix(s3.error_output_prefix)
        except BadPrefix as problem:
            raise invalid(f"ErrorOutputPrefix {problem}") from None
    except MissingCodec as problem:
        raise invalid(str(problem)) from None
    if prefix.partition_keys and not isinstance(s3, ExtendedS3):  # UNVERIFIED: wording
        raise invalid("Prefix cannot contain partition keys when Dynamic Partitioning is not enabled.")
    return prefix


def _prefix(member: str, text: str) -> Prefix:
    try:
        return read_prefix(text)
    except BadPrefix as problem:
        raise invalid(f"{member} {problem}") from None


def _check_extended(s3: ExtendedS3) -> None:
    prefix = _check_s3("ExtendedS3DestinationConfiguration", s3)
    try:
        zone_of(s3.custom_time_zone)
    except ValueError as problem:
        raise invalid(f"CustomTimeZone: {problem}") from None
    if s3.file_extension and not re.fullmatch(r"\.[0-9a-z!\-_.*'()]+", s3.file_extension):
        raise invalid(f"FileExtension {s3.file_extension} is not valid.")
    if s3.data_format_conversion_configuration.enabled:
        _check_conversion(s3)
    if s3.dynamic_partitioning_configuration.enabled:
        _check_partitioning(s3, prefix)
    elif prefix.partition_keys:  # UNVERIFIED: wording
        raise invalid("Prefix cannot contain partition keys when Dynamic Partitioning is not enabled.")


def _check_conversion(s3: ExtendedS3) -> None:
    conversion = s3.data_format_conversion_configuration
    schema = conversion.schema_configuration
    if schema is None or not schema.database_name or not schema.table_name:  # UNVERIFIED: wording of all of these
        raise invalid(
            "SchemaConfiguration with DatabaseName and TableName is required when format conversion is enabled."
        )
    source, target = conversion.input_format_configuration, conversion.output_format_configuration
    reader = source.deserializer if source is not None else None
    writer = target.serializer if target is not None else None
    if reader is None or (reader.open_x_json_ser_de is None) == (reader.hive_json_ser_de is None):
        raise invalid("InputFormatConfiguration must have exactly one Deserializer when format conversion is enabled.")
    if writer is None or (writer.parquet_ser_de is None) == (writer.orc_ser_de is None):
        raise invalid("OutputFormatConfiguration must have exactly one Serializer when format conversion is enabled.")
    if s3.compression_format != "UNCOMPRESSED":
        raise invalid("CompressionFormat must be UNCOMPRESSED when data format conversion is enabled.")
    if s3.buffering_hints.size_in_mbs < _COLUMNS_MIN_MB:
        raise invalid(
            f"BufferingHints.SizeInMBs must be at least {_COLUMNS_MIN_MB} when data format conversion is enabled."
        )


def _check_partitioning(s3: ExtendedS3, prefix: Prefix) -> None:
    if not s3.error_output_prefix:
        raise invalid("ErrorOutputPrefix cannot be null or empty when Dynamic Partitioning is enabled")
    if s3.buffering_hints.size_in_mbs < _COLUMNS_MIN_MB:
        raise invalid(
            f"BufferingHints.SizeInMBs must be at least {_COLUMNS_MIN_MB} when Dynamic Partitioning is enabled."
        )
    types = active_processors(s3.processing_configuration)
    for namespace, processor in ((QUERY, "MetadataExtraction"), (LAMBDA, "Lambda")):
        if any(key.startswith(namespace) for key in prefix.partition_keys) and processor not in types:
            raise invalid(f"{processor} processor should be present when S3 Prefix has {namespace} namespace.")


def active_processors(processing: ProcessingConfiguration) -> list[str]:
    """The types of the processors that are on."""
    return [one.type for one in processing.processors] if processing.enabled else []


def _check_partitioning_stays(held: Shape, new: Shape) -> None:
    """Raise INVALID where an update turns dynamic partitioning on or off."""
    if isinstance(new, ExtendedS3):
        before = isinstance(held, ExtendedS3) and held.dynamic_partitioning_configuration.enabled
        if before != new.dynamic_partitioning_configuration.enabled:  # UNVERIFIED: wording
            raise invalid(
                "Dynamic Partitioning can only be enabled when a delivery stream is created, and not be disabled."
            )
