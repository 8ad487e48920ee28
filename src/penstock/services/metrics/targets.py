"""What requests of metrics are about, as policies name it: no resource, but the namespace that data is put in is a condition key."""

from typing import Any

from penstock.core.context import Caller
from penstock.services.targets import Target


def unnamed(caller: Caller, request: Any) -> Target:
    """The target of any operation.  Source: service authorization reference; cloudwatch:namespace is PutMetricData's alone."""
    if caller.operation != "cloudwatch:PutMetricData":
        return Target("*", caller.account)
    return Target("*", caller.account, facts={"cloudwatch:namespace": (request.namespace,)})
