"""The port to databases that speak PostgreSQL's protocol: a session, and what it can be asked.  `host/sqlwire.py` implements it."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol


class Login(NamedTuple):
    """Who goes where."""

    host: str
    port: int
    database: str
    user: str
    password: str
    ssl_mode: str  # libpq's word

    def __repr__(self) -> str:
        return f"Login({self.host}:{self.port}/{self.database})"


class Column(NamedTuple):
    """A column of a table."""

    name: str
    type_oid: int


class WarehouseFailed(Exception):
    """What the database, or the way to it, answered; its text is one line without secrets."""

    def __init__(self, state: str, text: str) -> None:
        super().__init__(text)
        self.state = state  # SQLSTATE; empty where there was no database to say it


class Session(Protocol):
    """One connection.  Everything raises WarehouseFailed."""

    async def version(self) -> str:
        """How the server calls itself."""
        ...

    async def columns(self, query: str) -> Sequence[Column]:
        """The columns that a query's rows would have."""
        ...

    async def execute(self, statement: str) -> None:
        """Run a statement, in a transaction of its own."""
        ...

    async def copy(self, statement: str, pieces: Iterable[bytes]) -> None:
        """Run a COPY FROM STDIN with these bytes: all of it or nothing."""
        ...

    async def close(self) -> None:
        """Leave."""
        ...


class Warehouses(Protocol):
    """Databases."""

    async def open(self, login: Login) -> Session:
        """Connect.  Raises WarehouseFailed."""
        ...
