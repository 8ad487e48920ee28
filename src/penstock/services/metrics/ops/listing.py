"""ListMetrics: which metrics there are."""

from collections.abc import Sequence
from typing import Final, Literal

import msgspec
import pybase64

from penstock.core.context import Caller
from penstock.core.ids import AccountId
from penstock.core.limits import HOUR_MS, LIST_METRICS_PAGE, METRIC_ACTIVE_MS, METRIC_LISTED_MS
from penstock.core.metric_errors import MetricError
from penstock.services.metrics.ops.shapes import MetricOutput, described
from penstock.services.metrics.series import Metric, Place
from penstock.services.metrics.service import Metrics
from penstock.wire.operation import Input, Output


class DimensionFilter(Input):
    """A dimension that a metric must have, of whatever value if none is given."""

    name: str
    value: str | None = None


class ListMetricsRequest(Input):
    """ListMetrics."""

    namespace: str | None = None
    metric_name: str | None = None
    dimensions: Sequence[DimensionFilter] = ()
    next_token: str | None = None
    recently_active: Literal["PT3H"] | None = None
    include_linked_accounts: bool = False
    owning_account: str | None = None


class MetricsAnswer(Output):
    """A page of metrics."""

    metrics: list[MetricOutput]
    next_token: str | None = None
    owning_accounts: list[str] | None = None


_TOKEN: Final = msgspec.msgpack.Decoder(tuple[str, str, tuple[tuple[str, str], ...]])


async def list_metrics(metrics: Metrics, caller: Caller, request: ListMetricsRequest) -> MetricsAnswer:
    """List the metrics of the caller's account and region that had data within two weeks.  Raises LIST_TOKEN."""
    now_ms = metrics.clock.now_ms()
    since_ms = now_ms - (METRIC_LISTED_MS if request.recently_active is None else METRIC_ACTIVE_MS)
    held = metrics.store.metrics(Place(caller.account, caller.region)) if _is_own(caller.account, request) else {}
    found = sorted(
        metric
        for metric, units in held.items()
        if _matches(metric, request) and max(one.hour for one in units.values()) >= since_ms // HOUR_MS
    )
    if request.next_token is not None:
        after = _read(request.next_token)
        found = [metric for metric in found if metric > after]
    page, more = found[:LIST_METRICS_PAGE], len(found) > LIST_METRICS_PAGE
    return MetricsAnswer(
        metrics=[described(metric) for metric in page],
        next_token=pybase64.b64encode_as_string(msgspec.msgpack.encode(page[-1])) if more else None,
        owning_accounts=[caller.account] * len(page) if request.include_linked_accounts else None,
    )


def _is_own(account: AccountId, request: ListMetricsRequest) -> bool:
    """Whether an account's own metrics are asked for; there are no linked accounts here."""
    return request.owning_account in (None, account)


def _matches(metric: Metric, request: ListMetricsRequest) -> bool:
    if request.namespace not in (None, metric.namespace) or request.metric_name not in (None, metric.name):
        return False
    dimensions = dict(metric.dimensions)
    return all(each.name in dimensions and each.value in (None, dimensions[each.name]) for each in request.dimensions)


def _read(token: str) -> Metric:
    try:
        return Metric(*_TOKEN.decode(pybase64.b64decode(token, validate=True)))
    except (ValueError, msgspec.MsgspecError):
        raise MetricError.LIST_TOKEN() from None
