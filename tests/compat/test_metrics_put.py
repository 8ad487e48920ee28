"""PutMetricData by boto3 in each of the three protocols: what it sends is taken, and what is wrong is told in the same words."""

import gzip
import json
from typing import Any

import pytest
from botocore.exceptions import ClientError
from metric_clients import PROTOCOLS, client_of, sent

from penstock.testing import PenstockServer

each_protocol = pytest.mark.parametrize("protocol", PROTOCOLS)
DAY_S = 86400
DATUM = {"MetricName": "Latency", "Value": 1.5}
CONTENT_TYPES = {
    "smithy-rpc-v2-cbor": "application/cbor",
    "json": "application/x-amz-json-1.0",
    "query": "application/x-www-form-urlencoded; charset=utf-8",
}


def kept(server: PenstockServer) -> dict[str, tuple[float, float, str]]:
    """Count, sum and unit of each series, by name."""
    found = server._running._services.metrics.store.all()
    return {series.metric.name: (series.count, series.total, series.unit) for series in found}


@each_protocol
def test_put_when_data_comes_in_its_three_forms_then_all_is_kept(penstock: PenstockServer, protocol: str) -> None:
    client = client_of(penstock, protocol)
    moment = penstock.clock.now_ms / 1000 - 60
    dimensions = [{"Name": "Host", "Value": "a b"}, {"Name": "Shard", "Value": "1"}]
    data = [
        {"MetricName": "one", "Value": 2.5, "Unit": "Bytes/Second", "Dimensions": dimensions, "Timestamp": moment},
        {"MetricName": "many", "Values": [1, 2.5], "Counts": [3, 2], "Unit": "Count", "StorageResolution": 1},
        {"MetricName": "many", "Values": [10], "Unit": "Count"},
        {"MetricName": "set", "StatisticValues": {"SampleCount": 4, "Sum": 10, "Minimum": 1, "Maximum": 4}},
    ]
    with sent(client) as requests:
        client.put_metric_data(Namespace="App", MetricData=data)
    assert requests[0].headers["content-type"].decode() == CONTENT_TYPES[protocol]
    assert kept(penstock) == {
        "one": (1, 2.5, "Bytes/Second"),
        "many": (6, 18, "Count"),
        "set": (4, 10, "None"),
    }


@each_protocol
def test_put_when_the_body_is_large_then_it_comes_as_gzip_and_is_read(penstock: PenstockServer, protocol: str) -> None:
    client = client_of(penstock, protocol, request_min_compression_size_bytes=100)
    with sent(client) as requests:
        client.put_metric_data(
            Namespace="App", MetricData=[{**DATUM, "MetricName": f"m{each}"} for each in range(1000)]
        )
    assert requests[0].headers["content-encoding"] == b"gzip"
    assert gzip.decompress(requests[0].body)
    assert len(kept(penstock)) == 1000


@each_protocol
def test_put_when_data_is_about_entities_then_it_is_taken(penstock: PenstockServer, protocol: str) -> None:
    about = {"Entity": {"KeyAttributes": {"Type": "Service", "Name": "x"}}, "MetricData": [DATUM]}
    client_of(penstock, protocol).put_metric_data(
        Namespace="App", EntityMetricData=[about], StrictEntityValidation=False
    )
    assert kept(penstock) == {"Latency": (1, 1.5, "None")}


def datum(**changed: Any) -> dict[str, Any]:
    return {name: value for name, value in {**DATUM, **changed}.items() if value is not None}


