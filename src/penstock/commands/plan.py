"""`penstock plan`: the shards that a load needs, what AWS would ask for them, and what this machine's disk carries.

Rule of this file: a figure is computed, told by the server, or measured while the user waits; none is quoted from elsewhere.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
from rich.console import Console
from rich.text import Text

from penstock.clients.calls import CALL_ERRORS
from penstock.commands.estimate import (
    MB,
    Item,
    Load,
    Need,
    Prices,
    on_demand,
    provisioned,
    shards_needed,
    total,
)
from penstock.commands.paper import console, print_whole, table
from penstock.commands.place import DATA_DIR_DEFAULT, CommandError, Server, Where
from penstock.commands.shards import account_of
from penstock.commands.traffic import StreamTraffic, fetch, fetch_stream, no_page
from penstock.core.limits import KIB

PRICE_FILE: Final = Path(__file__).with_name("prices.toml")
UNKNOWN_RECORD_BYTES: Final = 1000  # where only bytes, or only records, were said


@dataclass(frozen=True, slots=True)
class Options:
    """The options of `penstock plan`; None: not said."""

    write_mb: float | None = None  # a second, of 10**6 bytes
    records: float | None = None  # a second
    read_mb: float | None = None  # a second, by all who share the shards' reads
    consumers: int | None = None  # with enhanced fan-out
    retention_hours: int | None = None
    stream: str | None = None
    prices: str | None = None
    measure_s: float | None = None


def run(where: Where, options: Options) -> int:
    """Work it out and show it; the exit code.  Raises CommandError."""
    prices = read_prices(Path(options.prices) if options.prices else PRICE_FILE)
    recorded = None if options.stream is None else _recorded(Server(where), options.stream)
    load = load_of(options, recorded)
    need = shards_needed(load)
    out = console()
    out.print(_load_text(load, recorded))
    _show_need(out, load, need, recorded)
    _show_bills(out, load, need.shards, prices)
    if options.measure_s is not None:
        _measure(out, Path(where.data_dir or DATA_DIR_DEFAULT), load, options.measure_s)
    else:
        out.print(Text("--measure tells what this machine's disk takes instead.", style="dim"))
    return 0


def read_prices(path: Path) -> Prices:
    """A price file.  Raises CommandError."""
    try:
        return msgspec.toml.decode(path.read_bytes(), type=Prices)
    except OSError as error:
        raise CommandError(f"--prices: {path}: {error.strerror}") from None
    except (msgspec.MsgspecError, ValueError) as error:
        raise CommandError(f"--prices: {path}: {error}") from None


def load_of(options: Options, recorded: StreamTraffic | None) -> Load:
    """The load that was said, and what was not said as it was recorded.  Raises CommandError where neither tells one."""
    if recorded is None and options.write_mb is None and options.records is None and options.read_mb is None:
        raise CommandError("say a load, such as --write-mb 12 --records 9000 --read-mb 30, or --stream NAME")
    past = recorded or StreamTraffic("")
    write = past.peak_in_bytes_per_s_30d if options.write_mb is None else options.write_mb * MB
    records = past.peak_in_records_per_s_30d if options.records is None else options.records
    if not records:
        records = write / UNKNOWN_RECORD_BYTES
    elif not write:
        write = records * UNKNOWN_RECORD_BYTES
    return Load(
        write,
        records,
        past.peak_out_bytes_per_s_30d if options.read_mb is None else options.read_mb * MB,
        past.consumers if options.consumers is None else options.consumers,
        past.retention_hours if options.retention_hours is None else options.retention_hours,
    )


def _recorded(server: Server, stream: str) -> StreamTraffic:
    try:
        server.client.describe_stream_summary(StreamName=stream)
        page = fetch(server)
    except CALL_ERRORS as error:
        raise server.complaint(error, stream) from None
    recorded = fetch_stream(server, stream, account_of(server, stream))
    if page is None or recorded is None:
        raise no_page(server, "plan --stream")
    return recorded


def _load_text(load: Load, recorded: StreamTraffic | None) -> Text:
    parts = [
        f"{load.write_bytes_per_s / MB:,.3g} MB/s in {load.records_per_s:,.0f} records/s",
        f"{load.read_bytes_per_s / MB:,.3g} MB/s of shared reads",
        f"{load.consumers} fan-out consumer{'s' * (load.consumers != 1)}",
        f"{load.retention_hours:,} h kept",
    ]
    whence = f" (stream {recorded.name}: the peaks that the server has recorded)" if recorded is not None else ""
    return Text.assemble(("Load", "bold"), "  " + ", ".join(parts), (whence, "dim"))


def _show_need(out: Console, load: Load, need: Need, recorded: StreamTraffic | None) -> None:
    made = table("shards for", "load<>", "a shard carries<>", "shards<>")
    made.add_row("bytes written", f"{load.write_bytes_per_s / 1000:,.0f} KB/s", "1,000 KB/s", f"{need.for_writes:,}")
    made.add_row("records written", f"{load.records_per_s:,.0f}/s", "1,000/s", f"{need.for_records:,}")
    made.add_row("shared reads", f"{load.read_bytes_per_s / 1000:,.0f} KB/s", "2,000 KB/s", f"{need.for_reads:,}")
    print_whole(out, made)
    now = "" if recorded is None else f"; it has {recorded.open_shards:,}"
    out.print(Text.assemble(("Shards", "bold"), f"  {need.shards:,}, because of {need.reason}{now}\n"))


def _show_bills(out: Console, load: Load, shards: int, prices: Prices) -> None:
    bills = [
        ("provisioned", provisioned(load, shards, prices.provisioned)),
        ("on-demand", on_demand(load, prices.on_demand)),
    ]
    made = table("a month at AWS", "", "amount<>", "", f"{prices.currency}<>")
    for mode, items in bills:
        for item in items:
            made.add_row(mode, item.name, _amount(item), item.unit, f"{item.cost:,.2f}")
        made.add_row("", "", "", Text(f"{mode}, in all"), Text(f"{total(items):,.2f}", style="bold"))
        made.add_section()
    print_whole(out, made)
    note = (
        f"An estimate for this load, all day long, in {prices.region}, at prices of {prices.as_of}: {prices.source}."
        " Taxes, transfer, KMS and reads of records older than 7 days come on top."
    )
    out.print(Text(note, style="dim"))


def _amount(item: Item) -> str:
    return f"{item.amount:,.0f}" if item.amount >= 100 else f"{item.amount:,.2f}"


def _measure(out: Console, data_dir: Path, load: Load, seconds: float) -> None:
    from penstock.storage.measure import measure

    folder = next(place for place in (data_dir, *data_dir.absolute().parents) if place.is_dir())
    size = min(max(1, round(load.record_bytes) or KIB), KIB * KIB)
    try:
        found = measure(folder, seconds, size)
    except OSError as error:
        raise CommandError(f"cannot measure in {folder}: {error.strerror}") from None
    times = found.records_per_s / load.records_per_s if load.records_per_s else 0.0
    text = (
        f"  {found.records_per_s:,.0f} records/s of {size:,} bytes ({found.records_per_s * size / MB:,.0f} MB/s), each on the disk"
        f" of {folder.absolute()} before it counts: {times:,.3g} times the load.\n"
        f"  Measured just now, for {found.seconds:.1f} s: the storage engine alone, without HTTP in front of it;"
        " `make bench` measures the whole server."
    )
    out.print(Text.assemble(("This machine", "bold"), text))
