"""What several operations take or answer."""

from collections.abc import Sequence

from penstock.services.metrics.series import Metric
from penstock.wire.operation import Input, Output


class Dimension(Input):
    """A dimension of a metric."""

    name: str
    value: str


class DimensionOutput(Output):
    """A dimension in an answer."""

    name: str
    value: str


class MetricOutput(Output):
    """A metric in an answer."""

    namespace: str
    metric_name: str
    dimensions: list[DimensionOutput]


def metric_of(namespace: str, name: str, dimensions: Sequence[Dimension]) -> Metric:
    """The metric that a request names."""
    return Metric.of(namespace, name, {each.name: each.value for each in dimensions})


def described(metric: Metric) -> MetricOutput:
    """A metric as answers carry it."""
    dimensions = [DimensionOutput(name=name, value=value) for name, value in metric.dimensions]
    return MetricOutput(namespace=metric.namespace, metric_name=metric.name, dimensions=dimensions)
