"""Event source mappings: create, get, list, update, delete."""

from collections.abc import Sequence
from typing import Any, Final

from msgspec.structs import replace

from penstock.core.arn import StreamArn, parse_stream_arn
from penstock.core.context import Caller
from penstock.core.errors import ServiceError
from penstock.core.ids import UUID_BYTES, Millis, uuid_text
from penstock.core.mapping_errors import MappingError
from penstock.services.functions.invoking import FunctionVersion
from penstock.services.functions.mapping.rows import place_of
from penstock.services.functions.mapping.service import Mappings
from penstock.services.functions.mapping.state import LanePlace, Mapping, ShardPlace
from penstock.services.functions.ops.mappingsettings import (
    COUNTS,
    REPORTS,
    Destination,
    DestinationConfig,
    Filter,
    FilterCriteria,
    MetricsConfig,
    Settings,
    with_settings,
)
from penstock.services.functions.ops.shapes import FunctionInput, FunctionOutput
from penstock.services.functions.ops.tag import checked_tags
from penstock.services.streams.course import StartingPosition, begin, link_of
from penstock.services.streams.directory import StreamView

PAGE_MAX: Final = 100
REASON: Final = "User action"


class CreateEventSourceMappingRequest(Settings, kw_only=True):
    """CreateEventSourceMapping."""

    function_name: str
    event_source_arn: str | None = None
    starting_position: StartingPosition | None = None
    starting_position_timestamp: Millis | None = None
    tags: dict[str, str] | None = None
    topics: list[str] | None = None
    queues: list[str] | None = None
    self_managed_event_source: dict[str, Any] | None = None


class EventSourceMapping(FunctionOutput, kw_only=True, omit_defaults=True):
    """A mapping, as every operation answers it."""

    uuid: str
    starting_position: StartingPosition
    starting_position_timestamp: Millis | None = None
    batch_size: int
    maximum_batching_window_in_seconds: int
    parallelization_factor: int
    event_source_arn: str
    function_arn: str
    filter_criteria: FilterCriteria | None = None
    kms_key_arn: str | None = None
    metrics_config: MetricsConfig | None = None
    last_modified: Millis
    last_processing_result: str
    state: str
    state_transition_reason: str
    destination_config: DestinationConfig
    maximum_record_age_in_seconds: int
    bisect_batch_on_function_error: bool
    maximum_retry_attempts: int
    tumbling_window_in_seconds: int
    function_response_types: list[str]
    event_source_mapping_arn: str


def mapping_arn(mapping: Mapping) -> str:
    """The ARN of a mapping."""
    return f"arn:aws:lambda:{mapping.region}:{mapping.account}:event-source-mapping:{mapping.uuid}"


def _shown(mappings: Mappings, mapping: Mapping) -> EventSourceMapping:
    policy = mapping.policy
    filters = [Filter(pattern=text) for text in policy.filters]
    return EventSourceMapping(
        uuid=mapping.uuid,
        starting_position=mapping.starting_position,
        starting_position_timestamp=mapping.starting_ms,
        batch_size=policy.batch_size,
        maximum_batching_window_in_seconds=policy.batching_window_s,
        parallelization_factor=policy.parallelization_factor,
        event_source_arn=mapping.source_arn,
        function_arn=mapping.function,
        filter_criteria=FilterCriteria(filters=filters) if filters else None,
        kms_key_arn=mapping.kms_key_arn,
        metrics_config=MetricsConfig(metrics=[COUNTS]) if mapping.counts_events else None,
        last_modified=mapping.modified_ms,
        last_processing_result=mappings.registry.result(mapping),
        state=mapping.state,
        state_transition_reason=REASON,
        destination_config=DestinationConfig(on_failure=Destination(destination=mapping.destination)),
        maximum_record_age_in_seconds=policy.record_age_max_s,
        bisect_batch_on_function_error=policy.bisect,
        maximum_retry_attempts=policy.retries_max,
        tumbling_window_in_seconds=policy.tumbling_window_s,
        function_response_types=[REPORTS] if policy.reports_items else [],
        event_source_mapping_arn=mapping_arn(mapping),
    )


