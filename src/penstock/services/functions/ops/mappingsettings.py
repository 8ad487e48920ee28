"""What inputs on event source mappings set: their members, checked, and what becomes of a mapping with them."""

from typing import Any, Final

from msgspec import field
from msgspec.structs import replace

from penstock.core.mapping_errors import MappingError
from penstock.services.functions.mapping.pattern import InvalidPattern, Pattern
from penstock.services.functions.mapping.state import Mapping, Policy
from penstock.services.functions.ops.shapes import FunctionInput, FunctionOutput

FILTERS_MAX: Final = 5  # UNVERIFIED: how more are refused; AWS raises it to 10 on request
RECORD_AGE_MIN_S: Final = 60
REPORTS: Final = "ReportBatchItemFailures"
COUNTS: Final = "EventCount"
DESTINATION_SERVICES: Final = ("sqs", "sns", "s3")


class Filter(FunctionOutput):
    """One filter."""

    pattern: str | None = None


class FilterCriteria(FunctionOutput):
    """Filters, any of which is to match."""

    filters: list[Filter] | None = None


class Destination(FunctionOutput):
    """Where something goes."""

    destination: str | None = None


class DestinationConfig(FunctionOutput):
    """Where what was given up goes."""

    on_success: Destination | None = None
    on_failure: Destination | None = None


class MetricsConfig(FunctionOutput):
    """Which further metrics there are."""

    metrics: list[str] | None = None


class Settings(FunctionInput, kw_only=True):
    """What may be set when a mapping is made, and later."""

    function_name: str | None = None
    enabled: bool | None = None
    batch_size: int | None = None
    filter_criteria: FilterCriteria | None = None
    kms_key_arn: str | None = None
    metrics_config: MetricsConfig | None = None
    maximum_batching_window_in_seconds: int | None = None
    parallelization_factor: int | None = None
    destination_config: DestinationConfig | None = None
    maximum_record_age_in_seconds: int | None = None
    bisect_batch_on_function_error: bool | None = None
    maximum_retry_attempts: int | None = None
    tumbling_window_in_seconds: int | None = None
    function_response_types: list[str] | None = None
    logging_config: dict[str, Any] | None = None
    scaling_config: dict[str, Any] | None = None
    source_access_configurations: list[dict[str, Any]] | None = None
    amazon_managed_kafka_event_source_config: dict[str, Any] | None = None
    self_managed_kafka_event_source_config: dict[str, Any] | None = None
    document_db_event_source_config: dict[str, Any] | None = field(default=None, name="DocumentDBEventSourceConfig")
    provisioned_poller_config: dict[str, Any] | None = None


def with_settings(mapping: Mapping, request: Settings) -> Mapping:
    """A mapping with what an input sets.  Raises the refusals of its values."""
    fields: dict[str, Any] = {"policy": _policy(mapping.policy, request)}
    if request.enabled is not None:
        fields["enabled"] = request.enabled
    if request.kms_key_arn is not None:
        fields["kms_key_arn"] = request.kms_key_arn or None
    if request.metrics_config is not None:
        fields["counts_events"] = COUNTS in (request.metrics_config.metrics or ())
    if request.destination_config is not None:
        fields["destination"] = _destination(request.destination_config)
    return replace(mapping, **fields)


def _policy(policy: Policy, request: Settings) -> Policy:
    given = {
        "batch_size": request.batch_size,
        "batching_window_s": request.maximum_batching_window_in_seconds,
        "parallelization_factor": request.parallelization_factor,
        "retries_max": request.maximum_retry_attempts,
        "record_age_max_s": request.maximum_record_age_in_seconds,
        "bisect": request.bisect_batch_on_function_error,
        "tumbling_window_s": request.tumbling_window_in_seconds,
    }
    fields: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    age_s = fields.get("record_age_max_s", -1)
    if -1 < age_s < RECORD_AGE_MIN_S:
        raise MappingError.RECORD_AGE(value=age_s)
    if request.function_response_types is not None:
        fields["reports_items"] = REPORTS in request.function_response_types
    if request.filter_criteria is not None:
        fields["filters"] = _filters(request.filter_criteria)
    return replace(policy, **fields)


def _filters(criteria: FilterCriteria) -> tuple[str, ...]:
    texts = tuple(each.pattern for each in criteria.filters or () if each.pattern is not None)
    if len(texts) > FILTERS_MAX:
        raise MappingError.FILTERS_MANY(limit=FILTERS_MAX)
    try:
        for text in texts:
            Pattern(text)
    except InvalidPattern:
        raise MappingError.FILTER() from None
    return texts


def _destination(config: DestinationConfig) -> str | None:
    if config.on_success is not None and config.on_success.destination:
        raise MappingError.ON_SUCCESS()
    arn = config.on_failure.destination if config.on_failure is not None else None
    if not arn:
        return None
    parts = arn.split(":")
    if len(parts) < 6 or parts[2] not in DESTINATION_SERVICES or not parts[-1]:
        raise MappingError.DESTINATION(arn=arn)
    return arn
