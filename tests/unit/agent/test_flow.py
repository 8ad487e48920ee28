"""One flow over real files: growth, rotation, truncation, restarts, and trouble of all kinds."""

import os
from pathlib import Path
from typing import Any

import pytest
from tailed import Kept, Tailed, lines, numbered, play

from penstock.agent.checkpoints import CheckpointError
from penstock.agent.delivery import PutFailed
from penstock.agent.requests import Outcome
from penstock.host.clock import TestClock


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


def test_flow_when_a_file_grows_then_its_lines_are_sent_once(tmp_path: Path) -> None:
    async def scene(clock: TestClock) -> None:
        log, kept = tmp_path / "app.log", Kept()
        log.write_bytes(lines(1, 2))
        tailed = await Tailed(tmp_path, kept, clock).begin()
        append(log, b"line 3\nline ")
        await tailed.settle()
        append(log, b"4\n")
        await tailed.settle()
        await tailed.crash()
        assert kept.records == numbered(1, 2, 3, 4)

    play(scene)


@pytest.mark.parametrize(("begun", "expected"), [("START_OF_FILE", [1, 2, 3]), ("END_OF_FILE", [3])])
def test_flow_when_it_begins_then_initial_position_decides(tmp_path: Path, begun: str, expected: list[int]) -> None:
    async def scene(clock: TestClock) -> None:
        log, kept = tmp_path / "app.log", Kept()
        log.write_bytes(lines(1, 2))
        tailed = await Tailed(tmp_path, kept, clock, initialPosition=begun).begin()
        append(log, lines(3))
        await tailed.settle()
        await tailed.crash()
        assert kept.records == numbered(*expected)

    play(scene)


def test_flow_when_it_begins_at_the_end_inside_a_line_then_that_line_comes_whole(tmp_path: Path) -> None:
    async def scene(clock: TestClock) -> None:
        log, kept = tmp_path / "app.log", Kept()
        log.write_bytes(lines(1) + b"line ")
        tailed = await Tailed(tmp_path, kept, clock, initialPosition="END_OF_FILE").begin()
        append(log, b"2\n")
        await tailed.settle()
        await tailed.crash()
        assert kept.records == numbered(2)

    play(scene)


def test_flow_when_it_is_restarted_then_it_goes_on_where_it_was(tmp_path: Path) -> None:
    async def scene(clock: TestClock) -> None:
        log, kept = tmp_path / "app.log", Kept()
        log.write_bytes(lines(1, 2))
        await (await Tailed(tmp_path, kept, clock).begin()).crash()
        append(log, lines(3))
        await (await Tailed(tmp_path, kept, clock, initialPosition="END_OF_FILE").begin()).crash()
        assert kept.records == numbered(1, 2, 3)

    play(scene)


def test_flow_when_it_began_without_a_file_then_one_that_came_while_it_was_down_is_read_whole(tmp_path: Path) -> None:
    async def scene(clock: TestClock) -> None:
        kept = Kept()
        await (await Tailed(tmp_path, kept, clock, initialPosition="END_OF_FILE").begin()).crash()
        (tmp_path / "app.log").write_bytes(lines(1))
        await (await Tailed(tmp_path, kept, clock, initialPosition="END_OF_FILE").begin()).crash()
        assert kept.records == numbered(1)

    play(scene)


@pytest.mark.parametrize("pattern", ["app.log", "app.log*"])
@pytest.mark.parametrize("while_down", [False, True])
def test_flow_when_files_are_rotated_by_renaming_then_every_line_comes_once(
    tmp_path: Path, pattern: str, *, while_down: bool
) -> None:
    async def scene(clock: TestClock) -> None:
        log, kept = tmp_path / "app.log", Kept()
        named = str(tmp_path / pattern)
        log.write_bytes(lines(1))
        tailed = await Tailed(tmp_path, kept, clock, filePattern=named).begin()
        for number in (2, 12, 22):
            if while_down:
                await tailed.crash()
            append(log, lines(number))
            for old in (2, 1):
                if (tmp_path / f"app.log.{old}").exists():
                    (tmp_path / f"app.log.{old}").rename(tmp_path / f"app.log.{old + 1}")
            log.rename(tmp_path / "app.log.1")
            append(tmp_path / "app.log.1", lines(number + 1))  # the writer has not opened the new one yet
            log.write_bytes(lines(number + 2))
            if while_down:
                tailed = await Tailed(tmp_path, kept, clock, filePattern=named).begin()
            await tailed.settle()
        await tailed.crash()
        assert sorted(kept.records) == sorted(numbered(1, 2, 3, 4, 12, 13, 14, 22, 23, 24))

    play(scene)


