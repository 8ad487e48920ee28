"""Leases in memory: for tests and simulations, and for a program that is alone and starts anew each time."""

from penstock.consumer.lease import Lease, same_state


class MemoryStore:
    """A dictionary."""

    def __init__(self) -> None:
        self.stored: dict[str, Lease] = {}

    async def open(self) -> None:
        """Nothing to make."""

    async def leases(self) -> list[Lease]:
        """All leases."""
        return list(self.stored.values())

    async def get(self, key: str) -> Lease | None:
        """One lease."""
        return self.stored.get(key)

    async def create(self, lease: Lease) -> bool:
        """Add a lease."""
        return self.stored.setdefault(lease.key, lease) is lease

    async def swap(self, old: Lease, new: Lease) -> bool:
        """Replace a lease."""
        stored = self.stored.get(old.key)
        if stored is None or not same_state(stored, old):
            return False
        self.stored[old.key] = new
        return True

    async def delete(self, lease: Lease) -> bool:
        """Take a lease away."""
        stored = self.stored.get(lease.key)
        if stored is None or not same_state(stored, lease):
            return False
        del self.stored[lease.key]
        return True

    async def attend(self, worker: str, now_s: int) -> bool:
        """Nobody wants to know."""
        return False

    async def close(self) -> None:
        """Nothing to let go of."""
