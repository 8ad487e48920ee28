"""GetMetricStatistics: figures of one metric."""

from collections.abc import Sequence
from typing import Final, Literal

from penstock.core.context import Caller
from penstock.core.ids import Millis
from penstock.core.limits import MINUTE_MS, STATISTICS_POINTS_MAX
from penstock.core.metric_errors import MetricError
from penstock.services.metrics.aggregate import Aggregate
from penstock.services.metrics.ops.shapes import Dimension, metric_of
from penstock.services.metrics.series import Place
from penstock.services.metrics.service import Metrics
from penstock.services.metrics.statistics import periods, statistic_of
from penstock.wire.operation import Input, Output

MINUTE_S: Final = MINUTE_MS // 1000


class MetricStatisticsRequest(Input, kw_only=True):
    """GetMetricStatistics."""

    namespace: str
    metric_name: str
    dimensions: Sequence[Dimension] = ()
    start_time: Millis
    end_time: Millis
    period: int
    statistics: Sequence[Literal["SampleCount", "Average", "Sum", "Minimum", "Maximum"]] = ()
    extended_statistics: Sequence[str] = ()
    unit: str | None = None


class Datapoint(Output, kw_only=True):
    """The figures of one period."""

    timestamp: Millis
    sample_count: float | None = None
    average: float | None = None
    sum: float | None = None
    minimum: float | None = None
    maximum: float | None = None
    unit: str
    extended_statistics: dict[str, float] | None = None


class MetricStatisticsAnswer(Output):
    """The figures of each period that has data; in order, which AWS does not promise."""

    label: str
    datapoints: list[Datapoint]


async def get_metric_statistics(
    metrics: Metrics, caller: Caller, request: MetricStatisticsRequest
) -> MetricStatisticsAnswer:
    """Tell the figures of a metric, of each unit by itself.

    Raises TIMES_EQUAL, TIMES_REVERSED, PERIOD, TOO_MANY_POINTS, NO_STATISTIC, BOTH_STATISTICS, STATISTIC.
    """
    _check(request)
    metric = metric_of(request.namespace, request.metric_name, request.dimensions)
    units = metrics.store.metrics(Place(caller.account, caller.region)).get(metric, {})
    start, end = request.start_time // MINUTE_MS, -(-request.end_time // MINUTE_MS)
    found: list[Datapoint] = []
    for unit, series in sorted(units.items()):
        if request.unit in (None, unit):
            minutes = await metrics.store.read([series], start, end)
            data = periods(minutes, start, request.period // MINUTE_S)
            found += [_datapoint(request, begin, each, unit) for begin, each in data.items()]
    return MetricStatisticsAnswer(label=request.metric_name, datapoints=sorted(found, key=lambda one: one.timestamp))


def _check(request: MetricStatisticsRequest) -> None:
    if request.start_time == request.end_time:
        raise MetricError.TIMES_EQUAL()
    if request.start_time > request.end_time:
        raise MetricError.TIMES_REVERSED()
    if request.period % MINUTE_S:
        raise MetricError.PERIOD()
    points = (request.end_time - request.start_time) // (request.period * 1000)
    if points > STATISTICS_POINTS_MAX:
        raise MetricError.TOO_MANY_POINTS(points=points, limit=STATISTICS_POINTS_MAX)
    if not request.statistics and not request.extended_statistics:
        raise MetricError.NO_STATISTIC()
    if request.statistics and request.extended_statistics:
        raise MetricError.BOTH_STATISTICS()
    for text in request.extended_statistics:
        if not text.startswith("p") or statistic_of(text) is None:
            raise MetricError.STATISTIC(value=text, parameter="ExtendedStatistics")


def _datapoint(request: MetricStatisticsRequest, begin: int, data: Aggregate, unit: str) -> Datapoint:
    told = {text: each(data) for text in request.statistics if (each := statistic_of(text)) is not None}
    ranked = {text: each(data) for text in request.extended_statistics if (each := statistic_of(text)) is not None}
    return Datapoint(
        timestamp=Millis(begin * MINUTE_MS),
        sample_count=told.get("SampleCount"),
        average=told.get("Average"),
        sum=told.get("Sum"),
        minimum=told.get("Minimum"),
        maximum=told.get("Maximum"),
        unit=unit,
        extended_statistics={text: value for text, value in ranked.items() if value is not None} if ranked else None,
    )
