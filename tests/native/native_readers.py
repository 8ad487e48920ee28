"""Large PutRecords that the native part reads beside the loop: as it reads them on it, each answered once."""

import asyncio
import json
import os
import sys
from collections.abc import Callable, Coroutine
from hashlib import sha256
from pathlib import Path
from typing import Any

import cbor2
import pytest

from penstock.host.readers import NICENESS, BodyReaders, Read
from penstock.server.eager import start
from penstock.wire.native import NATIVE
from penstock.wire.nativeparts import Format, Rows

assert NATIVE is not None
ONE = {"Data": "SGVsbG8=", "PartitionKey": "a"}


def body_of(count: int, form: Format = "json") -> bytes:
    document: dict[str, Any] = {"StreamName": f"s{count}", "Records": [ONE] * count}
    if form == "json":
        return json.dumps(document).encode()
    document["Records"] = [{"Data": b"Hello", "PartitionKey": "a"}] * count
    return cbor2.dumps(document)


def with_readers(scenario: Callable[[BodyReaders], Coroutine[Any, Any, None]]) -> None:
    async def whole() -> None:
        readers = BodyReaders()
        async with asyncio.timeout(60):
            await scenario(readers)
        readers.close()

    asyncio.run(whole())


@pytest.mark.parametrize("form", ["json", "cbor"])
def test_bodies_when_many_are_given_at_once_are_each_read_and_hashed_as_on_the_loop(form: Format) -> None:
    bodies = [body_of(count, form) for count in range(1, 200)]

    async def scenario(readers: BodyReaders) -> None:
        answers = await asyncio.gather(*[readers.read(form, body, hashed=True) for body in bodies])
        for count, (body, (found, digest)) in enumerate(zip(bodies, answers, strict=True), start=1):
            assert found is not None
            assert (found[0], len(found[1]), digest) == (f"s{count}", count, sha256(body).hexdigest())
            assert columns(found[1]) == columns(on_the_loop(body, form))

    with_readers(scenario)


def columns(rows: Rows) -> tuple[list[bytes], list[bytes], list[bytes]]:
    return rows.lists()


def on_the_loop(body: bytes, form: Format) -> Rows:
    assert NATIVE is not None
    found = NATIVE.read_json(body) if form == "json" else NATIVE.read_cbor(body)
    assert found is not None
    return found[1]


@pytest.mark.parametrize("body", [b"", b"{", body_of(501), body_of(1)[:-1], b"\xff" * 100_000])
def test_body_when_it_is_not_plainly_fine_is_left_to_python(body: bytes) -> None:
    async def scenario(readers: BodyReaders) -> None:
        assert await readers.read("json", body, hashed=True) == (None, sha256(body).hexdigest())
        assert (await readers.read("json", body_of(1), hashed=False))[1] is None

    with_readers(scenario)


def test_body_when_nobody_waits_for_it_any_more_disturbs_no_other() -> None:
    async def scenario(readers: BodyReaders) -> None:
        faults: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, fault: faults.append(fault))
        given_up = asyncio.get_running_loop().create_task(readers.read("json", body_of(500), hashed=True))
        asyncio.get_running_loop().call_soon(given_up.cancel)
        with pytest.raises(asyncio.CancelledError):
            await given_up
        answers = await asyncio.gather(*[readers.read("json", body_of(2), hashed=True) for _ in range(20)])
        assert all(found is not None for found, _ in answers)
        assert faults == []

    with_readers(scenario)


def test_threads_when_they_read_step_back_for_the_loop() -> None:
    before = os.getpriority(os.PRIO_PROCESS, 0)

    async def scenario(readers: BodyReaders) -> None:
        await readers.read("json", body_of(1), hashed=False)
        assert os.getpriority(os.PRIO_PROCESS, 0) == before
        if sys.platform == "linux":
            assert niceness_of("penstock-read") == {min(before + NICENESS, 19)}

    with_readers(scenario)


def niceness_of(name: str) -> set[int]:
    """Of all threads of this process with that name."""
    tasks = Path("/proc/self/task").iterdir()
    return {
        os.getpriority(os.PRIO_PROCESS, int(task.name)) for task in tasks if (task / "comm").read_text() == f"{name}\n"
    }


def test_request_when_it_waits_for_its_body_becomes_no_task() -> None:
    async def scenario(readers: BodyReaders) -> None:
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[Read] = loop.create_future()
        begun = start(readers.read("json", body_of(3), hashed=False), ended.set_result, ended.set_exception, loop)
        assert begun is not None
        assert begun.task is None
        found, _ = await ended
        assert found is not None
        assert found[0] == "s3"

    with_readers(scenario)


def test_readers_when_they_have_ended_say_so() -> None:
    assert NATIVE is not None
    threads = NATIVE.Readers(1)
    threads.close()
    with pytest.raises(RuntimeError, match="ended"):
        threads.submit(1, "json", body_of(1), False)
