"""Status: what `GET /_penstock/firehose` tells of delivery streams, and what a flush does."""

from collections.abc import Sequence

import msgspec

from penstock.core.errors import ServiceError
from penstock.core.ids import Millis
from penstock.engines.api import NoSuchLog
from penstock.services.firehose.directory import DeliveryView
from penstock.services.firehose.fleet import Crew
from penstock.services.firehose.report import Trouble
from penstock.services.firehose.service import Firehose


class StageStatus(msgspec.Struct, frozen=True):
    """One stage of a delivery stream."""

    name: str
    buffers: int  # open
    held_bytes: int  # in its buffers and at work


class LaneStatus(msgspec.Struct, frozen=True):
    """One shard of its source."""

    shard_id: str
    unread_records: int
    unaccounted_records: int  # read, but not accounted for


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """What was done since it was last put to work."""

    lag_ms: int  # of the slowest shard, when it was last read
    delivered_records: int
    delivered_bytes: int
    objects: int
    failed_records: int  # in the error prefix
    stages: Sequence[StageStatus]
    lanes: Sequence[LaneStatus]
    errors: Sequence[Trouble]  # the last ones


class DeliveryStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One delivery stream."""

    name: str
    account: str
    region: str
    arn: str
    status: str
    source: str
    destination: str
    version: int
    progress: Progress | None  # None: it is not at work


class Statuses(msgspec.Struct, frozen=True):
    """All that were asked for."""

    now_ms: Millis
    delivery_streams: Sequence[DeliveryStatus]


async def statuses(firehose: Firehose, name: str | None) -> Statuses:
    """Every delivery stream, or those of one name, in every account and region."""
    found = [await _status(firehose, view) for view in _named(firehose, name)]
    return Statuses(firehose.clock.now_ms(), found)


def flush(firehose: Firehose, name: str) -> int:
    """Hand over what is in the buffers of delivery streams of a name now; how many there are at work."""
    crews = [crew for view in _named(firehose, name) if (crew := firehose.fleet.find(view)) is not None]
    for crew in crews:
        crew.runner.flush()
    return len(crews)


def _named(firehose: Firehose, name: str | None) -> list[DeliveryView]:
    views = [view for view in firehose.directory.all() if name in (None, view.stream.name)]
    return sorted(views, key=lambda view: view.stream.key)


async def _status(firehose: Firehose, view: DeliveryView) -> DeliveryStatus:
    stream, crew = view.stream, firehose.fleet.find(view)
    return DeliveryStatus(
        name=stream.name,
        account=stream.account,
        region=stream.region,
        arn=stream.arn,
        status=stream.status,
        source=stream.source_arn or stream.type,
        destination=stream.kind,
        version=stream.version,
        progress=None if crew is None else await _progress(firehose, crew),
    )


async def _progress(firehose: Firehose, crew: Crew) -> Progress:
    report, stages = crew.report, crew.runner.stages
    return Progress(
        lag_ms=crew.source.behind_ms,
        delivered_records=report.delivered_records,
        delivered_bytes=report.delivered_bytes,
        objects=report.objects,
        failed_records=report.failed_records,
        stages=[StageStatus(stage.name, len(stage.buffers), stage.held_bytes) for stage in stages],
        lanes=await _lanes(firehose, crew),
        errors=list(report.errors),
    )


async def _lanes(firehose: Firehose, crew: Crew) -> list[LaneStatus]:
    found = []
    for held, mark, position in crew.source.lanes:
        try:
            end = await firehose.streams.reader.tip(crew.source.view, held)
        except (ServiceError, NoSuchLog):  # the stream is being deleted
            continue
        read = max(position.offset - mark.position.offset, 0)
        found.append(LaneStatus(held.shard_id, max(end.offset - position.offset, 0), read))
    return found
