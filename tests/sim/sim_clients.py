"""The clients of a simulated world: they write, read, follow, create, drop, seal and trim, and hold each answer against the history."""

from typing import Final

from plain_spread import scatter
from sim_history import Life, Sent, Wrong, expect, label
from sim_world import World

from penstock.engines.api import (
    Appended,
    AppendError,
    Batch,
    Indeterminate,
    LogId,
    NoSuchLog,
    Overloaded,
    Position,
    Sealed,
    TooLarge,
    Unavailable,
)
from penstock.engines.local.log import LocalLog
from penstock.host.sim.chance import Chance
from penstock.host.sim.disk import Kind

PATIENCE: Final = 200  # how often a probe is repeated while the engine says it is overloaded
SECTOR_BYTES: Final = 4096


class Clients:
    """Everybody who uses the engine in one epoch."""

    def __init__(self, world: World, log: LocalLog) -> None:
        self.world = world
        self.log = log
        self.unanswered: dict[int, tuple[LogId, Sent]] = {}
        self.following: dict[int, tuple[Life, int]] = {}  # where each follower waits

    @property
    def injected(self) -> list[str]:
        """What was done to the disk in this epoch."""
        return self.world.disk.faults.injected

    def draw(self, who: str) -> Chance:
        """A client's own numbers."""
        return self.world.stream(f"{self.world.epoch} {who}")

    # Writing.

    async def write(self, number: int, calls: int) -> None:
        """Append batches to several logs, call by call."""
        draw = self.draw(f"writer {number}")
        for _ in range(calls):
            await self.pause(draw)
            lives = list(self.world.history.lives.values())
            if not lives:
                continue
            await self.append([draw.choice(lives) for _ in range(draw.choice((1, 1, 2, 4)))], draw)

    async def append(self, lives: list[Life], draw: Chance) -> list[Appended | AppendError]:
        """One call of append, and what it answers is held against the history."""
        sent = [self._send(life, draw) for life in lives]
        sealed = [life.sealed_end is not None for life in lives]
        absent = [life.creating for life in lives]
        batches = [Batch(life.name, batch.keys, batch.data) for life, batch in zip(lives, sent, strict=True)]
        apart = len({batch.log for batch in batches}) == len(batches)
        together = apart and sent[0].number % 2 == 0  # as PutRecords does with records of many shards
        outcomes = await (scatter(self.log, batches) if together else self.log.append(batches))
        expect(len(outcomes) == len(sent), "append answers", len(outcomes), "of", len(sent))
        for life, batch, outcome, was_sealed, was_absent in zip(lives, sent, outcomes, sealed, absent, strict=True):
            self.world.say(f"batch {batch.number} of {len(batch.data)} to {life.name}: {outcome!r}")
            del self.unanswered[batch.number]
            later = self.world.history.lives.get(life.name)
            if later is not None and later is not life and batch.number in later.sent:
                later.answered(batch, outcome)  # it waited while its log was dropped and made anew
                continue
            expect(not (was_sealed and isinstance(outcome, Appended)), life.name, "was sealed and took", batch.number)
            if not (was_absent and isinstance(outcome, NoSuchLog)):
                self._allowed(life, batches, outcome)
            life.answered(batch, outcome)
        return list(outcomes)

    def _send(self, life: Life, draw: Chance) -> Sent:
        number = self.world.history.next_batch()
        count = draw.choice((1, 1, 2, 3, 5, 20))
        most = self.world.record_bytes
        filler = draw.randbytes(draw.randrange(most)) if draw.random() < 0.8 else b""
        data = [label(number, index, filler) for index in range(count)]
        sent = life.send(number, [b"k%d" % (index % 3) * draw.randrange(3) for index in range(count)], data)
        self.unanswered[number] = (life.name, sent)
        return sent

    def _allowed(self, life: Life, batches: list[Batch], outcome: Appended | AppendError) -> None:
        """A refusal must have its reason."""
        eio = any(line.startswith("EIO") for line in self.injected)
        match outcome:
            case Appended() | Overloaded():
                pass
            case TooLarge():
                size = sum(len(piece) for batch in batches for piece in (*batch.keys, *batch.data))
                expect(size > (self.world.journal_bytes - SECTOR_BYTES) // 4, "too large:", size)
            case Sealed():
                expect(life.sealing or life.sealed_end is not None, life.name, "is not sealed:", outcome)
            case NoSuchLog():
                expect(life.dropping or life.dropped, life.name, "is there:", outcome)
            case Unavailable():
                expect(bool(self.injected), "refused on a sound disk:", outcome)
            case Indeterminate():
                expect(eio, "left open on a sound disk:", outcome)
            case _:
                expect(False, "an answer that is none:", outcome)

    # Reading.

    async def scan(self, number: int, pages: int) -> None:
        """Read pages anywhere."""
        draw = self.draw(f"scanner {number}")
        for _ in range(pages):
            await self.pause(draw)
            lives = list(self.world.history.lives.values())
            if not lives:
                continue
            life = draw.choice(lives)
            if draw.random() < 0.2:
                await self._find_time(life, draw)
            elif draw.random() < 0.2:
                await self._bounds(life)
            else:
                await self._page(life, draw.randrange(life.end + 3), draw)

    async def follow(self, number: int) -> None:
        """Read a log to its end and wait for more, for ever."""
        draw = self.draw(f"follower {number}")
        while True:
            lives = list(self.world.history.lives.values())
            if not lives:
                await self.world.clock.sleep(10)
                continue
            life, at = draw.choice(lives), 0
            while self._present(life):
                reached = await self._page(life, at, draw)
                at = at if reached is None else reached
                if life.sealed_end is not None and at >= life.sealed_end:
                    break
                if reached is None or at >= life.end:
                    self.following[number] = (life, at)
                    more = await self._wait(life, at)
                    del self.following[number]
                    if not more:
                        break
                elif draw.random() < 0.1:
                    break
            await self.world.clock.sleep(draw.randrange(20))

    async def _page(self, life: Life, at: int, draw: Chance) -> int | None:
        """Read one page; answer where the next begins, or None."""
        most = (draw.choice((1, 3, 10, 1000)), draw.choice((1, 500, 5000, 1 << 20)))
        began = life.now()
        try:
            page = await self.log.read(life.name, Position(0, at), *most)
        except NoSuchLog:
            self._gone(life)
            return None
        except OSError as error:
            self._failed(error)
            return None
        if not self._present(life):
            return None
        life.page_seen(page, at, began, most)
        self.world.say(f"read {life.name} at {at}: {page.first.offset} to {page.next.offset} of {page.end.offset}")
        return page.next.offset

    async def _wait(self, life: Life, at: int) -> bool:
        try:
            await self.log.wait(life.name, Position(0, at))
            bounds = await self.log.bounds(life.name)
        except NoSuchLog:
            self._gone(life)
            return False
        if self._present(life):
            expect(bounds.sealed or bounds.end.offset > at, life.name, "wait at", at, "ends without a reason")
        return True

    async def _bounds(self, life: Life) -> None:
        began = life.now()
        try:
            bounds = await self.log.bounds(life.name)
        except NoSuchLog:
            self._gone(life)
            return
        if self._present(life):
            life.bounds_seen(bounds, began)

    async def _find_time(self, life: Life, draw: Chance) -> None:
        if not life.arrivals:
            return
        at_ms = draw.choice(list(life.arrivals.values())) + draw.randrange(-1, 2)
        began = life.now()
        try:
            found = (await self.log.find_time(life.name, at_ms)).offset
        except NoSuchLog:
            self._gone(life)
            return
        except OSError as error:
            self._failed(error)
            return
        if not self._present(life):
            return
        what = f"{life.name} find_time({at_ms}) = {found}"
        before, there = life.arrivals.get(found - 1), life.arrivals.get(found)
        expect(found >= began[0], what, "is before the start", began[0])
        expect(there is None or there >= at_ms, what, "arrived at", there)
        expect(before is None or before < at_ms or found <= life.trim_most, what, "and the one before at", before)
        expect(there is not None or found >= began[1], what, "is nowhere")

    def _present(self, life: Life) -> bool:
        return self.world.history.lives.get(life.name) is life

    def _gone(self, life: Life) -> None:
        expect(life.dropping or life.dropped or life.creating, life.name, "is gone")

    def _failed(self, error: OSError) -> None:
        expect(any(line.startswith("EIO") for line in self.injected), "a read failed on a sound disk:", repr(error))

    # Control.

    async def control(self, number: int, calls: int) -> None:
        """Create, drop, seal, trim."""
        draw = self.draw(f"control {number}")
        world = self.world
        for _ in range(calls):
            await self.pause(draw, 40)
            name = draw.choice(world.names)
            if name in world.busy:
                continue
            world.busy.add(name)
            life = world.history.lives.get(name)
            if life is None:
                await self.create(name)
            else:
                luck = draw.random()
                if luck < 0.12:
                    await self.drop(life)
                elif luck < 0.25:
                    await self.seal(life)
                elif luck < 0.75:
                    await self.trim(life, draw)
                else:
                    await self.create_again(life)
            world.busy.discard(name)

    async def create(self, name: LogId) -> None:
        """Begin a log."""
        life = self.world.history.lives[name] = Life(name)
        life.creating = True
        life.sent.update({number: sent for number, (to, sent) in self.unanswered.items() if to == name})
        try:
            await self.log.create([name])
        except AppendError as error:
            if self._certain(error):
                del self.world.history.lives[name]
            return
        life.creating = False
        self.world.say(f"created {name}")

    async def create_again(self, life: Life) -> None:
        """Create a log that is there: nothing happens."""
        try:
            await self.log.create([life.name])
        except AppendError as error:
            self._certain(error)

    async def drop(self, life: Life) -> None:
        """Forget a log."""
        was, life.dropping = life.dropping, True
        try:
            await self.log.drop([life.name])
        except AppendError as error:
            if self._certain(error):
                life.dropping = was
            return
        life.dropped = True
        del self.world.history.lives[life.name]
        self.world.say(f"dropped {life.name}")

    async def seal(self, life: Life) -> None:
        """End a log."""
        was, life.sealing = life.sealing, True
        try:
            end = await self.log.seal(life.name)
        except AppendError as error:
            if self._certain(error) and not isinstance(error, NoSuchLog):
                life.sealing = was
            elif isinstance(error, NoSuchLog):
                self._gone(life)
            return
        life.seal_seen(end.offset)
        self.world.say(f"sealed {life.name} at {end.offset}")

    async def trim(self, life: Life, draw: Chance) -> None:
        """Forget records before a place."""
        to = draw.choice((life.end, draw.randrange(life.end + 1), life.start, draw.randrange(life.end + 4)))
        was = life.trim_most
        life.trim_most = max(life.trim_most, to)
        known_end = life.end
        try:
            await self.log.trim(life.name, Position(0, to))
        except AppendError as error:
            if isinstance(error, NoSuchLog):
                self._gone(life)
            elif self._certain(error):
                life.trim_most = was
            return
        life.start = max(life.start, min(to, known_end))
        self.world.say(f"trimmed {life.name} to {to}")

    def _certain(self, error: AppendError) -> bool:
        """Whether nothing happened."""
        self.world.say(f"control refused: {error!r}")
        expect(bool(self.injected), "refused on a sound disk:", repr(error))
        return not isinstance(error, Indeterminate)

    # The weather.

    async def trouble(self, eio: bool, full: bool) -> None:
        """Let the disk fail or be full for a while."""
        draw, faults = self.draw("weather"), self.world.disk.faults
        for _ in range(draw.randrange(1, 4) if eio else 0):
            await self.world.clock.sleep(draw.randrange(100))
            faults.fail(draw.choice((Kind.READ, Kind.WRITE, Kind.SYNC, Kind.SYNC, Kind.FOLDER)), draw.randrange(1, 20))
        if full:
            await self.world.clock.sleep(draw.randrange(200))
            faults.quota_bytes = self.world.image.used_bytes + draw.randrange(150_000)
            await self.world.clock.sleep(draw.randrange(3000))
            faults.quota_bytes = None

    async def jump(self) -> None:
        """Set the clock forward and back, for ever."""
        draw = self.draw("jumps")
        while True:
            await self.world.clock.sleep(draw.randrange(1, 300))
            self.world.clock.jump(draw.choice((-3_600_000, -5000, -17, 17, 5000, 3_600_000)))

    async def pause(self, draw: Chance, most_ms: int = 10) -> None:
        """Think, or not."""
        if draw.random() < 0.5:
            await self.world.clock.sleep(draw.randrange(most_ms))

    # At the end.

    async def probe(self) -> None:
        """Whatever went wrong with the disk is over: each log takes a record again, or the engine says that it takes none."""
        draw = self.draw("probe")
        for life in list(self.world.history.lives.values()):
            outcome = await self._answer(life, draw)
            if self.log.failure is not None:
                expect(isinstance(outcome, Unavailable), "the journal has failed, and a write is answered", outcome)
            elif life.sealed_end is None and not life.creating:
                expect(isinstance(outcome, Appended), life.name, "takes no record:", outcome)

    async def _answer(self, life: Life, draw: Chance) -> Appended | AppendError:
        for _ in range(PATIENCE):
            [outcome] = await self.append([life], draw)
            if not isinstance(outcome, Overloaded | TooLarge):
                return outcome
            await self.world.clock.sleep(100)
        raise Wrong(f"{life.name} takes no record in {PATIENCE} attempts")

    async def caught_up(self) -> None:
        """Followers have read what there is to read."""
        await self.world.clock.sleep(5000)
        for life, at in self.following.values():
            if self._present(life):
                expect(at >= life.end, life.name, "a follower waits at", at, "of", life.end)
