"""Laws of a durable consumer's course over any history of a stream: parents first, each shard once, nothing left out, little kept."""

from hypothesis import given
from hypothesis import strategies as st

from penstock.services.streams.course import Link, StartingPosition, begin, plan

CHOICES = st.lists(
    st.tuples(st.sampled_from(["split", "merge", "vanish", "step", "finish", "tidy"]), st.integers(0, 999))
)
KINDS = st.sampled_from(["TRIM_HORIZON", "LATEST", "AT_TIMESTAMP"])


class World:
    """A stream whose shards split, merge and vanish, and a consumer that reads them when its plan says so."""

    def __init__(self, resharded: list[tuple[str, int]], kind: StartingPosition) -> None:
        self.links: dict[int, Link] = {}
        self.count = 0
        for _ in range(3):
            self._open()
        for action, choice in resharded:
            self._change_stream(action, choice)
        beginning = begin(list(self.links.values()), kind)
        self.since = beginning.since
        self.finished: dict[int, bool] = dict.fromkeys(beginning.first, False)
        self.course = {no for no in self.links if kind != "LATEST" or self.links[no].open}  # what it must read
        self.read: set[int] = set()  # to their ends
        self.started: set[int] = set(self.finished)

    def _open(self, *parents: int) -> int:
        self.links[self.count] = Link(self.count, parents)
        self.count += 1
        return self.count - 1

    def _change_stream(self, action: str, choice: int) -> list[int]:
        """Split, merge or let the oldest closed shard vanish; answer the shards that were opened."""
        opened = [link for link in self.links.values() if link.open]
        if action == "vanish":
            oldest = min((no for no, link in self.links.items() if not link.open), default=None)
            if oldest is not None:
                del self.links[oldest]
            return []
        if action == "merge" and len(opened) < 2:
            return []
        width, children = (2, 1) if action == "merge" else (1, 2)
        at = choice % (len(opened) - width + 1)
        parents = tuple(link.no for link in opened[at : at + width])
        for no in parents:
            self.links[no] = self.links[no]._replace(open=False)
        return [self._open(*parents) for _ in range(children)]

    def act(self, action: str, choice: int) -> None:
        if action in ("split", "merge", "vanish"):
            self.course.update(self._change_stream(action, choice))
        elif action == "step":
            self.step(choice)
        elif action == "finish":
            self.finish(choice)
        else:
            self.tidy()

    def now(self) -> tuple[int, ...]:
        return plan(list(self.links.values()), self.since, self.finished).start

    def step(self, choice: int) -> None:
        """Begin one shard that may be read."""
        fresh = [no for no in self.now() if no not in self.finished]
        if fresh:
            self._begin(fresh[choice % len(fresh)])

    def _begin(self, no: int) -> None:
        assert no not in self.started, "begun again"
        assert no in self.course
        behind = {parent for parent in self.links[no].parents if parent in self.links and parent in self.course}
        assert behind <= self.read, "before its parents"
        self.started.add(no)
        self.finished[no] = False

    def finish(self, choice: int) -> None:
        """Read one closed shard, that was begun, to its end."""
        ready = [no for no in self.now() if no in self.finished and not self.links[no].open]
        if ready:
            no = ready[choice % len(ready)]
            assert not self.finished[no]
            self.finished[no] = True
            self.read.add(no)

    def tidy(self) -> None:
        before = plan(list(self.links.values()), self.since, self.finished)
        for no in before.forget:
            del self.finished[no]
        after = plan(list(self.links.values()), self.since, self.finished)
        assert (after.start, after.forget) == (before.start, ())

    def catch_up(self) -> None:
        for _ in range(2 * self.count + 2):
            self.step(0)
            self.finish(0)
            self.step(0)
            self.tidy()


@given(CHOICES, CHOICES, KINDS)
def test_course_when_the_stream_is_resharded_at_any_time_reads_each_shard_once_and_parents_first(
    before: list[tuple[str, int]], after: list[tuple[str, int]], kind: StartingPosition
) -> None:
    world = World([each for each in before if each[0] in ("split", "merge", "vanish")], kind)
    for action, choice in after:
        world.act(action, choice)
    world.catch_up()
    for no in world.course & set(world.links):
        assert no in (world.started if world.links[no].open else world.read), f"{no} was left out"


@given(CHOICES, KINDS)
def test_checkpoints_when_the_consumer_has_caught_up_are_those_of_open_shards_and_of_parents_beside_them(
    actions: list[tuple[str, int]], kind: StartingPosition
) -> None:
    world = World([], kind)
    for action, choice in actions:
        world.act(action, choice)
    world.catch_up()
    assert set(world.finished) == {no for no, link in world.links.items() if link.open}


def test_course_when_a_shard_between_has_vanished_goes_on_with_its_children() -> None:
    """LATEST began at shard 0; its child 1 came and vanished unread while the consumer was away."""
    links = [Link(0, open=False), Link(2, (1,)), Link(3, (1,))]
    assert plan(links, 1, {0: True}).start == (2, 3)
