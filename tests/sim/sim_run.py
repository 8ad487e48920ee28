"""One seed's run, from an empty disk to a last reading; and the command that repeats it."""

from collections.abc import Callable
from functools import partial

from sim_clients import Clients
from sim_history import Wrong, expect
from sim_world import KIB, End, Plan, World, quiet

from penstock.engines.local.log import LocalLog
from penstock.host.sim.chance import Chance
from penstock.host.sim.disk import Kind

WELL = Plan(End.WELL, None, None, None, eio=False, full=False)


class SeedFailed(Exception):
    """A seed that found a bug."""

    def __init__(self, seed: int, what: str, world: str = "engine") -> None:
        super().__init__(f"seed {seed}: {what}\n    replay: make sim SEED={seed} WORLD={world}")
        self.seed = seed
        self.what = what
        self.world = world

    def __reduce__(self) -> tuple[type["SeedFailed"], tuple[int, str, str]]:
        return SeedFailed, (self.seed, self.what, self.world)


def run_seed(seed: int, trace: Callable[[str], None] | None = None) -> int:
    """Run one seed; answer how many batches it sent.  Raises SeedFailed."""
    world = World(seed, trace)
    try:
        with quiet():
            _epochs(world)
    except Wrong as error:
        raise SeedFailed(seed, f"epoch {world.epoch}: {error}") from error
    except Exception as error:
        raise SeedFailed(seed, f"epoch {world.epoch}: {error!r}") from error
    return world.history.batches


def _epochs(world: World) -> None:
    plan = WELL
    for _ in range(world.draw.randrange(2, 9)):
        plan = draw_plan(world.draw, after=plan)
        world.live(partial(_work, world, plan), plan)
    _finish(world)


def draw_plan(draw: Chance, after: Plan) -> Plan:
    """What the next epoch is to go through."""
    if after.end is End.KILL and draw.random() < 0.4:  # what only the page cache held is believed, and then lost
        return Plan(End.POWER, int(10 ** (1.2 + draw.random())), None, None, eio=False, full=False)
    end = draw.choice((End.WELL, End.KILL, End.POWER, End.POWER, End.POWER))
    point = kind = step = None
    if end is not End.WELL:
        match draw.randrange(3):
            case 0:
                point = int(10 ** (0.5 + 2.8 * draw.random()))
            case 1:  # between writing and syncing
                point, kind = int(10 ** (2.5 * draw.random())), Kind.SYNC
            case _:
                step = int(10 ** (1 + 3 * draw.random()))
    return Plan(end, point, kind, step, eio=draw.random() < 0.2, full=draw.random() < 0.2)


async def _work(world: World, plan: Plan, log: LocalLog) -> None:
    clients = Clients(world, log)
    draw = clients.draw("plan")
    for name in world.names:
        if name not in world.history.lives and draw.random() < 0.7:
            await clients.create(name)
    calls = draw.randrange(5, 40)
    passing = [world.spawn(clients.write(number, calls), f"writer {number}") for number in range(draw.randrange(1, 5))]
    passing += [world.spawn(clients.scan(number, calls), f"scanner {number}") for number in range(draw.randrange(3))]
    passing += [world.spawn(clients.control(number, calls // 3), f"control {number}") for number in range(2)]
    passing.append(world.spawn(clients.trouble(plan.eio, plan.full), "weather"))
    lasting = [world.spawn(clients.follow(number), f"follower {number}") for number in range(draw.randrange(3))]
    lasting.append(world.spawn(clients.jump(), "jumps"))
    for task in passing:
        await task
    world.disk.faults.clear()
    expect(log.failure is None or bool(clients.injected), "the journal failed on a sound disk:", log.failure)
    await world.clock.sleep(3000)  # what waits for a retry is through
    await clients.probe()
    await clients.caught_up()
    for task in lasting:
        task.cancel()
    if log.failure is None:
        await world.settled(log)


def _finish(world: World) -> None:
    """Read everything once more on a sound disk; give everything up; see that its space is free."""

    async def give_up(log: LocalLog) -> None:
        clients = Clients(world, log)
        await clients.probe()
        for life in list(world.history.lives.values()):
            await clients.drop(life)
        await world.settled(log)
        left = [path for path in world.image.files() if path.startswith("segments/")]
        expect(not left, "all logs are dropped, and there are still", left)

    async def nothing(log: LocalLog) -> None:
        expect(not world.history.lives, "not all logs are dropped")
        await world.settled(log)

    expect(world.live(give_up, WELL), "the last epoch did not end well")
    expect(world.live(nothing, WELL), "an empty engine did not end well")
    most = 4 * world.journal_bytes + 64 * KIB
    expect(world.image.used_bytes <= most, "an empty engine takes", world.image.used_bytes, "bytes")
