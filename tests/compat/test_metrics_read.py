"""What was put is read by boto3, in each protocol: statistics, expressions, lists, page by page."""

from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError
from metric_clients import PROTOCOLS, client_of

from penstock.testing import PenstockServer

HOUR_S = 3600
DIMENSIONS = [{"Name": "Host", "Value": "a"}]


@pytest.fixture(params=PROTOCOLS)
def cloudwatch(penstock: PenstockServer, request: pytest.FixtureRequest) -> Any:
    return client_of(penstock, request.param)


@pytest.fixture
def start(penstock: PenstockServer) -> datetime:
    """The beginning of the hour before last."""
    return datetime.fromtimestamp((penstock.clock.now_ms // 1000 // HOUR_S - 2) * HOUR_S, UTC)


def at(start: datetime, minutes: float) -> datetime:
    return datetime.fromtimestamp(start.timestamp() + minutes * 60, UTC)


def put(cloudwatch: Any, start: datetime, values: dict[float, list[float]], name: str = "Latency", **more: Any) -> None:
    """Put the values of some minutes."""
    data = [
        {"MetricName": name, "Timestamp": at(start, minute), "Values": each, **more} for minute, each in values.items()
    ]
    cloudwatch.put_metric_data(Namespace="App", MetricData=data)


def statistics(cloudwatch: Any, start: datetime, minutes: float = 60, **more: Any) -> list[Any]:
    wanted = {"Namespace": "App", "MetricName": "Latency", "Period": 60, "Statistics": ["Sum"], **more}
    wanted = {name: value for name, value in wanted.items() if value is not None}
    answer = cloudwatch.get_metric_statistics(StartTime=start, EndTime=at(start, minutes), **wanted)
    assert answer["Label"] == "Latency"
    found: list[Any] = answer["Datapoints"]
    return found


def stat(name: str, statistic: str = "Sum", period: int = 60, query: str | None = None, **more: Any) -> dict[str, Any]:
    metric = {"Namespace": "App", "MetricName": name}
    return {"Id": query or name.lower(), "MetricStat": {"Metric": metric, "Period": period, "Stat": statistic}, **more}


def data(cloudwatch: Any, start: datetime, *queries: Any, minutes: float = 60, **more: Any) -> dict[str, Any]:
    answer = cloudwatch.get_metric_data(
        MetricDataQueries=list(queries), StartTime=start, EndTime=at(start, minutes), **more
    )
    return {each["Id"]: each for each in answer["MetricDataResults"]}


def points(result: Any, start: datetime) -> dict[int, float]:
    """The values of a result by minute after the start, in its order."""
    minutes = [round((moment - start).total_seconds() / 60) for moment in result["Timestamps"]]
    return dict(zip(minutes, result["Values"], strict=True))


def refused(call: Any, *arguments: Any, **more: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(*arguments, **more)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def test_statistics_when_data_was_put_then_all_five_are_told(cloudwatch: Any, start: datetime) -> None:
    put(cloudwatch, start, {0: [1, 2.5], 3: [4]}, Unit="Milliseconds")
    every = ["SampleCount", "Average", "Sum", "Minimum", "Maximum"]
    assert statistics(cloudwatch, start, Statistics=every) == [
        {"Timestamp": start, "SampleCount": 2, "Average": 1.75, "Sum": 3.5, "Minimum": 1, "Maximum": 2.5, "Unit": "Milliseconds"},
        {"Timestamp": at(start, 3), "SampleCount": 1, "Average": 4, "Sum": 4, "Minimum": 4, "Maximum": 4, "Unit": "Milliseconds"},
    ]  # fmt: skip


def test_statistics_when_data_was_stored_and_more_came_then_both_are_told(
    penstock: PenstockServer, cloudwatch: Any, start: datetime
) -> None:
    put(cloudwatch, start, {0: [1]})
    penstock.clock.advance(seconds=31)
    put(cloudwatch, start, {0.5: [2]})
    assert [each["Sum"] for each in statistics(cloudwatch, start)] == [3]


def test_statistics_when_periods_are_long_then_they_begin_with_the_start(cloudwatch: Any, start: datetime) -> None:
    put(cloudwatch, start, {0: [1], 4: [2], 5: [4], 61: [8]})
    found = statistics(cloudwatch, at(start, -2.5), 70, Period=300)
    assert [(each["Timestamp"], each["Sum"]) for each in found] == [
        (at(start, -3), 1), (at(start, 2), 6), (at(start, 57), 8),
    ]  # fmt: skip


def test_statistics_when_the_end_is_a_minute_then_it_is_left_out(cloudwatch: Any, start: datetime) -> None:
    put(cloudwatch, start, {0: [1], 1: [2]})
    assert [each["Sum"] for each in statistics(cloudwatch, start, 1)] == [1]


def test_statistics_when_units_differ_then_each_is_told_by_itself(cloudwatch: Any, start: datetime) -> None:
    put(cloudwatch, start, {0: [1]}, Unit="Bytes")
    put(cloudwatch, start, {0: [2]}, Unit="Count")
    assert {(each["Unit"], each["Sum"]) for each in statistics(cloudwatch, start)} == {("Bytes", 1), ("Count", 2)}
    assert [each["Sum"] for each in statistics(cloudwatch, start, Unit="Count")] == [2]
    assert statistics(cloudwatch, start, Unit="Percent") == []


def test_statistics_when_dimensions_differ_then_it_is_another_metric(cloudwatch: Any, start: datetime) -> None:
    put(cloudwatch, start, {0: [1]}, Dimensions=DIMENSIONS)
    assert statistics(cloudwatch, start) == []
    assert [each["Sum"] for each in statistics(cloudwatch, start, Dimensions=DIMENSIONS)] == [1]


def test_percentiles_when_values_are_known_then_they_are_near(cloudwatch: Any, start: datetime) -> None:
    put(cloudwatch, start, {0: list(range(1, 101))})
    [found] = statistics(cloudwatch, start, Statistics=None, ExtendedStatistics=["p50", "p99.9", "p0.0", "p100"])
    told = found["ExtendedStatistics"]
    assert told == {
        "p50": pytest.approx(50, rel=0.02), "p99.9": pytest.approx(100, rel=0.02), "p0.0": 1.0, "p100": 100.0,
    }  # fmt: skip


def test_percentiles_when_a_statistic_set_hides_values_then_there_are_none(cloudwatch: Any, start: datetime) -> None:
    hidden = {"SampleCount": 2, "Sum": 3, "Minimum": 1, "Maximum": 2}
    datum = {"MetricName": "Latency", "Timestamp": start, "StatisticValues": hidden}
    cloudwatch.put_metric_data(Namespace="App", MetricData=[datum])
    [found] = statistics(cloudwatch, start, Statistics=None, ExtendedStatistics=["p50"])
    assert found.get("ExtendedStatistics", {}) == {}


@pytest.mark.parametrize(
    ("changed", "code", "text"),
    [
        ({"Statistics": None}, "InvalidParameterCombination", "Must specify either Statistics or ExtendedStatistics"),
        ({"ExtendedStatistics": ["p5"]}, "InvalidParameterCombination", "The parameters Statistics and Extended"),
        ({"Statistics": None, "ExtendedStatistics": ["p101"]}, "InvalidParameterValue", "The value p101 for"),
        ({"Period": 30}, "InvalidParameterValue", "The parameter Period must be a multiple of 60."),
        ({"Period": 0}, "ValidationError", "1 validation error detected: Value '0' at 'period'"),
        ({"Statistics": ["Mode"]}, "ValidationError", "1 validation error detected"),
        (
            {"minutes": 1442}, "InvalidParameterCombination",
            "You have requested up to 1,442 datapoints, which exceeds the limit of 1,440.",
        ),
        ({"minutes": 0}, "InvalidParameterValue", "The parameter StartTime must not equal parameter EndTime."),
        ({"minutes": -1}, "InvalidParameterValue", "The parameter StartTime must be less than the parameter EndTime."),
    ],
)  # fmt: skip
def test_statistics_when_the_request_is_wrong_then_it_is_refused(
    cloudwatch: Any, start: datetime, changed: Any, code: str, text: str
) -> None:
    told = refused(statistics, cloudwatch, start, **changed)
    assert (told[0], told[1][: len(text)]) == (code, text)


def test_data_when_asked_for_then_it_comes_newest_first_unless_asked_otherwise(
    cloudwatch: Any, start: datetime
) -> None:
    put(cloudwatch, start, {0: [1, 5], 3: [4]})
    found = data(cloudwatch, start, stat("Latency", "Maximum"), stat("Other", Label="o"))
    assert list(points(found["latency"], start).items()) == [(3, 4), (0, 5)]
    assert (found["latency"]["Label"], found["latency"]["StatusCode"]) == ("Latency", "Complete")
    assert (found["other"]["Label"], found["other"]["Values"]) == ("o", [])
    ascending = data(cloudwatch, start, stat("Latency", "Maximum"), ScanBy="TimestampAscending")
    assert list(points(ascending["latency"], start).items()) == [(0, 5), (3, 4)]


@pytest.mark.parametrize("order", ["TimestampAscending", "TimestampDescending"])
def test_data_when_it_is_more_than_a_page_then_pages_make_the_whole(
    cloudwatch: Any, start: datetime, order: str
) -> None:
    put(cloudwatch, start, {minute: [minute] for minute in range(10)})
    put(cloudwatch, start, {minute: [minute] for minute in range(5)}, "Other")
    queries = [stat("Latency"), stat("Other"), {"Id": "e", "Expression": "latency + other"}]
    wanted = {"MetricDataQueries": queries, "StartTime": start, "EndTime": at(start, 60), "ScanBy": order}
    whole = cloudwatch.get_metric_data(**wanted)["MetricDataResults"]
    pieces: dict[str, list[float]] = {}
    for page in cloudwatch.get_paginator("get_metric_data").paginate(**wanted, PaginationConfig={"PageSize": 3}):
        assert sum(len(each["Values"]) for each in page["MetricDataResults"]) <= 3
        for each in page["MetricDataResults"]:
            pieces.setdefault(each["Id"], []).extend(each["Values"])
    assert pieces == {each["Id"]: each["Values"] for each in whole}
    assert [len(each["Values"]) for each in whole] == [10, 5, 5]


def test_data_when_expressions_name_each_other_then_they_are_worked_out(cloudwatch: Any, start: datetime) -> None:
    put(cloudwatch, start, {0: [2], 1: [4]}, "Errors")
    put(cloudwatch, start, {0: [10], 1: [0], 2: [5]}, "Calls")
    found = data(
        cloudwatch, start,
        {"Id": "percent", "Expression": "rate * 100", "Label": "%"},
        {"Id": "rate", "Expression": "errors / calls", "ReturnData": False},
        stat("Errors", ReturnData=False), stat("Calls", ReturnData=False),
        {"Id": "all", "Expression": "SUM(METRICS())"},
        {"Id": "full", "Expression": "FILL(errors, 0)", "ReturnData": True},
        minutes=3,
    )  # fmt: skip
    assert set(found) == {"percent", "all", "full"}
    assert (points(found["percent"], start), found["percent"]["Label"]) == ({0: 20}, "%")
    assert (points(found["all"], start), found["all"]["Label"]) == ({0: 12, 1: 4, 2: 5}, "all")
    assert points(found["full"], start) == {0: 2, 1: 4, 2: 0}


def test_data_when_an_expression_makes_several_lines_then_each_is_a_result(cloudwatch: Any, start: datetime) -> None:
    put(cloudwatch, start, {0: [2]}, "Errors")
    put(cloudwatch, start, {0: [10]}, "Calls")
    queries = [
        stat("Errors", ReturnData=False),
        stat("Calls", ReturnData=False),
        {"Id": "e", "Expression": "METRICS() * 2"},
    ]
    answer = cloudwatch.get_metric_data(MetricDataQueries=queries, StartTime=start, EndTime=at(start, 5))
    assert [(each["Id"], each["Label"], each["Values"]) for each in answer["MetricDataResults"]] == [
        ("e", "Errors", [4]), ("e", "Calls", [20]),
    ]  # fmt: skip


M = "MetricDataQueries.member.1"


@pytest.mark.parametrize(
    ("query", "text"),
    [
        (stat("Latency", query="Upper"), f"The value for parameter {M}.Id is not matching the expected pattern"),
        (stat("Latency", "Mode"), f"The value Mode for parameter {M}.MetricStat.Stat is not supported."),
        (stat("Latency", period=61), f"The parameter {M}.MetricStat.Period must be a multiple of 60."),
        (stat("Latency", Period=60), f"The parameters {M}.Period and {M}.MetricStat are mutually exclusive and you"),
        (stat("Latency", Expression="1"), f"The parameters {M}.Expression and {M}.MetricStat are mutually exclusive"),
        (stat("Latency", AccountId="1" * 12), "The value 111111111111 for parameter"),
        ({"Id": "e"}, f"At least one of the parameters {M}.Expression or {M}.MetricStat must be specified."),
        ({"Id": "e", "Expression": "SUM(1"}, "Error in expression 'e': it ends too early."),
        ({"Id": "e", "Expression": "1 + 1"}, "Error in expression 'e': it makes a number, and not a time series."),
        ({"Id": "e", "Expression": "nobody"}, "Error in expression 'e': there is no nobody."),
        ({"Id": "e", "Expression": "1 + e + 1"}, "Error in expression 'e': e rests on itself."),
        ({"Id": "e", "Expression": "SEARCH('x', 'Sum')"}, "Error in expression 'e': SEARCH is not supported here"),
    ],
)
def test_data_when_a_query_is_wrong_then_it_is_refused(cloudwatch: Any, start: datetime, query: Any, text: str) -> None:
    code, told = refused(data, cloudwatch, start, query)
    assert (code, told[: len(text)]) == ("ValidationError", text)


def test_data_when_an_expression_asks_for_too_much_then_it_is_refused(cloudwatch: Any, start: datetime) -> None:
    put(cloudwatch, start, {0: [1]})
    code, text = refused(
        cloudwatch.get_metric_data, StartTime=0, EndTime=at(start, 60),
        MetricDataQueries=[stat("Latency"), {"Id": "e", "Expression": "FILL(latency, LINEAR) + FILL(latency, 0)"}],
    )  # fmt: skip
    assert (code, "more than 100,800 data points" in text) == ("ValidationError", True)


def test_data_when_the_request_is_wrong_then_every_line_is_told(cloudwatch: Any, start: datetime) -> None:
    code, told = refused(
        data, cloudwatch, start, stat("Latency"), stat("Latency"), minutes=0, MaxDatapoints=0,
        LabelOptions={"Timezone": "CET"},
    )  # fmt: skip
    assert (code, told.strip().splitlines()) == (
        "ValidationError",
        [
            "The parameter StartTime must not equal parameter EndTime.",
            "The parameter MaxDatapoints must be between 1 and 100800.",
            "The value CET for parameter LabelOptions.Timezone is invalid.",
            "The values for parameter id in MetricDataQueries are not unique.",
        ],
    )


def test_data_when_the_token_is_of_another_request_then_it_is_refused(cloudwatch: Any, start: datetime) -> None:
    put(cloudwatch, start, {0: [1], 1: [2]})
    wanted = {"StartTime": start, "EndTime": at(start, 60)}
    page = cloudwatch.get_metric_data(MetricDataQueries=[stat("Latency")], MaxDatapoints=1, **wanted)
    for token, query in (
        (page["NextToken"], stat("Latency", "Maximum")),
        ("x", stat("Latency")),
        ("AAAA", stat("Latency")),
    ):
        assert (
            refused(cloudwatch.get_metric_data, MetricDataQueries=[query], NextToken=token, **wanted)[0]
            == "InvalidNextToken"
        )


def names(cloudwatch: Any, **wanted: Any) -> list[str]:
    return [each["MetricName"] for each in cloudwatch.list_metrics(**wanted)["Metrics"]]


def test_list_when_filtered_then_it_tells_what_fits(cloudwatch: Any, start: datetime) -> None:
    put(cloudwatch, start, {0: [1]}, "a", Dimensions=DIMENSIONS)
    put(cloudwatch, start, {0: [1]}, "b", Dimensions=[*DIMENSIONS, {"Name": "Shard", "Value": "1"}])
    put(cloudwatch, start, {0: [1]}, "c", Unit="Bytes")
    assert names(cloudwatch) == ["a", "b", "c"]
    assert names(cloudwatch, Namespace="App", MetricName="c") == ["c"]
    assert names(cloudwatch, Namespace="app") == []
    assert names(cloudwatch, Dimensions=[{"Name": "Host"}]) == ["a", "b"]
    assert names(cloudwatch, Dimensions=[{"Name": "Host", "Value": "b"}]) == []
    assert names(cloudwatch, Dimensions=[{"Name": "Host", "Value": "a"}, {"Name": "Shard"}]) == ["b"]
    answer = cloudwatch.list_metrics(MetricName="b", IncludeLinkedAccounts=True)
    assert answer["Metrics"][0]["Dimensions"] == [*DIMENSIONS, {"Name": "Shard", "Value": "1"}]
    assert answer["OwningAccounts"] == ["123456789012"]
    assert names(cloudwatch, OwningAccount="1" * 12) == []


def test_list_when_metrics_are_many_then_pages_hold_500(cloudwatch: Any) -> None:
    for first in (0, 1000):
        data = [{"MetricName": f"m{number:04}", "Value": 1} for number in range(first, first + 600)]
        cloudwatch.put_metric_data(Namespace="App", MetricData=data)
    pages = [page["Metrics"] for page in cloudwatch.get_paginator("list_metrics").paginate(Namespace="App")]
    assert [len(page) for page in pages] == [500, 500, 200]
    assert len({each["MetricName"] for page in pages for each in page}) == 1200
    assert refused(cloudwatch.list_metrics, NextToken="%")[0] == "InvalidParameterValue"


def test_list_when_data_is_old_then_it_is_told_as_long_as_aws_does(penstock: PenstockServer, cloudwatch: Any) -> None:
    cloudwatch.put_metric_data(Namespace="App", MetricData=[{"MetricName": "m", "Value": 1}])
    assert names(cloudwatch, RecentlyActive="PT3H") == ["m"]
    penstock.clock.advance(hours=5)
    assert names(cloudwatch, RecentlyActive="PT3H") == []
    assert names(cloudwatch) == ["m"]
    penstock.clock.advance(hours=24 * 15)
    assert names(cloudwatch) == []


def test_metrics_when_account_or_region_is_another_then_they_are_apart(
    penstock: PenstockServer, cloudwatch: Any
) -> None:
    cloudwatch.put_metric_data(Namespace="App", MetricData=[{"MetricName": "m", "Value": 1}])
    assert names(client_of(penstock, "query", credentials=("111111111111", "x"))) == []
    elsewhere = penstock.client("cloudwatch", region_name="eu-west-1")
    assert elsewhere.list_metrics()["Metrics"] == []
