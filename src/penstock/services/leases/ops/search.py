"""Query and Scan."""

from typing import Literal

from penstock.core.context import Caller
from penstock.core.lease_errors import LeaseError
from penstock.services.leases.conditions import Condition
from penstock.services.leases.conditiontext import parse_condition
from penstock.services.leases.grammar import Substitutions
from penstock.services.leases.legacy import comparison, filtering
from penstock.services.leases.ops.asked import (
    READ_UNIT_BYTES,
    CapacityAsked,
    Conditional,
    LegacyCondition,
    Request,
    ReturnsCapacity,
    capacity,
    check_language,
    comparisons,
    projection,
    substitutions,
)
from penstock.services.leases.ops.attributes import Attributes, read_item, write_item
from penstock.services.leases.ops.describing import parameters
from penstock.services.leases.ops.item import shown
from penstock.services.leases.paths import Path
from penstock.services.leases.reading import (
    Page,
    Source,
    Span,
    key_span,
    names_in,
    read_page,
    segment_span,
    split_key_condition,
    start_row,
)
from penstock.services.leases.service import Leases

Select = Literal["ALL_ATTRIBUTES", "ALL_PROJECTED_ATTRIBUTES", "SPECIFIC_ATTRIBUTES", "COUNT"]


class Search(Request, kw_only=True):
    """What Query and Scan have in common."""

    index_name: str | None = None
    attributes_to_get: list[str] | None = None
    limit: int | None = None
    select: Select | None = None
    conditional_operator: Conditional | None = None
    exclusive_start_key: Attributes | None = None
    return_consumed_capacity: CapacityAsked = "NONE"
    projection_expression: str | None = None
    filter_expression: str | None = None
    expression_attribute_names: dict[str, str] | None = None
    expression_attribute_values: Attributes | None = None
    consistent_read: bool = False


class FoundAnswer(ReturnsCapacity, kw_only=True):
    """A page of items."""

    items: list[Attributes] | None = None
    count: int
    scanned_count: int
    last_evaluated_key: Attributes | None = None


class QueryRequest(Search, kw_only=True):
    """Query."""

    key_conditions: dict[str, LegacyCondition] | None = None
    query_filter: dict[str, LegacyCondition] | None = None
    scan_index_forward: bool = True
    key_condition_expression: str | None = None


async def query(leases: Leases, caller: Caller, request: QueryRequest) -> FoundAnswer:
    """Read the items of one hash key, in the order of their range keys."""
    _check_languages(
        request,
        {"KeyConditionExpression": request.key_condition_expression},
        {"QueryFilter": request.query_filter, "KeyConditions": request.key_conditions},
    )
    given = substitutions(
        {"KeyConditionExpression": request.key_condition_expression, **_expressions(request)},
        request.expression_attribute_names,
        request.expression_attribute_values,
    )
    asked: list[Condition] | None = None
    if request.key_condition_expression is not None:
        read = parse_condition("KeyConditionExpression", request.key_condition_expression, given)
        asked = split_key_condition(read)
    wanted = _filter(request.filter_expression, request.query_filter, request.conditional_operator, given)
    paths = projection(request.projection_expression, request.attributes_to_get, given)
    given.check_used()
    if request.key_conditions is not None:
        asked = [comparison(name, each) for name, each in comparisons(request.key_conditions).items()]
    if not asked:
        raise LeaseError.KEY_CONDITIONS_NEEDED()
    if len(asked) > 2:
        raise LeaseError.KEY_CONDITIONS_MAX()
    source = _source(leases, caller, request)
    _check_select(request, source, paths)
    if wanted is not None:
        for name in source.schema.names:
            if name in names_in(wanted):
                raise LeaseError.FILTER_ON_KEY(name=name)
    return _found(request, source, key_span(source.schema, asked), wanted, paths, forward=request.scan_index_forward)


class ScanRequest(Search, kw_only=True):
    """Scan."""

    scan_filter: dict[str, LegacyCondition] | None = None
    total_segments: int | None = None
    segment: int | None = None


async def scan(leases: Leases, caller: Caller, request: ScanRequest) -> FoundAnswer:
    """Read all items of a table or index, or a segment of them, in the order of their hash keys' hashes."""
    _check_languages(request, {}, {"ScanFilter": request.scan_filter})
    segment, total = _segment(request)
    given = substitutions(
        _expressions(request), request.expression_attribute_names, request.expression_attribute_values
    )
    wanted = _filter(request.filter_expression, request.scan_filter, request.conditional_operator, given)
    paths = projection(request.projection_expression, request.attributes_to_get, given)
    given.check_used()
    source = _source(leases, caller, request)
    _check_select(request, source, paths)
    return _found(request, source, segment_span(segment, total), wanted, paths, forward=True)


