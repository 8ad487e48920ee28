"""Fan-out consumers: register, deregister, describe, list, subscribe."""

import msgspec

from penstock.core import limits
from penstock.core.arn import consumer_arn, stream_arn
from penstock.core.context import Caller
from penstock.core.errors import Error, ServiceError
from penstock.core.ids import Millis, StreamUid
from penstock.services.streams.directory import ConsumerView, StreamView
from penstock.services.streams.ops.naming import StreamArnRequest
from penstock.services.streams.ops.paging import page_token, read_page_token
from penstock.services.streams.ops.tag import check_tags
from penstock.services.streams.service import Streams
from penstock.services.streams.starting import Start, StartType, find_start
from penstock.services.streams.state import Consumer, ConsumerStatus
from penstock.wire.operation import EventStream, Input, Output


class ConsumerSummary(Output):
    """A consumer, as registering and listing show it."""

    consumer_name: str
    consumer_arn: str
    consumer_status: ConsumerStatus
    consumer_creation_timestamp: Millis


class ConsumerDescription(ConsumerSummary, kw_only=True):
    """A consumer with its stream."""

    stream_arn: str


def arn_of(view: StreamView, consumer: Consumer) -> str:
    """The ARN of a consumer."""
    stream = view.stream
    return consumer_arn(stream.region, stream.account, stream.name, consumer.name, consumer.created_ms)


def _summary(view: StreamView, consumer: Consumer) -> ConsumerSummary:
    return ConsumerSummary(
        consumer_name=consumer.name,
        consumer_arn=arn_of(view, consumer),
        consumer_status=consumer.status,
        consumer_creation_timestamp=consumer.created_ms,
    )


class RegisterStreamConsumerRequest(StreamArnRequest, kw_only=True):
    """RegisterStreamConsumer."""

    consumer_name: str
    tags: dict[str, str] = msgspec.field(default_factory=dict)


class RegisterStreamConsumerOutput(Output):
    """The consumer as it begins."""

    consumer: ConsumerSummary


async def register_stream_consumer(
    streams: Streams, caller: Caller, request: RegisterStreamConsumerRequest
) -> RegisterStreamConsumerOutput:
    """Begin a consumer of a stream; it can subscribe when it is ACTIVE.

    Raises CONSUMER_EXISTS, CONSUMER_LIMIT, CONSUMERS_CREATING_LIMIT, STREAM_NOT_ACTIVE and the refusals of tags.
    """
    view = streams.find_active(caller, request)
    stream, held = view.stream, view.consumers
    check_tags(request.tags, request.tags, request.consumer_name)
    if request.consumer_name in held:
        raise Error.CONSUMER_EXISTS(consumer=request.consumer_name, stream=stream.name, account=stream.account)
    committed = streams.accounts.is_committed(caller.account, caller.region, streams.clock.now_ms())
    most = limits.CONSUMERS_ADVANTAGE_MAX if committed and stream.mode == "ON_DEMAND" else limits.CONSUMERS_MAX
    if len(held) >= most:
        raise Error.CONSUMER_LIMIT(stream=stream.name, account=stream.account, limit=most)
    if sum(one.consumer.status == "CREATING" for one in held.values()) >= limits.CONSUMERS_CREATING_MAX:
        raise Error.CONSUMERS_CREATING_LIMIT(
            stream=stream.name, account=stream.account, limit=limits.CONSUMERS_CREATING_MAX
        )
    consumer = Consumer(
        uid=stream.uid,
        name=request.consumer_name,
        created_ms=streams.clock.now_ms(),
        status="CREATING",
        tags=request.tags,
    )
    await streams.registration.register(view, consumer)
    return RegisterStreamConsumerOutput(consumer=_summary(view, consumer))


class _ConsumerRequest(StreamArnRequest, kw_only=True):
    """An input that names a consumer by its ARN, or by its stream's and its name."""

    consumer_name: str | None = None
    consumer_arn: str | None = None


def _find(streams: Streams, caller: Caller, request: _ConsumerRequest) -> tuple[StreamView, ConsumerView]:
    """The consumer that a request names; where it does so in both ways, they must agree."""
    if request.consumer_arn is not None:
        view, held = streams.find_consumer(caller, request.consumer_arn)
        other_name = request.consumer_name not in (None, held.consumer.name)
        by_stream = request.stream_arn is not None or request.stream_id is not None
        if other_name or (by_stream and streams.find(caller, request) is not view):
            raise Error.CONSUMER_NAMED_TWICE(arn=request.consumer_arn)
        return view, held
    if request.consumer_name is None or (request.stream_arn is None and request.stream_id is None):
        raise Error.CONSUMER_NOT_NAMED()
    view = streams.find(caller, request)
    found = view.consumers.get(request.consumer_name)
    if found is None:
        raise Error.CONSUMER_NOT_FOUND(arn=request.consumer_name)
    return view, found


