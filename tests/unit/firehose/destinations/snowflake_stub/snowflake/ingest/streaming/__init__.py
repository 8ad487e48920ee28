"""A stub of snowpipe-streaming 1.9.1: the part of its interface that we use, with the same signatures, over tables in memory."""

import enum
from collections.abc import Callable
from typing import Any


class StreamingIngestErrorCode(enum.Enum):
    SF_API_AUTH_ERROR = "SfApiAuthError"
    INVALID_CHANNEL_ERROR = "InvalidChannelError"


class StreamingIngestError(Exception):
    def __init__(
        self, error_code: StreamingIngestErrorCode, message: str, http_status_code: int, http_status_name: str
    ) -> None:
        super().__init__(message)
        self.error_code = error_code
        self.message = message


class Table:
    """What the stub's Snowflake holds, and how it fails."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.properties: dict[str, Any] = {}
        self.opened: list[str] = []
        self.tokens: dict[str, str | None] = {}
        self.rejected = 0
        self.rejects: Callable[[dict[str, Any]], bool] = lambda row: False
        self.fails: Exception | None = None
        self.commits = True


TABLES: dict[tuple[str, str, str], Table] = {}


class ChannelStatus:
    def __init__(self, token: str | None, rejected: int) -> None:
        self.latest_committed_offset_token = token
        self.rows_error_count = rejected
        self.last_error_message = "Numeric value 'x' is not recognized\n in column N" if rejected else None
        self.status_code = "SUCCESS"


class StreamingIngestChannel:
    def __init__(self, table: Table, name: str) -> None:
        self._table, self._name = table, name

    def append_rows(
        self, rows: list[dict[str, Any]], start_offset_token: str | None = None, end_offset_token: str | None = None
    ) -> None:
        if self._table.fails is not None:
            raise self._table.fails
        assert all(type(row) is dict for row in rows)
        good = [row for row in rows if not self._table.rejects(row)]
        self._table.rows += good
        self._table.rejected += len(rows) - len(good)
        if end_offset_token is not None:
            self._table.tokens[self._name] = end_offset_token

    def get_channel_status(self) -> ChannelStatus:
        return ChannelStatus(self._table.tokens.get(self._name), self._table.rejected)

    def wait_for_commit(self, token_checker: Callable[[str | None], bool], timeout_seconds: int | None = None) -> None:
        if not self._table.commits or not token_checker(self._table.tokens.get(self._name)):
            raise TimeoutError("Wait for commit timed out")


class StreamingIngestClient:
    def __init__(self, table: Table) -> None:
        self._table = table

    @classmethod
    def from_table(
        cls, client_name: str, db_name: str, schema_name: str, table_name: str, profile_json: str | None = None,
        properties: dict[str, Any] | None = None,
    ) -> "StreamingIngestClient":  # fmt: skip
        table = TABLES[db_name, schema_name, table_name]
        table.properties = properties or {}
        return cls(table)

    def open_channel(
        self, channel_name: str, offset_token: str | None = None
    ) -> tuple[StreamingIngestChannel, ChannelStatus]:
        self._table.opened.append(channel_name)
        channel = StreamingIngestChannel(self._table, channel_name)
        return channel, channel.get_channel_status()

    def close(self, wait_for_flush: bool = True, timeout_seconds: int | None = None) -> None:
        return
