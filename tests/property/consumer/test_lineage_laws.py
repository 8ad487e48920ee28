"""Laws of leases over any history of a stream: whenever a sync is cut off, nothing is begun before its parents, and nothing is left out."""

from hypothesis import given
from hypothesis import strategies as st

from penstock.consumer.lease import Lease
from penstock.consumer.lineage import HASH_KEYS, Shard, done_with, has_hole, may_start, missing
from penstock.consumer.position import LATEST, TRIM_HORIZON, Begin, Checkpoint
from penstock.core.hashkeys import HashRange


class Stream:
    """Shards that split and merge."""

    def __init__(self) -> None:
        self.shards: dict[str, Shard] = {}
        self._open: list[str] = []
        self._add(0, HASH_KEYS - 1)

    def _add(self, start: int, end: int, *parents: str) -> None:
        shard_id = f"shard-{len(self.shards):03d}"
        self.shards[shard_id] = Shard(shard_id, HashRange(start, end), parents)
        self._open.append(shard_id)
        self._open.sort(key=lambda each: self.shards[each].hash_keys.start)

    def _close(self, *shard_ids: str) -> None:
        for shard_id in shard_ids:
            old = self.shards[shard_id]
            self.shards[shard_id] = Shard(shard_id, old.hash_keys, old.parents, open=False)
            self._open.remove(shard_id)

    def reshard(self, choice: int) -> None:
        place = choice // 2 % len(self._open)
        first = self._open[place]
        if choice % 2 and place + 1 < len(self._open):
            second = self._open[place + 1]
            start, end = self.shards[first].hash_keys.start, self.shards[second].hash_keys.end
            self._close(first, second)
            self._add(start, end, first, second)
            return
        start, end = self.shards[first].hash_keys
        if end - start > 10:
            self._close(first)
            self._add(start, (start + end) // 2, first)
            self._add((start + end) // 2 + 1, end, first)


class Application:
    """Leases, and which shards were read to their ends."""

    def __init__(self, begin: Begin) -> None:
        self.leases: dict[str, Lease] = {}
        self.begin = begin
        self.read: set[str] = set()
        self.ever: set[str] = set()

    def sync(self, stream: Stream, most: int) -> None:
        """Make leases, and be cut off after so many."""
        for lease in missing(list(stream.shards.values()), self.leases, self.begin)[:most]:
            self.leases[lease.key] = lease
            self.ever.add(lease.key)

    def process(self, stream: Stream, choice: int) -> None:
        """Read one shard that may be begun to its end, if it has one; its children get their leases first."""
        ready = sorted(key for key, lease in self.leases.items() if may_start(lease, self.leases))
        if not ready:
            return
        key = ready[choice % len(ready)]
        for parent in stream.shards[key].parents:
            assert parent in self.read or parent not in self.ever, f"{key} is begun before the end of {parent}"
            assert parent in self.read or self.begin.kind == LATEST, f"{key} is begun and {parent} was never read"
        shard = stream.shards[key]
        if shard.open:
            self.leases[key] = self.leases[key].at(Checkpoint("5"))
            return
        self.sync(stream, 1000)
        children = tuple(each.shard_id for each in stream.shards.values() if key in each.parents)
        assert all(child in self.leases or child in self.ever for child in children)
        self.leases[key] = self.leases[key].over(children)
        self.read.add(key)

    def tidy(self) -> None:
        """Take away what is done with."""
        for lease in done_with(self.leases):
            del self.leases[lease.key]


STEPS = st.lists(
    st.tuples(st.sampled_from(["reshard", "reshard", "sync", "process", "process", "tidy"]), st.integers(0, 50)), max_size=40
)  # fmt: skip


@given(st.sampled_from([TRIM_HORIZON, LATEST]), st.integers(0, 12), STEPS)
def test_leases_when_a_stream_is_resharded_then_everything_is_read_after_its_parents(
    begin: str, history: int, steps: list[tuple[str, int]]
) -> None:
    stream, application = Stream(), Application(Begin(begin))
    for turn in range(history):
        stream.reshard(turn * 7)
    for what, choice in steps:
        match what:
            case "reshard":
                stream.reshard(choice)
            case "sync":
                application.sync(stream, choice % 4)
            case "process":
                application.process(stream, choice)
            case _:
                application.tidy()
    application.sync(stream, 1000)
    for turn in range(3 * len(stream.shards) ** 2):
        application.process(stream, turn)
    assert not has_hole(application.leases.values())
    if begin == TRIM_HORIZON:
        closed = {shard.shard_id for shard in stream.shards.values() if not shard.open}
        assert application.read == closed


@given(st.integers(0, 12), st.integers(0, 30))
def test_leases_when_what_is_done_with_is_taken_away_then_it_is_not_made_again(history: int, processed: int) -> None:
    stream, application = Stream(), Application(Begin())
    for turn in range(history):
        stream.reshard(turn * 7)
    application.sync(stream, 1000)
    for turn in range(processed):
        application.process(stream, turn)
        application.tidy()
        assert missing(list(stream.shards.values()), application.leases, application.begin) == []
