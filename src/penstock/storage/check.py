"""`penstock check`: read everything once, and say what is not as it was written.

Theory.  A moment (moment.py) tells which segments there are and what the journal holds; then each segment is verified, byte for byte.
Nothing is written.  On the directory of a running server segments may be deleted meanwhile: those that the newest manifest no longer
names are passed over.  What cannot be told then: whether the last commit is under way or was torn, and whose a log is that came into
being while this read.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from penstock.core.sizes import size_text
from penstock.engines.local import journal, manifest, settler
from penstock.engines.local.columns import Damaged
from penstock.engines.local.manifest import Manifest, NewerFormat
from penstock.storage.directory import META_FILE, Advance, DataDirectory, NeverBegun, NoDataDirectory
from penstock.storage.finding import Finding, Names, line
from penstock.storage.metadata import WAL_SUFFIX
from penstock.storage.moment import Moment, read_moment
from penstock.storage.screen import Screen
from penstock.storage.segments import SegmentCheck

EXIT_SOUND: Final = 0
EXIT_DAMAGED: Final = 1
EXIT_USAGE: Final = 2


class Kind(NamedTuple):
    """One row of the result."""

    name: str
    files: int
    size_bytes: int
    folder: str  # findings whose path begins so are its own


@dataclass(slots=True)
class Report:
    """What a check found."""

    kinds: list[Kind] = field(default_factory=list)
    streams: int = 0
    shards: int = 0
    records: int = 0
    findings: list[Finding] = field(default_factory=list)
    names: Names = field(default_factory=lambda: Names({}))
    running: bool = False
    unfinished: bool = False

    @property
    def damage(self) -> list[Finding]:
        """What is lost or wrong."""
        return [finding for finding in self.findings if not finding.harmless]

    @property
    def remains(self) -> list[Finding]:
        """What only lies about."""
        return [finding for finding in self.findings if finding.harmless]


def total_bytes(directory: DataDirectory) -> int:
    """About how much a check will read."""
    paths = [*directory.segment_paths(), *_journal_paths(directory, 0)]
    return sum(map(directory.size_bytes, paths))


def check(directory: DataDirectory, advance: Advance) -> Report:
    """Verify a directory.  Raises NeverBegun, NewerFormat, TimeoutError."""
    try:
        moment = read_moment(directory, advance)
    except Damaged as error:
        return Report(findings=[Finding(f"{manifest.FOLDER}/", f"{error}; nothing can be told without it")])
    held = moment.found.manifest
    report = Report(findings=moment.findings, names=moment.metadata.names, running=moment.running)
    report.unfinished = moment.replayed.unfinished
    report.findings += _segments(directory, held, advance)
    report.findings += _left_over(directory, held, moment.running)
    report.kinds = list(_kinds(directory, moment))
    report.streams, report.shards = len(moment.metadata.streams), len(moment.metadata.shards)
    report.records = sum(log.end - log.start for log in moment.replayed.logs.values())
    return report


def _segments(directory: DataDirectory, held: Manifest, advance: Advance) -> Iterator[Finding]:
    log_names = {row.log_no: row.name for row in held.logs}
    for row in held.segments:
        segment = SegmentCheck(row, held.data_id, log_names, advance)
        try:
            yield from segment.run(directory)
        except FileNotFoundError:
            if row not in directory.find_manifest().manifest.segments:
                continue  # nothing needed it any more
            yield Finding(row.path, "the file is missing")


def _left_over(directory: DataDirectory, held: Manifest, running: bool) -> Iterator[Finding]:
    """Files that a crash left and the next start removes; a running server may be at work on such."""
    if running:
        return
    named = {row.path for row in held.segments}
    for path in directory.segment_paths():
        if path not in named:
            yield Finding(path, "no manifest names it: a crash left it, the next start removes it", harmless=True)
    for name in directory.names(journal.FOLDER):
        if name.isdecimal() and int(name) < held.first_file_no:
            what = "settled, but not yet a spare: a crash left it, the next start takes it"
            yield Finding(f"{journal.FOLDER}/{name}", what, harmless=True)


def _kinds(directory: DataDirectory, moment: Moment) -> Iterator[Kind]:
    held = moment.found.manifest
    manifests = [f"{manifest.FOLDER}/{name}" for name in directory.names(manifest.FOLDER)]
    journals = _journal_paths(directory, held.first_file_no)
    for name, paths, folder in (
        ("Manifests", manifests, manifest.FOLDER),
        ("Journal files", journals, journal.FOLDER),
        ("Segments", [row.path for row in held.segments], settler.FOLDER),
        ("Metadata", [path for path in (META_FILE, META_FILE + WAL_SUFFIX) if directory.size_bytes(path)], META_FILE),
    ):
        yield Kind(name, len(paths), sum(map(directory.size_bytes, paths)), folder)


def _journal_paths(directory: DataDirectory, first_file_no: int) -> list[str]:
    return [journal.path_of(number) for number in directory.journal_numbers(first_file_no)]


def run(root: Path) -> int:
    """The verb; the exit code."""
    screen = Screen()
    try:
        directory = DataDirectory(root)
        with screen.bar("Checking", total_bytes(directory)) as advance:
            report = check(directory, advance)
    except NeverBegun as error:
        screen.say(f"{error}. Nothing can be lost; the next start begins it.")
        return EXIT_SOUND
    except (NoDataDirectory, NewerFormat, TimeoutError, OSError) as error:
        screen.complain(error)
        return EXIT_USAGE
    show(screen, report)
    return EXIT_DAMAGED if report.damage else EXIT_SOUND


def show(screen: Screen, report: Report) -> None:
    """Draw a report: a table, then a line for each problem."""
    bad = Counter(finding.path.split("/")[0].removesuffix(WAL_SUFFIX) for finding in report.damage)
    rows = [
        (
            kind.name,
            f"{kind.files:,}",
            size_text(kind.size_bytes),
            f"{bad[kind.folder]:,} damaged" if bad[kind.folder] else "sound",
        )
        for kind in report.kinds
    ]
    if rows:
        screen.table(("", "files<>", "size<>", ""), rows)
        screen.say(f"\n{report.streams:,} streams, {report.shards:,} shards, {report.records:,} records.")
    if report.running:
        screen.say("A server is using the directory: what it wrote since this began was not read.")
    elif report.unfinished:
        screen.say(
            "The last commit did not get onto the disk whole; it was never acknowledged. The next start cuts it."
        )
    for finding in report.remains:
        screen.say("note: " + line(finding, report.names))
    for finding in report.damage:
        screen.say(line(finding, report.names))
    count = len(report.damage)
    screen.say("Sound." if not count else f"{count:,} problem{'s' if count > 1 else ''} found.")
