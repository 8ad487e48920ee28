"""Plans: what a runner needs to know of a configuration, whatever its destination.

Rules of this file: pure.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from penstock.core.limits import MIB, SECOND_MS
from penstock.services.firehose.destinations.shapes import Snowflake, Splunk
from penstock.services.firehose.shapes import (
    S3,
    CloudWatchLoggingOptions,
    ExtendedS3,
    ProcessingConfiguration,
    Processor,
    Shape,
)

_BACKUP_ON: Final = frozenset({"Enabled", "AllDocuments", "AllData", "AllEvents"})
_LAMBDA_BYTES: Final = MIB
_LAMBDA_SMALL_BYTES: Final = 256 * 1024  # of Splunk and Snowflake
_LAMBDA_INTERVAL_S: Final = 60
_LAMBDA_QUICK_S: Final = 30  # of Snowflake


class Intake(NamedTuple):
    """How much goes through the steps at once."""

    size_bytes: int
    interval_ms: int


class Plan(NamedTuple):
    """What is the same for all destinations."""

    errors: S3  # whose error prefix is used
    backup: S3 | None
    logging: CloudWatchLoggingOptions
    processing: ProcessingConfiguration
    intake: Intake | None  # None: no steps


def plan_of(shape: Shape) -> Plan:
    """The plan of a destination."""
    errors = shape if isinstance(shape, S3) else getattr(shape, "s3_configuration", None)
    assert isinstance(errors, S3), "every destination has an S3 configuration"
    processing = getattr(shape, "processing_configuration", ProcessingConfiguration())
    active = processing.processors if processing.enabled else ()
    return Plan(
        errors=errors,
        backup=_backup(shape, errors),
        logging=getattr(shape, "cloudwatch_logging_options", CloudWatchLoggingOptions()),
        processing=processing,
        intake=_intake(shape, active) if active else None,
    )


def _backup(shape: Shape, errors: S3) -> S3 | None:
    """Where source records go, if they are backed up."""
    if getattr(shape, "s3_backup_mode", "") not in _BACKUP_ON:
        return None
    if isinstance(shape, ExtendedS3) or hasattr(shape, "s3_backup_configuration"):
        return getattr(shape, "s3_backup_configuration", None)
    return errors  # UNVERIFIED: that AllDocuments, AllData and AllEvents keep records as they came, not as they were delivered


def _intake(shape: Shape, processors: Sequence[Processor]) -> Intake:
    found = next((one for one in processors if one.type == "Lambda"), None)
    if found is None:
        return Intake(MIB, 0)
    small = isinstance(shape, Splunk | Snowflake)
    size = found.get("BufferSizeInMBs")
    interval = found.get("BufferIntervalInSeconds")
    default_s = _LAMBDA_QUICK_S if isinstance(shape, Snowflake) else _LAMBDA_INTERVAL_S
    default_bytes = _LAMBDA_SMALL_BYTES if small else _LAMBDA_BYTES
    return Intake(
        default_bytes if size is None else round(float(size) * MIB),
        (default_s if interval is None else int(interval)) * SECOND_MS,
    )
