"""Registration: a consumer's way through its states, and on from wherever a restart found it."""

from streams_world import START_MS, TRANSITION_MS, SlowMeta, World, active, begin, run

from penstock.core.errors import ServiceError
from penstock.core.ids import Millis
from penstock.services.streams.directory import StreamView
from penstock.services.streams.service import Streams
from penstock.services.streams.state import Consumer


def made(view: StreamView, name: str = "c", created_ms: int = START_MS) -> Consumer:
    return Consumer(uid=view.stream.uid, name=name, created_ms=Millis(created_ms), status="CREATING")


def status(view: StreamView, name: str = "c") -> str | None:
    held = view.consumers.get(name)
    return None if held is None else held.consumer.status


def found(streams: Streams) -> StreamView:
    [view] = streams.directory.all()
    return view


def test_register_when_the_transition_takes_time_then_it_is_creating_and_then_active() -> None:
    async def scenario() -> None:
        world = World()
        streams = await world.start()
        view = await active(streams)
        await streams.registration.register(view, made(view))
        assert status(view) == "CREATING"
        await world.clock.advance(TRANSITION_MS)
        assert status(view) == "ACTIVE"
        await streams.registration.deregister(view, view.consumers["c"].consumer)
        assert status(view) == "DELETING"
        await world.clock.advance(TRANSITION_MS)
        assert status(view) is None
        await world.stop()

    run(scenario())


def test_register_when_the_transition_is_nothing_then_it_is_active_on_return() -> None:
    async def scenario() -> None:
        world = World(transition_ms=0)
        streams = await world.start()
        view = await active(streams)
        await streams.registration.register(view, made(view))
        assert status(view) == "ACTIVE"
        await streams.registration.deregister(view, view.consumers["c"].consumer)
        assert status(view) is None
        await world.stop()

    run(scenario())


def test_register_when_two_race_for_a_name_then_one_is_refused() -> None:
    async def scenario() -> None:
        world = World(meta=SlowMeta())
        streams = await world.start()
        view = await active(streams)
        both = [
            begin(streams.registration.register(view, made(view, created_ms=START_MS + late))) for late in (0, 5000)
        ]
        refusals = []
        for each in both:
            try:
                await each
            except ServiceError as error:
                refusals.append(error.code)
        assert refusals == ["ResourceInUseException"]
        await world.stop()

    run(scenario())


def test_resume_when_a_restart_finds_consumers_between_states_then_they_are_carried_on() -> None:
    async def scenario() -> None:
        world = World()
        streams = await world.start()
        view = await active(streams)
        for name in ("coming", "going"):
            await streams.registration.register(view, made(view, name))
        await streams.registration.deregister(view, view.consumers["going"].consumer)
        await world.stop()
        again = await world.start()
        assert (status(found(again), "coming"), status(found(again), "going")) == ("CREATING", "DELETING")
        await world.clock.advance(TRANSITION_MS)
        assert (status(found(again), "coming"), status(found(again), "going")) == ("ACTIVE", None)
        await world.stop()

    run(scenario())


def test_deregister_when_it_is_still_creating_then_it_goes_and_never_becomes_active() -> None:
    async def scenario() -> None:
        world = World()
        streams = await world.start()
        view = await active(streams)
        await streams.registration.register(view, made(view))
        await streams.registration.deregister(view, view.consumers["c"].consumer)
        await streams.registration.deregister(view, view.consumers["c"].consumer)  # is on its way already
        await world.clock.advance(TRANSITION_MS)
        assert status(view) is None
        await world.stop()

    run(scenario())


def test_step_when_the_stream_goes_first_then_the_consumer_is_let_go() -> None:
    async def scenario() -> None:
        world = World()
        streams = await world.start()
        view = await active(streams)
        await streams.registration.register(view, made(view))
        await streams.lifecycle.forget(view)
        await world.clock.advance(10 * TRANSITION_MS)
        assert await world.meta.scan("streams/consumer/") == []
        assert list(streams.directory.all()) == []
        assert not [task for task in world.tasks._running if task.get_name().startswith("CREATING")]
        await world.stop()

    run(scenario())
