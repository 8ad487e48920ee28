"""Connections as the kernel and TLS have them: caps, deadlines, ends, and the quiet in the log."""

import asyncio
import logging
import socket
import ssl

import pytest
from fronts import GET, PREFACE, WAIT_S, Front, echo, front, read_all, read_answer

from penstock.host.certificates import Certificates, ensure_certificates
from penstock.server.exchange import Answer
from penstock.server.listener import Bounds, CannotListen, Patience, TlsFiles
from penstock.wire.route import Head

HURRIED = Patience(tick_s=0.01, idle_s=0.05, head_s=0.05, body_s=0.05, linger_s=0.05, handshake_s=0.2)
CHUNK = bytes(1024 * 1024)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """A certificate for 127.0.0.1."""
    return ensure_certificates(tmp_path_factory.mktemp("tls"), "127.0.0.1")


def files(certificates: Certificates) -> TlsFiles:
    return TlsFiles(certificates.certificate, certificates.key)


def trusting(certificates: Certificates, *protocols: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=certificates.ca)
    if protocols:
        context.set_alpn_protocols(protocols)
    return context


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"", b""),
        (b"GET /", b"408"),
        (b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc", b"408"),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc", b"408"),
        (GET, b"200"),
    ],
)
def test_client_when_it_sends_no_more_is_hung_up_on(sent: bytes, status: bytes) -> None:
    async def run() -> None:
        async with front(echo, HURRIED) as served:
            link = socket.create_connection(("127.0.0.1", served.port))
            link.sendall(sent)  # before the front looks: what it waits for in vain is what never comes
            reader, writer = await asyncio.open_connection(sock=link)
            assert (await read_all(reader))[9:12] == status
            writer.close()

    asyncio.run(run())


def test_connection_when_there_are_too_many_is_told_so_and_room_comes_back() -> None:
    async def run() -> None:
        async with front(echo, bounds=Bounds(connections_max=2)) as served:
            held = [await served.connect() for _ in range(2)]
            for reader, writer in held:
                writer.write(GET)
                await read_answer(reader)
            reader, writer = await served.connect()
            assert (await read_all(reader)).startswith(b"HTTP/1.1 503 ")
            writer.close()
            held[0][1].close()
            assert await answered(served)
            held[1][1].close()

    async def answered(served: Front) -> bool:
        """Whether a connection is, before long: the server hears of an end when it next looks."""
        async with asyncio.timeout(WAIT_S):
            while True:
                reader, writer = await served.connect()
                writer.write(GET)
                head, _ = await read_answer(reader)
                writer.close()
                if head.startswith(b"HTTP/1.1 200 "):
                    return True

    asyncio.run(run())


def test_refusal_when_the_client_goes_on_sending_is_still_read() -> None:
    async def run() -> None:
        async with front(echo) as served:
            reader, writer = await served.connect()
            writer.write(b"POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n")
            for _ in range(30):
                writer.write(CHUNK)
            head, body = await read_answer(reader)
            assert head.startswith(b"HTTP/1.1 413 ")
            assert body == b"RequestEntityTooLarge"
            writer.close()

    asyncio.run(run())


def test_answer_when_large_and_taken_late_is_whole() -> None:
    size = 30 * 1024 * 1024

    async def large(_head: Head, _body: bytes) -> Answer:
        return Answer(200, [], bytes(size))

    async def run() -> None:
        async with front(large) as served:
            reader, writer = await served.connect()
            writer.write(GET * 2)
            for _ in range(2):
                _, body = await read_answer(reader)
                assert len(body) == size
            writer.close()

    asyncio.run(run())


def test_upgrade_to_cleartext_http_2_when_asked_for_is_ignored() -> None:
    async def run() -> None:
        async with front(echo) as served:
            reader, writer = await served.connect()
            upgrade = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n"
            writer.write(GET[:-2] + upgrade)
            writer.write(GET)
            for _ in range(2):
                head, _ = await read_answer(reader)
                assert head.startswith(b"HTTP/1.1 200 ")
            writer.close()

    asyncio.run(run())