def test_flow_when_a_rotated_file_is_deleted_before_it_was_read_then_its_lines_come(tmp_path: Path) -> None:
    async def scene(clock: TestClock) -> None:
        log, kept = tmp_path / "app.log", Kept()
        log.write_bytes(lines(1))
        tailed = await Tailed(tmp_path, kept, clock).begin()
        append(log, lines(2))
        log.unlink()
        log.write_bytes(lines(3))
        await tailed.settle()
        await tailed.crash()
        assert kept.records == numbered(1, 2, 3)

    play(scene)


@pytest.mark.parametrize("grown", [(11,), tuple(range(100, 140))])
def test_flow_when_a_file_is_truncated_then_it_is_read_from_its_start(tmp_path: Path, grown: tuple[int, ...]) -> None:
    """Also where it has grown past the old offset before anybody looked."""

    async def scene(clock: TestClock) -> None:
        log, kept = tmp_path / "app.log", Kept()
        log.write_bytes(lines(1, 2, 3))
        tailed = await Tailed(tmp_path, kept, clock).begin()
        log.write_bytes(lines(*grown))
        await tailed.settle()
        append(log, lines(999))
        await tailed.settle()
        await tailed.crash()
        assert kept.records == numbered(1, 2, 3, *grown, 999)
        assert tailed.meter.counts.files_truncated == 1

    play(scene)


def test_flow_when_a_file_was_replaced_while_it_was_down_then_the_new_one_is_read_whole(tmp_path: Path) -> None:
    """Even under the same inode, which file systems give again at once."""

    async def scene(clock: TestClock) -> None:
        log, kept = tmp_path / "app.log", Kept()
        log.write_bytes(lines(1))
        await (await Tailed(tmp_path, kept, clock).begin()).crash()
        log.write_bytes(lines(*range(20, 30)))  # the same inode, and longer
        await (await Tailed(tmp_path, kept, clock).begin()).crash()
        assert kept.records == numbered(1, *range(20, 30))

    play(scene)


def test_flow_when_files_are_named_by_time_then_each_is_read_and_its_last_line_taken(tmp_path: Path) -> None:
    async def scene(clock: TestClock) -> None:
        kept = Kept()
        first, second = tmp_path / "app-01.log", tmp_path / "app-02.log"
        first.write_bytes(lines(1) + b"line 2")
        os.utime(first, (1, 1))
        tailed = await Tailed(tmp_path, kept, clock, filePattern=str(tmp_path / "app-*.log")).begin()
        second.write_bytes(lines(3) + b"held")
        await tailed.settle()
        clock.advance(120_000)
        await tailed.settle()
        await tailed.crash()
        assert kept.records == [b"line 1\n", b"line 3\n", b"line 2"]

    play(scene)


def test_flow_when_a_name_is_compressed_a_pipe_or_a_directory_then_it_is_passed_over(tmp_path: Path) -> None:
    async def scene(clock: TestClock) -> None:
        kept = Kept()
        (tmp_path / "app.log").write_bytes(lines(1))
        (tmp_path / "app.log.1.gz").write_bytes(lines(2))
        os.mkfifo(tmp_path / "app.log.fifo")
        (tmp_path / "app.log.d").mkdir()
        (tmp_path / "app.log.link").symlink_to(tmp_path / "nothing")
        tailed = await Tailed(tmp_path, kept, clock, filePattern=str(tmp_path / "app.log*")).begin()
        await tailed.crash()
        assert kept.records == numbered(1)

    play(scene)


def test_flow_when_its_directory_comes_late_then_known_files_go_on(tmp_path: Path) -> None:
    async def scene(clock: TestClock) -> None:
        folder, away, kept = tmp_path / "mount", tmp_path / "away", Kept()
        folder.mkdir()
        (folder / "app.log").write_bytes(lines(1))
        named = str(folder / "app.log")
        await (await Tailed(tmp_path, kept, clock, filePattern=named).begin()).crash()
        folder.rename(away)
        tailed = await Tailed(tmp_path, kept, clock, filePattern=named).begin()
        append(away / "app.log", lines(2))
        away.rename(folder)
        await tailed.settle()
        await tailed.crash()
        assert kept.records == numbered(1, 2)

    play(scene)


