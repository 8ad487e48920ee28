"""GetMetricData: statistics of metrics, and what expressions make of them, in pages.

Theory.  What is asked for is worked out one query after the other, and only until the page is full; a page's token says where the next
begins: the query, which of its results, and the period.  It is bound to its request by a checksum.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Literal
from zlib import crc32

import msgspec
import pybase64

from penstock.core import limits
from penstock.core.context import Caller
from penstock.core.ids import Millis
from penstock.core.limits import MINUTE_MS
from penstock.core.metric_errors import MetricError
from penstock.services.metrics.expression import BadExpression, Line, Node, Scope, Value, parse
from penstock.services.metrics.ops.shapes import Dimension, metric_of
from penstock.services.metrics.series import Place
from penstock.services.metrics.service import Metrics
from penstock.services.metrics.statistics import periods, points, statistic_of
from penstock.wire.operation import Input, Output

MINUTE_S: Final = MINUTE_MS // 1000
_ID = re.compile(r"[a-z][a-zA-Z0-9_]*", re.ASCII)
_TIMEZONE = re.compile(r"[+-]\d{4}", re.ASCII)


class Metric(Input):
    """A metric."""

    namespace: str | None = None
    metric_name: str | None = None
    dimensions: Sequence[Dimension] = ()


class MetricStat(Input):
    """A statistic of a metric."""

    metric: Metric
    period: int
    stat: str
    unit: str | None = None


class MetricDataQuery(Input):
    """A statistic or an expression, under an id."""

    id: str
    metric_stat: MetricStat | None = None
    expression: str | None = None
    label: str | None = None
    return_data: bool = True
    period: int | None = None
    account_id: str | None = None


class LabelOptions(Input):
    """How labels are made; ours name no time."""

    timezone: str | None = None


class MetricDataRequest(Input):
    """GetMetricData."""

    metric_data_queries: Sequence[MetricDataQuery]
    start_time: Millis
    end_time: Millis
    next_token: str | None = None
    scan_by: Literal["TimestampDescending", "TimestampAscending"] = "TimestampDescending"
    max_datapoints: int = limits.METRIC_POINTS_MAX
    label_options: LabelOptions | None = None


class MetricDataResult(Output):
    """The points of one result, or those that the page has room for."""

    id: str
    label: str
    timestamps: list[Millis]
    values: list[float]
    status_code: Literal["Complete", "PartialData"]


class MetricDataAnswer(Output):
    """A page of results."""

    metric_data_results: list[MetricDataResult]
    next_token: str | None = None


class _Cursor(msgspec.Struct, frozen=True, array_like=True):
    """Where a page begins."""

    request: int  # checksum
    query: int  # among those whose data is returned
    result: int  # among the query's: an expression may have several
    minute: int | None  # of the first point; None: the first of all


async def get_metric_data(metrics: Metrics, caller: Caller, request: MetricDataRequest) -> MetricDataAnswer:
    """Tell statistics of metrics.  Raises QUERIES, EXPRESSION, TOKEN."""
    _check(caller, request)
    mark = _mark(request)
    cursor = _Cursor(mark, 0, 0, None) if request.next_token is None else _read(request.next_token, mark)
    work = _Work(metrics, caller, request)
    returned = [query for query in request.metric_data_queries if query.return_data]
    room, results = request.max_datapoints, list[MetricDataResult]()
    for number, query in enumerate(returned[cursor.query :], cursor.query):
        begin = cursor if number == cursor.query else _Cursor(mark, number, 0, None)
        lines = await work.lines(query)
        for place, line in enumerate(lines[begin.result :], begin.result):
            told = _ordered(request, line, begin.minute if place == begin.result else None)
            results.append(_result(query, line, told[:room], complete=len(told) <= room))
            if len(told) > room:
                rest = _Cursor(mark, number, place, told[room][0])
                return MetricDataAnswer(metric_data_results=results, next_token=_token(rest))
            room -= len(told)
    return MetricDataAnswer(metric_data_results=results)


def _ordered(request: MetricDataRequest, line: Line, first: int | None) -> list[tuple[int, float]]:
    """The points of a line from a minute on, in the order that was asked for."""
    if request.scan_by == "TimestampAscending":
        return [each for each in sorted(line.points.items()) if first is None or each[0] >= first]
    return [each for each in sorted(line.points.items(), reverse=True) if first is None or each[0] <= first]


def _result(
    query: MetricDataQuery, line: Line, told: Sequence[tuple[int, float]], *, complete: bool
) -> MetricDataResult:
    return MetricDataResult(
        id=query.id,
        label=line.label if query.label is None else query.label,
        timestamps=[Millis(minute * MINUTE_MS) for minute, _ in told],
        values=[value for _, value in told],
        status_code="Complete" if complete else "PartialData",
    )


class _Work:
    """Works out the queries of one request."""

    def __init__(self, metrics: Metrics, caller: Caller, request: MetricDataRequest) -> None:
        self._store = metrics.store
        self._metrics = metrics.store.metrics(Place(caller.account, caller.region))
        self._start = request.start_time // MINUTE_MS
        self._end = -(-request.end_time // MINUTE_MS)
        self._queries = {query.id: query for query in request.metric_data_queries}
        self._parsed: dict[str, tuple[Node, frozenset[str]]] = {}
        self._known: dict[str, Value] = {}  # what expressions have asked for
        self._points = 0  # in it

    async def lines(self, query: MetricDataQuery) -> list[Line]:
        """The results of a query.  Raises EXPRESSION."""
        if query.metric_stat is not None:
            return [await self._statistic(query, query.metric_stat)]
        for needed in self._order(query):
            if needed.metric_stat is not None:
                self._keep(query, needed.id, await self._statistic(needed, needed.metric_stat))
            else:
                self._keep(query, needed.id, self._worked_out(needed))
        value = self._known[query.id]
        if isinstance(value, float):
            raise _bad(query, "it makes a number, and not a time series")
        lines = value if isinstance(value, list) else [value]
        return [line if isinstance(value, list) else line._replace(label=query.id) for line in lines]

    async def _statistic(self, query: MetricDataQuery, stat: MetricStat) -> Line:
        given, statistic = stat.metric, statistic_of(stat.stat)
        assert statistic is not None, "it was checked"
        metric = metric_of(given.namespace or "", given.metric_name or "", given.dimensions)
        units = self._metrics.get(metric, {})
        # UNVERIFIED: that data of all units is one where none is asked for
        series = [one for unit, one in units.items() if stat.unit in (None, unit)]
        length = stat.period // MINUTE_S
        data = periods(await self._store.read(series, self._start, self._end), self._start, length)
        return Line(points(data, statistic), self._start, self._end, length, query.label or metric.name)

    def _keep(self, query: MetricDataQuery, name: str, value: Value) -> None:
        lines = [value] if isinstance(value, Line) else value if isinstance(value, list) else []
        self._points += sum(len(line.points) for line in lines)
        if self._points > limits.MATH_POINTS_MAX:
            raise _bad(query, f"it needs more than {limits.MATH_POINTS_MAX:,} data points")
        self._known[name] = value

    def _parse(self, query: MetricDataQuery) -> tuple[Node, frozenset[str]]:
        found = self._parsed.get(query.id)
        if found is None:
            try:
                found = self._parsed[query.id] = parse(query.expression or "")
            except BadExpression as problem:
                raise _bad(query, str(problem)) from None
        return found

    def _order(self, query: MetricDataQuery) -> list[MetricDataQuery]:
        """The queries that an expression rests on, and itself, each after what it rests on; without those that are known."""
        order: dict[str, MetricDataQuery] = {}
        path: list[tuple[MetricDataQuery, Iterator[MetricDataQuery]]] = [(query, self._needs(query))]
        open_ids = {query.id}
        while path:
            current, needs = path[-1]
            needed = next(needs, None)
            if needed is None:
                order[current.id] = current
                open_ids.discard(current.id)
                path.pop()
            elif needed.id in open_ids:
                raise _bad(query, f"{needed.id} rests on itself")
            elif needed.id not in order and needed.id not in self._known:
                open_ids.add(needed.id)
                path.append((needed, self._needs(needed)))
        return [each for each in order.values() if each.id not in self._known]

    def _needs(self, query: MetricDataQuery) -> Iterator[MetricDataQuery]:
        if query.metric_stat is not None:
            return
        for name in sorted(self._parse(query)[1]):
            if not name:
                yield from (each for each in self._queries.values() if each.metric_stat is not None)
            elif name in self._queries:
                yield self._queries[name]
            else:
                raise _bad(query, f"there is no {name}")

    def _worked_out(self, query: MetricDataQuery) -> Value:
        scope = Scope(self._known.__getitem__, self._statistics)
        try:
            return self._parse(query)[0](scope)
        except BadExpression as problem:
            raise _bad(query, str(problem)) from None
        except OverflowError:
            raise _bad(query, "a number is too large") from None

    def _statistics(self, part: str) -> list[Line]:
        """The statistics that are asked for under ids that hold a text."""
        known = ((query, self._known[name]) for name, query in self._queries.items() if query.metric_stat is not None)
        return [value for query, value in known if part in query.id and isinstance(value, Line)]


def _bad(query: MetricDataQuery, problem: str) -> Exception:
    return MetricError.EXPRESSION(id=query.id, problem=problem)


# What is refused


def _check(caller: Caller, request: MetricDataRequest) -> None:
    complaints = [*_request_complaints(request)]
    for number, query in enumerate(request.metric_data_queries, 1):
        complaints += _complaints(f"MetricDataQueries.member.{number}", query, caller)
    ids = [query.id for query in request.metric_data_queries]
    if len({*ids}) < len(ids):
        complaints.append("The values for parameter id in MetricDataQueries are not unique.")
    if complaints:
        raise MetricError.QUERIES(lines="\n".join(complaints))


def _request_complaints(request: MetricDataRequest) -> Iterator[str]:
    count = len(request.metric_data_queries)
    if count > limits.METRIC_QUERIES_MAX:
        yield f"The collection MetricDataQueries must not have a size greater than {limits.METRIC_QUERIES_MAX}."
    if not count:
        yield "The collection MetricDataQueries must not have a size less than 1."  # UNVERIFIED: wording
    if request.start_time == request.end_time:
        yield "The parameter StartTime must not equal parameter EndTime."
    if request.start_time > request.end_time:
        yield "The parameter StartTime must be less than the parameter EndTime."
    if not 1 <= request.max_datapoints <= limits.METRIC_POINTS_MAX:  # UNVERIFIED: wording
        yield f"The parameter MaxDatapoints must be between 1 and {limits.METRIC_POINTS_MAX}."
    zone = None if request.label_options is None else request.label_options.timezone
    if zone is not None and not _TIMEZONE.fullmatch(zone):  # UNVERIFIED: wording
        yield f"The value {zone} for parameter LabelOptions.Timezone is invalid."


def _complaints(path: str, query: MetricDataQuery, caller: Caller) -> Iterator[str]:
    if not _ID.fullmatch(query.id):
        yield f"The value for parameter {path}.Id is not matching the expected pattern ^[a-z][a-zA-Z0-9_]*$."
    if query.account_id not in (None, caller.account):  # UNVERIFIED: wording; there are no linked accounts
        yield f"The value {query.account_id} for parameter {path}.AccountId is invalid."
    stat = query.metric_stat
    if stat is None and query.expression is None:  # UNVERIFIED: wording
        yield f"At least one of the parameters {path}.Expression or {path}.MetricStat must be specified."
    if stat is None:
        return
    for name, given in (("Expression", query.expression), ("Period", query.period)):
        if given is not None:
            yield f"The parameters {path}.{name} and {path}.MetricStat are mutually exclusive and you have specified both."
    for name, text in (("Namespace", stat.metric.namespace), ("MetricName", stat.metric.metric_name)):
        if text is None:
            yield f"The parameter {path}.MetricStat.Metric.{name} is required."
    if stat.period % MINUTE_S:  # UNVERIFIED: wording; AWS takes 1, 5, 10, 20 and 30 too
        yield f"The parameter {path}.MetricStat.Period must be a multiple of 60."
    if statistic_of(stat.stat) is None:
        yield f"The value {stat.stat} for parameter {path}.MetricStat.Stat is not supported."


# Tokens


def _mark(request: MetricDataRequest) -> int:
    """What tells a request from others; a page may have another size."""
    told: Mapping[str, object] = msgspec.to_builtins(request)
    return crc32(msgspec.json.encode({**told, "NextToken": None, "MaxDatapoints": None}))


def _token(cursor: _Cursor) -> str:
    return pybase64.b64encode_as_string(msgspec.msgpack.encode(cursor))


def _read(token: str, mark: int) -> _Cursor:
    try:
        cursor = msgspec.msgpack.decode(pybase64.b64decode(token, validate=True), type=_Cursor)
    except (ValueError, msgspec.MsgspecError):
        raise MetricError.TOKEN() from None
    if cursor.request != mark or min(cursor.query, cursor.result) < 0:
        raise MetricError.TOKEN()
    return cursor
