"""PutMetricData: what is taken in, and what of it is refused.

A request is taken whole or not at all.  High-resolution data (StorageResolution 1) is kept at one minute like all other; entities are
accepted, and what they say is not kept.
"""

import math
import re
from collections.abc import Iterator, Sequence
from typing import Final

from penstock.core import limits
from penstock.core.context import Caller
from penstock.core.errors import Error
from penstock.core.ids import Millis
from penstock.core.metric_errors import MetricError
from penstock.services.metrics.aggregate import Aggregate
from penstock.services.metrics.ops.shapes import Dimension, metric_of
from penstock.services.metrics.series import Place
from penstock.services.metrics.service import Metrics
from penstock.wire.operation import Codec, Input

LINES_MAX: Final = 100  # ours: how many complaints are told
RESERVED: Final = "AWS/"
_SMALLEST: Final = 1 / limits.METRIC_VALUE_MAX
_PLAIN = re.compile(r"[ -~]*[!-~][ -~]*")  # ASCII without control characters, and not only blanks

Complaint = tuple[MetricError, str]


class StatisticSet(Input):
    """Values that the client has aggregated."""

    sample_count: float
    sum: float
    minimum: float
    maximum: float


class MetricDatum(Input):
    """Data of one metric at one moment, in one of three forms."""

    metric_name: str
    dimensions: Sequence[Dimension] = ()
    timestamp: Millis | None = None
    value: float | None = None
    statistic_values: StatisticSet | None = None
    values: Sequence[float] = ()
    counts: Sequence[float] = ()
    unit: str = "None"
    storage_resolution: int = 60


class Entity(Input):
    """What the data is about."""

    key_attributes: dict[str, str] | None = None
    attributes: dict[str, str] | None = None


class EntityMetricData(Input):
    """Data about an entity."""

    entity: Entity | None = None
    metric_data: Sequence[MetricDatum] = ()


class PutMetricDataRequest(Input):
    """PutMetricData."""

    namespace: str
    metric_data: Sequence[MetricDatum] | None = None
    entity_metric_data: Sequence[EntityMetricData] = ()
    strict_entity_validation: bool = False


async def put_metric_data(metrics: Metrics, caller: Caller, request: PutMetricDataRequest) -> None:
    """Take data of metrics in.

    Raises VALUES, COMBINATIONS, MISSING, TOO_MANY_DATA, NAMESPACE_RESERVED, SERIES_FULL.
    """
    now_ms = metrics.clock.now_ms()
    data = list(_data(request))
    _check(request, data, now_ms)
    await metrics.store.admit(sum(len(datum.values) or 1 for _, datum in data))
    place, namespace, store = Place(caller.account, caller.region), request.namespace, metrics.store
    taken = [
        (store.series(place, metric_of(namespace, datum.metric_name, datum.dimensions), datum.unit), datum)
        for _, datum in data
    ]
    for series, datum in taken:
        store.record(series, now_ms if datum.timestamp is None else datum.timestamp, _aggregate(datum))


def _data(request: PutMetricDataRequest) -> Iterator[tuple[str, MetricDatum]]:
    """All data of a request, each with its path."""
    for number, datum in enumerate(request.metric_data or (), 1):
        yield f"MetricData.member.{number}", datum
    for entity, each in enumerate(request.entity_metric_data, 1):
        for number, datum in enumerate(each.metric_data, 1):
            yield f"EntityMetricData.member.{entity}.MetricData.member.{number}", datum


def _aggregate(datum: MetricDatum) -> Aggregate:
    data = Aggregate()
    if datum.value is not None:
        data.add(datum.value)
    elif datum.statistic_values is not None:
        stats = datum.statistic_values
        data.add_set(stats.sample_count, stats.sum, stats.minimum, stats.maximum)
    else:
        for value, count in zip(datum.values, datum.counts or [1.0] * len(datum.values), strict=True):
            if count:
                data.add(value, count)
    return data


# What is refused


def _check(request: PutMetricDataRequest, data: list[tuple[str, MetricDatum]], now_ms: int) -> None:
    if request.namespace.startswith(RESERVED):
        raise MetricError.NAMESPACE_RESERVED()
    if request.metric_data is None and not request.entity_metric_data:
        raise MetricError.MISSING(lines="The parameter MetricData is required.")
    if len(request.entity_metric_data) > limits.METRIC_ENTITIES_MAX:
        raise MetricError.VALUES(
            lines=f"The collection EntityMetricData must not have a size greater than {limits.METRIC_ENTITIES_MAX}."
        )
    if len(data) > limits.METRIC_DATA_MAX_COUNT:
        raise MetricError.TOO_MANY_DATA(limit=limits.METRIC_DATA_MAX_COUNT)
    complaints = [] if _PLAIN.fullmatch(request.namespace) else [_invalid(request.namespace, "Namespace")]
    for path, datum in data:
        complaints += _complaints(path, datum, now_ms)
        if len(complaints) >= LINES_MAX:
            break
    if complaints:
        raise complaints[0][0](lines="\n".join(line for _, line in complaints[:LINES_MAX]))


