"""Leases: who may read which shard, and how far it was read.

Theory.  A lease is one item of a shared store.  Who owns it raises its counter before the failover time is over; one whose counter
stood still for so long may be taken.  Each write is a compare-and-set of counter, owners and checkpoint, so of two who want the same
lease one learns that it was too late, and whoever has lost a lease can write nothing to it any more.
While a lease is handed over it has two names on it: the owner to be, and the `checkpoint_owner`, who still works on it and lets go.
Rules of this file:
  1. Pure.
  2. The fields are those of a KCL 3 lease item; `began_ms` alone is ours, and KCL leaves it alone.
  3. Every change shows in what a swap compares, the counter if nothing else: a writer that knows an older lease must not undo it.
"""

from msgspec import Struct
from msgspec.structs import replace

from penstock.consumer.position import Checkpoint
from penstock.core.hashkeys import HashRange


class Lease(Struct, frozen=True, omit_defaults=True):
    """One shard's lease."""

    key: str  # the shard's id
    checkpoint: Checkpoint
    counter: int = 0
    owner: str | None = None  # a worker's id
    checkpoint_owner: str | None = None  # who still works on it, while it is handed over
    switches: int = 0  # changes of owner since the last checkpoint
    parents: tuple[str, ...] = ()
    children: tuple[str, ...] = ()  # known once the shard has ended
    hash_keys: HashRange | None = None
    began_ms: int | None = None  # when LATEST was first asked for: what came since is not skipped
    throughput_kbps: float = 0.0  # what KCL balances by where it knows nothing of a worker's processor

    @property
    def holder(self) -> str | None:
        """Who may work on it."""
        return self.checkpoint_owner or self.owner

    def renewed(self) -> "Lease":
        """As its holder keeps it alive."""
        return replace(self, counter=self.counter + 1)

    def taken(self, worker: str) -> "Lease":
        """As a worker takes it whose holder is gone or never was."""
        return replace(
            self, owner=worker, checkpoint_owner=None, counter=self.counter + 1, switches=self.switches + 1
        )  # fmt: skip

    def begun(self, now_ms: int) -> "Lease":
        """As its holder notes when it first asked for the latest record."""
        return replace(self, began_ms=now_ms, counter=self.counter + 1)

    def asked_for(self, worker: str) -> "Lease":
        """As a worker asks for it whose holder is alive.  The counter stays: it is the holder's."""
        return replace(self, owner=worker, checkpoint_owner=self.owner)

    def declined(self, worker: str) -> "Lease":
        """As a worker that stops gives back what it has asked for, or what was given to it in the meantime."""
        if self.checkpoint_owner not in (None, worker):
            return replace(self, owner=self.checkpoint_owner, checkpoint_owner=None)
        return replace(self, owner=None, checkpoint_owner=None, counter=self.counter + 1)

    def let_go(self) -> "Lease":
        """As its holder gives it to who asked for it, or to anybody."""
        owner = self.owner if self.checkpoint_owner is not None else None
        return replace(self, owner=owner, checkpoint_owner=None, counter=self.counter + 1)

    def at(self, checkpoint: Checkpoint) -> "Lease":
        """With a checkpoint that is farther, or as it was."""
        return replace(self, checkpoint=checkpoint, switches=0) if checkpoint.passes(self.checkpoint) else self

    def over(self, children: tuple[str, ...]) -> "Lease":
        """As it stays once its shard was read to the end: nobody's."""
        at_end = self.at(Checkpoint("SHARD_END"))
        return replace(at_end, owner=None, checkpoint_owner=None, children=children, counter=self.counter + 1)


def same_state(one: Lease, other: Lease) -> bool:
    """Whether nothing was written between two sights of a lease: what every swap asks."""
    return (one.counter, one.owner, one.checkpoint_owner, one.checkpoint) == (
        other.counter,
        other.owner,
        other.checkpoint_owner,
        other.checkpoint,
    )


def still_held(mine: Lease, stored: Lease | None, worker: str) -> bool:
    """Whether a lease that a worker holds is still its own, by what the store has.

    The counter may be one ahead: a renewal that took effect and was not answered.  Two ahead, somebody else had it in between.
    """
    return (
        stored is not None
        and stored.holder == worker
        and stored.counter - mine.counter in (0, 1)
        and not stored.checkpoint.ended
    )
