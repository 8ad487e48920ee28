"""Resource policies of streams and consumers.

They are kept as they were given, once their form is good and evaluation can read them; with `--auth enforced` they are asked.
"""

from msgspec.structs import replace

from penstock.core.context import Caller
from penstock.core.errors import Error
from penstock.engines.api import Conflict
from penstock.services.streams.directory import ConsumerView, StreamView
from penstock.services.streams.ops.naming import ResourceRequest, find_resource
from penstock.services.streams.policy import check_policy
from penstock.services.streams.service import Streams
from penstock.wire.operation import Output


class PutResourcePolicyRequest(ResourceRequest, kw_only=True):
    """PutResourcePolicy."""

    policy: str


class ResourcePolicyOutput(Output):
    """GetResourcePolicy's answer."""

    policy: str


async def put_resource_policy(streams: Streams, caller: Caller, request: PutResourcePolicyRequest) -> None:
    """Attach a policy to a stream or consumer, in place of the one that it has.

    Raises POLICY_TOO_LARGE, POLICY_MALFORMED, STREAM_NOT_ACTIVE, CONSUMER_NOT_ACTIVE.
    """
    from penstock.services.iam.policy import MalformedPolicy, PolicyKind, parse_policy  # 10 ms of a start

    view, held = find_resource(streams, caller, request)
    check_policy(request.policy)
    try:
        parse_policy(request.policy, PolicyKind.RESOURCE)
    except MalformedPolicy as problem:  # of what only evaluation looks at, such as condition operators
        raise Error.POLICY_MALFORMED(problem=problem) from None
    await _attach(streams, view, held, request.policy)


async def get_resource_policy(streams: Streams, caller: Caller, request: ResourceRequest) -> ResourcePolicyOutput:
    """The policy of a stream or consumer as it was put, or `{}`."""
    return ResourcePolicyOutput(policy=_policy(*find_resource(streams, caller, request)) or "{}")


async def delete_resource_policy(streams: Streams, caller: Caller, request: ResourceRequest) -> None:
    """Take the policy off a stream or consumer.  Raises POLICY_NOT_FOUND, STREAM_NOT_ACTIVE, CONSUMER_NOT_ACTIVE."""
    view, held = find_resource(streams, caller, request)
    if _policy(view, held) is None:
        raise Error.POLICY_NOT_FOUND(arn=request.resource_arn)
    await _attach(streams, view, held, None)


def _policy(view: StreamView, held: ConsumerView | None) -> str | None:
    return view.stream.policy if held is None else held.consumer.policy


async def _attach(streams: Streams, view: StreamView, held: ConsumerView | None, policy: str | None) -> None:
    if held is None:
        streams.lifecycle.check_active(view)
        await streams.directory.update(view, replace(view.stream, policy=policy))
        return
    consumer = held.consumer
    refusal = Error.CONSUMER_NOT_ACTIVE(
        consumer=consumer.name,
        created_s=consumer.created_ms // 1000,
        stream=view.stream.name,
        account=view.stream.account,
    )
    if consumer.status != "ACTIVE":
        raise refusal
    try:
        await streams.directory.replace_consumer(held, replace(consumer, policy=policy))
    except Conflict:  # it is being deregistered
        raise refusal from None
