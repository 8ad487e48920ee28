"""Accounts: where the commitment stands follows from two moments, and settings survive a restart and a race."""

import pytest
from streams_world import CALLER, START_MS, SlowMeta, World, begin, run

from penstock.core.ids import Millis
from penstock.core.limits import COMMITMENT_MIN_MS, HOUR_MS
from penstock.services.streams.account import Account

NEW = Account(account=CALLER.account, region=CALLER.region)
NOW = Millis(START_MS)
EARLIEST = Millis(START_MS + COMMITMENT_MIN_MS)


def test_commitment_when_never_asked_for_then_it_is_disabled_and_has_no_dates() -> None:
    assert NEW.commitment(NOW) == "DISABLED"
    assert NEW.earliest_end_ms is None
    assert NEW.withdraw(NOW) is NEW


def test_commitment_when_ended_within_a_day_then_it_lasts_until_the_day_is_over() -> None:
    ending = NEW.commit(NOW).withdraw(Millis(NOW + HOUR_MS))
    assert ending.ends_ms == EARLIEST
    moments = (NOW, EARLIEST - 1, EARLIEST)
    until = "ENABLED_UNTIL_EARLIEST_ALLOWED_END"
    assert [ending.commitment(moment) for moment in moments] == [until, until, "DISABLED"]


@pytest.mark.parametrize("late_ms", [0, 1, 10 * COMMITMENT_MIN_MS])
def test_commitment_when_ended_after_a_day_then_it_ends_at_once(late_ms: int) -> None:
    moment = Millis(EARLIEST + late_ms)
    ended = NEW.commit(NOW).withdraw(moment)
    assert (ended.ends_ms, ended.commitment(moment)) == (moment, "DISABLED")
    assert ended.withdraw(Millis(moment + 5)) is ended


def test_commitment_when_its_end_is_taken_back_then_it_goes_on_as_it_began() -> None:
    taken_back = NEW.commit(NOW).withdraw(NOW).commit(Millis(NOW + HOUR_MS))
    assert taken_back == NEW.commit(NOW)


def test_commitment_when_begun_again_after_its_end_then_a_new_day_begins() -> None:
    again = NEW.commit(NOW).withdraw(NOW).commit(EARLIEST)
    assert (again.committed_ms, again.ends_ms) == (EARLIEST, None)


def test_accounts_when_the_service_starts_again_then_they_are_as_they_were() -> None:
    async def scenario() -> None:
        world = World()
        streams = await world.start()
        kept = await streams.accounts.settle(CALLER.account, CALLER.region, committed=True, now_ms=NOW)
        await world.stop()
        accounts = (await world.start()).accounts
        assert accounts.find(CALLER.account, CALLER.region) == kept
        assert accounts.is_committed(CALLER.account, CALLER.region, NOW)
        assert not accounts.is_committed(CALLER.account, "us-east-1", NOW)
        assert not accounts.is_committed("210987654321", CALLER.region, NOW)
        await world.stop()

    run(scenario())


def test_accounts_when_two_calls_race_then_both_are_carried_out_in_some_order() -> None:
    async def scenario() -> None:
        world = World(meta=SlowMeta())
        accounts = (await world.start()).accounts
        calls = [
            begin(accounts.settle(CALLER.account, CALLER.region, committed=committed, now_ms=NOW))
            for committed in (True, True, False)
        ]
        answers = [await call for call in calls]
        assert answers[0].commitment(NOW) == answers[1].commitment(NOW) == "ENABLED"
        assert answers[2].ends_ms in (None, EARLIEST)
        assert accounts.find(CALLER.account, CALLER.region) in answers
        await world.stop()

    run(scenario())


def test_accounts_when_all_is_cleared_then_they_are_new() -> None:
    async def scenario() -> None:
        world = World(transition_ms=0)
        streams = await world.start()
        await streams.clear()
        await streams.accounts.settle(CALLER.account, CALLER.region, committed=True, now_ms=NOW)
        await streams.clear()
        assert streams.accounts.find(CALLER.account, CALLER.region) == NEW
        await world.stop()

    run(scenario())
