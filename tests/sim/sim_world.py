"""A simulated world: one seed's settings, disk, clock and history, and the lives of the engine in it, one after the other.

Theory.  An epoch is one life of the process: open the engine on the image, read everything back, let clients work, end.  It ends well, or
by a kill (the page cache stays), or with the machine (what was not synced may be gone), at a drawn disk operation or a drawn step of the
loop.  Everything drawn comes from the seed, by named streams, so that one more draw in one place does not change all others.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from enum import Enum
from typing import Any, Final, NamedTuple

from sim_history import History, Life, Wrong, expect

from penstock.engines.api import LogId, NoSuchLog, Position
from penstock.engines.local.log import LocalLog, Options, open_log
from penstock.host.entropy import SeededEntropy
from penstock.host.sim.chance import Chance
from penstock.host.sim.clock import SimClock
from penstock.host.sim.disk import Crashed, Faults, Kind, SimDisk
from penstock.host.sim.image import Image
from penstock.host.sim.loop import Halted, SimLoop, Stuck
from penstock.host.sim.tasks import SimTasks

EPOCH_MS: Final = 600_000  # longest that an epoch may take, in virtual time
KIB: Final = 1 << 10
JOURNAL_BYTES: Final = (64 * KIB, 64 * KIB, 64 * KIB, 128 * KIB, 256 * KIB, 1024 * KIB)
CACHE_BYTES: Final = (0, 2 * KIB, 64 * KIB, 32 << 20)


class End(Enum):
    """How an epoch ends."""

    WELL = "closed"
    KILL = "killed"
    POWER = "power lost"


class Plan(NamedTuple):
    """What one epoch is to go through."""

    end: End
    crash_point: int | None  # of the disk
    crash_kind: Kind | None  # of its operations; None: of all
    crash_step: int | None  # of the loop
    eio: bool
    full: bool


class World:
    """One seed's world."""

    def __init__(self, seed: int, trace: Callable[[str], None] | None = None) -> None:
        self.seed = seed
        self._trace = trace
        self.loop = SimLoop()
        self.clock = SimClock(self.loop)
        self.history = History()
        draw = self.stream("settings")
        self.draw = draw
        self.image = Image(draw.choice((512, 4096)))
        streams = draw.randrange(1, 4)
        self.names = [LogId(f"stream{number % streams}/{number}") for number in range(draw.randrange(1, 7))]
        self.journal_bytes = draw.choice(JOURNAL_BYTES)
        self.record_bytes = draw.choice((60, 600, 600, 6000))
        self.busy: set[LogId] = set()  # names with a control operation under way
        self.wrong: BaseException | None = None
        self.disk = SimDisk(self.image, self.stream("disk"), self.say)
        self.epoch = 0

    def stream(self, name: str) -> Chance:
        """A sequence of numbers of its own."""
        return Chance(self.seed, name)

    def say(self, line: str) -> None:
        """A line of the trace."""
        if self._trace is not None:
            self._trace(f"{self.loop.now_us:>12} {line}")

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> "asyncio.Task[None]":
        """Start a client; what it finds wrong ends the world."""
        task = self.loop.create_task(work, name=name)
        task.add_done_callback(self._client_ended)
        return task

    def options(self) -> Options:
        """Settings of the engine for one epoch."""
        if self.draw.random() < 0.1:
            self.journal_bytes = self.draw.choice(JOURNAL_BYTES)
        return Options(
            journal_file_bytes=self.journal_bytes,
            tail_cache_bytes=self.draw.choice(CACHE_BYTES),
            block_cache_bytes=self.draw.choice(CACHE_BYTES),
            commit_wait_ms=self.draw.choice((0, 0, 1, 5)),
            segment_bytes=self.stream(f"segments {self.epoch}").choice((4 * KIB, 30 * KIB, 1 << 30)),
        )

    def live(self, main: Callable[[LocalLog], Coroutine[Any, Any, None]], plan: Plan) -> bool:
        """One epoch; whether `main` was carried out to its end.  Raises Wrong."""
        self.epoch += 1
        self.say(f"---- epoch {self.epoch}: {plan}")
        disk = self.disk = SimDisk(self.image, self.stream(f"disk {self.epoch}"), self.say)
        disk.on_crash = self.loop.halt
        if plan.crash_point is not None:
            disk.crash_in(plan.crash_point, plan.crash_kind)
        self.loop.halt_after(plan.crash_step)
        if plan.eio and self.draw.random() < 0.3:  # while it is being opened
            disk.faults.fail(self.draw.choice(list(Kind)[:4]), self.draw.randrange(1, 20))
        if plan.full and self.draw.random() < 0.3:
            disk.faults.quota_bytes = self.image.used_bytes
        tasks = SimTasks()
        try:
            ended = self.loop.run(self._life(main, disk, tasks), EPOCH_MS)
        except (Halted, Crashed):
            ended = False
        except Stuck as error:
            self._judge(disk, tasks)
            raise Wrong(f"hangs: {error}") from None
        finally:
            disk.dead = True
            self.loop.drop_everything()
        self._judge(disk, tasks)
        self.busy.clear()
        if not ended and plan.end is End.POWER:
            self.image.crash(self.stream(f"crash {self.epoch}"))
        self.say(f"---- epoch {self.epoch} ended: {'well' if ended else plan.end.value}")
        return ended

    async def _life(
        self, main: Callable[[LocalLog], Coroutine[Any, Any, None]], disk: SimDisk, tasks: SimTasks
    ) -> bool:
        entropy = SeededEntropy(self.seed * 1000 + self.epoch)
        try:
            log, found = await open_log(disk, self.clock, entropy, tasks, self.options())
        except OSError as error:
            expect(bool(disk.faults.injected), "cannot be opened:", repr(error))
            self.say(f"cannot be opened: {error!r}")
            return False
        expect(not found.damage, "damage after a legal end:", found.damage)
        await self.verify(log)
        await main(log)
        expect(not log.damage, "damage where there is none:", log.damage)
        await log.close()
        await tasks.stop()
        expect(disk.open_files == 0, disk.open_files, "files are open after close")
        return True

    def _client_ended(self, task: "asyncio.Task[None]") -> None:
        if task.cancelled():
            return
        error = task.exception()
        if error is not None and not isinstance(error, Crashed):
            self.wrong = self.wrong or error
            self.loop.halt()

    def _judge(self, disk: SimDisk, tasks: SimTasks) -> None:
        """Raise what went wrong beside `main`."""
        for name, error in tasks.failures:
            if not isinstance(error, Crashed):
                raise Wrong(f"background task {name} failed: {error!r}") from error
        if self.wrong is not None:
            raise self.wrong
        expect(not disk.faults.misuse, disk.faults.misuse)
        grave = [line for line in self.loop.complaints if "never retrieved" not in line]
        expect(not grave, grave)

    async def verify(self, log: LocalLog) -> None:
        """Read everything back, and decide what was open."""
        draw = self.stream(f"verify {self.epoch}")
        for name in self.names:
            life = self.history.lives.get(name)
            try:
                bounds = await log.bounds(name)
            except NoSuchLog:
                expect(life is None or life.creating or life.dropping, name, "is gone")
                self.history.lives.pop(name, None)
                continue
            expect(life is not None, name, "was dropped, or never made, and is there")
            assert life is not None
            life.creating = life.dropping = False
            life.bounds_seen(bounds, life.now())
            await read_through(log, life, draw, self.disk.faults)
            life.decided()
            again = await log.bounds(name)
            expect(again == bounds, name, "bounds change by themselves:", bounds, again)

    async def settled(self, log: LocalLog) -> None:
        """The disk holds what the engine knows of, and nothing else."""
        await log.settle()
        named = {held.row.path for held in log._ledger.segments}
        rubbish = [path for path in self.image.files() if path.startswith("segments/") and path not in named]
        expect(not rubbish, "files that nothing will ever delete before a restart:", rubbish)
        held = sum(len(self.image.find(path).live) for path in self.image.files() if path.startswith("journal/"))
        failed = sum(
            line.startswith("EIO") for line in self.disk.faults.injected
        )  # each may leave a file until a restart
        most = (4 + failed) * self.journal_bytes
        expect(held <= most, "the journal holds", held, "bytes")


async def read_through(log: LocalLog, life: Life, draw: Chance, faults: Faults) -> None:
    """Read a log from its start to its end while nobody writes; nothing is left out."""
    at = life.start
    records, size = draw.choice(((1000, 1 << 20), (7, 1 << 20), (1000, 3000)))
    while True:
        try:
            page = await log.read(life.name, Position(0, at), records, size)
        except OSError as error:
            expect(faults.injected != [], "a read failed on a sound disk:", repr(error))
            continue
        life.page_seen(page, at, life.now(), (records, size))
        if page.next == page.end:
            return
        expect(page.next.offset > at, life.name, "a page makes no progress at", at)
        at = page.next.offset


@contextmanager
def quiet() -> Iterator[None]:
    """The product does not log what simulations do to it."""
    logger = logging.getLogger("penstock")
    was = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(was)
