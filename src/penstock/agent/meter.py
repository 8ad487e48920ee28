"""What an agent counts, for its log and for CloudWatch.

Rule of this file: pure; counters only grow, and whoever reports takes differences.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields


@dataclass(slots=True)
class Counts:
    """Sums since the start."""

    bytes_read: int = 0
    records_parsed: int = 0
    records_skipped: int = 0  # that an option could not read, or that matchPattern left out
    records_truncated: int = 0
    files_truncated: int = 0
    bytes_sent: int = 0
    records_sent: int = 0
    send_attempts: int = 0  # of records
    send_errors: int = 0  # records refused, one by one
    service_errors: int = 0  # requests that failed
    answers: int = 0
    latency_ms: int = 0  # of all answers

    def minus(self, other: "Counts") -> "Counts":
        """What was counted since."""
        return Counts(**{row.name: getattr(self, row.name) - getattr(other, row.name) for row in fields(self)})

    def plus(self, other: "Counts") -> "Counts":
        """Both together."""
        return Counts(**{row.name: getattr(self, row.name) + getattr(other, row.name) for row in fields(self)})

    def copy(self) -> "Counts":
        """The sums as they stand now."""
        return self.plus(Counts())


class Meter:
    """The counts of one flow."""

    def __init__(self) -> None:
        self.counts = Counts()
        self.failing = 0  # requests that failed one after the other

    def answered(self, records: Sequence[bytes], refused: Sequence[int], latency_ms: int) -> None:
        """A request was answered."""
        counts = self.counts
        counts.answers += 1
        counts.latency_ms += latency_ms
        counts.send_attempts += len(records)
        counts.send_errors += len(refused)
        counts.records_sent += len(records) - len(refused)
        counts.bytes_sent += sum(map(len, records)) - sum(len(records[index]) for index in refused)
        self.failing = 0

    def failed(self, records: int) -> None:
        """A request failed."""
        self.counts.send_attempts += records
        self.counts.service_errors += 1
        self.failing += 1
