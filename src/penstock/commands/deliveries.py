"""`penstock firehose`: what delivery streams are doing, and a flush of their buffers.

Rule of this file: every field but the names may be missing, so that an older or a newer server is still understood.
"""

from collections.abc import Sequence
from typing import Final
from urllib.parse import quote

import msgspec
from rich.console import Console

from penstock.clients.calls import CALL_ERRORS
from penstock.commands.paper import clock_text, console, print_whole, table, tame
from penstock.commands.place import CommandError, Server, Where
from penstock.core.sizes import size_text

PAGE: Final = "/_penstock/firehose"


class Stage(msgspec.Struct, frozen=True):
    """One stage: what waits there."""

    name: str
    buffers: int = 0
    held_bytes: int = 0


class Lane(msgspec.Struct, frozen=True):
    """One shard of the source."""

    shard_id: str
    unread_records: int = 0
    unaccounted_records: int = 0


class Trouble(msgspec.Struct, frozen=True):
    """An error of a delivery."""

    at_ms: int = 0
    stage: str = ""
    code: str = ""
    message: str = ""


class Progress(msgspec.Struct, frozen=True):
    """Since it was last put to work."""

    lag_ms: int = 0
    delivered_records: int = 0
    delivered_bytes: int = 0
    objects: int = 0
    failed_records: int = 0
    stages: Sequence[Stage] = ()
    lanes: Sequence[Lane] = ()
    errors: Sequence[Trouble] = ()


class Delivery(msgspec.Struct, frozen=True):
    """One delivery stream."""

    name: str
    account: str = ""
    region: str = ""
    status: str = ""
    source: str = ""
    destination: str = ""
    version: int = 0
    progress: Progress | None = None


class Page(msgspec.Struct, frozen=True):
    """The page."""

    delivery_streams: Sequence[Delivery]
    now_ms: int = 0


class Flushed(msgspec.Struct, frozen=True):
    """What a flush answers."""

    flushed: int


def show_status(where: Where, name: str | None) -> int:
    """Print what all do, or what one does in detail; the exit code.  Raises CommandError."""
    server = Server(where)
    found = _fetch(server, name)
    out = console()
    if name is None:
        _print_all(out, found)
        return 0
    if not found:
        raise CommandError(f"there is no delivery stream {name} at {server.endpoint}")
    for delivery in found:
        _print_one(out, delivery)
    return 0


def flush(where: Where, name: str) -> int:
    """Have the buffers of a delivery stream handed over now; the exit code.  Raises CommandError."""
    server = Server(where)
    try:
        content = server.post(f"{PAGE}/flush", {"name": name})
    except CALL_ERRORS as error:
        raise server.complaint(error) from None
    if content is None:
        raise _no_page(server)
    if msgspec.json.decode(content, type=Flushed).flushed == 0:
        raise CommandError(f"no delivery stream {name} is at work at {server.endpoint}")
    console().print(f"{name}: what was buffered is on its way; penstock firehose status {name} tells of it.")
    return 0


def _fetch(server: Server, name: str | None) -> Sequence[Delivery]:
    query = "" if name is None else f"?name={quote(name, safe='')}"
    try:
        content = server.page(PAGE + query)
        page = None if content is None else msgspec.json.decode(content, type=Page)
    except CALL_ERRORS as error:
        raise server.complaint(error) from None
    except msgspec.MsgspecError:  # some other server's page
        page = None
    if page is None:
        raise _no_page(server)
    return page.delivery_streams


def _no_page(server: Server) -> CommandError:
    return CommandError(f"{server.endpoint} has no {PAGE}: `penstock firehose` needs a Penstock server")


def _print_all(out: Console, found: Sequence[Delivery]) -> None:
    rows = table(
        "delivery stream", "region", "status", "source", "destination", "lag<>", "delivered<>", "failed<>", "last error"
    )
    for one in found:
        progress = one.progress or Progress()
        last = progress.errors[-1].code if progress.errors else ""
        source = one.source.rpartition(":")[2]
        lag = "not at work" if one.progress is None else f"{progress.lag_ms / 1000:.1f} s"
        rows.add_row(
            one.name,
            f"{one.account}/{one.region}",
            one.status,
            source,
            one.destination,
            lag,
            f"{progress.delivered_records:,}",
            f"{progress.failed_records:,}",
            last,
        )
    print_whole(out, rows)


def _print_one(out: Console, one: Delivery) -> None:
    out.print(
        f"{one.name} ({one.account}/{one.region}), version {one.version}: {one.status}, {one.source} to {one.destination}"
    )
    progress = one.progress
    if progress is None:
        out.print("It is not at work: see the server's log.")
        return
    out.print(
        f"{progress.delivered_records:,} records, {size_text(progress.delivered_bytes)} in {progress.objects:,} objects or"
        f" requests; {progress.failed_records:,} records in the error prefix; {progress.lag_ms / 1000:.1f} s behind."
    )
    stages = table("stage", "buffers<>", "held<>")
    for stage in progress.stages:
        stages.add_row(stage.name, str(stage.buffers), size_text(stage.held_bytes))
    print_whole(out, stages)
    lanes = table("shard", "unread<>", "on their way<>")
    for lane in progress.lanes:
        lanes.add_row(lane.shard_id, f"{lane.unread_records:,}", f"{lane.unaccounted_records:,}")
    print_whole(out, lanes)
    for error in progress.errors:
        out.print(f"{clock_text(error.at_ms)} {error.stage}: {error.code}: {tame(error.message)}")
