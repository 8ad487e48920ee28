"""Time to live: after which attribute items expire."""

from msgspec.structs import replace

from penstock.core.context import Caller
from penstock.core.lease_errors import LeaseError
from penstock.services.leases.ops.asked import Request
from penstock.services.leases.service import Leases
from penstock.wire.operation import Input, Output


class TimeToLiveSpecification(Input, kw_only=True):
    """Whether items expire, and by which attribute."""

    enabled: bool
    attribute_name: str


class UpdateTimeToLiveRequest(Request, kw_only=True):
    """UpdateTimeToLive."""

    time_to_live_specification: TimeToLiveSpecification


class UpdatedAnswer(Output, kw_only=True):
    """What was asked for."""

    time_to_live_specification: TimeToLiveSpecification


async def update_time_to_live(leases: Leases, caller: Caller, request: UpdateTimeToLiveRequest) -> UpdatedAnswer:
    """Have items expire, or no longer."""
    view = leases.changeable(caller, request.table_name)
    asked, held = request.time_to_live_specification, view.table.ttl_attribute
    if not asked.attribute_name:
        raise LeaseError.MISSING(member="timeToLiveSpecification.attributeName")
    if held is not None and asked.attribute_name != held:
        raise LeaseError.TTL_ATTRIBUTE(name=held)
    if asked.enabled == (held is not None):
        raise LeaseError.TTL_SAME(state="enabled" if asked.enabled else "disabled")
    name = asked.attribute_name if asked.enabled else None
    await leases.tables.replace(view, replace(view.table, ttl_attribute=name))
    return UpdatedAnswer(time_to_live_specification=asked)


class DescribeTimeToLiveRequest(Request, kw_only=True):
    """DescribeTimeToLive."""


class TimeToLiveDescription(Output, kw_only=True):
    """How it is."""

    time_to_live_status: str
    attribute_name: str | None = None


class DescribedAnswer(Output, kw_only=True):
    """DescribeTimeToLive's."""

    time_to_live_description: TimeToLiveDescription


async def describe_time_to_live(leases: Leases, caller: Caller, request: DescribeTimeToLiveRequest) -> DescribedAnswer:
    """Tell whether items expire."""
    name = leases.described(caller, request.table_name).table.ttl_attribute
    status = "DISABLED" if name is None else "ENABLED"
    return DescribedAnswer(
        time_to_live_description=TimeToLiveDescription(time_to_live_status=status, attribute_name=name)
    )
