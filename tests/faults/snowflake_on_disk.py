"""A stub of snowpipe-streaming whose table outlives the process that writes to it: a file, each line a commit with its channel and token.

`install` puts it where a server finds it as Snowflake's SDK.  A line is written at once or, where the process is killed before, not at all.
"""

import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

FILE: Final = "SNOWFLAKE_STUB_FILE"  # the variable that names it
COMMIT_S: Final = 0.05  # from the last row to the commit: somebody may be killed meanwhile


def install(folder: Path) -> dict[str, str]:
    """Lay the stub out as a package in a new folder; the environment of a server that is to use it."""
    package = folder / "snowflake" / "ingest" / "streaming"
    package.mkdir(parents=True)
    for each in (package.parent.parent, package.parent):
        (each / "__init__.py").touch()
    shutil.copy(__file__, package / "__init__.py")
    paths = os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PYTHONPATH": paths, FILE: str(folder / "table")}


def committed(path: Path) -> Iterator[dict[str, Any]]:
    """What was committed, in order: {"channel", "token", "rows"}."""
    if path.exists():
        yield from map(json.loads, path.read_text().splitlines())


class ChannelStatus:
    def __init__(self, token: str | None) -> None:
        self.latest_committed_offset_token = token
        self.rows_error_count = 0
        self.last_error_message = None


class StreamingIngestChannel:
    def __init__(self, path: Path, name: str) -> None:
        self._path, self._name = path, name
        self._rows: list[dict[str, Any]] = []

    def append_rows(
        self, rows: list[dict[str, Any]], start_offset_token: str | None = None, end_offset_token: str | None = None
    ) -> None:
        self._rows += rows
        if end_offset_token is not None:
            threading.Event().wait(COMMIT_S)
            line = {"channel": self._name, "token": end_offset_token, "rows": self._rows}
            with self._path.open("ab", buffering=0) as file:
                file.write(json.dumps(line).encode() + b"\n")
            self._rows = []

    def get_channel_status(self) -> ChannelStatus:
        own = [line["token"] for line in committed(self._path) if line["channel"] == self._name]
        return ChannelStatus(own[-1] if own else None)

    def wait_for_commit(self, token_checker: Callable[[str | None], bool], timeout_seconds: int | None = None) -> None:
        assert token_checker(self.get_channel_status().latest_committed_offset_token)


class StreamingIngestClient:
    @classmethod
    def from_table(
        cls, client_name: str, db_name: str, schema_name: str, table_name: str, profile_json: str | None = None,
        properties: dict[str, Any] | None = None,
    ) -> "StreamingIngestClient":  # fmt: skip
        return cls()

    def open_channel(
        self, channel_name: str, offset_token: str | None = None
    ) -> tuple[StreamingIngestChannel, ChannelStatus]:
        channel = StreamingIngestChannel(Path(os.environ[FILE]), channel_name)
        return channel, channel.get_channel_status()

    def close(self, wait_for_flush: bool = True, timeout_seconds: int | None = None) -> None:
        return
