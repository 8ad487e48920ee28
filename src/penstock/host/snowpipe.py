"""Tables of Snowflake, by Snowflake's own SDK for streaming.

Theory.  The SDK blocks, so it runs in a few threads of its own.  A channel remembers the token of its last commit: a batch whose answer
was lost is recognised by it.  A channel that failed is opened anew.
Rules of this file: the SDK is imported at the first batch; a private key is opened here, so that its passphrase goes no further.
Not tried against Snowflake: what the SDK does is known from its sources (snowpipe-streaming 1.9.1) and held by a stub of its interface.
"""

import binascii
import os
from base64 import b64decode
from collections.abc import Mapping, Sequence
from contextlib import suppress
from threading import Lock
from typing import Any, Final
from urllib.parse import urlsplit

from penstock.core.snowpipe import SnowflakeTable, SnowpipeFailed, Taken
from penstock.host.threads import BlockingCalls

EXTRA: Final = "pip install 'penstock[snowflake]'"
COMMIT_S: Final = 60
GRACE_S: Final = 30  # for opening a channel, beside the wait for the commit
CLOSE_S: Final = 2
_THREADS: Final = 4
_TEXT_MAX_CHARS: Final = 500
_ROWS_AT_ONCE: Final = 1000  # the SDK takes 4 MB at once


class SnowpipeSdk:
    """Clients and channels, opened when they are needed."""

    def __init__(self, commit_s: int = COMMIT_S) -> None:
        self._commit_s = commit_s
        self._calls = BlockingCalls("snowpipe", _THREADS)
        self._clients: dict[SnowflakeTable, Any] = {}
        self._channels: dict[tuple[SnowflakeTable, str], Any] = {}
        self._opening = Lock()

    async def append(self, table: SnowflakeTable, channel: str, rows: Sequence[Mapping[str, Any]], token: str) -> Taken:
        """Commit rows.  Raises SnowpipeFailed."""
        wait_s = self._commit_s + GRACE_S
        try:
            return await self._calls.run(lambda: self._append(table, channel, rows, token), wait_s)
        except TimeoutError:
            raise SnowpipeFailed("Snowflake.Timeout", f"Snowflake did not answer within {wait_s} s") from None

    async def close(self) -> None:
        """Close every client, without waiting for what it has not sent."""
        with suppress(TimeoutError, SnowpipeFailed):
            await self._calls.run(self._close, CLOSE_S)

    def _close(self) -> None:
        for client in self._clients.values():
            client.close(wait_for_flush=False, timeout_seconds=1)

    def _append(self, table: SnowflakeTable, name: str, rows: Sequence[Mapping[str, Any]], token: str) -> Taken:
        try:
            channel = self._open(table, name)
            before = channel.get_channel_status()
            if before.latest_committed_offset_token == token:
                return Taken(0, "")
            for start in range(0, len(rows), _ROWS_AT_ONCE):
                part = [dict(row) for row in rows[start : start + _ROWS_AT_ONCE]]
                end = token if start + _ROWS_AT_ONCE >= len(rows) else None
                channel.append_rows(part, end, end)
            channel.wait_for_commit(lambda committed: committed == token, self._commit_s)
            after = channel.get_channel_status()
            rejected = after.rows_error_count - before.rows_error_count
            return Taken(rejected, _line(after.last_error_message) if rejected else "")
        except SnowpipeFailed:
            raise
        except ImportError:
            raise SnowpipeFailed("Snowflake.NotInstalled", f"deliveries to Snowflake need {EXTRA}") from None
        except Exception as error:  # noqa: BLE001 - StreamingIngestError, TimeoutError, ValueError
            self._channels.pop((table, name), None)
            code = getattr(getattr(error, "error_code", None), "value", type(error).__name__)
            raise SnowpipeFailed(f"Snowflake.{code}", _line(str(getattr(error, "message", error)))) from None

    def _open(self, table: SnowflakeTable, name: str) -> Any:
        os.environ.setdefault("SS_LOG_LEVEL", "error")  # it writes to the standard output
        from snowflake.ingest.streaming import StreamingIngestClient

        with self._opening:
            if table not in self._clients:
                self._clients[table] = StreamingIngestClient.from_table(
                    f"penstock-{name}", table.database, table.schema, table.table, properties=_properties(table)
                )
            if (table, name) not in self._channels:
                self._channels[table, name], _ = self._clients[table].open_channel(name)
            return self._channels[table, name]


def _properties(table: SnowflakeTable) -> dict[str, str]:
    url = table.url if "://" in table.url else f"https://{table.url}"
    host = urlsplit(url).hostname or ""
    found = {
        "url": url,
        "account": host.removesuffix(".snowflakecomputing.com"),
        "user": table.user,
        "private_key": open_key(table.private_key, table.passphrase),
    }
    return {**found, "role": table.role} if table.role else found


def open_key(text: str, passphrase: str) -> str:
    """A private key in PEM without a passphrase.  Raises SnowpipeFailed."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
        load_der_private_key,
    )

    bare = "".join(line for line in text.split() if line) if "-----" not in text else _unframed(text)
    try:
        key = load_der_private_key(b64decode(bare, validate=True), passphrase.encode() or None)
    except (ValueError, TypeError, binascii.Error, UnsupportedAlgorithm):
        said = "the private key is no PKCS#8 key, or KeyPassphrase is not the one it is sealed with"
        raise SnowpipeFailed("Snowflake.InvalidPrivateKey", said) from None
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _unframed(text: str) -> str:
    return "".join(line for line in text.splitlines() if not line.startswith("-----"))


def _line(text: str | None) -> str:
    return (text or "").strip().partition("\n")[0][:_TEXT_MAX_CHARS]
