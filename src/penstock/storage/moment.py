"""One moment of a data directory: its metadata, its manifest, and what the journal adds, such that they belong together.

Theory.  A stream's logs are made before the metadata names its shards, dropped before the metadata forgets them, and sealed before it
closes them.  So the metadata is read first and the records after it: each shard that it names has its log in them, unless the stream
was deleted in between: what a second look does not show again was that.  Logs that came into being in between are nobody's yet; that
is no fault.
"""

from collections.abc import Iterator
from typing import NamedTuple

from penstock.engines.api import LogId
from penstock.engines.local.columns import Damaged
from penstock.storage.directory import META_FILE, TRIES, Advance, DataDirectory, FoundManifest, NeverBegun
from penstock.storage.finding import Finding
from penstock.storage.metadata import Metadata, read_metadata
from penstock.storage.replay import Replayed, replay


class Moment(NamedTuple):
    """What was read together."""

    metadata: Metadata
    found: FoundManifest
    replayed: Replayed
    running: bool  # a server had the directory
    disagreements: list[Finding]  # where metadata and records do not fit

    @property
    def findings(self) -> list[Finding]:
        """Everything that was wrong on the way, in the order of reading."""
        return [*self.metadata.findings, *self.found.findings, *self.replayed.findings, *self.disagreements]


def read_moment(directory: DataDirectory, advance: Advance) -> Moment:
    """Read a moment.  Raises Damaged where no manifest is sound, NeverBegun, NewerFormat, TimeoutError."""
    moment = _look(directory, advance)
    if not moment.running or all(finding.harmless for finding in moment.disagreements):
        return moment
    again = _look(directory, _ignore)
    lasting = [finding for finding in again.disagreements if finding.harmless or finding in moment.disagreements]
    return again._replace(disagreements=lasting)


def _look(directory: DataDirectory, advance: Advance) -> Moment:
    running = directory.in_use()
    metadata = read_metadata(directory)
    try:
        found, replayed = _read_records(directory, advance)
    except NeverBegun as error:
        if metadata.streams:  # which are stored by servers that have begun it
            raise Damaged(f"{error}, though there are streams") from None
        raise
    return Moment(metadata, found, replayed, running, list(_disagreements(metadata, replayed, running)))


def _read_records(directory: DataDirectory, advance: Advance) -> tuple[FoundManifest, Replayed]:
    """Manifest and journal, where no file was settled and taken away between the two."""
    for _ in range(TRIES):
        found = directory.find_manifest()
        replayed = replay(directory, found.manifest, advance)
        if not replayed.overtaken and (not replayed.findings or directory.find_manifest().content == found.content):
            return found, replayed
        advance = _ignore
    raise TimeoutError(f"{directory.root}: the server settles its journal faster than it can be read")


def _disagreements(metadata: Metadata, replayed: Replayed, running: bool) -> Iterator[Finding]:
    """Where the metadata and the logs do not fit."""
    if not metadata.readable:
        return
    for name, shard in metadata.shards.items():
        log, stream = replayed.logs.get(name), metadata.streams.get(shard.uid)
        if log is None:
            deleting = stream is not None and stream.status == "DELETING"
            what = (
                "its log is gone already: the stream is being deleted" if deleting else "a shard whose log is missing"
            )
            yield Finding(META_FILE, what, log=name, harmless=deleting)
        elif shard.closed_ms is not None and not log.sealed:
            yield Finding(META_FILE, "a closed shard whose log is not sealed", log=name)
    for held in replayed.logs.values():
        if LogId(held.name) not in metadata.shards:
            count = held.end - held.start
            what = f"a log of {count} records that no shard owns"
            yield Finding(META_FILE, what, log=held.name, harmless=running or count == 0)


def _ignore(_count: int) -> None:
    pass
