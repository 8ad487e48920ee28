"""`penstock inspect`: what a data directory holds, in tables.

Theory.  A moment (moment.py) tells it all but the blocks of segments, whose number and size each segment's index knows; an index is read
only for the shards that are asked for.  Sequence numbers are computed, as the service does, from a record's place and arrival.
Rule of this file: it shows what is there; whether that is sound is `check`'s business, so damage is only counted.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from penstock.core.ids import parse_shard_id, shard_id
from penstock.core.sizes import size_text
from penstock.engines.api import Position
from penstock.engines.local.columns import Damaged
from penstock.engines.local.manifest import NewerFormat
from penstock.services.streams import sequence
from penstock.services.streams.state import Shard, Stream
from penstock.storage.check import EXIT_SOUND, EXIT_USAGE
from penstock.storage.directory import DataDirectory, NoDataDirectory
from penstock.storage.moment import Moment, read_moment
from penstock.storage.replay import Log, Stretch
from penstock.storage.screen import Screen
from penstock.storage.segments import BadIndex, read_index

STREAM_TITLES = ("stream", "account/region", "status", "shards<>", "records<>", "bytes<>", "oldest", "newest")
SHARD_TITLES = ("shard", "state", "records<>", "first<>", "next<>", "bytes<>", "oldest", "newest")
STRETCH_TITLES = ("file", "blocks<>", "bytes<>", "offset<>", "arrived", "sequence number")
NOBODYS = "(no stream)"


class NotThere(Exception):
    """What was asked for does not exist; one line says what does."""


def run(root: Path, stream: str | None, shard: str | None) -> int:
    """The verb; the exit code.  `stream` is a name or a uid, `shard` a shard id or its number."""
    screen = Screen()
    try:
        directory = DataDirectory(root)
        moment = read_moment(directory, lambda _count: None)
        if stream is None:
            if shard is not None:
                raise NotThere("--shard needs --stream")
            screen.table(STREAM_TITLES, list(stream_rows(moment)))
        else:
            _show_stream(screen, directory, moment, stream, shard)
    except (NoDataDirectory, NotThere, Damaged, NewerFormat, TimeoutError, OSError) as error:
        screen.complain(error)
        return EXIT_USAGE
    damaged = sum(not finding.harmless for finding in moment.findings)
    if damaged:
        screen.say(f"{damaged:,} problems were seen on the way: penstock check {root} tells them all.")
    return EXIT_SOUND


def stream_rows(moment: Moment) -> Iterator[Sequence[str]]:
    """A row for each stream, by account, region and name; and one for logs that belong to none."""
    logs: dict[str, list[Log]] = defaultdict(list)
    for log in moment.replayed.logs.values():
        logs[log.stream].append(log)
    settled_bytes: dict[str, int] = defaultdict(int)
    for row in moment.found.manifest.segments:
        settled_bytes[row.path.split("/")[1]] += row.size_bytes
    streams = moment.metadata.streams
    for stream in sorted(streams.values(), key=lambda held: held.key):
        held = logs.pop(stream.uid, [])
        size = settled_bytes[stream.uid] + _journal_bytes(held)
        place = f"{stream.account}/{stream.region}"
        yield stream.name, place, stream.status, _shards(moment, stream.uid), *_amounts(held, size)
    for uid, held in sorted(logs.items()):
        yield NOBODYS, uid, "", f"{len(held):,}", *_amounts(held, settled_bytes[uid] + _journal_bytes(held))


def _shards(moment: Moment, uid: str) -> str:
    return f"{sum(shard.uid == uid for shard in moment.metadata.shards.values()):,}"


def _journal_bytes(logs: Sequence[Log]) -> int:
    return sum(held.size_bytes or 0 for log in logs for held in log.stretches)


def _amounts(logs: Sequence[Log], size_bytes: int) -> tuple[str, str, str, str]:
    """Records, bytes, and when the oldest and the newest arrived."""
    stretches = [held for log in logs for held in log.stretches]
    oldest = min((held.first_arrival_ms for held in stretches), default=None)
    newest = max((held.last_arrival_ms for held in stretches), default=None)
    records = sum(log.end - log.start for log in logs)
    return f"{records:,}", size_text(size_bytes), _time(oldest), _time(newest)


def _show_stream(screen: Screen, directory: DataDirectory, moment: Moment, name: str, shard: str | None) -> None:
    chosen = [held for held in moment.metadata.streams.values() if name in (held.name, held.uid)]
    if not chosen:
        known = ", ".join(sorted({held.name for held in moment.metadata.streams.values()})) or "none"
        raise NotThere(f"no stream {name} in {directory.root}; it has: {known}")
    for stream in chosen:
        shards = _chosen(moment, stream, shard)
        size = _Sizes(directory)
        screen.say(f"{stream.name}  {stream.account}/{stream.region}  {stream.uid}  {stream.status}")
        screen.table(SHARD_TITLES, [_shard_row(held, moment.replayed.logs.get(held.log), size) for held in shards])
        for held in shards:
            log = moment.replayed.logs.get(held.log)
            if log is not None and log.stretches:
                screen.say(shard_id(held.no))
                screen.table(
                    STRETCH_TITLES, [row for part in log.stretches for row in _stretch_rows(held, log, part, size)]
                )


def _chosen(moment: Moment, stream: Stream, shard: str | None) -> list[Shard]:
    shards = sorted(
        (held for held in moment.metadata.shards.values() if held.uid == stream.uid), key=lambda held: held.no
    )
    if shard is None:
        return shards
    number = parse_shard_id(shard)
    found = [held for held in shards if held.no == number]
    if not found:
        raise NotThere(f"stream {stream.name} has no shard {shard}; it has {len(shards)}")
    return found


class _Sizes:
    """Blocks and bytes of a log in a file; each index is read once."""

    def __init__(self, directory: DataDirectory) -> None:
        self._directory = directory
        self._indexes: dict[str, dict[int, tuple[int, int]] | None] = {}

    def of(self, log: Log, held: Stretch) -> tuple[int, int] | None:
        """Blocks and bytes, or None where the index cannot be read."""
        if held.blocks is not None and held.size_bytes is not None:
            return held.blocks, held.size_bytes
        if held.path not in self._indexes:
            self._indexes[held.path] = self._read(held.path)
        index = self._indexes[held.path]
        return index.get(log.log_no) if index is not None else None

    def total(self, log: Log) -> int:
        """Bytes of all blocks that are known."""
        return sum(known[1] for held in log.stretches if (known := self.of(log, held)) is not None)

    def _read(self, path: str) -> dict[int, tuple[int, int]] | None:
        index: dict[int, tuple[int, int]] = {}
        try:
            with self._directory.open(path) as file:
                rows, _ = read_index(file)
        except (BadIndex, FileNotFoundError):
            return None
        for row in rows:
            blocks, size = index.get(row.log_no, (0, 0))
            index[row.log_no] = (blocks + 1, size + row.length)
        return index


def _shard_row(shard: Shard, log: Log | None, size: _Sizes) -> Sequence[str]:
    state = "open" if shard.closed_ms is None else "closed"
    if log is None:
        return shard_id(shard.no), "no log", *[""] * (len(SHARD_TITLES) - 2)
    records, size_told, oldest, newest = _amounts([log], size.total(log))
    return shard_id(shard.no), state, records, f"{log.start:,}", f"{log.end:,}", size_told, oldest, newest


def _stretch_rows(shard: Shard, log: Log, held: Stretch, size: _Sizes) -> Iterator[Sequence[str]]:
    """Two rows: its first record, and its last."""
    known = size.of(log, held)
    blocks, size_told = (f"{known[0]:,}", size_text(known[1])) if known is not None else ("?", "?")
    for path, count, told, offset, arrival_ms in (
        (held.path, blocks, size_told, held.first, held.first_arrival_ms),
        ("", "", "", held.end - 1, held.last_arrival_ms),
    ):
        number = sequence.base(shard.origin) + sequence.tail(Position(0, offset), arrival_ms)
        yield path, count, told, f"{offset:,}", _time(arrival_ms), str(number)


def _time(at_ms: int | None) -> str:
    if at_ms is None:
        return ""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
