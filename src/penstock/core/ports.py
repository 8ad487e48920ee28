"""The ports to the world: time, randomness and tasks.  `host/` implements them; everything else asks for them.

Rules: no module outside `host/` reads a clock, draws a random number or spawns a task in any other way, so that a
simulation or a user's test can own all three.
"""

from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

from penstock.core.ids import Millis

Result = TypeVar("Result")


class Clock(Protocol):
    """Wall time in milliseconds.  It may be advanced by a test; it may jump where the machine's clock jumps."""

    def now_ms(self) -> Millis:
        """Milliseconds since the epoch."""
        ...

    async def sleep(self, duration_ms: int) -> None:
        """Return when `duration_ms` have passed on this clock; at once, after one turn of the loop, for 0."""
        ...


class Entropy(Protocol):
    """Randomness that may be a seed's."""

    def bytes(self, count: int) -> bytes:
        """`count` bytes, fit for keys and nonces."""
        ...

    def fraction(self) -> float:
        """A number in [0, 1)."""
        ...


class Tasks(Protocol):
    """Background work, owned: each task ends with its owner, and none fails unseen."""

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Start `work` on the loop.  An exception that leaves it is logged under `name`; the others go on."""
        ...

    async def stop(self) -> None:
        """Cancel what still runs, in the order of its start, and wait for it."""
        ...


class Threads(Protocol):
    """Work beside the loop: what takes long and lets others run meanwhile, such as hashing."""

    async def run(self, work: Callable[[], Result]) -> Result:
        """What `work` returns or raises.  Cost: 40 us."""
        ...


class QueryResults(NamedTuple):
    """What a query made of one record."""

    texts: Sequence[str]  # its results, in JSON
    problem: str | None  # why there are no more


class Queries(Protocol):
    """Programs of jq, run where they can do no harm: they are users', may never end, and may want all memory."""

    async def check(self, program: str) -> str | None:
        """What is wrong with a program; None if nothing is.  Raises ImportError where jq is not installed."""
        ...

    async def run(self, program: str, records: Sequence[str]) -> Sequence[QueryResults | None]:
        """The results of each record; None for one that took too long or too much memory, and for those after too many of such."""
        ...


class DiskFull(OSError):
    """No space is left; nothing of the refused operation is relied on."""


class FileReader(Protocol):
    """Who takes in what a file holds."""

    def read(self, path: str, length: int) -> bool:
        """Take so many bytes of the file at `path`; false, and nothing is taken, where it cannot be opened.  Raises OSError."""
        ...

    def take(self, piece: bytes) -> None:
        """Take what follows of it."""
        ...


class File(Protocol):
    """One open file.  What was written may be lost or torn by a crash until `sync` has returned."""

    @property
    def size_bytes(self) -> int:
        """Its length."""
        ...

    async def read(self, offset: int, length: int) -> bytes:
        """Bytes from `offset` on; fewer than `length` at the end of the file."""
        ...

    async def feed(self, length: int, reader: FileReader) -> None:
        """Have `reader` take the first `length` bytes, beside the loop; fewer at the end of the file."""
        ...

    async def write(self, offset: int, *pieces: bytes) -> None:
        """Write pieces one behind the other; not durable yet.  Raises DiskFull, OSError."""
        ...

    async def sync(self) -> None:
        """Make all that was written durable.  After an OSError from here nothing is known of it; never try again on this file."""
        ...

    async def commit(self, offset: int, *pieces: bytes) -> None:
        """`write` and `sync`, in one step."""
        ...

    async def close(self) -> None:
        """Let go of it."""
        ...


class Disk(Protocol):
    """The files below one directory; paths are relative to it, with `/`."""

    async def create(self, path: str, size_bytes: int = 0) -> File:
        """A new file of `size_bytes` zeros that are really written, or an emptied one.  Raises DiskFull."""
        ...

    async def store(self, path: str, *parts: Iterable[bytes]) -> None:
        """A new file, or one anew, of the pieces of these parts; durable when this returns, but for its name.

        Raises DiskFull, and may leave some of it.

        For what is large and not read soon: it need not pass through the page cache.  Pieces are asked for one by
        one, beside the loop.
        """
        ...

    async def open(self, path: str) -> File:
        """A file that exists.  Raises FileNotFoundError."""
        ...

    async def names(self, folder: str) -> list[str]:
        """What a folder holds, sorted; nothing if it does not exist."""
        ...

    async def make_folder(self, path: str) -> None:
        """A folder and those above it; durable when this returns."""
        ...

    async def rename(self, old: str, new: str) -> None:
        """Give a file another name, replacing what had it; durable after `sync_folder`."""
        ...

    async def remove(self, path: str) -> None:
        """Delete a file or an empty folder, if it is there; durable after `sync_folder`."""
        ...

    async def sync_folder(self, path: str) -> None:
        """Make creations, renames and removals in a folder durable."""
        ...
