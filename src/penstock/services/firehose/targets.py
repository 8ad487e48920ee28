"""Which delivery stream an input is about, for authorisation.

Rule of this file: a target is what the input names, whether it exists or not.
"""

from typing import Any

from penstock.core.context import Caller
from penstock.services.firehose.service import Firehose
from penstock.services.iam.actions import ResourceKind
from penstock.services.targets import Finder, Target


def finders(firehose: Firehose) -> dict[ResourceKind, Finder]:
    """The finders of the service."""

    def stream(caller: Caller, request: Any) -> Target:
        name = request.delivery_stream_name
        view = firehose.directory.find(caller.account, caller.region, name)
        arn = f"arn:aws:firehose:{caller.region}:{caller.account}:deliverystream/{name}"
        return Target(arn, caller.account) if view is None else Target(arn, caller.account, None, view.stream.tags)

    return {ResourceKind.DELIVERY_STREAM: stream}