def test_flow_when_its_directory_goes_away_for_a_while_then_nothing_is_forgotten(tmp_path: Path) -> None:
    async def scene(clock: TestClock) -> None:
        folder, away, kept = tmp_path / "mount", tmp_path / "away", Kept()
        folder.mkdir()
        (folder / "app.log").write_bytes(lines(1))
        tailed = await Tailed(tmp_path, kept, clock, filePattern=str(folder / "app.log")).begin()
        folder.rename(away)
        clock.advance(120_000)
        await tailed.settle()
        away.rename(folder)
        append(folder / "app.log", lines(2))
        clock.advance(120_000)
        await tailed.settle()
        await tailed.crash()
        assert kept.records == numbered(1, 2)

    play(scene)


def test_flow_when_records_are_refused_then_only_those_go_again(tmp_path: Path) -> None:
    async def scene(clock: TestClock) -> None:
        kept = Kept()
        kept.answers = [PutFailed("503"), Outcome([0, 2], "Throttled: later"), Outcome([1], "Throttled: later")]
        (tmp_path / "app.log").write_bytes(lines(1, 2, 3))
        tailed = await Tailed(tmp_path, kept, clock).begin()
        await tailed.settle(8)
        await tailed.crash()
        assert kept.requests == [numbered(2), numbered(1), numbered(3)]
        assert kept.keys[1] == [kept.keys[0][0], kept.keys[0][2]], "a record keeps its key"
        counts = tailed.meter.counts
        assert (counts.records_sent, counts.send_errors, counts.service_errors, counts.send_attempts) == (3, 3, 1, 9)

    play(scene)


def test_flow_when_nothing_was_acknowledged_then_a_restart_sends_it_again(tmp_path: Path) -> None:
    async def scene(clock: TestClock) -> None:
        kept = Kept()
        (tmp_path / "app.log").write_bytes(lines(1, 2))
        kept.down = True
        tailed = await Tailed(tmp_path, kept, clock, maxBufferSizeRecords=1).begin()
        await tailed.crash()
        assert not kept.requests
        kept.down = False
        await (await Tailed(tmp_path, kept, clock).begin()).crash()
        assert kept.records == numbered(1, 2)

    play(scene)


def test_flow_when_a_rotated_file_is_not_delivered_yet_then_its_checkpoint_stays(tmp_path: Path) -> None:
    async def scene(clock: TestClock) -> None:
        log, kept = tmp_path / "app.log", Kept()
        log.write_bytes(lines(1))
        tailed = await Tailed(tmp_path, kept, clock).begin()
        kept.down = True
        append(log, lines(2))
        log.rename(tmp_path / "app.log.1")
        log.write_bytes(b"")
        await tailed.settle()
        clock.advance(300_000)
        await tailed.settle()
        await tailed.crash()
        kept.down = False
        await (await Tailed(tmp_path, kept, clock).begin()).crash()
        assert kept.records == numbered(1, 2)

    play(scene)


def test_flow_when_lines_are_filtered_then_their_places_move_too(tmp_path: Path) -> None:
    async def scene(clock: TestClock) -> None:
        option = {
            "optionName": "LOGTOJSON",
            "logFormat": "SYSLOG",
            "matchPattern": "keep (.*)",
            "customFieldNames": ["a"],
        }
        kept = Kept()
        (tmp_path / "app.log").write_bytes(b"drop 1\nkeep 2\ndrop 3\n")
        tailed = await Tailed(tmp_path, kept, clock, dataProcessingOptions=[option]).begin()
        rows, _ = tailed.checkpoints.load(tailed.flow.flow_id)
        await tailed.crash()
        assert kept.records == [b'{"a":"2"}\n']
        assert [row.place.offset for row in rows] == [21]
        assert tailed.meter.counts.records_skipped == 2

    play(scene)


def test_flow_when_a_multi_line_record_waits_for_its_next_line_then_it_is_sent_after_the_buffers_age(
    tmp_path: Path,
) -> None:
    async def scene(clock: TestClock) -> None:
        kept = Kept()
        (tmp_path / "app.log").write_bytes(b"# one\n two\n# three\n")
        tailed = await Tailed(tmp_path, kept, clock, multiLineStartPattern="#").begin()
        await tailed.settle()
        await tailed.crash()
        assert kept.records == [b"# one\n two\n", b"# three\n"]

    play(scene)


