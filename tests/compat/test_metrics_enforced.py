"""Metrics under `--auth enforced`: every protocol is verified, and policies say who may, by namespace."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from metric_clients import PROTOCOLS, client_of

from penstock.testing import PenstockServer

DATUM = [{"MetricName": "m", "Value": 1}]


@pytest.fixture(scope="module")
def server() -> Iterator[PenstockServer]:
    with PenstockServer(auth="enforced") as started:
        yield started


@pytest.fixture(scope="module")
def ann(server: PenstockServer) -> tuple[str, str]:
    """A user who may put data in namespaces that begin with App, and list."""
    iam = server.client("iam")
    iam.create_user(UserName="ann")
    spoken = {"StringLike": {"cloudwatch:namespace": "App*"}}
    statements = [
        {"Effect": "Allow", "Action": "cloudwatch:PutMetricData", "Resource": "*", "Condition": spoken},
        {"Effect": "Allow", "Action": "cloudwatch:List*", "Resource": "*"},
    ]
    policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
    iam.put_user_policy(UserName="ann", PolicyName="p", PolicyDocument=policy)
    made = iam.create_access_key(UserName="ann")["AccessKey"]
    return made["AccessKeyId"], made["SecretAccessKey"]


def denied(call: Any, **arguments: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    error = caught.value.response["Error"]
    return error["Code"].removesuffix("Exception"), error["Message"]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_put_when_the_namespace_is_in_the_policy_then_it_is_allowed_there_only(
    server: PenstockServer, ann: tuple[str, str], protocol: str
) -> None:
    client = client_of(server, protocol, credentials=ann)
    client.put_metric_data(Namespace="App1", MetricData=DATUM)
    code, text = denied(client.put_metric_data, Namespace="Other", MetricData=DATUM)
    assert code == "AccessDenied"
    assert "is not authorized to perform: cloudwatch:PutMetricData" in text
    client.put_metric_data(Namespace="App2", MetricData=DATUM)
    assert client.list_metrics(Namespace="App2")["Metrics"]
    code, text = denied(
        client.get_metric_statistics,
        Namespace="App1", MetricName="m", StartTime=0, EndTime=60, Period=60, Statistics=["Sum"],
    )  # fmt: skip
    assert (code, "cloudwatch:GetMetricStatistics" in text) == ("AccessDenied", True)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_call_when_the_signature_is_wrong_then_it_is_refused(
    server: PenstockServer, ann: tuple[str, str], protocol: str
) -> None:
    client = client_of(server, protocol, credentials=(ann[0], "wrong"))
    assert denied(client.list_metrics)[0] in ("InvalidSignature", "SignatureDoesNotMatch")