def _segment(request: ScanRequest) -> tuple[int, int]:
    match request.segment, request.total_segments:
        case None, None:
            return 0, 1
        case int(), None:
            raise LeaseError.SEGMENTS_NEEDED()
        case None, int():
            raise LeaseError.SEGMENT_NEEDED()
        case int(segment), int(total):
            if segment >= total:
                raise LeaseError.SEGMENT_RANGE(segment=segment, total=total)
            return segment, total
    raise AssertionError("there is no other case")


def _expressions(request: Search) -> dict[str, str | None]:
    return {"FilterExpression": request.filter_expression, "ProjectionExpression": request.projection_expression}


def _check_languages(request: Search, modern: dict[str, object], old: dict[str, object]) -> None:
    check_language(
        {**_expressions(request), **modern},
        {
            "AttributesToGet": request.attributes_to_get,
            **old,
            "ConditionalOperator": request.conditional_operator,
        },
    )


def _filter(
    text: str | None, legacy: dict[str, LegacyCondition] | None, operator: Conditional | None, given: Substitutions
) -> Condition | None:
    if text is not None:
        return parse_condition("FilterExpression", text, given)
    if not legacy and operator is None:
        return None
    return filtering(comparisons(legacy or {}), operator)


def _source(leases: Leases, caller: Caller, request: Search) -> Source:
    """What is read.  Raises NO_TABLE, NO_INDEX, INDEX_BACKFILLING, INDEX_CONSISTENT."""
    table = leases.table(caller, request.table_name)
    if request.index_name is None:
        return Source(table, None)
    view = table.indexes.get(request.index_name)
    if view is None:
        raise LeaseError.NO_INDEX(index=request.index_name)
    if view.index.is_global and request.consistent_read:
        raise LeaseError.INDEX_CONSISTENT()
    if leases.clock.now_ms() < view.index.ready_ms:
        raise LeaseError.INDEX_BACKFILLING(index=request.index_name)
    return Source(table, view)


def _check_select(request: Search, source: Source, paths: list[Path] | None) -> None:
    index = None if source.via is None else source.via.index
    parameter = "AttributesToGet" if request.attributes_to_get is not None else "ProjectionExpression"
    match request.select:
        case "SPECIFIC_ATTRIBUTES" if paths is None:
            raise LeaseError.SELECT_SPECIFIC()
        case None | "SPECIFIC_ATTRIBUTES":
            pass
        case select if paths is not None:
            raise LeaseError.SELECT_WITH_PROJECTION(parameter=parameter, select=select)
        case "ALL_PROJECTED_ATTRIBUTES" if index is None:
            raise LeaseError.SELECT_PROJECTED()
        case "ALL_ATTRIBUTES" if index is not None and index.is_global and index.projection != "ALL":
            raise LeaseError.INDEX_NOT_ALL(index=index.name)
    if index is not None and index.is_global and index.projection != "ALL" and paths is not None:
        had = {*source.key_names, *index.included}
        lacking = sorted({str(path[0]) for path in paths} - had)
        if lacking:
            raise parameters(f"Global secondary index {index.name} does not project [{', '.join(lacking)}]")


def _found(
    request: Search, source: Source, span: Span, wanted: Condition | None, paths: list[Path] | None, *, forward: bool
) -> FoundAnswer:
    start = None
    if request.exclusive_start_key is not None:
        start = start_row(source, span, read_item(request.exclusive_start_key))
    page = read_page(source, span, start, forward=forward, limit=request.limit, wanted=wanted)
    used = capacity(
        request.return_consumed_capacity, source.table.table.name, page.size_bytes, READ_UNIT_BYTES,
        half=not request.consistent_read,
    )  # fmt: skip
    return FoundAnswer(
        items=None if request.select == "COUNT" else _shown(request, source, page, paths),
        count=len(page.items),
        scanned_count=page.scanned,
        last_evaluated_key=None if page.last is None else write_item(page.last),
        consumed_capacity=used,
    )


def _shown(request: Search, source: Source, page: Page, paths: list[Path] | None) -> list[Attributes]:
    items = page.items
    if source.via is not None and paths is None and request.select != "ALL_ATTRIBUTES":
        items = [source.via.projected(source.table.schema, item) for item in items]
    return [write_item(shown(item, paths)) for item in items]
