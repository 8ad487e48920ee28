"""Continuous backups: the setting is kept and told back, because KCL asks for it; nothing is backed up by it."""

from typing import Literal

from msgspec.structs import replace

from penstock.core.context import Caller
from penstock.core.ids import Millis
from penstock.core.lease_errors import LeaseError
from penstock.services.leases.ops.asked import Request
from penstock.services.leases.service import Leases, place_of
from penstock.services.leases.tables import TableView
from penstock.wire.operation import Input, Output

Status = Literal["ENABLED", "DISABLED"]


class PointInTimeRecoveryDescription(Output, kw_only=True):
    """Point-in-time recovery, as it would be."""

    point_in_time_recovery_status: Status
    recovery_period_in_days: int | None = None
    earliest_restorable_date_time: Millis | None = None
    latest_restorable_date_time: Millis | None = None


class ContinuousBackupsDescription(Output, kw_only=True):
    """Continuous backups, as they would be."""

    continuous_backups_status: Status
    point_in_time_recovery_description: PointInTimeRecoveryDescription


class BackupsAnswer(Output, kw_only=True):
    """Both operations'."""

    continuous_backups_description: ContinuousBackupsDescription


class DescribeContinuousBackupsRequest(Request, kw_only=True):
    """DescribeContinuousBackups."""


async def describe_continuous_backups(
    leases: Leases, caller: Caller, request: DescribeContinuousBackupsRequest
) -> BackupsAnswer:
    """Tell what was set."""
    return _described(leases, _table(leases, caller, request.table_name))


class PointInTimeRecoverySpecification(Input, kw_only=True):
    """What is to be set."""

    point_in_time_recovery_enabled: bool
    recovery_period_in_days: int = 35


class UpdateContinuousBackupsRequest(Request, kw_only=True):
    """UpdateContinuousBackups."""

    point_in_time_recovery_specification: PointInTimeRecoverySpecification


async def update_continuous_backups(
    leases: Leases, caller: Caller, request: UpdateContinuousBackupsRequest
) -> BackupsAnswer:
    """Keep what is set."""
    view = _table(leases, caller, request.table_name)
    asked = request.point_in_time_recovery_specification
    since_ms = (view.table.backed_up_ms or leases.clock.now_ms()) if asked.point_in_time_recovery_enabled else None
    changed = replace(view.table, backed_up_ms=since_ms, backup_days=asked.recovery_period_in_days)
    await leases.tables.replace(view, changed)
    return _described(leases, view)


def _table(leases: Leases, caller: Caller, name: str) -> TableView:
    view = leases.find(caller, name)
    if view is None:
        raise LeaseError.NO_TABLE_BACKED_UP(table=place_of(caller, name).name)
    return view


def _described(leases: Leases, view: TableView) -> BackupsAnswer:
    since_ms = view.table.backed_up_ms
    recovery = PointInTimeRecoveryDescription(point_in_time_recovery_status="DISABLED")
    if since_ms is not None:
        recovery = PointInTimeRecoveryDescription(
            point_in_time_recovery_status="ENABLED",
            recovery_period_in_days=view.table.backup_days,
            earliest_restorable_date_time=since_ms,
            latest_restorable_date_time=leases.clock.now_ms(),
        )
    return BackupsAnswer(
        continuous_backups_description=ContinuousBackupsDescription(
            continuous_backups_status="ENABLED", point_in_time_recovery_description=recovery
        )
    )
