"""Following a stream: what is given up, and how much is held."""

import asyncio

import pytest

from penstock.commands.follow import CannotRead, PatientSource
from penstock.consumer.feed import Budget, CallFailed, Fetched, ShardGone, Start
from penstock.consumer.lineage import Shard
from penstock.consumer.polling import EXPIRED


class Failing:
    """A Kinesis whose every call fails."""

    def __init__(self, error: Exception) -> None:
        self.error: Exception | None = error

    async def shards(self) -> list[Shard]:
        self._fail()
        return []

    async def iterator(self, shard_id: str, start: Start) -> str:
        self._fail()
        return "i"

    async def fetch(self, iterator: str, limit: int) -> Fetched:
        self._fail()
        return Fetched([], "i", 0)

    def _fail(self) -> None:
        if self.error is not None:
            raise self.error


def fetched(source: PatientSource, times: int = 1) -> list[type[Exception] | None]:
    """What each of some fetches raised."""

    async def fetch() -> list[type[Exception] | None]:
        raised: list[type[Exception] | None] = []
        for _ in range(times):
            try:
                await source.fetch("i", 1)
                raised.append(None)
            except (CallFailed, CannotRead) as error:
                raised.append(type(error))
        return raised

    return asyncio.run(fetch())


def test_source_when_a_call_fails_for_the_moment_says_so_and_gives_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s, said = 0.0, list[str]()
    monkeypatch.setattr("penstock.clients.calls.monotonic_s", lambda: now_s)
    kinesis = Failing(CallFailed("no answer"))
    source = PatientSource(kinesis, Budget(1), said.append)

    assert fetched(source, 2) == [CallFailed, CallFailed]
    now_s, kinesis.error = 10.0, None
    assert fetched(source) == [None], "which starts anew"
    kinesis.error = CallFailed("too many", throttled=True)
    assert fetched(source) == [CallFailed]
    now_s = 24.9
    assert fetched(source) == [CallFailed]
    now_s = 25.1
    assert fetched(source) == [CannotRead]
    assert said == ["trying again: no answer"] * 2


def test_source_when_a_call_can_only_fail_gives_up_at_once() -> None:
    said: list[str] = []

    assert fetched(PatientSource(Failing(CallFailed("denied", lasting=True)), Budget(1), said.append)) == [CannotRead]
    expired = CallFailed("old", code=EXPIRED, lasting=True)
    assert fetched(PatientSource(Failing(expired), Budget(1), said.append)) == [CallFailed], "a new iterator helps"
    with pytest.raises(CannotRead, match="no such stream"):
        asyncio.run(PatientSource(Failing(ShardGone("no such stream")), Budget(1), said.append).shards())
    assert said == []
