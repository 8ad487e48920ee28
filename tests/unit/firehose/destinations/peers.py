"""What tests of destinations share: a site to stand on, parcels, and peers that misbehave."""

import asyncio
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

from penstock.core.errors import ServiceError
from penstock.core.ids import AccountId, Region
from penstock.engines.buckets import PLAIN, Body, ObjectHead, whole
from penstock.host.clock import TestClock
from penstock.host.entropy import SeededEntropy
from penstock.host.outbound import Outbound
from penstock.host.threads import WorkThreads
from penstock.services.firehose.destinations.api import Parcel
from penstock.services.firehose.entries import Entry, Origin, Route
from penstock.services.firehose.shapes import S3
from penstock.services.firehose.site import Site

ARN = "arn:aws:firehose:us-east-1:123456789012:deliverystream/orders"
ROLE = "arn:aws:iam::123456789012:role/delivery"
BACKUP = S3(role_arn=ROLE, bucket_arn="arn:aws:s3:::failed")
PARCEL_ID = "7a5b9c1e-6a58-4bb4-9b4f-0d2d6b5a1c11"
ARRIVAL_MS = 1_456_394_400_000  # 2016-02-25T10:00:00Z
WAIT_S: Final = 60
Opened = TypeVar("Opened")
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class BucketsInMemory:
    """Objects, and a switch that makes writing fail."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.broken: Exception | None = None

    async def put(self, bucket: str, key: str, body: Body, head: ObjectHead = PLAIN) -> None:
        if self.broken is not None:
            raise self.broken
        self.objects[f"{bucket}/{key}"] = whole(body)

    async def get(self, bucket: str, key: str, max_bytes: int) -> bytes:
        return self.objects[f"{bucket}/{key}"][:max_bytes]


class Secrets:
    """A Secrets Manager."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = texts

    async def get(self, account: AccountId, region: Region, arn: str) -> str:
        if arn not in self._texts:
            raise ServiceError("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
        return self._texts[arn]


def entry(data: bytes, number: int = 0, arrival_ms: int = ARRIVAL_MS, *, route: Route | None = None) -> Entry:
    return Entry(data, arrival_ms, f"record-{number}", number, route=route)


def streamed(data: bytes, number: int = 0) -> Entry:
    """An entry that came from a data stream."""
    origin = Origin(
        "shardId-000000000000", "key", f"4959033827149025660855969253836157109592157598913658889{number}", 2, ARRIVAL_MS
    )
    return Entry(data, ARRIVAL_MS, f"record-{number}", number, origin)


def parcel(*data: bytes, attempts: int = 0) -> Parcel:
    return parcel_of([entry(one, number) for number, one in enumerate(data)], attempts=attempts)


def parcel_of(entries: Sequence[Entry], *, attempts: int = 0) -> Parcel:
    return Parcel(entries, PARCEL_ID, entries[0].arrival_ms, attempts)


@asynccontextmanager
async def standing(**more: Any) -> AsyncIterator[Site]:
    """A site; what it opened is closed at the end."""
    threads, network = WorkThreads(), Outbound(more.pop("ca_file", ""))
    given: dict[str, Any] = {
        "account": AccountId("123456789012"), "region": Region("us-east-1"), "stream": "orders", "arn": ARN, "version": "1",
        "source_arn": None, "clock": TestClock(), "entropy": SeededEntropy(7), "threads": threads,
        "objects": BucketsInMemory(), "network": network,
    }  # fmt: skip
    try:
        yield Site(**{**given, **more})
    finally:
        await network.close()
        await asyncio.to_thread(threads.close)


@asynccontextmanager
async def listening(handler: Handler, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A server of raw bytes; gives its port.  What a handler leaves open is closed at the end."""
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        try:
            await handler(reader, writer)
        except (ConnectionError, asyncio.CancelledError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in writers:
            writer.close()


async def take_request(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """The head and the body of one request."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(
        int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")
    )
    return head, await reader.readexactly(length)


def saying(answer: bytes, *, stay: bool = False) -> Handler:
    """A peer that gives these bytes whatever it is asked, then closes (or stays and says no more)."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await take_request(reader)
        writer.write(answer)
        await writer.drain()
        if stay:
            await reader.read()

    return handle


async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A peer whose answer does not end."""
    await take_request(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"10000\r\n" + b" " * 0x10000 + b"\r\n")
        await writer.drain()


async def endless_head(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A peer whose headers do not end."""
    await take_request(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nX: ")
    while True:
        writer.write(b"x" * 0x10000)
        await writer.drain()


def certified(folder: Path, *, days: int) -> tuple[ssl.SSLContext, str]:
    """A server's TLS with a certificate that ends in so many days, and the file of the authority that signed it."""
    import datetime

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "receiver")])
    end = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)  # noqa: TID251 - what OpenSSL compares with
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(end - datetime.timedelta(days=30))
        .not_valid_after(end)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, key_pem = folder / "receiver.pem", folder / "receiver-key.pem"
    pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_pem.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, key_pem)
    return context, str(pem)


class RushingClock(TestClock):
    """A clock on which sleeping takes no time: it moves instead."""

    async def sleep(self, duration_ms: int) -> None:
        self.advance(duration_ms)
        await super().sleep(0)


@contextmanager
def beside(opening: AbstractAsyncContextManager[Opened]) -> Iterator[Opened]:
    """What an asynchronous context gives, on a loop of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield asyncio.run_coroutine_threadsafe(opening.__aenter__(), loop).result(WAIT_S)
    finally:
        asyncio.run_coroutine_threadsafe(opening.__aexit__(None, None, None), loop).result(WAIT_S)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(WAIT_S)
        loop.close()
