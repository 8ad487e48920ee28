"""Queues: made, found, described, changed, emptied and deleted."""

import re
from collections.abc import Sequence
from typing import Final

from msgspec import field
from msgspec.structs import replace

from penstock.core.context import Caller
from penstock.core.ids import AccountId
from penstock.core.limits import SECOND_MS
from penstock.core.queue_errors import QueueError
from penstock.services.queues import attributes
from penstock.services.queues.service import Queues, moment
from penstock.services.queues.state import Queue
from penstock.wire.operation import Input, Output

LIST_MAX: Final = 1000
TAGS_MAX: Final = 50
PURGE_PAUSE_MS: Final = 60 * SECOND_MS
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,80}", re.ASCII)


class CreateQueueRequest(Input):
    """CreateQueue."""

    queue_name: str
    attributes: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict, name="tags")


class UrlAnswer(Output):
    """The URL of a queue."""

    queue_url: str


async def create_queue(queues: Queues, caller: Caller, request: CreateQueueRequest) -> UrlAnswer:
    """Make a queue, or find one that has the attributes that were given.

    Raises NAME, FIFO, ATTRIBUTE_NAME, ATTRIBUTE_VALUE, REDRIVE, NAME_TAKEN, TAGS.
    """
    if request.queue_name.endswith(".fifo"):
        raise QueueError.FIFO()
    if not _NAME.fullmatch(request.queue_name):
        raise QueueError.NAME()
    given = _read(queues, request.attributes)
    found = queues.find(caller.account, caller.region, request.queue_name)
    if found is not None:
        _check_same(found, given)
        return UrlAnswer(queue_url=url_of(caller, found))
    check_tags(request.queue_name, request.tags)
    queue = Queue(
        account=caller.account,
        region=caller.region,
        name=request.queue_name,
        uid=queues.new_uid(),
        created_ms=queues.clock.now_ms(),
        modified_ms=queues.clock.now_ms(),
        attributes={name: text for name, text in given.items() if text},
        tags=request.tags,
    )
    await queues.create(queue)
    return UrlAnswer(queue_url=url_of(caller, queue))


def _read(queues: Queues, given: dict[str, str]) -> dict[str, str]:
    """Attributes as they are kept; a policy that could not be read would deny everything to everybody."""
    read = attributes.read(given)
    if read.get("Policy") and queues.policy_problem(read["Policy"]) is not None:
        raise QueueError.ATTRIBUTE_VALUE(name="Policy")
    return read


def _check_same(queue: Queue, given: dict[str, str]) -> None:
    for name, text in given.items():
        if (attributes.effective(queue.attributes, name) or "") != text:
            raise QueueError.NAME_TAKEN(attribute=name)


class GetQueueUrlRequest(Input):
    """GetQueueUrl."""

    queue_name: str
    queue_owner_aws_account_id: str | None = field(default=None, name="QueueOwnerAWSAccountId")


async def get_queue_url(queues: Queues, caller: Caller, request: GetQueueUrlRequest) -> UrlAnswer:
    """The URL of a queue.  Raises NO_QUEUE."""
    account = AccountId(request.queue_owner_aws_account_id or caller.account)
    queue = queues.find(account, caller.region, request.queue_name)
    if queue is None:
        raise QueueError.NO_QUEUE()
    return UrlAnswer(queue_url=url_of(caller, queue))


class ListQueuesRequest(Input):
    """ListQueues."""

    queue_name_prefix: str = ""
    next_token: str | None = None
    max_results: int | None = None


class UrlsAnswer(Output):
    """A page of URLs."""

    queue_urls: list[str] | None = None
    next_token: str | None = None


async def list_queues(queues: Queues, caller: Caller, request: ListQueuesRequest) -> UrlsAnswer:
    """The URLs of the caller's queues, by name; a token is the name at which the last page ended.  Raises RANGE."""
    limit = request.max_results if request.max_results is not None else LIST_MAX
    if not 1 <= limit <= LIST_MAX:
        raise QueueError.RANGE(value=limit, name="MaxResults", low=1, high=LIST_MAX)
    found = queues.of(caller.account, caller.region, request.queue_name_prefix)
    rest = [queue for queue in found if queue.name > (request.next_token or "")]
    page = rest[:limit]
    more = len(rest) > limit and request.max_results is not None
    return UrlsAnswer(
        queue_urls=[url_of(caller, queue) for queue in page] or None, next_token=page[-1].name if more else None
    )


class UrlRequest(Input):
    """DeleteQueue, PurgeQueue, ListQueueTags."""

    queue_url: str


