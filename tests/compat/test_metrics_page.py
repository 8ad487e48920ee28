"""GET /metrics: what is kept is told to Prometheus, in a form that its own parser takes, whatever clients call their metrics."""

import urllib.request
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from penstock.services.metrics.exposition import EXPORTED_MAX
from penstock.testing import PenstockServer


def page(server: PenstockServer) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """The samples of CloudWatch metrics, by name and labels; those that come twice are an error."""
    with urllib.request.urlopen(server.endpoint_url + "/metrics") as answer:
        text = answer.read().decode()
    found: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name.startswith("penstock_cloudwatch"):
                key = sample.name, tuple(sorted(sample.labels.items()))
                assert key not in found
                found[key] = sample.value
    return found


@pytest.fixture
def cloudwatch(penstock: PenstockServer) -> Any:
    return penstock.client("cloudwatch")


HERE = {"account": "123456789012", "region": "us-east-1"}


def labels(**more: str) -> tuple[tuple[str, str], ...]:
    return tuple(sorted({**HERE, **more}.items()))


def test_page_when_metrics_are_kept_then_they_are_summaries(penstock: PenstockServer, cloudwatch: Any) -> None:
    datum = {"MetricName": "Time.ms", "Dimensions": [{"Name": "Shard Id", "Value": 'a"\\b'}], "Unit": "Milliseconds"}
    cloudwatch.put_metric_data(Namespace="My/App", MetricData=[{**datum, "Values": [1, 5]}, {**datum, "Value": 3}])
    told = labels(unit="Milliseconds", Shard_Id='a"\\b')
    found = page(penstock)
    assert found["penstock_cloudwatch_my_app_time_ms_count", told] == 3
    assert found["penstock_cloudwatch_my_app_time_ms_sum", told] == 9
    assert found["penstock_cloudwatch_my_app_time_ms_maximum", told] == 5
    assert found["penstock_cloudwatch_series", ()] == 1


def test_page_when_streams_are_used_then_their_metrics_are_there(penstock: PenstockServer, cloudwatch: Any) -> None:
    kinesis = penstock.client()
    kinesis.create_stream(StreamName="orders", ShardCount=1)
    kinesis.put_record(StreamName="orders", Data=b"12", PartitionKey="k")
    penstock.clock.advance(seconds=10)
    told = labels(unit="Bytes", StreamName="orders")
    assert page(penstock)["penstock_cloudwatch_aws_kinesis_incomingbytes_sum", told] == 3


@pytest.mark.parametrize("name", ["1", "_", "é" * 3, "a{b}", "x\n# y", "sum", "\0"])
def test_page_when_names_are_odd_then_it_is_still_valid(penstock: PenstockServer, cloudwatch: Any, name: str) -> None:
    cloudwatch.put_metric_data(Namespace="9", MetricData=[{"MetricName": name, "Value": 1}])
    assert sum(value for (key, _), value in page(penstock).items() if key.endswith("_count")) == 1


def test_page_when_names_meet_then_no_sample_comes_twice(penstock: PenstockServer, cloudwatch: Any) -> None:
    dimensions = [{"Name": each, "Value": each} for each in ("region", "a b", "a.b", "a_b")]
    data = [{"MetricName": each, "Value": 1, "Dimensions": dimensions} for each in ("a.b", "a b", "A_b")]
    cloudwatch.put_metric_data(Namespace="App", MetricData=data)
    found = page(penstock)
    told = labels(unit="None", region_="region", a_b="a b", a_b_="a.b", a_b__="a_b")
    assert found["penstock_cloudwatch_app_a_b_count", told] == 1
    assert found["penstock_cloudwatch_series_left_out", ()] == 2


def test_page_when_series_are_many_then_it_is_bounded(penstock: PenstockServer, cloudwatch: Any) -> None:
    for first in range(0, EXPORTED_MAX + 1000, 1000):
        data = [{"MetricName": f"m{number}", "Value": 1} for number in range(first, first + 1000)]
        cloudwatch.put_metric_data(Namespace="App", MetricData=data)
    found = page(penstock)
    assert sum(key.endswith("_count") for key, _ in found) == EXPORTED_MAX
    assert found["penstock_cloudwatch_series_left_out", ()] == 1000
