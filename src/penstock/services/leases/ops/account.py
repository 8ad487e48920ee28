"""What clients ask about the account and the endpoint."""

from typing import Final

from penstock.core.context import Caller
from penstock.services.leases.service import Leases
from penstock.wire.operation import Input, Output

ACCOUNT_UNITS: Final = 80_000  # AWS's defaults in its large regions; nothing is enforced here
TABLE_UNITS: Final = 40_000
CACHE_MINUTES: Final = 1440


class DescribeLimitsRequest(Input):
    """DescribeLimits."""


class LimitsAnswer(Output, kw_only=True):
    """Throughput quotas."""

    account_max_read_capacity_units: int
    account_max_write_capacity_units: int
    table_max_read_capacity_units: int
    table_max_write_capacity_units: int


async def describe_limits(_leases: Leases, _caller: Caller, request: DescribeLimitsRequest) -> LimitsAnswer:
    """Tell AWS's default quotas."""
    del request
    return LimitsAnswer(
        account_max_read_capacity_units=ACCOUNT_UNITS,
        account_max_write_capacity_units=ACCOUNT_UNITS,
        table_max_read_capacity_units=TABLE_UNITS,
        table_max_write_capacity_units=TABLE_UNITS,
    )


class DescribeEndpointsRequest(Input):
    """DescribeEndpoints."""


class Endpoint(Output, kw_only=True):
    """Where to call."""

    address: str
    cache_period_in_minutes: int


class EndpointsAnswer(Output, kw_only=True):
    """Where to call."""

    endpoints: list[Endpoint]


async def describe_endpoints(_leases: Leases, caller: Caller, request: DescribeEndpointsRequest) -> EndpointsAnswer:
    """Tell AWS's name of the endpoint; a client that was given one of its own goes on using that."""
    del request
    address = f"dynamodb.{caller.region}.amazonaws.com"
    return EndpointsAnswer(endpoints=[Endpoint(address=address, cache_period_in_minutes=CACHE_MINUTES)])