def test_flow_when_the_file_may_not_be_read_then_it_is_once_it_may(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root may read everything, so the refusal is played."""

    async def scene(clock: TestClock) -> None:
        kept = Kept()
        (tmp_path / "app.log").write_bytes(lines(1))
        real, allowed = os.open, False

        def refuse(path: str, flags: int, mode: int = 0o777) -> int:
            if str(path).endswith("app.log") and not allowed:
                raise PermissionError(13, "Permission denied")
            return real(path, flags, mode)

        monkeypatch.setattr("penstock.agent.files.os.open", refuse)
        tailed = await Tailed(tmp_path, kept, clock).begin()
        assert not kept.records
        allowed = True
        await tailed.settle()
        await tailed.crash()
        assert kept.records == numbered(1)

    play(scene)


def test_flow_when_checkpoints_cannot_be_saved_then_delivery_goes_on_and_places_are_saved_later(tmp_path: Path) -> None:
    async def scene(clock: TestClock) -> None:
        log, kept = tmp_path / "app.log", Kept()
        log.write_bytes(lines(1))
        tailed = await Tailed(tmp_path, kept, clock).begin()
        tailed.checkpoints._database.execute("PRAGMA query_only = ON")
        append(log, lines(2))
        for _ in range(2):
            with pytest.raises(CheckpointError, match="cannot be saved"):
                await tailed.settle()
        assert kept.records == numbered(1, 2)
        tailed.checkpoints._database.execute("PRAGMA query_only = OFF")
        await tailed.settle()
        await tailed.crash()
        await (await Tailed(tmp_path, kept, clock).begin()).crash()
        assert kept.records == numbered(1, 2)

    play(scene)


def test_flow_when_a_file_is_truncated_while_old_lines_are_unsent_then_their_acknowledgement_moves_nothing(
    tmp_path: Path,
) -> None:
    async def scene(clock: TestClock) -> None:
        log, kept = tmp_path / "app.log", Kept()
        kept.down = True
        log.write_bytes(lines(*range(10)))
        tailed = await Tailed(tmp_path, kept, clock, retryMaxBackoffMillis=100).begin()
        log.write_bytes(lines(77))
        await tailed.settle()
        kept.down = False
        await tailed.settle(8)
        rows, _ = tailed.checkpoints.load(tailed.flow.flow_id)
        await tailed.crash()
        assert kept.records == numbered(*range(10), 77)
        assert [row.place.offset for row in rows] == [len(lines(77))]

    play(scene)


def test_flow_when_a_file_is_truncated_inside_a_record_then_what_was_read_of_it_is_sent(tmp_path: Path) -> None:
    async def scene(clock: TestClock) -> None:
        log, kept = tmp_path / "app.log", Kept()
        log.write_bytes(b"# one\n two\n thr")
        tailed = await Tailed(tmp_path, kept, clock, multiLineStartPattern="#", maxBufferAgeMillis=900_000).begin()
        log.write_bytes(b"# four\n# five\n")
        await tailed.settle()
        clock.advance(900_000)
        await tailed.settle()
        await tailed.crash()
        assert kept.records == [b"# one\n two\n thr", b"# four\n", b"# five\n"]

    play(scene)


def test_flow_when_a_resting_file_is_replaced_by_a_shorter_one_under_its_inode_then_that_is_read(
    tmp_path: Path,
) -> None:
    async def scene(clock: TestClock) -> None:
        log, kept = tmp_path / "app.log", Kept()
        log.write_bytes(lines(1, 2, 3))
        tailed = await Tailed(tmp_path, kept, clock).begin()
        clock.advance(120_000)
        await tailed.settle()
        assert not tailed.flow._following.open, "it rests"
        log.write_bytes(lines(4))
        clock.advance(120_000)
        await tailed.settle()
        await tailed.crash()
        assert kept.records == numbered(1, 2, 3, 4)

    play(scene)


def test_flow_when_there_are_more_files_than_may_be_open_then_all_are_read_and_followed(tmp_path: Path) -> None:
    async def scene(clock: TestClock) -> None:
        kept = Kept()
        for number in range(150):
            (tmp_path / f"app.log.{number}").write_bytes(lines(number))
        tailed = await Tailed(tmp_path, kept, clock, filePattern=str(tmp_path / "app.log.*")).begin()
        assert len(tailed.flow._following.open) <= 64
        for number in range(150):
            append(tmp_path / f"app.log.{number}", lines(1000 + number))
        clock.advance(20_000)
        await tailed.settle()
        await tailed.crash()
        assert sorted(kept.records) == sorted(numbered(*range(150), *range(1000, 1150)))

    play(scene)


def test_flow_when_nobody_takes_records_then_memory_is_bounded_and_a_stop_still_ends(tmp_path: Path) -> None:
    async def scene(clock: TestClock) -> None:
        kept = Kept()
        kept.down = True
        (tmp_path / "app.log").write_bytes(b"x" * 99 + b"\n" + (b"y" * 99 + b"\n") * 20_000)
        tailed = Tailed(tmp_path, kept, clock, room_bytes=100_000, maxBufferSizeRecords=100)
        await tailed.flow.begin()
        tailed.tasks.spawn(tailed.flow.run(), "the flow")
        for _ in range(300):
            clock.advance(50)
            await clock.sleep(1)
        counts = tailed.meter.counts
        assert tailed.flow.unsent_records <= 1000
        assert counts.bytes_read < 500_000
        assert counts.service_errors > 1
        tailed.flow.stop()
        await tailed.room.unbind()
        for _ in range(50):
            clock.advance(200)
            await clock.sleep(1)
        await tailed.flow.save()
        await tailed.crash()
        kept.down = False
        again = await Tailed(tmp_path, kept, clock, maxBufferSizeRecords=500).begin()
        await again.settle(4)
        await again.crash()
        assert len(kept.records) == 20_001, "nothing was acknowledged, so everything comes"

    play(scene)


def test_flow_when_it_begins_then_the_checkpoints_are_to_know(tmp_path: Path) -> None:
    async def scene(clock: TestClock) -> None:
        tailed = Tailed(tmp_path, Kept(), clock)
        await tailed.flow.begin()
        before = tailed.flow.must_save
        await tailed.flow.save()
        await tailed.crash()
        assert (before, tailed.flow.must_save) == (True, False)

    play(scene)


def test_flow_when_lines_are_headers_and_footers_then_they_are_not_sent_also_after_a_restart(tmp_path: Path) -> None:
    async def scene(clock: TestClock) -> None:
        log, kept = tmp_path / "app.log", Kept()
        keys: Any = {"skipHeaderLines": 2, "fileFooterPattern": "TOTAL"}
        log.write_bytes(b"a,b\n")
        await (await Tailed(tmp_path, kept, clock, **keys).begin()).crash()
        append(log, b"---\n" + lines(1) + b"TOTAL 1\n")
        await (await Tailed(tmp_path, kept, clock, **keys).begin()).crash()
        append(log, lines(2))
        await (await Tailed(tmp_path, kept, clock, **keys).begin()).crash()
        assert kept.records == numbered(1, 2)

    play(scene)


def test_flow_when_it_runs_once_over_many_files_then_each_is_read(tmp_path: Path) -> None:
    async def scene(clock: TestClock) -> None:
        kept = Kept()
        for number in range(150):
            (tmp_path / f"app.log.{number:03d}").write_bytes(lines(number) if number % 100 == 99 else b"")
        tailed = Tailed(tmp_path, kept, clock, filePattern=str(tmp_path / "app.log.*"))
        await tailed.flow.begin()
        await tailed.flow.run(once=True)
        await tailed.room.emptied()
        await tailed.crash()
        assert kept.records == numbered(99)
        assert not tailed.flow.troubled

    play(scene)


def test_flow_when_the_clock_is_set_back_then_what_waits_is_sent_all_the_same(tmp_path: Path) -> None:
    async def scene(clock: TestClock) -> None:
        kept = Kept()
        clock.advance(86_400_000)
        (tmp_path / "app.log").write_bytes(b"# one\n")
        tailed = Tailed(tmp_path, kept, clock, multiLineStartPattern="#", maxBufferAgeMillis=60_000)
        await tailed.flow.begin()
        await tailed.flow.turn()
        clock.reset()
        await tailed.settle()
        clock.advance(60_000)
        await tailed.settle()
        await tailed.crash()
        assert kept.records == [b"# one\n"]

    play(scene)


def test_flow_when_only_lines_from_before_a_truncation_are_acknowledged_then_the_checkpoint_stays_at_the_start(
    tmp_path: Path,
) -> None:
    async def scene(clock: TestClock) -> None:
        log, kept = tmp_path / "app.log", Kept()
        kept.down = True
        log.write_bytes(lines(*range(10)))
        tailed = await Tailed(tmp_path, kept, clock, retryMaxBackoffMillis=100).begin()
        log.write_bytes(lines(77))
        await tailed.settle()
        kept.down, kept.answers = False, [Outcome(()), *[PutFailed("busy")] * 100]
        await tailed.settle(8)
        rows, _ = tailed.checkpoints.load(tailed.flow.flow_id)
        await tailed.crash()
        assert kept.records == numbered(*range(10))
        assert [row.place.offset for row in rows] == [0]

    play(scene)
