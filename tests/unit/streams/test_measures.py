"""Measures: one consistent set of figures, while others go on."""

from collections.abc import Mapping

from streams_world import World, active, begin, run, turns

from penstock.services.streams.directory import StreamView
from penstock.services.streams.measures import MEASURE_MS, Measure, Measures
from penstock.services.streams.service import Streams
from penstock.services.streams.traffic import SHARDS_A_TURN

SHARDS = 2 * SHARDS_A_TURN + 1


class Told:
    """The sums of what was told, at each moment."""

    def __init__(self) -> None:
        self.sums: list[dict[str, float]] = []

    def take(self, _account: str, _region: str, _dimensions: Mapping[str, str], at_ms: int, measure: Measure) -> None:
        if measure.name == "IncomingRecords":
            self.sums.append({"at_ms": at_ms, "records": measure.sample.total})


def write_everywhere(world: World, streams: Streams, view: StreamView) -> None:
    for held in view.shards.values():
        streams.traffic.wrote(held, 1, 10, world.clock.now_ms())


def test_run_when_shards_are_many_then_others_run_meanwhile_and_what_they_write_is_told_the_next_time() -> None:
    async def scenario() -> None:
        world = World()
        streams = await world.start()
        view = await active(streams, shards=SHARDS)
        told = Told()
        measures = Measures(streams.directory, streams.traffic, told, world.clock)
        write_everywhere(world, streams, view)
        running = begin(measures.run())
        await turns(2)
        [(due_ms, _, woken)] = [each for each in world.clock._sleepers if each[0] - world.clock.ms <= MEASURE_MS]
        began_ms, world.clock.ms = world.clock.ms, due_ms
        woken.set_result(None)
        await turns(2)
        assert told.sums == [], "it is amid the shards"
        write_everywhere(world, streams, view)
        await turns(20)
        assert told.sums == [{"at_ms": began_ms, "records": SHARDS}]
        measures.collect()
        assert told.sums[1:] == [{"at_ms": due_ms, "records": SHARDS}]
        measures.collect()
        assert len(told.sums) == 2, "each is told once"
        running.cancel()
        await turns(2)
        await world.stop()

    run(scenario())


def test_run_when_it_is_stopped_amid_the_shards_then_everything_is_told() -> None:
    async def scenario() -> None:
        world = World()
        streams = await world.start()
        view = await active(streams, shards=SHARDS)
        told = Told()
        running = begin(Measures(streams.directory, streams.traffic, told, world.clock).run())
        write_everywhere(world, streams, view)
        await turns(2)
        [woken] = [each[2] for each in world.clock._sleepers if each[0] - world.clock.ms <= MEASURE_MS]
        woken.set_result(None)
        await turns(2)
        assert told.sums == []
        write_everywhere(world, streams, view)
        running.cancel()
        await turns(2)
        assert [each["records"] for each in told.sums] == [SHARDS, SHARDS]
        await world.stop()

    run(scenario())
