"""An S3 that takes its time: as much of it as uploads need, in a process of its own, for measurements of who waits for it.

Every bucket is there, any credentials will do, nothing is kept but counts.  Each answer comes after `latency_s`, and bodies are read at
`bytes_s` on each connection, so that memory must be held meanwhile by whoever sends them.
"""

import asyncio
import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import Structure, c_longlong
from dataclasses import dataclass
from typing import Any, Final

from bench.load import HOST

_CHUNK: Final = 64 << 10
_BEGUN: Final = b"<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>"
_ENDED: Final = b"<CompleteMultipartUploadResult><ETag>x</ETag></CompleteMultipartUploadResult>"


class Counts(Structure):
    """What was uploaded."""

    _fields_ = [("port", c_longlong), ("objects", c_longlong), ("size_bytes", c_longlong)]


@dataclass(frozen=True, slots=True)
class SlowS3:
    """One that is running."""

    port: int
    counts: Any  # Counts, shared


@contextmanager
def slow_s3(latency_s: float, bytes_s: float) -> Iterator[SlowS3]:
    """One that runs until the end of the block."""
    counts: Any = multiprocessing.Value(Counts)
    ready = multiprocessing.Event()
    process = multiprocessing.Process(target=_serve, args=(counts, ready, latency_s, bytes_s), daemon=True)
    process.start()
    try:
        assert ready.wait(30), "the slow S3 did not start"
        yield SlowS3(counts.port, counts)
    finally:
        process.terminate()
        process.join()


def _serve(counts: Any, ready: Any, latency_s: float, bytes_s: float) -> None:
    async def attend(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                method, path, _ = line.decode().split(" ", 2)
                await _answer(reader, writer, method, path)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, method: str, path: str) -> None:
        length = 0
        while (header := await reader.readline()) not in (b"\r\n", b""):
            name, _, value = header.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
        left = length
        while left:
            left -= len(await reader.readexactly(min(left, _CHUNK)))
            await asyncio.sleep(min(length, _CHUNK) / bytes_s)
        await asyncio.sleep(latency_s)
        body = b"" if method == "PUT" else _BEGUN if "?uploads" in path else _ENDED
        if body != _BEGUN:
            counts.size_bytes += length if method == "PUT" else 0
            counts.objects += 1 if body or "partNumber" not in path else 0
        writer.write(b'HTTP/1.1 200 OK\r\nETag: "x"\r\nContent-Length: %d\r\n\r\n%b' % (len(body), body))
        await writer.drain()

    async def serve() -> None:
        server = await asyncio.start_server(attend, HOST, 0, limit=_CHUNK)
        counts.port = server.sockets[0].getsockname()[1]
        ready.set()
        await server.serve_forever()

    asyncio.run(serve())
