"""What a data directory says of its logs: the manifest, and over it the journal, read independently of the engine's own recovery.

Theory.  For each log the indexes of segments tell the stretches of records in them; the journal files from `first_file_no` on go on
from there.  Together they must tile the log from its start to its end.  What they do not cover was acknowledged once and is lost; what
they cover twice cannot be.
Rules of this file:
  1. Only indexes and the journal are read, a file at a time; memory holds one file, and a row for each stretch.
  2. The group numbers of one file go on in the next: so a tail that was torn is told from one that rotted.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from penstock.engines.local import columns, frame, journal
from penstock.engines.local.columns import Damaged
from penstock.engines.local.frame import SECTOR_BYTES, Frame, Kind, Tail
from penstock.engines.local.manifest import FOLDER, Manifest, SegmentRow
from penstock.engines.local.ranges import RangeRow
from penstock.engines.local.segment import ranges_of
from penstock.storage.directory import Advance, DataDirectory
from penstock.storage.finding import Finding
from penstock.storage.segments import read_index

_NUMBERS: Final = {Kind.CREATE: 1, Kind.DROP: 1, Kind.SEAL: 2, Kind.TRIM: 2}  # in the body of a control frame


@dataclass(slots=True)
class Stretch:
    """Consecutive records of a log in one file."""

    path: str
    first: int
    end: int
    first_arrival_ms: int
    last_arrival_ms: int
    blocks: int | None  # None: only the index of the segment knows
    size_bytes: int | None  # of blocks; None as above


@dataclass(slots=True)
class Log:
    """One log."""

    log_no: int
    name: str
    start: int = 0
    end: int = 0
    last_arrival_ms: int = -1
    sealed: bool = False
    stretches: list[Stretch] = field(default_factory=list)

    @property
    def stream(self) -> str:
        """The uid of its stream."""
        return self.name.partition("/")[0]


@dataclass(slots=True)
class Replayed:
    """Every log, by name, and what was found on the way."""

    manifest: Manifest
    logs: dict[str, Log] = field(default_factory=dict)
    journal_files: int = 0
    journal_bytes: int = 0  # up to where each file's good frames end
    findings: list[Finding] = field(default_factory=list)
    unfinished: bool = False  # the last commit is not there whole
    unread: dict[str, str] = field(default_factory=dict)  # of a stream: the segment whose index was last found damaged
    overtaken: bool = False  # a server settled files while they were read: begin again with the newest manifest


def replay(directory: DataDirectory, manifest: Manifest, advance: Advance) -> Replayed:
    """Read the journal over a manifest."""
    found = Replayed(manifest)
    for row in manifest.logs:
        found.logs[row.name] = Log(row.log_no, row.name, row.start, row.start, row.last_arrival_ms, row.sealed)
    _take_segments(directory, found, manifest)
    _Journal(directory, found, advance).read()
    return found


def _take_segments(directory: DataDirectory, found: Replayed, manifest: Manifest) -> None:
    by_number = {log.log_no: log for log in found.logs.values()}
    for segment in manifest.segments:
        for held in _ranges(directory, found, segment):
            log = by_number.get(held.log_no)
            if log is not None and held.end > log.start:
                arrivals = (held.first_arrival_ms, held.last_arrival_ms)
                _add(found, log, Stretch(segment.path, held.first_offset, held.end, *arrivals, None, None))
    for row in manifest.logs:
        log = found.logs[row.name]
        if log.end < row.end:
            found.findings.append(_lost(found, log, row.end, f"{FOLDER}/", "names no segment that holds them"))
            log.end = row.end
        elif log.stretches and log.end > row.end:
            what = "holds records behind the end that the manifest gives"
            found.findings.append(Finding(log.stretches[-1].path, what, None, row.name, (row.end, log.end)))


def _ranges(directory: DataDirectory, found: Replayed, segment: SegmentRow) -> Iterable[RangeRow]:
    """What a segment holds, by its index; nothing where that is damaged, which shows when the segment is verified."""
    try:
        with directory.open(segment.path) as file:
            rows, _ = read_index(file, segment)
        return ranges_of(rows)
    except FileNotFoundError:
        found.unread[_stream(segment.path)] = segment.path
        found.overtaken = found.overtaken or segment not in directory.find_manifest().manifest.segments
    except Damaged:
        found.unread[_stream(segment.path)] = segment.path
    return ()


def _stream(path: str) -> str:
    return path.split("/")[1]


def _lost(found: Replayed, log: Log, until: int, path: str, what: str) -> Finding:
    records = (log.end, until)
    if log.stream in found.unread:
        return Finding(
            found.unread[log.stream], "records that it must have held cannot be found", None, log.name, records
        )
    return Finding(path, what, None, log.name, records)


def _add(found: Replayed, log: Log, held: Stretch) -> None:
    """Take in the next stretch of a log; complain unless it goes on where the last one ended."""
    if held.first > log.end:
        found.findings.append(_lost(found, log, held.first, held.path, "records before it are missing"))
    elif held.first < log.end and log.stretches:
        overlap = (held.first, min(log.end, held.end))
        found.findings.append(Finding(held.path, "records that lie elsewhere too", None, log.name, overlap))
    if log.stretches and held.first_arrival_ms < log.stretches[-1].last_arrival_ms:
        found.findings.append(
            Finding(held.path, "records arrived before those that they follow", None, log.name, (held.first, held.end))
        )
    last = log.stretches[-1] if log.stretches else None
    if last is not None and last.path == held.path and last.end == held.first and held.blocks is not None:
        last.end, last.last_arrival_ms = held.end, held.last_arrival_ms
        last.blocks = (last.blocks or 0) + held.blocks
        last.size_bytes = (last.size_bytes or 0) + (held.size_bytes or 0)
    else:
        log.stretches.append(held)
    log.end = max(log.end, held.end)
    log.last_arrival_ms = max(log.last_arrival_ms, held.last_arrival_ms)


class _Journal:
    """The journal files of one replay."""

    def __init__(self, directory: DataDirectory, found: Replayed, advance: Advance) -> None:
        self._directory = directory
        self._found = found
        self._advance = advance
        self._by_number = {log.log_no: log for log in found.logs.values()}
        self._next_log_no = found.manifest.next_log_no
        self._before: tuple[str, Tail] | None = None  # the file before, and how it ended

    def read(self) -> None:
        """Read every file."""
        first = self._found.manifest.first_file_no
        numbers = self._directory.journal_numbers(first)
        if (
            self._directory.find_manifest().manifest.first_file_no != first
        ):  # the listing may lack what is settled by now
            self._found.overtaken = True
            return
        for file_no in numbers:
            content = self._directory.read_journal(file_no, live=file_no == numbers[-1])
            if content is None:
                self._found.overtaken = True
                return
            self._read_file(file_no, content, last=file_no == numbers[-1])
            self._advance(len(content))

    def _read_file(self, file_no: int, content: bytes, *, last: bool) -> None:
        path = journal.path_of(file_no)
        header = frame.frame_at(content, 0, file_no)
        self._found.journal_files += 1
        if header is None or header.kind is not Kind.HEADER:
            first = frame.frame_at(content, SECTOR_BYTES, file_no)
            if first is None and last:  # it was being taken into use
                self._report(path, "is empty: it was being taken into use", (0, SECTOR_BYTES), harmless=True)
                return
            self._report(path, "its header is damaged", (0, SECTOR_BYTES))
            group = first.group - 1 if first is not None else 0
        else:
            group = header.group
            owner = content[header.body_at : header.body_at + header.length]
            if owner != self._found.manifest.data_id.encode():
                self._report(path, "belongs to another data directory", (0, SECTOR_BYTES))
                return
        self._check_before(path, group)
        frames, tail = frame.scan(content, file_no, group)
        self._read_frames(path, content, frames)
        for span in tail.damaged:
            self._report(path, "damaged; the records there are lost", span)
        self._check_groups(path, frames, tail, group)
        if tail.torn and last:
            self._found.unfinished = True
        self._found.journal_bytes += tail.end
        self._before = path, tail

    def _check_before(self, path: str, group: int) -> None:
        """Hold the end of the file before against the group that this one goes on from."""
        if self._before is None:
            return
        before, tail = self._before
        if group > tail.last_group:
            what = f"its last commits ({tail.last_group + 1} to {group}) are damaged, and their records lost"
            self._report(before, what, (tail.end, tail.end + SECTOR_BYTES))

    def _check_groups(self, path: str, frames: list[Frame], tail: Tail, group: int) -> None:
        """Commits that are missing though nothing around them looks damaged."""
        for entry in frames:
            resumed = any(
                start < entry.body_at and end >= entry.body_at - frame.HEADER_BYTES for start, end in tail.damaged
            )
            if entry.group not in (group, group + 1) and not resumed:
                self._report(
                    path, f"commits {group + 1} to {entry.group - 1} are missing", (entry.body_at, entry.body_at)
                )
            group = entry.group

    def _read_frames(self, path: str, content: bytes, frames: list[Frame]) -> None:
        for entry in frames:
            try:
                body = content[entry.body_at : entry.body_at + entry.length]
                if entry.kind is Kind.RECORDS:
                    self._take_records(path, body)
                else:
                    self._take_control(path, entry.kind, body)
            except Damaged as error:
                self._report(path, str(error), (entry.body_at, entry.body_at + entry.length))

    def _take_records(self, path: str, body: bytes) -> None:
        block = columns.decode(body)
        log = self._by_number.get(block.log_no)
        if log is None:
            if block.log_no >= self._next_log_no:
                raise Damaged(f"records of log number {block.log_no}, whose creation is lost")
            return  # it was dropped since
        if block.end <= log.start:
            return  # trimmed since
        arrivals = (block.runs[0].arrival_ms, block.runs[-1].arrival_ms)
        _add(self._found, log, Stretch(path, block.first_offset, block.end, *arrivals, 1, len(body)))

    def _take_control(self, path: str, kind: Kind, body: bytes) -> None:
        if kind not in _NUMBERS:
            raise Damaged(f"a frame of kind {kind} where none belongs")
        [log_no, *numbers], name = frame.decode_control(body, _NUMBERS[kind])
        logs = self._found.logs
        log = self._by_number.get(log_no)
        if kind is Kind.CREATE:
            self._next_log_no = max(self._next_log_no, log_no + 1)
            if log is None and name not in logs:
                logs[name] = self._by_number[log_no] = Log(log_no, name)
        elif log is None:  # it was dropped since
            return
        elif kind is Kind.DROP:
            del logs[log.name], self._by_number[log_no]
        elif kind is Kind.SEAL:
            log.sealed = True
            if numbers[0] != log.end:
                what = f"seals a log at {numbers[0]} that ends at {log.end}"
                self._found.findings.append(Finding(path, what, None, log.name))
        else:
            log.start = max(log.start, min(numbers[0], log.end))
            log.stretches = [held for held in log.stretches if held.end > log.start]

    def _report(self, path: str, what: str, span: tuple[int, int], *, harmless: bool = False) -> None:
        self._found.findings.append(Finding(path, what, span, harmless=harmless))
