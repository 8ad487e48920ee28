"""The logs that there are, stream by stream: what a settling and its manifest need of all of them at once.

Theory.  A roster is made anew when a log has come or gone, which is seldom; what changes of logs meanwhile is in their tips, by place.
Rule of this file: a log stands where the native part has it (native/src/roster.rs).
"""

from array import array
from collections.abc import Iterable
from itertools import chain
from operator import attrgetter

from penstock.engines.local.manifest import LogTable
from penstock.engines.local.segmentfile import SegmentFile
from penstock.engines.local.state import LogCommons, LogState
from penstock.engines.local.tips import rostered


class Roster:
    """Logs stream by stream, each stream's in the order of their numbers."""

    def __init__(self, logs: Iterable[LogState], commons: LogCommons) -> None:
        self.changes = commons.changes  # those that it knows of
        by_stream: dict[str, list[LogState]] = {}
        for log in sorted(logs, key=attrgetter("log_no")):
            by_stream.setdefault(log.stream, []).append(log)
        self.streams = list(by_stream.items())
        self.logs = list(chain.from_iterable(by_stream.values()))
        self._tips = commons.tips
        self._names: list[str] = [log.name for log in self.logs]
        self._log_nos = array("Q", [log.log_no for log in self.logs])
        places, counts = [log.place for log in self.logs], [len(held) for _, held in self.streams]
        self.rows = rostered(places, self._log_nos, counts)

    def table(self) -> LogTable:
        """All logs as they stand."""
        starts, ends, last_arrivals_ms, sealed = self._tips.columns(self.rows)
        return LogTable(self._names, self._log_nos.tobytes(), starts, ends, last_arrivals_ms, sealed)

    def settle(self, segment: SegmentFile) -> None:
        """What a segment holds of logs moved there from the journal.  Cost: 0.1 us a log."""
        ranges = segment.ranges
        needing = self._tips.settle(self.rows, ranges.log_nos.tobytes(), ranges.ends.tobytes())
        for at in needing:
            self.logs[at].settled.append(segment)
        segment.needed += len(needing)
