"""The load generator's look at large answers, of which it keeps the ends."""

import asyncio
import os
from collections.abc import Callable

import pytest
from bench.load import COUNTED_EVERY, LARGE_BYTES, Outcome, Plan, run

REQUEST = b"POST / HTTP/1.1\r\ncontent-length: 0\r\n\r\n"
ROW = b'{"Row":"' + b"x" * 990 + b'"}'
ROWS = LARGE_BYTES // len(ROW) + 500
GOOD = b'{"Begin":1,"Rows":[' + b",".join([ROW] * ROWS) + b'],"End":1}'
ANSWERS = 3 * COUNTED_EVERY  # which end the window, however fast the machine is


def loaded(body_of: Callable[[int], bytes], pieces: int = 1) -> Outcome:
    """What comes of asking a server whose answers, counted from 0, have such bodies, sent in so many pieces."""

    async def scenario() -> Outcome:
        count, served = 0, list[asyncio.Task[None] | None]()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal count
            served.append(asyncio.current_task())
            while await reader.read(len(REQUEST)):
                body = body_of(count)
                count += 1
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body))
                size = len(body) // pieces + 1
                for at in range(0, len(body), size):
                    writer.write(body[at : at + size])
                    await writer.drain()
            writer.close()
            await writer.wait_closed()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        plan = Plan(
            port=server.sockets[0].getsockname()[1], server_pid=os.getpid(), requests=[REQUEST], connections=1,
            warmup_s=0.0, window_s=15.0, answers_max=ANSWERS, pattern=b'"End":1', marker=b'"Row":', markers=ROWS,
        )  # fmt: skip
        outcome = await run(plan)
        server.close()
        for task in served:
            assert task is not None
            await task
        return outcome

    return asyncio.run(scenario())


@pytest.mark.parametrize("pieces", [1, 7])
def test_large_answers_when_they_are_good_are_all_counted(pieces: int) -> None:
    outcome = loaded(lambda _: GOOD, pieces)
    assert outcome.failures == 0, outcome.failure
    assert outcome.answers > 0
    assert outcome.acknowledged % ROWS == 0


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(GOOD.replace(b",".join([ROW] * 6), b"", 1), id="some rows less"),
        pytest.param(GOOD.replace(b'"End":1', b'"End":2'), id="another end"),
        pytest.param(b"{}", id="a short one"),
    ],
)
def test_large_answers_when_one_in_between_is_not_as_the_others_fail(bad: bytes) -> None:
    outcome = loaded(lambda number: bad if number == 5 else GOOD)
    assert outcome.failures == 1
    assert outcome.failure is not None
    assert f"{len(bad)} bytes" in outcome.failure


def test_large_answers_when_as_many_bytes_hold_less_are_found_by_counting() -> None:
    other = GOOD.replace(b'"Row":', b'"Raw":', 1)
    outcome = loaded(lambda number: other if number >= 1 else GOOD)
    assert outcome.failures >= 1


def test_large_answers_when_all_hold_too_little_are_all_failures() -> None:
    other = GOOD.replace(b'"Row":', b'"Raw":', 1)
    outcome = loaded(lambda _: other)
    assert (outcome.answers, outcome.acknowledged) == (0, 0)
    assert outcome.failures > 0
