"""Databases that speak PostgreSQL's protocol, by psycopg.

Rules of this file: psycopg is imported at the first connection; every step ends by itself; what the driver says is cut to the server's
own first line, for the rest may quote a connection string.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from penstock.core.warehouse import Column, Login, Session, WarehouseFailed

if TYPE_CHECKING:
    import psycopg

EXTRA: Final = "pip install 'penstock[firehose]'"
CONNECT_S: Final = 15
ASK_S: Final = 60
LOAD_S: Final = 900
_TEXT_MAX_CHARS: Final = 1000
_STATES: Final = (  # of refusals before there is a session: libpq tells those as text alone
    ("password authentication failed", "28P01"), ("no password supplied", "28P01"), ("authentication failed", "28000"),
    ("no pg_hba.conf entry", "28000"), ("role \"", "28000"), ("database \"", "3D000"),
    ("too many connections", "53300"), ("certificate", "08001"), ("SSL", "08001"),
)  # fmt: skip


class SqlWire:
    """Connections to wherever a delivery goes."""

    def __init__(self, ca_file: str = "", connect_s: float = CONNECT_S) -> None:
        """`ca_file`: certificates in PEM that servers are trusted by; without one, the system's."""
        self._ca_file = ca_file
        self._connect_s = connect_s

    async def open(self, login: Login) -> Session:
        """Connect.  Raises WarehouseFailed."""
        try:
            import psycopg
        except ImportError:
            raise WarehouseFailed("", f"deliveries to Redshift and PostgreSQL need {EXTRA}") from None
        where = f"{login.host}:{login.port}"
        options: dict[str, Any] = {
            "sslmode": login.ssl_mode,
            "application_name": "penstock-firehose",
            "client_encoding": "utf8",
        }
        if login.ssl_mode.startswith("verify") and not login.host.startswith("/"):
            options["sslrootcert"] = self._ca_file or "system"
        try:
            async with asyncio.timeout(self._connect_s):
                connection = await psycopg.AsyncConnection.connect(
                    host=login.host, port=login.port, dbname=login.database, user=login.user, password=login.password,
                    autocommit=True, prepare_threshold=None, **options,
                )  # fmt: skip
        except TimeoutError:
            raise WarehouseFailed("", f"{where} did not answer within {self._connect_s:g} s") from None
        except (psycopg.Error, OSError, UnicodeError) as error:
            text = _first_line(str(error))
            state = next((state for sign, state in _STATES if sign in text), "")
            raise WarehouseFailed(
                state, f"{where} refused the connection" if state else f"{where} cannot be reached"
            ) from None
        return SqlSession(connection, where)


class SqlSession:
    """One connection."""

    def __init__(self, connection: "psycopg.AsyncConnection[Any]", where: str) -> None:
        self._connection = connection
        self._where = where

    async def version(self) -> str:
        """How the server calls itself."""
        async with self._within(ASK_S), self._connection.cursor() as cursor:
            await cursor.execute("SELECT version()")
            row = await cursor.fetchone()
            return str(row[0]) if row else ""

    async def columns(self, query: str) -> Sequence[Column]:
        """The columns that a query's rows would have."""
        async with self._within(ASK_S), self._connection.cursor() as cursor:
            await cursor.execute(query.encode())
            return [Column(one.name, one.type_code) for one in cursor.description or ()]

    async def execute(self, statement: str) -> None:
        """Run a statement."""
        async with self._within(LOAD_S), self._connection.cursor() as cursor:
            await cursor.execute(statement.encode())

    async def copy(self, statement: str, pieces: Iterable[bytes]) -> None:
        """Run a COPY FROM STDIN."""
        async with self._within(LOAD_S), self._connection.cursor() as cursor, cursor.copy(statement.encode()) as copy:
            for piece in pieces:
                await copy.write(piece)

    async def close(self) -> None:
        """Leave."""
        await self._connection.close()

    @asynccontextmanager
    async def _within(self, wait_s: float) -> AsyncIterator[None]:
        import psycopg

        try:
            async with asyncio.timeout(wait_s):
                yield
        except TimeoutError:
            raise WarehouseFailed("", f"{self._where} did not answer within {wait_s:g} s") from None
        except psycopg.Error as error:
            if error.sqlstate is None:
                raise WarehouseFailed("", f"{self._where} closed the connection before it had answered") from None
            detail = f": {error.diag.message_detail}" if error.diag.message_detail else ""
            raise WarehouseFailed(error.sqlstate, _first_line(f"{error.diag.message_primary}{detail}")) from None


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0][:_TEXT_MAX_CHARS]
