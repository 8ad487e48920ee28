"""Settings of a stream: retention period, record size."""

from msgspec.structs import replace

from penstock.core import limits
from penstock.core.context import Caller
from penstock.core.errors import Error
from penstock.services.streams.directory import StreamView
from penstock.services.streams.ops.naming import StreamArnRequest, StreamRequest
from penstock.services.streams.service import Streams


class RetentionRequest(StreamRequest, kw_only=True):
    """IncreaseStreamRetentionPeriod and DecreaseStreamRetentionPeriod."""

    retention_period_hours: int


async def increase_stream_retention_period(streams: Streams, caller: Caller, request: RetentionRequest) -> None:
    """Keep records longer; what has expired by now stays expired.  The present value is accepted and changes nothing.

    Raises RETENTION_TOO_SHORT, RETENTION_TOO_LONG, RETENTION_NOT_AN_INCREASE.
    """
    hours = request.retention_period_hours
    view = _checked(streams, caller, request)
    existing = view.stream.retention_hours
    if hours < existing:
        raise Error.RETENTION_NOT_AN_INCREASE(hours=hours, stream=view.stream.name, existing=existing)
    if hours > existing:
        await streams.retention.trim(view)
        await streams.lifecycle.change(view, replace(view.stream, retention_hours=hours))


async def decrease_stream_retention_period(streams: Streams, caller: Caller, request: RetentionRequest) -> None:
    """Keep records for a shorter time; what is older is gone at once.  The present value is accepted and changes nothing.

    Raises RETENTION_TOO_SHORT, RETENTION_TOO_LONG, RETENTION_NOT_A_DECREASE.
    """
    hours = request.retention_period_hours
    view = _checked(streams, caller, request)
    existing = view.stream.retention_hours
    if hours > existing:
        raise Error.RETENTION_NOT_A_DECREASE(hours=hours, stream=view.stream.name, existing=existing)
    if hours < existing:
        await streams.lifecycle.change(view, replace(view.stream, retention_hours=hours))


def _checked(streams: Streams, caller: Caller, request: RetentionRequest) -> StreamView:
    hours = request.retention_period_hours
    if hours < limits.RETENTION_MIN_HOURS:
        raise Error.RETENTION_TOO_SHORT(minimum=limits.RETENTION_MIN_HOURS, hours=hours)
    if hours > limits.RETENTION_MAX_HOURS:
        raise Error.RETENTION_TOO_LONG(maximum=limits.RETENTION_MAX_HOURS, hours=hours)
    return streams.find_active(caller, request)


class UpdateMaxRecordSizeRequest(StreamArnRequest, kw_only=True):
    """UpdateMaxRecordSize."""

    max_record_size_in_kib: int


async def update_max_record_size(streams: Streams, caller: Caller, request: UpdateMaxRecordSizeRequest) -> None:
    """Set the largest record that the stream takes, data and partition key together: 1024 .. 10240 KiB."""
    view = streams.find_active(caller, request)
    await streams.lifecycle.change(view, replace(view.stream, max_record_kib=request.max_record_size_in_kib))
