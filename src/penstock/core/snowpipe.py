"""The port to tables of Snowflake.  `host/snowpipe.py` implements it."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol


class SnowflakeTable(NamedTuple):
    """A table, and who writes to it."""

    url: str
    user: str
    private_key: str  # PKCS#8 in base64, with or without its PEM frame
    passphrase: str
    role: str  # empty: the user's own
    database: str
    schema: str
    table: str

    def __repr__(self) -> str:
        return f"SnowflakeTable({self.database}.{self.schema}.{self.table})"


class SnowpipeFailed(Exception):
    """Rows that are not there, or not known to be; its text is one line without secrets."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class Taken(NamedTuple):
    """What became of rows that were committed."""

    rejected: int  # rows that the table could not take; it is not told which
    reason: str


class Snowpipe(Protocol):
    """Channels into tables."""

    async def append(self, table: SnowflakeTable, channel: str, rows: Sequence[Mapping[str, Any]], token: str) -> Taken:
        """Commit rows under a token; at once where the channel's last commit has it already.  Raises SnowpipeFailed."""
        ...