def _complaints(path: str, datum: MetricDatum, now_ms: int) -> Iterator[Complaint]:
    """What is wrong with a datum."""
    if datum.timestamp is not None:
        if datum.timestamp < now_ms - limits.METRIC_PAST_MS:
            yield MetricError.VALUES, f"The parameter {path}.Timestamp must specify a time within the past two weeks."
        elif datum.timestamp > now_ms + limits.METRIC_FUTURE_MS:  # UNVERIFIED: wording
            text = f"The parameter {path}.Timestamp must specify a time no more than two hours in the future."
            yield MetricError.VALUES, text
    if datum.storage_resolution not in (1, 60):  # UNVERIFIED: wording
        yield _invalid(datum.storage_resolution, f"{path}.StorageResolution")
    yield from _dimension_complaints(path, datum.dimensions)
    given = [name for name, value in _forms(datum) if value]
    if not given:  # UNVERIFIED: wording, since there are three
        text = (
            f"At least one of the parameters {path}.Value, {path}.Values or {path}.StatisticValues must be specified."
        )
        yield MetricError.MISSING, text
    elif len(given) > 1:
        text = f"The parameters {path}.{given[0]} and {path}.{given[1]} are mutually exclusive and you have specified both."
        yield MetricError.COMBINATIONS, text
    elif datum.value is not None:
        if not _is_kept(datum.value):
            yield _invalid(datum.value, f"{path}.Value")
    elif datum.statistic_values is not None:
        yield from _set_complaints(f"{path}.StatisticValues", datum.statistic_values)
    else:
        yield from _values_complaints(path, datum)


def _forms(datum: MetricDatum) -> tuple[tuple[str, bool], ...]:
    return (
        ("Value", datum.value is not None),
        ("Values", bool(datum.values or datum.counts)),
        ("StatisticValues", datum.statistic_values is not None),
    )


def _dimension_complaints(path: str, dimensions: Sequence[Dimension]) -> Iterator[Complaint]:
    seen: set[str] = set()
    for number, dimension in enumerate(dimensions, 1):
        where = f"{path}.Dimensions.member.{number}"
        if dimension.name.startswith(":") or not _PLAIN.fullmatch(dimension.name):
            yield _invalid(dimension.name, f"{where}.Name")
        if not _PLAIN.fullmatch(dimension.value):
            yield _invalid(dimension.value, f"{where}.Value")
        if dimension.name in seen:  # UNVERIFIED: that it is refused, and how
            yield MetricError.VALUES, f"No Metric may specify the same dimension name twice: {where}.Name"
        seen.add(dimension.name)


def _set_complaints(path: str, stats: StatisticSet) -> Iterator[Complaint]:
    fields = ("SampleCount", stats.sample_count), ("Sum", stats.sum)
    bounds = ("Minimum", stats.minimum), ("Maximum", stats.maximum)
    bad = [_invalid(value, f"{path}.{name}") for name, value in (*fields, *bounds) if not _is_kept(value)]
    yield from bad
    if bad:
        return
    if stats.maximum < stats.minimum:
        yield MetricError.VALUES, f"The parameter {path}.Maximum must be greater than {path}.Minimum."
    if stats.sample_count <= 0:
        yield MetricError.VALUES, f"The parameter {path}.SampleCount must be greater than 0."


def _values_complaints(path: str, datum: MetricDatum) -> Iterator[Complaint]:
    if len(datum.values) > limits.METRIC_VALUES_MAX:
        text = f"The collection {path}.Values must not have a size greater than {limits.METRIC_VALUES_MAX}."
        yield MetricError.VALUES, text
    elif datum.counts and len(datum.counts) != len(datum.values):
        yield MetricError.VALUES, f"The parameters {path}.Values and {path}.Counts must be of the same size."
    else:
        for number, value in enumerate(datum.values, 1):
            if not _is_kept(value):
                yield _invalid(value, f"{path}.Values.member.{number}")
        for number, count in enumerate(datum.counts, 1):
            if count < 0 or not _is_kept(count):
                yield _invalid(count, f"{path}.Counts.member.{number}")
        if datum.counts and not any(datum.counts):  # UNVERIFIED: that it is refused
            yield _invalid(0, f"{path}.Counts")


def _is_kept(value: float) -> bool:
    """Whether a value is a number that is neither too large nor too small."""
    return value == 0 or _SMALLEST <= abs(value) <= limits.METRIC_VALUE_MAX


def _invalid(value: float | str, parameter: str) -> Complaint:
    return MetricError.VALUES, f"The value {_told(value)} for parameter {parameter} is invalid."


def _told(value: float | str) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return str(value)


def _check_size(body: bytes) -> None:
    if len(body) > limits.METRIC_DATA_MAX_BYTES:
        raise Error.BODY_TOO_LARGE(limit_bytes=limits.METRIC_DATA_MAX_BYTES)


CODEC: Final = Codec(decode=dict.fromkeys(("json", "rpc", "query"), _check_size))
