"""kill -9: whatever was acknowledged is there at the next start, in its place; whatever is there was once sent, whole and once.

PENSTOCK_KILL_ROUNDS says how often (`make faults` sets more).  What this cannot show, since the page cache outlives a process, is that
records survive the machine: that is test_order.py, and the simulated disk.
"""

import asyncio
import hashlib
import os
import signal
import subprocess
import sys
import time
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Final

from crash_writer import record
from data_directory import engine

from penstock.engines.api import LogId, NoSuchLog
from penstock.engines.local.log import LocalLog
from penstock.host.entropy import SeededEntropy
from penstock.storage.check import check
from penstock.storage.directory import DataDirectory

ROUNDS: Final = int(os.environ.get("PENSTOCK_KILL_ROUNDS", "2"))
LONGEST_S: Final = 0.55  # from the first step of the writer, which opens its notes, to its end
RECORDS: Final = 1000  # a life, on average
MUCH: Final = 1 << 30


@dataclass
class Expected:
    """What the notes, and earlier looks, say of the logs."""

    records: dict[str, dict[int, tuple[int, str]]] = field(default_factory=lambda: defaultdict(dict))
    created: set[str] = field(default_factory=set)
    dropped: set[str] = field(default_factory=set)  # for certain, or perhaps
    gone: set[str] = field(default_factory=set)  # for certain
    sealed: dict[str, int] = field(default_factory=dict)
    trimmed: dict[str, int] = field(default_factory=dict)  # at least so far
    trimming: dict[str, int] = field(default_factory=dict)  # at most so far

    def take(self, note: list[str]) -> None:
        match note:
            case ["record", log, offset, arrival_ms, digest]:
                self.records[log][int(offset)] = int(arrival_ms), digest
            case ["created", log]:
                self.created.add(log)
            case ["sealed", log, end]:
                self.sealed[log] = int(end)
            case ["dropping", log]:
                self.dropped.add(log)
            case ["dropped", log]:
                self.gone.add(log)
            case ["trimming", log, start]:
                self.trimming[log] = int(start)
            case ["trimmed", log, start]:
                self.trimmed[log] = int(start)
            case _:
                assert note == ["ready"], note


def test_acknowledged_records_survive_kills(tmp_path: Path) -> None:
    expected, draw = Expected(), SeededEntropy(ROUNDS).fraction
    for number in count():  # more lives than were meant, where a busy machine gets little done in each
        if number >= ROUNDS and sum(map(len, expected.records.values())) > RECORDS * ROUNDS:
            break
        notes = tmp_path / f"notes-{number}"
        write_until_killed(tmp_path / "data", notes, seed=number + 1, after_s=LONGEST_S * draw())
        for text in notes.read_text().splitlines() if notes.exists() else []:
            expected.take(text.split())
        report = check(DataDirectory(tmp_path / "data"), lambda _count: None)
        assert [finding for finding in report.damage if finding.path != "meta.sqlite"] == []
        asyncio.run(look(tmp_path / "data", expected))


def write_until_killed(directory: Path, notes: Path, *, seed: int, after_s: float) -> None:
    script = Path(__file__).with_name("crash_writer.py")
    process = subprocess.Popen([sys.executable, script, directory, notes, str(seed)], stderr=subprocess.PIPE)
    first = not directory.exists()
    while not notes.exists() or (first and not notes.read_text()):  # it starts, for as long as it takes
        assert process.poll() is None
        time.sleep(0.005)  # noqa: TID251 - a real process
    try:
        _, errors = process.communicate(timeout=after_s)
    except subprocess.TimeoutExpired:
        process.kill()
        _, errors = process.communicate()
    assert process.returncode == -signal.SIGKILL, errors.decode()


async def look(directory: Path, expected: Expected) -> None:
    """Open what the killed process left, and hold it against what it acknowledged."""
    async with engine(directory) as log:
        assert log.damage == []
        names = set(await log.names())
        assert not names & expected.gone
        assert expected.created - expected.dropped <= names
        for name, end in expected.sealed.items():
            if name in names:
                bounds = await log.bounds(LogId(name))
                assert bounds.sealed
                assert bounds.end.offset == end
        for name in names | (expected.records.keys() - expected.dropped):
            await look_at(log, LogId(name), expected)


async def look_at(log: LocalLog, name: LogId, expected: Expected) -> None:
    try:
        bounds = await log.bounds(name)
    except NoSuchLog:
        raise AssertionError(f"{name} holds acknowledged records, and is not there") from None
    start = bounds.start.offset
    assert expected.trimmed.get(name, 0) <= start <= max(expected.trimming.get(name, 0), expected.trimmed.get(name, 0))
    found: dict[int, tuple[int, str]] = {}
    batches: dict[tuple[bytes, int], list[int]] = defaultdict(
        list
    )  # by client and the number of the batch's first record
    newest: dict[bytes, int] = {}
    at, before_ms = bounds.start, 0
    while at < bounds.end:
        page = await log.read(name, at, 5000, MUCH)
        assert page.first == at
        for place, (data, arrival_ms) in enumerate(zip(page.data, page.arrivals_ms, strict=True)):
            words, _, noise = data.partition(b"|")
            assert data == record(words.decode(), len(noise)), "every byte is as it was sent"
            told, client, number, index, _ = words.split()
            assert told.decode() == name
            assert newest.get(client, -1) < int(number), "each record once, in the order of its client"
            newest[client] = int(number)
            batches[client, int(number) - int(index)].append(int(words.split()[4]))
            assert arrival_ms >= before_ms
            before_ms = arrival_ms
            found[at.offset + place] = arrival_ms, hashlib.sha256(data).hexdigest()
        assert page.next > at
        at = page.next
    for offset, acknowledged in expected.records[name].items():
        assert offset < start or found.get(offset) == acknowledged, (name, offset)
    torn = [key for key, sizes in batches.items() if len(sizes) != sizes[0]]
    assert len(torn) <= (start > 0), "a batch is there whole or not at all; the first may have been trimmed"
    expected.records[name] = found  # and stays
