"""What a log knows of itself: up to where it is settled, whatever was damaged on the way."""

from typing import cast

from penstock.core.ports import File
from penstock.engines.api import LogId
from penstock.engines.local.blocks import JournalBlock
from penstock.engines.local.journal import JournalFile
from penstock.engines.local.state import LogCommons, LogState

NOBODY = cast(File, None)


def _log() -> LogState:
    return LogState(1, LogId("stream/0"), LogCommons())


def test_log_when_a_file_is_settled_without_a_damaged_block_then_its_offsets_count_as_settled() -> None:
    log, file, later = _log(), JournalFile(1, "journal/1", NOBODY, 0), JournalFile(2, "journal/2", NOBODY, 0)
    log.add(JournalBlock(0, 5, 1, 1, file, 100, 10))
    log.add(JournalBlock(5, 9, 1, 1, later, 100, 10))
    log.end = 9
    log.forget_blocks_of(file)
    assert log.settled_end == 5
    assert [block.end for block in log.blocks] == [9]


def test_logs_when_a_file_is_settled_then_those_that_hold_blocks_of_it_forget_them_and_no_longer_hold_any() -> None:
    commons = LogCommons()
    logs = [LogState(number, LogId(f"stream/{number}"), commons) for number in range(3)]
    file, later = JournalFile(1, "journal/1", NOBODY, 0), JournalFile(2, "journal/2", NOBODY, 0)
    logs[0].add(JournalBlock(0, 5, 1, 1, file, 100, 10))
    logs[1].add(JournalBlock(0, 5, 1, 1, file, 110, 10))
    logs[1].add(JournalBlock(5, 6, 1, 1, later, 100, 10))
    logs[0].end, logs[1].end = 5, 6
    commons.forget(file)
    assert [[block.end for block in log.blocks] for log in logs] == [[], [6], []]
    assert [log.settled_end for log in logs] == [5, 5, 0]
    assert set(commons.holding.values()) == {logs[1]}
    logs[1].forget()
    commons.forget(later)
    assert not commons.holding


def test_log_when_recovery_left_offsets_out_then_they_count_as_settled_once_all_before_them_is() -> None:
    log = _log()
    log.leave_out(range(5, 100))
    assert (log.end, log.next_offset) == (100, 100)
    log.settled_to(4)
    assert log.settled_end == 4
    log.settled_to(5)
    assert log.settled_end == 100


def test_log_when_it_is_trimmed_then_what_is_gone_counts_as_settled() -> None:
    log, file = _log(), JournalFile(1, "journal/1", NOBODY, 0)
    log.add(JournalBlock(0, 5, 1, 1, file, 100, 10))
    log.end = 5
    log.trim(3)
    assert (log.settled_end, len(log.blocks)) == (3, 1)
    log.trim(5)
    assert (log.settled_end, log.blocks) == (5, [])