class DeregisterStreamConsumerRequest(_ConsumerRequest):
    """DeregisterStreamConsumer."""


async def deregister_stream_consumer(
    streams: Streams, caller: Caller, request: DeregisterStreamConsumerRequest
) -> None:
    """Begin to remove a consumer; its subscriptions end."""
    view, held = _find(streams, caller, request)
    await streams.registration.deregister(view, held.consumer)
    streams.subscriptions.sweep()


class DescribeStreamConsumerRequest(_ConsumerRequest):
    """DescribeStreamConsumer."""


class DescribeStreamConsumerOutput(Output):
    """DescribeStreamConsumer's answer."""

    consumer_description: ConsumerDescription


async def describe_stream_consumer(
    streams: Streams, caller: Caller, request: DescribeStreamConsumerRequest
) -> DescribeStreamConsumerOutput:
    """Describe a consumer."""
    view, held = _find(streams, caller, request)
    stream, consumer = view.stream, held.consumer
    return DescribeStreamConsumerOutput(
        consumer_description=ConsumerDescription(
            consumer_name=consumer.name,
            consumer_arn=arn_of(view, consumer),
            consumer_status=consumer.status,
            consumer_creation_timestamp=consumer.created_ms,
            stream_arn=stream_arn(stream.region, stream.account, stream.name),
        )
    )


class ListStreamConsumersRequest(StreamArnRequest, kw_only=True):
    """ListStreamConsumers."""

    next_token: str | None = None
    max_results: int = limits.LIST_CONSUMERS_PAGE
    stream_creation_timestamp: Millis | None = None


class ListStreamConsumersOutput(Output):
    """A page of consumers."""

    consumers: list[ConsumerSummary]
    next_token: str | None = None


async def list_stream_consumers(
    streams: Streams, caller: Caller, request: ListStreamConsumersRequest
) -> ListStreamConsumersOutput:
    """List a stream's consumers by name, at most 100 at a time."""
    view = streams.find(caller, request)
    after = ""
    if request.next_token is not None:
        if request.stream_creation_timestamp is not None:
            raise Error.NEXT_TOKEN_AND_OTHER(member="StreamCreationTimestamp")
        token = read_page_token(streams, caller, "ListStreamConsumers", request.next_token)
        if StreamUid(token.scope) != view.stream.uid:
            raise Error.NEXT_TOKEN_INVALID()
        after = token.after
    created_ms = request.stream_creation_timestamp
    if created_ms is not None and created_ms // 1000 != view.stream.created_ms // 1000:
        raise Error.STREAM_NOT_FOUND(stream=view.stream.name, account=caller.account)
    names = [name for name in sorted(view.consumers) if name > after]
    page = names[: min(request.max_results, limits.LIST_CONSUMERS_PAGE)]
    more = len(names) > len(page)
    return ListStreamConsumersOutput(
        consumers=[_summary(view, view.consumers[name].consumer) for name in page],
        next_token=page_token(streams, caller, "ListStreamConsumers", page[-1], view.stream.uid) if more else None,
    )


class StartingPosition(Input):
    """Where a subscription begins."""

    type: StartType
    sequence_number: str | None = None
    timestamp: Millis | None = None


class SubscribeToShardRequest(Input):
    """SubscribeToShard."""

    consumer_arn: str
    shard_id: str
    starting_position: StartingPosition
    stream_id: str | None = None
    dry_run: bool = False


async def subscribe_to_shard(streams: Streams, caller: Caller, request: SubscribeToShardRequest) -> EventStream:
    """Push the records of a shard to a consumer as they come, for 5 minutes.

    Raises CONSUMER_NOT_FOUND, CONSUMER_NOT_ACTIVE, SUBSCRIPTION_EXISTS, SUBSCRIBE_RATE, and the refusals of starting positions.
    """
    view, found = streams.find_consumer(caller, request.consumer_arn)
    held = streams.find_shard(caller, view, request.shard_id)
    consumer = found.consumer
    if consumer.status != "ACTIVE":
        raise _not_active(view, consumer)
    given = request.starting_position
    start = Start(given.type, given.sequence_number, given.timestamp)
    position = await find_start(streams.reader, streams.clock, caller, view, held, start)
    if view.data_keys:
        streams.envelope.check_reader(caller, view)
    streams.subscriptions.check(view, consumer, held)
    if request.dry_run:
        raise Error.DRY_RUN()
    return EventStream(await streams.subscriptions.open(view, held, consumer, position))


def _not_active(view: StreamView, consumer: Consumer) -> ServiceError:
    return Error.CONSUMER_NOT_ACTIVE(
        consumer=consumer.name,
        created_s=consumer.created_ms // 1000,
        stream=view.stream.name,
        account=view.stream.account,
    )
