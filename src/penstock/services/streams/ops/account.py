"""Settings of an account: the commitment to a minimum throughput."""

from typing import Literal

from penstock.core.context import Caller
from penstock.core.ids import Millis
from penstock.services.streams.account import Account, CommitmentStatus
from penstock.services.streams.service import Streams
from penstock.wire.operation import Input, Output


class DescribeAccountSettingsRequest(Input):
    """DescribeAccountSettings."""


class CommitmentRequest(Input):
    """What is asked of the commitment."""

    status: Literal["ENABLED", "DISABLED"]


class UpdateAccountSettingsRequest(Input):
    """UpdateAccountSettings."""

    minimum_throughput_billing_commitment: CommitmentRequest


class Commitment(Output):
    """Where the commitment stands."""

    status: CommitmentStatus
    started_at: Millis | None = None
    ended_at: Millis | None = None
    earliest_allowed_end_at: Millis | None = None


class AccountSettingsOutput(Output):
    """The settings of an account."""

    minimum_throughput_billing_commitment: Commitment


async def describe_account_settings(
    streams: Streams, caller: Caller, request: DescribeAccountSettingsRequest
) -> AccountSettingsOutput:
    """Tell the account's settings in the region."""
    return _described(streams.accounts.find(caller.account, caller.region), streams.clock.now_ms())


async def update_account_settings(
    streams: Streams, caller: Caller, request: UpdateAccountSettingsRequest
) -> AccountSettingsOutput:
    """Begin the commitment, or end it: at once, or when its first 24 hours are over.  What is already so stays as it is."""
    committed = request.minimum_throughput_billing_commitment.status == "ENABLED"
    now_ms = streams.clock.now_ms()
    account = await streams.accounts.settle(caller.account, caller.region, committed=committed, now_ms=now_ms)
    return _described(account, now_ms)


def _described(account: Account, now_ms: int) -> AccountSettingsOutput:
    status = account.commitment(now_ms)
    return AccountSettingsOutput(
        minimum_throughput_billing_commitment=Commitment(
            status=status,
            started_at=account.committed_ms,
            ended_at=account.ends_ms if status == "DISABLED" else None,
            earliest_allowed_end_at=account.earliest_end_ms if status != "DISABLED" else None,
        )
    )
