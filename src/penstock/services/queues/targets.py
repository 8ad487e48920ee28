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
        queue = queues.find(account, caller.region, name)
        arn = queue_arn(caller.region, account, name)
        if queue is None:
            return Target(arn, account)
        return Target(arn, account, queue.attributes.get("Policy"), queue.tags)

    return find
