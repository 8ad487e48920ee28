"""What a Penstock server tells of its traffic: `GET /_penstock/traffic`, and with `?stream=NAME` the shards of one stream.

Rule of this file: every field but the names may be missing, so that an older or a newer server is still understood.
"""

from urllib.parse import quote

import msgspec

from penstock.clients.calls import CALL_ERRORS
from penstock.commands.place import CommandError, Server

PAGE = "/_penstock/traffic"


class ShardTraffic(msgspec.Struct, frozen=True):
    """One shard; rates are over the last seconds."""

    shard_id: str
    open: bool = True
    records: int | None = None  # that it holds
    bytes: int | None = None
    in_bytes_per_s: float = 0.0
    in_records_per_s: float = 0.0
    out_bytes_per_s: float = 0.0
    out_records_per_s: float = 0.0
    refused_writes_per_s: float = 0.0
    refused_reads_per_s: float = 0.0
    iterator_age_ms: float | None = None  # of the reader that is furthest behind
    heat: float | None = None  # 1 is all that a shard may take in


class StreamTraffic(msgspec.Struct, frozen=True):
    """One stream; rates are over the last seconds."""

    name: str
    account: str = ""
    region: str = ""
    status: str = ""
    mode: str = ""
    open_shards: int = 0
    consumers: int = 0  # enhanced fan-out
    retention_hours: int = 24
    in_bytes_per_s: float = 0.0
    in_records_per_s: float = 0.0
    out_bytes_per_s: float = 0.0
    out_records_per_s: float = 0.0
    refused_writes_per_s: float = 0.0
    refused_reads_per_s: float = 0.0
    iterator_age_ms: float | None = None  # of the reader that is furthest behind
    peak_in_bytes_per_s_30d: float = 0.0
    peak_in_records_per_s_30d: float = 0.0
    peak_out_bytes_per_s_30d: float = 0.0
    shards: tuple[ShardTraffic, ...] | None = None


class Traffic(msgspec.Struct, frozen=True):
    """The page."""

    now_ms: int = 0
    streams: tuple[StreamTraffic, ...] = ()


def fetch(server: Server, stream: str | None = None) -> Traffic | None:
    """The page, or None where the server has none.  Raises one of CALL_ERRORS."""
    query = "" if stream is None else f"?stream={quote(stream, safe='')}"
    content = server.page(PAGE + query)
    try:
        return None if content is None else msgspec.json.decode(content, type=Traffic)
    except msgspec.MsgspecError:  # some other server's page
        return None


def fetch_stream(server: Server, stream: str, account: str | None) -> StreamTraffic | None:
    """One stream of the caller's region, and account where that is known; None where the page tells nothing of it."""
    try:
        traffic = fetch(server, stream)
    except CALL_ERRORS:  # what has no such page may do anything about being asked for it
        return None
    rows = () if traffic is None else traffic.streams
    return next(
        (
            row
            for row in rows
            if row.name == stream and row.region in ("", server.region) and account in (None, "", row.account)
        ),
        None,
    )


def no_page(server: Server, verb: str) -> CommandError:
    """What to say of a server without the page."""
    return CommandError(
        f"{server.endpoint} has no {PAGE}: `penstock {verb}` needs a Penstock server that tells of its traffic"
    )
