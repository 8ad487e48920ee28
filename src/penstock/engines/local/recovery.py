"""Recovery: from files to state, at every start, whether the last stop was clean or not.

Theory.  The newest sound manifest says what is settled; the journal files from its `first_file_no` on are replayed over it.  Replaying
skips what is settled already, so it may be repeated.  The end of the last file that was never acknowledged is cut; damage anywhere
else costs the records in it and nothing more.  Files that neither names are rubbish of a crash: journal files become spares, others go.
"""

from typing import Final

from msgspec import Struct, field

from penstock.core.ports import Disk, Entropy
from penstock.engines.api import LogId
from penstock.engines.local import columns, frame, journal, manifest, settler
from penstock.engines.local.blocks import JournalBlock
from penstock.engines.local.columns import Damaged
from penstock.engines.local.frame import SECTOR_BYTES, Frame, Kind
from penstock.engines.local.journal import JournalFile
from penstock.engines.local.manifest import Manifest, SegmentRow
from penstock.engines.local.ranges import RangeRow, Ranges
from penstock.engines.local.segmentfile import SegmentFile
from penstock.engines.local.settler import Ledger
from penstock.engines.local.state import LogCommons, LogState

DATA_ID_BYTES: Final = 8


class Recovered(Struct):
    """What was found."""

    ledger: Ledger
    logs: dict[LogId, LogState] = field(default_factory=dict)
    by_number: dict[int, LogState] = field(default_factory=dict)
    commons: LogCommons = field(default_factory=LogCommons)
    journal_files: list[JournalFile] = field(default_factory=list)
    spares: list[str] = field(default_factory=list)  # journal files that may be used again
    next_file_no: int = 0
    last_group: int = 0
    replayed_records: int = 0
    torn: bool = False  # a commit that was never acknowledged was cut
    damage: list[str] = field(default_factory=list)  # a line each
    last_group_bytes: tuple[int, bytes] = (
        0,
        b"",
    )  # where the journal's last group lies in its last file, and its bytes


async def recover(disk: Disk, entropy: Entropy, file_bytes: int) -> Recovered:
    """Read a data directory, or begin one.  Raises NewerFormat, and Damaged where nothing can be made of it."""
    for folder in (manifest.FOLDER, journal.FOLDER, settler.FOLDER):
        await disk.make_folder(folder)
    held, damage = await manifest.load(disk)
    # A process that was killed may have left the newest one's name in the page cache only.
    await disk.sync_folder(manifest.FOLDER)
    if held is None:
        held = Manifest(data_id=entropy.bytes(DATA_ID_BYTES).hex())
        await manifest.publish(disk, held)
    found = await _from_manifest(disk, held)
    found.damage += damage
    await _replay_journal(disk, found, file_bytes)
    await _remove_orphans(disk, found)
    return found


async def _from_manifest(disk: Disk, held: Manifest) -> Recovered:
    ledger = Ledger(held.data_id, held.number, held.first_file_no, held.next_log_no, held.next_segment_no)
    found = Recovered(ledger, next_file_no=held.first_file_no)
    for row in held.logs:
        log = LogState(row.log_no, LogId(row.name), found.commons)
        log.start, log.last_arrival_ms = row.start, row.last_arrival_ms
        if row.sealed:
            log.seal()
        log.end = log.next_offset = row.end
        log.settled_to(row.end)
        _add(found, log)
    unread = _Unread(found)
    for segment in held.segments:
        ledger.segments.append(await _segment(disk, found, segment, unread))
    unread.conclude()
    return found


async def _segment(disk: Disk, found: Recovered, row: SegmentRow, unread: "_Unread") -> SegmentFile:
    held = SegmentFile(disk, row, Ranges())
    try:
        await held.find_ranges()
    except Damaged as error:
        found.damage.append(f"{row.path}: {error}; its records cannot be read")
        unread.add(held)
        return held
    for ranged in held.ranges:
        owner = found.by_number.get(ranged.log_no)
        if owner is not None:
            unread.claim(owner, ranged.first_offset)
            owner.settle(held, ranged.end)
    return held


