"""Which queue an input is about, for authorisation, with the queue's policy."""

from typing import Any

from penstock.core.context import Caller
from penstock.core.errors import ServiceError
from penstock.core.ids import AccountId
from penstock.services.queues.service import Queues, place_of
from penstock.services.queues.state import queue_arn
from penstock.services.targets import Finder, Target


def queue_finder(queues: Queues) -> Finder:
    """Finds the queue that an input names, by URL or name, whether it exists or not."""

    def find(caller: Caller, request: Any) -> Target:
        url = getattr(request, "queue_url", None)
        owner = getattr(request, "queue_owner_aws_account_id", None)
        try:
            account, name = (
                place_of(url) if url is not None else (AccountId(owner or caller.account), request.queue_name)
            )
        except ServiceError:  # it will be refused for what it is
            return Target("*", caller.account)
        return _target(queues, account, caller.region, name)

    return find


def target_of(queues: Queues, arn: str) -> Target:
    """The queue of an ARN, whether it exists or not."""
    region, account, name = [*arn.split(":")[3:], "", "", ""][:3]
    return _target(queues, account, region, name)


def _target(queues: Queues, account: str, region: str, name: str) -> Target:
    queue, arn = queues.find(account, region, name), queue_arn(region, account, name)
    return Target(arn, account) if queue is None else Target(arn, account, queue.attributes.get("Policy"), queue.tags)
