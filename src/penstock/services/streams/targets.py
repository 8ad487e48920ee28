"""Which stream or consumer an input is about, for authorisation.

Rule of this file: a target is what the input names, whether it exists or not; only what is no ARN at all is refused here.
"""

from typing import Any

from penstock.core.arn import StreamArn, consumer_arn, parse_stream_arn, stream_arn
from penstock.core.context import Caller
from penstock.services.iam.actions import ResourceKind
from penstock.services.streams.directory import StreamView
from penstock.services.streams.iterator import open_iterator
from penstock.services.streams.service import Streams
from penstock.services.targets import Finder, Target


def finders(streams: Streams) -> dict[ResourceKind, Finder]:
    """The finders of the service."""

    def stream(caller: Caller, request: Any) -> Target:
        arn = getattr(request, "stream_arn", None)
        if arn is not None:
            return given(caller, arn)
        name = getattr(request, "stream_name", None)
        if name is None:
            return _unnamed(streams, caller, request)
        return _of(
            streams.directory.find(caller.account, caller.region, name),
            stream_arn(caller.region, caller.account, name),
            caller.account,
        )

    def consumer(caller: Caller, request: Any) -> Target:
        arn = getattr(request, "consumer_arn", None)
        if arn is not None:
            return given(caller, arn)
        named = stream(caller, request)
        parsed = parse_stream_arn(named.arn)
        view = streams.directory.find(parsed.account, parsed.region, parsed.name)
        held = view.consumers.get(request.consumer_name) if view is not None else None
        if view is None or held is None:
            return Target(f"{named.arn}/consumer/{request.consumer_name}:*", named.account)
        own, known = view.stream, held.consumer
        return given(caller, consumer_arn(own.region, own.account, own.name, known.name, known.created_ms))

    def given(_caller: Caller, arn: str) -> Target:
        return target_of(streams, arn)

    return {
        ResourceKind.STREAM: stream,
        ResourceKind.CONSUMER: consumer,
        ResourceKind.GIVEN: lambda caller, request: given(caller, request.resource_arn),
    }


def target_of(streams: Streams, arn: str) -> Target:
    """The stream or consumer that an ARN names."""
    parsed = parse_stream_arn(arn)
    view = streams.directory.find(parsed.account, parsed.region, parsed.name)
    return _of(view, arn, parsed.account) if parsed.consumer is None else _of_consumer(view, parsed, arn)


def _unnamed(streams: Streams, caller: Caller, request: Any) -> Target:
    """A stream that neither name nor ARN names: by StreamId, or by what a token carries; else whatever there is."""
    stream_id, iterator = getattr(request, "stream_id", None), getattr(request, "shard_iterator", None)
    view: StreamView | None = None
    if iterator is not None:
        held = open_iterator(streams.sealer, caller, iterator, streams.clock.now_ms())
        view = streams.directory.find(held.account or caller.account, caller.region, held.stream)
    elif stream_id is not None:
        view = streams.directory.find_uid(stream_id)
    if view is None:
        return Target("*", caller.account)
    own = view.stream
    return _of(view, stream_arn(own.region, own.account, own.name), own.account)


def _of(view: StreamView | None, arn: str, account: str) -> Target:
    return Target(arn, account) if view is None else Target(arn, account, view.stream.policy, view.stream.tags)


def _of_consumer(view: StreamView | None, parsed: StreamArn, arn: str) -> Target:
    held = view.consumers.get((parsed.consumer or "").partition(":")[0]) if view is not None else None
    return (
        Target(arn, parsed.account)
        if held is None
        else Target(arn, parsed.account, held.consumer.policy, held.consumer.tags)
    )
