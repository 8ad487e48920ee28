"""Leases in PostgreSQL: for workers on several machines that have a database already.

Theory.  As in SQLite: a row with its key and its JSON, and swaps that compare inside it.  One connection, made again when it breaks;
calls take turns.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from penstock.consumer.lease import Lease
from penstock.consumer.store import StoreRefused, StoreUnavailable

if TYPE_CHECKING:
    import psycopg

CONNECT_S: Final = 10
ANSWER_S: Final = 20.0  # then the connection is given up
TABLE: Final = "penstock_leases"
SCHEMA: Final = f"""
CREATE TABLE IF NOT EXISTS {TABLE} (
    application text NOT NULL,
    key text NOT NULL,
    body jsonb NOT NULL,
    PRIMARY KEY (application, key)
)
"""
SAME: Final = (
    "application = %s AND key = %s AND coalesce((body ->> 'counter')::bigint, 0) = %s"
    " AND body ->> 'owner' IS NOT DISTINCT FROM %s AND body ->> 'checkpoint_owner' IS NOT DISTINCT FROM %s"
    " AND body #>> '{checkpoint,sequence}' = %s AND coalesce((body #>> '{checkpoint,sub}')::bigint, 0) = %s"
)

Answer = TypeVar("Answer")


class PostgresStore:
    """The leases of one application in a table that others may share."""

    def __init__(self, url: str, application: str) -> None:
        self._url = url
        self._application = application
        self._connection: psycopg.AsyncConnection[Any] | None = None
        self._turn = asyncio.Lock()

    async def open(self) -> None:
        """Make the table, if it is not there."""
        try:
            import psycopg
        except ImportError:
            raise StoreRefused("leases in PostgreSQL need psycopg: pip install 'penstock[postgres]'") from None
        try:
            async with await psycopg.AsyncConnection.connect(
                self._url, autocommit=True, connect_timeout=CONNECT_S
            ) as db:
                await db.execute("SELECT pg_advisory_lock(hashtext(%s))", (TABLE,))  # two at once would collide
                await db.execute(SCHEMA)
        except (psycopg.errors.InsufficientPrivilege, psycopg.errors.InvalidCatalogName) as error:
            raise StoreRefused(f"no leases can be kept in this database: {error}") from error
        except psycopg.ProgrammingError as error:
            raise StoreRefused(f"this is no database to keep leases in: {error}") from error
        except psycopg.Error as error:
            raise StoreUnavailable(str(error)) from error

    async def leases(self) -> list[Lease]:
        """All leases."""
        query = f"SELECT body::text FROM {TABLE} WHERE application = %s ORDER BY key"  # noqa: S608  # our own name
        return [_decode(row[0]) for row in await self._rows(query, self._application)]

    async def get(self, key: str) -> Lease | None:
        """One lease."""
        query = f"SELECT body::text FROM {TABLE} WHERE application = %s AND key = %s"  # noqa: S608  # our own name
        rows = await self._rows(query, self._application, key)
        return _decode(rows[0][0]) if rows else None

    async def create(self, lease: Lease) -> bool:
        """Add a lease."""
        statement = f"INSERT INTO {TABLE} VALUES (%s, %s, %s) ON CONFLICT DO NOTHING"  # noqa: S608  # our own name
        return await self._write(statement, self._application, lease.key, _encode(lease))

    async def swap(self, old: Lease, new: Lease) -> bool:
        """Replace a lease."""
        return await self._write(f"UPDATE {TABLE} SET body = %s WHERE {SAME}", _encode(new), *self._same(old))  # noqa: S608

    async def delete(self, lease: Lease) -> bool:
        """Take a lease away."""
        return await self._write(f"DELETE FROM {TABLE} WHERE {SAME}", *self._same(lease))  # noqa: S608

    async def attend(self, worker: str, now_s: int) -> bool:
        """Nobody wants to know."""
        return False

    async def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            await self._connection.close()
            self._connection = None

    def _same(self, lease: Lease) -> tuple[str | int | None, ...]:
        at = lease.checkpoint
        return (self._application, lease.key, lease.counter, lease.owner, lease.checkpoint_owner, at.sequence, at.sub)

    async def _write(self, statement: str, *values: object) -> bool:
        async def work(db: "psycopg.AsyncConnection[Any]") -> bool:
            return (await db.execute(statement.encode(), values)).rowcount > 0

        return await self._run(work)

    async def _rows(self, query: str, *values: object) -> list[Any]:
        async def work(db: "psycopg.AsyncConnection[Any]") -> list[Any]:
            return await (await db.execute(query.encode(), values)).fetchall()

        return await self._run(work)

    async def _run(self, work: "Callable[[psycopg.AsyncConnection[Any]], Awaitable[Answer]]") -> Answer:
        import psycopg

        async with self._turn:
            try:
                if self._connection is None:
                    self._connection = await psycopg.AsyncConnection.connect(
                        self._url, autocommit=True, connect_timeout=CONNECT_S
                    )
                async with asyncio.timeout(ANSWER_S):
                    return await work(self._connection)
            except (psycopg.Error, TimeoutError) as error:
                broken, self._connection = self._connection, None
                if broken is not None:
                    await broken.close()
                raise StoreUnavailable(str(error) or "it takes too long") from error


def _encode(lease: Lease) -> str:
    return msgspec.json.encode(lease).decode()


def _decode(body: str) -> Lease:
    try:
        return msgspec.json.decode(body, type=Lease)
    except msgspec.MsgspecError as error:
        raise StoreUnavailable(f"a lease cannot be read: {error}") from error
