"""Findings: what a tool saw that is not as it was written, or is left over."""

from typing import NamedTuple

from penstock.core.ids import shard_id
from penstock.engines.api import LogId


class Finding(NamedTuple):
    """One thing, in one file."""

    path: str  # relative to the data directory
    what: str
    span: tuple[int, int] | None = None  # bytes: [start, end)
    log: str | None = None  # whose records it concerns
    records: tuple[int, int] | None = None  # offsets: [first, end)
    harmless: bool = False  # the remains of a crash, or the work of a running server: nothing is lost


class Names:
    """How logs are called by people: the stream's name and the shard's id, where the metadata knows them."""

    def __init__(self, streams: dict[str, str]) -> None:
        self._streams = streams  # by stream uid

    def of(self, log: str) -> str:
        """A log in words."""
        uid, _, number = log.partition("/")
        name = self._streams.get(uid)
        if name is None or not number.isdecimal():
            return f"log {log}"
        return f"stream {name} {shard_id(int(number))}"


def line(finding: Finding, names: Names) -> str:
    """A finding as one line: file, bytes, what is wrong, whose records."""
    parts = [finding.path]
    if finding.span is not None:
        parts.append(f"bytes {finding.span[0]} to {finding.span[1] - 1}")
    parts.append(finding.what)
    if finding.log is not None:
        parts.append(names.of(LogId(finding.log)))
    text = ": ".join(parts)
    if finding.records is not None:
        first, last = finding.records[0], finding.records[1] - 1
        text += f", record {first}" if first == last else f", records {first} to {last}"
    return text