class _Unread:
    """Segments whose index is damaged: what others leave out of a log was in them, and is lost; they are kept as long as it were."""

    def __init__(self, found: Recovered) -> None:
        self._found = found
        self._segments: list[SegmentFile] = []
        self._rows: dict[str, list[RangeRow]] = {}  # by path
        self._passed: dict[int, int] = {}  # of each log: how many of these segments lie before its last claim

    def add(self, segment: SegmentFile) -> None:
        """One more."""
        self._segments.append(segment)
        self._rows[segment.row.path] = []

    def claim(self, log: LogState, first: int) -> None:
        """The next records of a log that are there begin with `first`."""
        passed = self._passed.get(log.log_no, 0)
        if passed == len(self._segments):
            return
        self._passed[log.log_no] = len(self._segments)
        last = log.settled[-1].ranges.find(log.log_no) if log.settled else None
        begin, arrived_ms = (last.end, last.last_arrival_ms) if last is not None else (log.start, 0)
        for segment in self._segments[passed:]:
            if begin < first and segment.row.path.split("/")[1] == log.stream:
                self._rows[segment.row.path].append(RangeRow(log.log_no, begin, first, arrived_ms, arrived_ms))
                log.settle(segment, first)

    def conclude(self) -> None:
        """Every segment was looked at."""
        for log in self._found.logs.values() if self._segments else ():
            self.claim(log, log.end)
        for segment in self._segments:
            segment.hold(Ranges.of(self._rows[segment.row.path]))


def _add(found: Recovered, log: LogState) -> None:
    found.logs[log.name] = log
    found.by_number[log.log_no] = log
    found.ledger.next_log_no = max(found.ledger.next_log_no, log.log_no + 1)


async def _replay_journal(disk: Disk, found: Recovered, file_bytes: int) -> None:
    sound = len(found.damage)
    numbers = await _unsettled_files(disk, found, file_bytes)
    for file_no in numbers:
        if await _replay_numbered(disk, found, file_no, file_bytes, last=file_no == numbers[-1]):
            found.next_file_no = file_no + 1
    if found.journal_files:
        # It may be in the page cache only: the last process was killed, or its commit failed.  From now on it counts, so it is written
        # again; after a sync that failed, the kernel does not do so by itself.
        await found.journal_files[-1].file.commit(*found.last_group_bytes)
    if len(found.damage) > sound:
        # The newest records of any log may be among the lost: no offset that was given to one is given again.  A record takes more
        # than a byte, so a file holds fewer of them than bytes.
        for log in found.logs.values():
            log.leave_out(range(log.end, log.end + file_bytes * len(numbers)))


async def _unsettled_files(disk: Disk, found: Recovered, file_bytes: int) -> list[int]:
    """The numbers of the files to replay, in order; the other files of the folder become spares or go."""
    numbers: list[int] = []
    for name in await disk.names(journal.FOLDER):
        if name.isdecimal() and int(name) >= found.ledger.first_file_no:
            numbers.append(int(name))
        else:
            await _keep_spare(disk, found, f"{journal.FOLDER}/{name}", file_bytes)
    return sorted(numbers)


async def _replay_numbered(disk: Disk, found: Recovered, file_no: int, file_bytes: int, *, last: bool) -> bool:
    """Replay a file; false if it had no more than its name, and is a spare again."""
    path = journal.path_of(file_no)
    file = await disk.open(path)
    content = await file.read(0, file.size_bytes)
    header = frame.frame_at(content, 0, file_no)
    if header is not None and header.kind is Kind.HEADER:
        if content[header.body_at : header.body_at + header.length] != found.ledger.data_id.encode():
            raise Damaged(f"{path} belongs to another data directory")
        if found.journal_files and header.group > found.last_group:
            found.damage.append(f"{found.journal_files[-1].path}: its end is damaged; the records there are lost")
        _replay_file(found, JournalFile(file_no, path, file, SECTOR_BYTES), content, header.group)
        return True
    first = frame.frame_at(content, SECTOR_BYTES, file_no)
    if first is not None:  # each frame names its file, so they can be trusted without the header
        found.damage.append(f"{path}: its header is damaged")
        _replay_file(found, JournalFile(file_no, path, file, SECTOR_BYTES), content, first.group - 1)
        return True
    await file.close()
    if last:
        await _keep_spare(disk, found, path, file_bytes)
        return False
    found.damage.append(f"{path}: its header is damaged; its records are lost")
    return True


