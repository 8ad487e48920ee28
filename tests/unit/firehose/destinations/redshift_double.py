"""A server that speaks PostgreSQL's protocol and calls itself Redshift: it takes COPY in AWS's words, and reads the objects itself."""

import asyncio
import json
import re
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from peers import BucketsInMemory

VERSION = "PostgreSQL 8.0.2 on i686-pc-linux-gnu, compiled by GCC gcc (GCC) 3.4.2 20041017 (Red Hat 3.4.2-6.fc3), Redshift 1.0.76230"
COPY = re.compile(
    r"COPY (?P<table>(?:\"[^\"]+\"\.?)+)(?: \((?P<columns>[^)]*)\))? FROM 's3://(?P<bucket>[^/']+)/(?P<key>[^']+)'"
    r" CREDENTIALS '(?P<credentials>[^']+)' MANIFEST (?P<options>[^;]*);"
)


class Redshift:
    """What it was told, and what it read."""

    def __init__(self, buckets: BucketsInMemory) -> None:
        self._buckets = buckets
        self.statements: list[str] = []
        self.loaded: list[tuple[dict[str, str | None], bytes]] = []
        self.fails: tuple[str, str] | None = None  # SQLSTATE and text
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._greet(reader, writer)
            while True:
                kind, body = await self._message(reader)
                if kind == b"X":
                    break
                assert kind == b"Q", f"only simple queries are known here, not {kind!r}"
                self._answer(writer, body.rstrip(b"\0").decode())
                writer.write(_framed(b"Z", b"I"))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            (size,) = struct.unpack("!i", await reader.readexactly(4))
            body = await reader.readexactly(size - 4)
            if struct.unpack("!i", body[:4])[0] not in (80877103, 80877104):  # neither TLS nor GSS is asked for
                break
            writer.write(b"N")
        writer.write(_framed(b"R", struct.pack("!i", 0)))
        for name, value in (
            ("server_version", "8.0.2"),
            ("client_encoding", "UTF8"),
            ("standard_conforming_strings", "on"),
        ):
            writer.write(_framed(b"S", f"{name}\0{value}\0".encode()))
        writer.write(_framed(b"Z", b"I"))

    async def _message(self, reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
        kind = await reader.readexactly(1)
        (size,) = struct.unpack("!i", await reader.readexactly(4))
        return kind, await reader.readexactly(size - 4)

    def _answer(self, writer: asyncio.StreamWriter, statement: str) -> None:
        self.statements.append(statement)
        if statement == "SELECT version()":
            column = b"version\0" + struct.pack("!ihihih", 0, 0, 25, -1, -1, 0)
            writer.write(_framed(b"T", struct.pack("!h", 1) + column))
            writer.write(_framed(b"D", struct.pack("!hi", 1, len(VERSION)) + VERSION.encode()))
            writer.write(_framed(b"C", b"SELECT\0"))
            return
        match = COPY.fullmatch(statement)
        if match is None or self.fails is not None:
            state, text = self.fails or ("42601", "syntax error")
            writer.write(_framed(b"E", f"SERROR\0C{state}\0M{text}\0\0".encode()))
            return
        manifest = json.loads(self._buckets.objects[f"{match['bucket']}/{match['key']}"])
        for one in manifest["entries"]:
            assert one["mandatory"] is True
            self.loaded.append((match.groupdict(), self._buckets.objects[one["url"].removeprefix("s3://")]))
        writer.write(_framed(b"C", b"COPY\0"))


def _framed(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!i", len(body) + 4) + body


@asynccontextmanager
async def redshift(buckets: BucketsInMemory) -> AsyncIterator[Redshift]:
    """One on a free port."""
    double = Redshift(buckets)
    server = await asyncio.start_server(double.serve, "127.0.0.1", 0)
    double.port = server.sockets[0].getsockname()[1]
    try:
        yield double
    finally:
        server.close()
