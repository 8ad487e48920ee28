"""Checkpoints: what a conflict of one leaves of the others."""

from collections.abc import Sequence

from penstock.core.ids import StreamUid
from penstock.engines.api import Conflict, Write
from penstock.engines.memory import MemoryMeta
from penstock.host.sim.clock import SimClock
from penstock.host.sim.loop import SimLoop
from penstock.host.sim.tasks import SimTasks
from penstock.services.functions.mapping.checkpoints import Checkpoints
from penstock.services.functions.mapping.state import LanePlace, ShardPlace


class Contested(MemoryMeta):
    """A MetaStore in which somebody else is quicker with one key."""

    def __init__(self, key: str) -> None:
        super().__init__()
        self.key = key

    async def commit(self, writes: Sequence[Write]) -> None:
        if any(write.key == self.key for write in writes):
            raise Conflict(self.key)
        await super().commit(writes)


def test_checkpoint_when_another_conflicts_then_it_is_written_all_the_same() -> None:
    ours, theirs = (ShardPlace("m", StreamUid("a" * 24), no, (LanePlace(5),)) for no in range(2))
    loop, meta = SimLoop(), Contested(theirs.key)

    async def scenario() -> None:
        tasks = SimTasks()
        checkpoints = Checkpoints(meta, SimClock(loop), tasks)
        checkpoints.save(ours)
        checkpoints.save(theirs)
        await checkpoints.flush()
        assert await meta.get(ours.key) is not None
        assert await meta.get(theirs.key) is None
        await tasks.stop()

    loop.run(scenario(), 60_000)
