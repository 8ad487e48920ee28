"""STS: who is calling."""

import msgspec

from penstock.core.context import Caller
from penstock.wire.operation import Input, Output


class GetCallerIdentityRequest(Input):
    """Nothing is asked."""


class CallerIdentity(Output):
    """The caller."""

    user_id: str
    account: str
    arn: str = msgspec.field(name="Arn")  # STS writes it so, Kinesis ARN


async def get_caller_identity(_service: None, caller: Caller, request: GetCallerIdentityRequest) -> CallerIdentity:
    """Tell the caller its account and principal.  Always allowed."""
    return CallerIdentity(user_id=caller.account, account=caller.account, arn=caller.arn)
