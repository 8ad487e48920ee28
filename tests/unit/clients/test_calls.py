"""Failed calls: which may be made again, and for how long."""

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, EndpointConnectionError, ParamValidationError

from penstock.clients import calls
from penstock.clients.calls import Fate, Patience, fate_of


def answered(code: str, status: int) -> ClientError:
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "PutRecords")  # type: ignore[typeddict-item]


@pytest.mark.parametrize(
    ("error", "fate"),
    [
        (answered("ProvisionedThroughputExceededException", 400), Fate.REFUSED),
        (answered("InternalFailure", 500), Fate.UNKNOWN),
        (answered("ResourceNotFoundException", 400), Fate.FAILED),
        (EndpointConnectionError(endpoint_url="http://x"), Fate.REFUSED),
        (ConnectionClosedError(endpoint_url="http://x"), Fate.UNKNOWN),
        (ParamValidationError(report="x"), Fate.FAILED),
    ],
)
def test_fate_of_an_error_tells_whether_to_call_again(error: Exception, fate: Fate) -> None:
    assert fate_of(error) is fate


def test_patience_doubles_its_waits_and_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 100.0
    monkeypatch.setattr(calls, "monotonic_s", lambda: now_s)
    patience = Patience()

    assert [patience.wait_s() for _ in range(4)] == [0.05, 0.1, 0.2, 0.25]
    now_s += calls.PATIENCE_S + 1
    assert patience.wait_s() is None
    patience.worked()
    assert patience.wait_s() == 0.05