async def create_event_source_mapping(
    mappings: Mappings, caller: Caller, request: CreateEventSourceMappingRequest
) -> EventSourceMapping:
    """Have a function be given the records of a stream."""
    _check_supported(request, ("topics", "queues", "self_managed_event_source"))
    arn = _source(caller, request.event_source_arn)
    version = _function(mappings, caller, request.function_name)
    kind = request.starting_position
    if kind is None:
        raise MappingError.POSITION_ABSENT()
    starting_ms = _starting_ms(mappings, kind, request.starting_position_timestamp)
    draft = with_settings(
        Mapping(
            uuid=uuid_text(mappings.entropy.bytes(UUID_BYTES)), account=caller.account, region=caller.region,
            source_arn=request.event_source_arn or "", function=version.arn, starting_position=kind,
            starting_ms=starting_ms, state="Creating", modified_ms=mappings.clock.now_ms(), tags=checked_tags({}, request.tags or {}),
        ),
        request,
    )  # fmt: skip
    view = _stream(mappings, arn, draft.source_arn)
    _check_role(mappings, version, draft.source_arn)
    mappings.registry.check_unique(draft)
    mapping, places = await _begun(mappings, draft, view)
    return _shown(mappings, await mappings.registry.create(mapping, places))


class MappingRequest(FunctionInput, kw_only=True):
    """An input that names a mapping."""

    uuid: str


class GetEventSourceMappingRequest(MappingRequest):
    """GetEventSourceMapping."""


async def get_event_source_mapping(
    mappings: Mappings, caller: Caller, request: GetEventSourceMappingRequest
) -> EventSourceMapping:
    """A mapping as it is now."""
    return _shown(mappings, mappings.registry.find(caller.account, caller.region, request.uuid))


class ListEventSourceMappingsRequest(FunctionInput):
    """ListEventSourceMappings."""

    event_source_arn: str | None = None
    function_name: str | None = None
    marker: str | None = None
    max_items: int = PAGE_MAX


class ListEventSourceMappingsResponse(FunctionOutput, kw_only=True):
    """A page of mappings."""

    next_marker: str | None = None
    event_source_mappings: Sequence[EventSourceMapping]


async def list_event_source_mappings(
    mappings: Mappings, caller: Caller, request: ListEventSourceMappingsRequest
) -> ListEventSourceMappingsResponse:
    """The mappings of a stream, of a function, or all."""
    found = mappings.registry.of(caller.account, caller.region)
    if request.event_source_arn is not None:
        found = [mapping for mapping in found if mapping.source_arn == request.event_source_arn]
    if request.function_name is not None:
        name = request.function_name
        found = [mapping for mapping in found if _is_of(mapping, name)]
    rest = [mapping for mapping in found if request.marker is None or mapping.uuid > request.marker]
    page = rest[: min(request.max_items, PAGE_MAX)]
    return ListEventSourceMappingsResponse(
        next_marker=page[-1].uuid if len(page) < len(rest) else None,
        event_source_mappings=[_shown(mappings, mapping) for mapping in page],
    )


class UpdateEventSourceMappingRequest(Settings, kw_only=True):
    """UpdateEventSourceMapping."""

    uuid: str


async def update_event_source_mapping(
    mappings: Mappings, caller: Caller, request: UpdateEventSourceMappingRequest
) -> EventSourceMapping:
    """Change a mapping; what is not given stays."""
    _check_supported(request, ())
    held = mappings.registry.find(caller.account, caller.region, request.uuid)
    changed = with_settings(held, request)
    if request.function_name is not None:
        version = _function(mappings, caller, request.function_name)
        _check_role(mappings, version, held.source_arn)
        changed = replace(changed, function=version.arn)
        mappings.registry.check_unique(changed)
    if changed.enabled == held.enabled:
        return _shown(mappings, await mappings.registry.change(changed, "Updating"))
    return _shown(mappings, await mappings.registry.change(changed, "Enabling" if changed.enabled else "Disabling"))