MEMBER = "MetricData.member.1"
REFUSALS = {
    "nothing": (datum(Value=None), "MissingParameter", f"At least one of the parameters {MEMBER}.Value, "),
    "not a number": (datum(Value=float("nan")), "InvalidParameterValue", f"The value NaN for parameter {MEMBER}.Value"),
    "endless": (datum(Value=float("inf")), "InvalidParameterValue", f"The value Infinity for parameter {MEMBER}.Value"),
    "too large": (datum(Value=2.0**361), "InvalidParameterValue", "The value 4.69"),
    "too small": (datum(Value=5e-324), "InvalidParameterValue", "The value 5e-324 for"),
    "two forms": (
        datum(Values=[1]), "InvalidParameterCombination",
        f"The parameters {MEMBER}.Value and {MEMBER}.Values are mutually exclusive and you have specified both.",
    ),
    "counts": (
        datum(Value=None, Values=[1, 2], Counts=[1]), "InvalidParameterValue",
        f"The parameters {MEMBER}.Values and {MEMBER}.Counts must be of the same size.",
    ),
    "negative count": (datum(Value=None, Values=[1], Counts=[-1]), "InvalidParameterValue", "The value -1.0 for"),
    "many values": (
        datum(Value=None, Values=[1] * 151), "InvalidParameterValue",
        f"The collection {MEMBER}.Values must not have a size greater than 150.",
    ),
    "set": (
        datum(Value=None, StatisticValues={"SampleCount": 0, "Sum": 0, "Minimum": 1, "Maximum": 2}),
        "InvalidParameterValue", f"The parameter {MEMBER}.StatisticValues.SampleCount must be greater than 0.",
    ),
    "reversed set": (
        datum(Value=None, StatisticValues={"SampleCount": 1, "Sum": 0, "Minimum": 2, "Maximum": 1}),
        "InvalidParameterValue", f"The parameter {MEMBER}.StatisticValues.Maximum must be greater than",
    ),
    "resolution": (datum(StorageResolution=5), "InvalidParameterValue", "The value 5 for"),
    "unit": (datum(Unit="Furlongs"), "ValidationError", "1 validation error detected: Value 'Furlongs'"),
    "name": (datum(MetricName=""), "ValidationError", "1 validation error detected"),
    "dimensions": (datum(Dimensions=[{"Name": "a", "Value": "b"}] * 31), "ValidationError", "1 validation error"),
    "dimension": (datum(Dimensions=[{"Name": ":a", "Value": "b"}]), "InvalidParameterValue", "The value :a for"),
    "foreign": (datum(Dimensions=[{"Name": "a", "Value": "ä"}]), "InvalidParameterValue", "The value ä for"),
    "twice": (datum(Dimensions=[{"Name": "a", "Value": "b"}] * 2), "InvalidParameterValue", "No Metric may specify"),
}  # fmt: skip


@each_protocol
@pytest.mark.parametrize("case", REFUSALS)
def test_put_when_a_datum_is_wrong_then_every_protocol_refuses_in_the_same_words(
    penstock: PenstockServer, protocol: str, case: str
) -> None:
    wrong, code, text = REFUSALS[case]
    with pytest.raises(ClientError) as caught:
        client_of(penstock, protocol).put_metric_data(Namespace="App", MetricData=[wrong, DATUM])
    error = caught.value.response["Error"]
    assert (error["Code"], error["Message"][: len(text)]) == (code, text)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert kept(penstock) == {}


@each_protocol
def test_put_when_times_are_out_of_bounds_then_each_is_told_on_a_line(penstock: PenstockServer, protocol: str) -> None:
    now_s = penstock.clock.now_ms / 1000
    times = [now_s - 14 * DAY_S - 60, now_s + 7260, now_s - 14 * DAY_S + 60, now_s + 7140]
    with pytest.raises(ClientError) as caught:
        client_of(penstock, protocol).put_metric_data(
            Namespace="App", MetricData=[datum(Timestamp=moment) for moment in times]
        )
    assert caught.value.response["Error"]["Message"] == (
        "The parameter MetricData.member.1.Timestamp must specify a time within the past two weeks.\n"
        "The parameter MetricData.member.2.Timestamp must specify a time no more than two hours in the future."
    )


@each_protocol
@pytest.mark.parametrize(
    ("request_of", "code"),
    [
        ({"Namespace": "AWS/Kinesis", "MetricData": [DATUM]}, "InvalidParameterValue"),
        ({"Namespace": ":App", "MetricData": [DATUM]}, "ValidationError"),
        ({"Namespace": "Ä", "MetricData": [DATUM]}, "InvalidParameterValue"),
        ({"Namespace": "App"}, "MissingParameter"),
        ({"MetricData": [DATUM]}, "ValidationError"),
        ({"Namespace": "App", "MetricData": [DATUM] * 1001}, "InvalidParameterValue"),
    ],
)
def test_put_when_the_request_is_wrong_then_it_is_refused(
    penstock: PenstockServer, protocol: str, request_of: Any, code: str
) -> None:
    with pytest.raises(ClientError) as caught:
        client_of(penstock, protocol).put_metric_data(**request_of)
    assert caught.value.response["Error"]["Code"] == code
    assert kept(penstock) == {}


def test_put_when_the_body_is_over_a_megabyte_then_it_is_refused(penstock: PenstockServer) -> None:
    client = client_of(penstock, "json", disable_request_compression=True)
    dimensions = [{"Name": f"{number}" * 20, "Value": "v" * 1000} for number in range(30)]
    with pytest.raises(ClientError) as caught:
        client.put_metric_data(Namespace="App", MetricData=[{**DATUM, "Dimensions": dimensions}] * 40)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 413
    assert json.dumps(caught.value.response["Error"]["Code"]) == '"RequestEntityTooLarge"'
