"""Calls to other machines: what is followed, unpacked, kept and told."""

import asyncio
import gzip

from peers import listening, saying

from penstock.core.network import Answer, Call, CallFailed
from penstock.host.outbound import Outbound


async def answered(port: int, path: str = "/", *, times: int = 1) -> Answer:
    outbound = Outbound()
    try:
        call = Call(f"http://127.0.0.1:{port}{path}", {}, b"x", answer_max_bytes=1 << 20)
        return [await outbound.call(call) for _ in range(times)][-1]
    finally:
        await outbound.close()


def test_redirect_when_answered_is_not_followed() -> None:
    async def scenario() -> None:
        followed = []

        async def elsewhere(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            followed.append(await reader.readline())

        async with listening(elsewhere) as other:
            head = f"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:{other}/\r\nContent-Length: 0\r\n\r\n"
            async with listening(saying(head.encode())) as port:
                assert (await answered(port)).status == 302
        assert followed == []

    asyncio.run(scenario())


def test_answer_when_packed_is_given_as_it_is_so_that_a_small_one_never_becomes_large() -> None:
    async def scenario() -> None:
        packed = gzip.compress(b"\0" * (50 << 20))
        head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
        async with listening(saying(head + packed)) as port:
            assert (await answered(port)).body == packed

    asyncio.run(scenario())


def test_url_when_escaped_is_sent_as_it_is_and_cookies_are_told_and_not_kept() -> None:
    async def scenario() -> None:
        heads: list[bytes] = []

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while True:
                heads.append(await reader.readuntil(b"\r\n\r\n"))
                await reader.readexactly(1)
                writer.write(
                    b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1; Path=/\r\nSet-Cookie: b=2\r\nContent-Length: 0\r\n\r\n"
                )

        async with listening(handle) as port:
            answer = await answered(port, "/a%2Fb%20c?q=%2B,*&t=%C3%A9", times=2)
        assert answer.cookie == "a=1; b=2"
        assert [head.split(b" ")[1] for head in heads] == [b"/a%2Fb%20c?q=%2B,*&t=%C3%A9"] * 2
        assert b"cookie" not in heads[1].lower()
        assert b"accept-encoding" not in heads[0].lower()

    asyncio.run(scenario())


def test_url_when_it_cannot_be_one_is_a_call_that_failed() -> None:
    async def scenario() -> None:
        outbound = Outbound()
        for url in ("http://[::1", "http://host:99999/", "ftp://127.0.0.1/", "http:///"):
            try:
                await outbound.call(Call(url, {}, b""))
            except CallFailed as error:
                assert "\n" not in str(error)  # noqa: PT017
            else:
                raise AssertionError(url)
        await outbound.close()

    asyncio.run(scenario())