def _replay_file(found: Recovered, file: JournalFile, content: bytes, last_group: int) -> None:
    frames, tail = frame.scan(content, file.file_no, last_group)
    for entry in frames:
        try:
            _replay_frame(found, file, content, entry)
        except Damaged as error:
            found.damage.append(f"{file.path}: byte {entry.body_at}: {error}")
    file.end = tail.end
    found.journal_files.append(file)
    found.last_group = max(found.last_group, tail.last_group)
    found.torn |= tail.torn
    found.damage += [
        f"{file.path}: bytes {start} to {end - 1} are damaged; their records are lost" for start, end in tail.damaged
    ]
    at = min((entry.body_at - frame.HEADER_BYTES for entry in frames if entry.group == tail.last_group), default=0)
    found.last_group_bytes = (at, content[at : tail.end])


def _replay_frame(found: Recovered, file: JournalFile, content: bytes, entry: Frame) -> None:
    body = content[entry.body_at : entry.body_at + entry.length]
    if entry.kind is Kind.RECORDS:
        _replay_records(found, file, entry, body)
        return
    if entry.kind is Kind.CREATE:
        [log_no], name = frame.decode_control(body, 1)
        if log_no not in found.by_number and LogId(name) not in found.logs:
            _add(found, LogState(log_no, LogId(name), found.commons))
        return
    numbers, _ = frame.decode_control(body, 1 if entry.kind is Kind.DROP else 2)
    log = found.by_number.get(numbers[0])
    if log is None:  # dropped by now
        return
    match entry.kind:
        case Kind.SEAL:
            log.seal()
        case Kind.TRIM:
            log.trim(numbers[1])
        case Kind.DROP:
            log.forget()
            del found.logs[log.name], found.by_number[log.log_no]
        case _:
            raise Damaged(f"a frame of kind {entry.kind} where none belongs")


def _replay_records(found: Recovered, file: JournalFile, entry: Frame, body: bytes) -> None:
    block = columns.decode(body)
    log = found.by_number.get(block.log_no)
    if log is None:
        if block.log_no >= found.ledger.next_log_no:
            raise Damaged(f"records of log {block.log_no}, whose creation is lost")
        return  # dropped by now
    if block.end <= log.end:  # settled, or trimmed away
        return
    span = (block.runs[0].arrival_ms, block.runs[-1].arrival_ms)
    log.add(JournalBlock(block.first_offset, block.end, *span, file, entry.body_at, entry.length))
    log.end = log.next_offset = block.end
    log.last_arrival_ms = max(log.last_arrival_ms, span[1])
    found.replayed_records += block.records


async def _keep_spare(disk: Disk, found: Recovered, path: str, file_bytes: int) -> None:
    file = await disk.open(path)
    whole = file.size_bytes == file_bytes
    await file.close()
    if whole and len(found.spares) < journal.SPARES:
        found.spares.append(path)
    else:
        await disk.remove(path)


async def _remove_orphans(disk: Disk, found: Recovered) -> None:
    """Segments that no manifest names were being written when the last run ended."""
    named = {segment.row.path for segment in found.ledger.segments}
    for stream in await disk.names(settler.FOLDER):
        for name in await disk.names(f"{settler.FOLDER}/{stream}"):
            path = f"{settler.FOLDER}/{stream}/{name}"
            if path not in named:
                await disk.remove(path)