class DeleteEventSourceMappingRequest(MappingRequest):
    """DeleteEventSourceMapping."""


async def delete_event_source_mapping(
    mappings: Mappings, caller: Caller, request: DeleteEventSourceMappingRequest
) -> EventSourceMapping:
    """Take a mapping away, with how far it has come."""
    held = mappings.registry.find(caller.account, caller.region, request.uuid)
    shown = _shown(mappings, replace(held, state="Deleting"))
    await mappings.registry.change(held, "Deleting")
    return shown


# What is asked, checked (what it sets: mappingsettings.py).


def _check_supported(request: Settings, more: Sequence[str]) -> None:
    """Raise UNSUPPORTED for settings of sources that are no streams, and for those that Penstock has not."""
    names = (
        "logging_config", "scaling_config", "source_access_configurations", "amazon_managed_kafka_event_source_config",
        "self_managed_kafka_event_source_config", "document_db_event_source_config", "provisioned_poller_config", *more,
    )  # fmt: skip
    for name in names:
        if getattr(request, name):
            raise MappingError.UNSUPPORTED(name="".join(word.capitalize() for word in name.split("_")))


def _source(caller: Caller, arn: str | None) -> StreamArn:
    if arn is None:
        raise MappingError.SOURCE_ABSENT()
    try:
        parsed = parse_stream_arn(arn)
    except ServiceError:
        raise MappingError.SOURCE_UNKNOWN(arn=arn) from None
    if parsed.region != caller.region:
        raise MappingError.OTHER_REGION(arn=arn, region=caller.region)
    return parsed


def _stream(mappings: Mappings, arn: StreamArn, text: str) -> StreamView:
    view = mappings.streams.directory.find(arn.account, arn.region, arn.name)
    if view is None or view.stream.status in ("CREATING", "DELETING"):
        raise MappingError.STREAM_NOT_FOUND(arn=text)
    if arn.consumer is not None:
        name, _, created_s = arn.consumer.partition(":")
        held = view.consumers.get(name)
        if held is None or str(held.consumer.created_ms // 1000) != created_s:
            raise MappingError.CONSUMER_NOT_FOUND(arn=text)
    return view


def _function(mappings: Mappings, caller: Caller, text: str) -> FunctionVersion:
    try:
        return mappings.functions.find(caller.account, caller.region, text)
    except ServiceError as error:
        if error.code == "ResourceNotFoundException":
            raise MappingError.FUNCTION_NOT_FOUND() from None
        raise


def _starting_ms(mappings: Mappings, kind: StartingPosition, at_ms: Millis | None) -> Millis | None:
    if kind != "AT_TIMESTAMP":
        if at_ms is not None:
            raise MappingError.TIMESTAMP_UNWANTED()
        return None
    if at_ms is None:
        raise MappingError.TIMESTAMP_ABSENT()
    if at_ms > mappings.clock.now_ms():
        raise MappingError.TIMESTAMP_FUTURE()
    return at_ms


def _check_role(mappings: Mappings, version: FunctionVersion, source: str) -> None:
    refusal = None if mappings.judge is None else mappings.judge.why_not(version.role, source)
    if refusal is not None:
        raise refusal


def _is_of(mapping: Mapping, text: str) -> bool:
    """Whether a mapping's function is one that a name, partial or full ARN means."""
    return mapping.function == text or mapping.function.endswith(f":{text}") or mapping.function.split(":")[6] == text


async def _begun(mappings: Mappings, draft: Mapping, view: StreamView) -> tuple[Mapping, list[ShardPlace]]:
    """A mapping with its first checkpoints: with LATEST, the ends of the shards that are open now."""
    beginning = begin([link_of(held.shard) for held in view.shards.values()], draft.starting_position)
    uid = view.stream.uid
    places = []
    for no in beginning.first:
        tip = await mappings.streams.reader.tip(view, view.shards[no])
        places.append(ShardPlace(draft.uuid, uid, no, (LanePlace(place_of(tip)),)))
    return replace(draft, stream_uid=uid, since=beginning.since), places