async def delete_queue(queues: Queues, caller: Caller, request: UrlRequest) -> None:
    """Delete a queue with its messages.  Its name may be taken again at once.  Raises NO_QUEUE."""
    await queues.delete(queues.at(caller, request.queue_url))


async def purge_queue(queues: Queues, caller: Caller, request: UrlRequest) -> None:
    """Delete a queue's messages.  Raises NO_QUEUE, PURGING."""
    queue, now_ms = queues.at(caller, request.queue_url), queues.clock.now_ms()
    if queue.purged_ms is not None and now_ms - queue.purged_ms < PURGE_PAUSE_MS:
        raise QueueError.PURGING(name=queue.name)
    await queues.replace(replace(queue, uid=queues.new_uid(), purged_ms=now_ms), gone=queue.uid)
    queues.ring(queue)
    queues.purge_soon()


class GetQueueAttributesRequest(Input):
    """GetQueueAttributes."""

    queue_url: str
    attribute_names: Sequence[str] = ()


class AttributesAnswer(Output):
    """Attributes of a queue."""

    attributes: dict[str, str] | None = None


async def get_queue_attributes(queues: Queues, caller: Caller, request: GetQueueAttributesRequest) -> AttributesAnswer:
    """The attributes that are asked for, as far as the queue has them.  Raises NO_QUEUE, ATTRIBUTE_NAME."""
    names = attributes.wanted(list(request.attribute_names))
    queue = queues.at(caller, request.queue_url)
    told = {
        "CreatedTimestamp": moment(queue.created_ms),
        "LastModifiedTimestamp": moment(queue.modified_ms),
        "QueueArn": queue.arn,
    }
    if any(name.startswith("Approximate") for name in names):
        counts = await queues.messages.count(queue.uid, queues.clock.now_ms())
        told |= {
            "ApproximateNumberOfMessages": str(counts.visible),
            "ApproximateNumberOfMessagesNotVisible": str(counts.in_flight),
            "ApproximateNumberOfMessagesDelayed": str(counts.delayed),
        }
    found = {name: told.get(name) or attributes.effective(queue.attributes, name) for name in sorted(names)}
    return AttributesAnswer(attributes={name: text for name, text in found.items() if text is not None} or None)


class SetQueueAttributesRequest(Input):
    """SetQueueAttributes."""

    queue_url: str
    attributes: dict[str, str]


async def set_queue_attributes(queues: Queues, caller: Caller, request: SetQueueAttributesRequest) -> None:
    """Change attributes of a queue.  Raises NO_QUEUE, FIFO, ATTRIBUTE_NAME, ATTRIBUTE_VALUE, REDRIVE, CHANGED."""
    given = _read(queues, request.attributes)
    queue = queues.at(caller, request.queue_url)
    changed = {name: text for name, text in {**queue.attributes, **given}.items() if text}
    await queues.replace(replace(queue, attributes=changed, modified_ms=queues.clock.now_ms()))


class TagQueueRequest(Input):
    """TagQueue."""

    queue_url: str
    tags: dict[str, str]


async def tag_queue(queues: Queues, caller: Caller, request: TagQueueRequest) -> None:
    """Add tags to a queue.  Raises NO_QUEUE, TAGS, CHANGED."""
    queue = queues.at(caller, request.queue_url)
    tags = {**queue.tags, **request.tags}
    check_tags(queue.name, tags)
    await queues.replace(replace(queue, tags=tags))


class UntagQueueRequest(Input):
    """UntagQueue."""

    queue_url: str
    tag_keys: list[str]


async def untag_queue(queues: Queues, caller: Caller, request: UntagQueueRequest) -> None:
    """Take tags from a queue.  Raises NO_QUEUE, CHANGED."""
    queue = queues.at(caller, request.queue_url)
    left = {key: value for key, value in queue.tags.items() if key not in request.tag_keys}
    await queues.replace(replace(queue, tags=left))


class TagsAnswer(Output):
    """Tags of a queue."""

    tags: dict[str, str] | None = None


async def list_queue_tags(queues: Queues, caller: Caller, request: UrlRequest) -> TagsAnswer:
    """The tags of a queue.  Raises NO_QUEUE."""
    return TagsAnswer(tags=queues.at(caller, request.queue_url).tags or None)


def check_tags(name: str, tags: dict[str, str]) -> None:
    """Raise TAGS for too many."""
    if len(tags) > TAGS_MAX:
        raise QueueError.TAGS(name=name)


def url_of(caller: Caller, queue: Queue) -> str:
    """The URL of a queue, at the address that the caller has used."""
    scheme, host = "https" if caller.secure else "http", caller.host or f"sqs.{queue.region}.amazonaws.com"
    return f"{scheme}://{host}/{queue.account}/{queue.name}"
