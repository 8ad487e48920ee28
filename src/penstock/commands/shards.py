"""`penstock shards`: the family tree of a stream's shards, with their hash ranges, and how hot they are where the server tells.

Theory.  The tree needs ListShards alone, so it is drawn for any Kinesis; records, rates and heat are Penstock's to tell.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from penstock.clients.calls import CALL_ERRORS
from penstock.commands.family import Line, Shard, draw, from_listing, hex_text, map_text, range_text
from penstock.commands.paper import console, heat_bar, print_whole, table
from penstock.commands.place import Server, Where, patiently
from penstock.commands.traffic import ShardTraffic, StreamTraffic, fetch_stream
from penstock.core.sizes import size_text

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient


def run(where: Where, stream: str, *, only_open: bool, whole_keys: bool) -> int:
    """Draw it; the exit code.  Raises CommandError."""
    server = Server(where)
    try:
        shards = patiently(lambda: list_shards(server.client, stream))
    except CALL_ERRORS as error:
        raise server.complaint(error, stream) from None
    traffic = fetch_stream(server, stream, account_of(server, stream))
    out = console()
    out.print(heading(stream, server.region, shards, traffic))
    lines = flat(shards) if only_open else list(draw(shards))
    print_whole(out, tree_table(lines, traffic, whole_keys=whole_keys))
    return 0


def list_shards(client: "KinesisClient", stream: str) -> list[Shard]:
    """Every shard of a stream that is still there.  Raises one of CALL_ERRORS."""
    answer = client.list_shards(StreamName=stream)
    listed = answer["Shards"]
    while token := answer.get("NextToken"):
        answer = client.list_shards(NextToken=token)
        listed += answer["Shards"]
    return from_listing(listed)


def account_of(server: Server, stream: str) -> str | None:
    """The account that a stream belongs to, where that can be found out."""
    try:
        summary = server.client.describe_stream_summary(StreamName=stream)["StreamDescriptionSummary"]
    except CALL_ERRORS:
        return server.account
    parts = summary["StreamARN"].split(":")
    return parts[4] if len(parts) > 4 else server.account


def heading(stream: str, region: str, shards: Sequence[Shard], traffic: StreamTraffic | None) -> Text:
    """The stream in a line."""
    still = sum(shard.open for shard in shards)
    facts = [region, f"{still:,} open, {len(shards) - still:,} closed"]
    if traffic is not None:
        facts += [
            f"in {traffic.in_records_per_s:,.0f}/s {size_text(traffic.in_bytes_per_s)}/s",
            f"out {traffic.out_records_per_s:,.0f}/s {size_text(traffic.out_bytes_per_s)}/s",
        ]
    return Text.assemble((stream, "bold"), ("  " + "  ".join(facts), "dim"))


def flat(shards: Sequence[Shard]) -> list[Line]:
    """The open shards, in the order of their hash ranges."""
    return [Line("", shard, "") for shard in sorted(shards, key=lambda shard: shard.start) if shard.open]


def tree_table(lines: Sequence[Line], traffic: StreamTraffic | None, *, whole_keys: bool) -> Table:
    """A row for each line of the tree; a column that would be empty is left out."""
    rows = {row.shard_id: row for row in (traffic.shards or ())} if traffic is not None else {}
    sized = any(row.bytes is not None for row in rows.values())
    told = ("records<>", *(("size<>",) if sized else ()), "in/s<>", "bytes/s<>", "heat") if rows else ()
    notes = ("",) if any(line.note for line in lines) else ()
    made = table("shard", "", "hash keys", "from–to", "where", *told, *notes)
    for line in lines:
        note = [Text(line.note, style="dim")] if notes else []
        if line.pointer:
            made.add_row(Text(line.text, style="dim"), *[""] * (4 + len(told)), *note)
            continue
        cells = _told(rows.get(line.shard.shard_id, ShardTraffic("", open=False)), sized=sized) if rows else []
        made.add_row(*_drawn(line, whole_keys=whole_keys), *cells, *note)
    return made


def _drawn(line: Line, *, whole_keys: bool) -> list[Text]:
    shard, style = line.shard, "" if line.shard.open else "dim"
    return [
        Text.assemble((line.branch, "dim"), (shard.label, "cyan" if shard.open else "dim")),
        Text("open" if shard.open else "closed", style="green" if shard.open else "dim"),
        Text(range_text(shard), style=style),
        Text(hex_text(shard, whole=whole_keys), style=style),
        Text(map_text(shard), style="cyan" if shard.open else "dim"),
    ]


def _told(row: ShardTraffic, *, sized: bool) -> list[Text]:
    size = [Text("" if row.bytes is None else size_text(row.bytes))] if sized else []
    return [
        Text("" if row.records is None else f"{row.records:,}"),
        *size,
        Text(f"{row.in_records_per_s:,.0f}" if row.open else ""),
        Text(size_text(row.in_bytes_per_s) if row.open else ""),
        heat_bar(row.heat) if row.open else Text(""),
    ]
