"""What a lease store must do.  `stores/` has four: SQLite, DynamoDB, PostgreSQL, and one in memory.

Theory.  All safety of an application lies in `swap`: it writes only where the stored lease is, in its counter, both owners and checkpoint,
the one that the writer knows.  Everything else may be late, stale or repeated.
"""

from typing import Protocol

from penstock.consumer.lease import Lease


class StoreUnavailable(Exception):
    """The store did not answer, or not as a store does.  Whether a write took effect is not known."""


class StoreRefused(Exception):
    """The store will never do this: no permission, no such database.  The text says what to do."""


class LeaseStore(Protocol):
    """Leases of one application.  Every method may raise StoreUnavailable."""

    async def open(self) -> None:
        """Make what is needed, if it is not there.  Raises StoreRefused."""
        ...

    async def leases(self) -> list[Lease]:
        """All leases, each as it was at some moment of the call."""
        ...

    async def get(self, key: str) -> Lease | None:
        """One lease as it is now."""
        ...

    async def create(self, lease: Lease) -> bool:
        """Add a lease; False if there is one for its key."""
        ...

    async def swap(self, old: Lease, new: Lease) -> bool:
        """Write what differs, if counter, owners and checkpoint are still those of `old`; False if not."""
        ...

    async def delete(self, lease: Lease) -> bool:
        """Take a lease away, if counter, owners and checkpoint are still the same; False if not."""
        ...

    async def attend(self, worker: str, now_s: int) -> bool:
        """Tell others that a worker is there, where anybody wants to know; whether a KCL leader balances this application."""
        ...

    async def close(self) -> None:
        """Let go of it."""
        ...