def test_stop_when_connections_are_idle_or_half_spoken_is_at_once_and_answers_what_is_under_way() -> None:
    async def run() -> None:
        go = asyncio.Event()
        begun = asyncio.Event()

        async def wait(head: Head, body: bytes) -> Answer:
            begun.set()
            await go.wait()
            return await echo(head, body)

        async with front(wait) as served:
            idle, half, busy = [await served.connect() for _ in range(3)]
            half[1].write(b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\n")
            busy[1].write(GET)
            await begun.wait()
            stopping = asyncio.get_running_loop().create_task(served.listener.stop())
            assert await read_all(idle[0]) == b""
            assert await read_all(half[0]) == b""
            with pytest.raises(OSError):  # noqa: PT011 - nobody listens any more
                await served.connect()
            go.set()
            assert (await read_all(busy[0])).endswith(b"GET / ")
            await stopping
            for _, writer in (idle, half, busy):
                writer.close()

    asyncio.run(run())


def test_port_when_it_is_taken_cannot_be_had() -> None:
    async def run() -> None:
        async with front(echo) as served:
            with pytest.raises(CannotListen, match="another program listens there"):
                await served.listener.listen("127.0.0.1", served.port, None)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("agreed", "spoken"), [("http/1.1", "http/1.1"), ("h2", "h2"), (None, "http/1.1"), (None, "h2")]
)
def test_tls_when_a_protocol_is_chosen_is_spoken(certificates: Certificates, agreed: str | None, spoken: str) -> None:
    async def run() -> None:
        async with front(echo, tls=files(certificates)) as served:
            context = trusting(certificates, *([agreed] if agreed else []))
            reader, writer = await asyncio.open_connection("127.0.0.1", served.port, ssl=context)
            if spoken == "h2":
                writer.write(PREFACE + b"\0\0\0\4\0\0\0\0\0")
                async with asyncio.timeout(WAIT_S):
                    assert (await reader.readexactly(9))[3] == 4, "the server's SETTINGS come first"
            else:
                for _ in range(2):
                    writer.write(GET)
                    assert (await read_answer(reader))[1] == b"GET / "
            writer.transport.abort()  # a farewell would cross what the server still has to say

    asyncio.run(run())


def test_handshakes_when_they_fail_or_never_end_are_nobodys_incident(
    certificates: Certificates, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    async def run() -> None:
        async with front(echo, HURRIED, tls=files(certificates)) as served:
            for sent in (b"", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\0\1\0\1\xfc\3\3" + bytes(500), b"\0" * 100):
                reader, writer = await served.connect()
                writer.write(sent)
                received = await read_all(reader)
                assert not received.startswith(b"HTTP/")
                writer.close()
        async with front(echo, tls=files(certificates)) as served:  # whose patience is longer than a handshake takes
            with pytest.raises(ssl.SSLCertVerificationError):
                await asyncio.open_connection("127.0.0.1", served.port, ssl=ssl.create_default_context())
            reader, writer = await asyncio.open_connection("127.0.0.1", served.port, ssl=trusting(certificates))
            writer.transport.abort()

    asyncio.run(run())
    assert caplog.text == ""


def test_hostile_bytes_when_they_come_are_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    async def run() -> None:
        async with front(echo) as served:
            for sent in (b"\0", b"GET / HTTP/1.1\nA: b\n\n", PREFACE + b"\xff" * 100, b"G" * 100_000, GET * 100):
                reader, writer = await served.connect()
                writer.write(sent)
                if sent.startswith(GET):
                    writer.transport.abort()
                else:
                    writer.write_eof()
                    await read_all(reader)
                writer.close()

    asyncio.run(run())
    assert caplog.text == ""


def test_http_2_when_nothing_moves_for_long_is_hung_up_on() -> None:
    async def run() -> None:
        async with front(echo, Patience(tick_s=0.01, http2_idle_s=0.1)) as served:
            reader, writer = await served.connect()
            writer.write(PREFACE)
            await read_all(reader)
            writer.close()

    asyncio.run(run())
