"""Many invocations: warm processes, scaling, limits, retries, metrics."""

import asyncio
import base64
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from functions_world import ACCOUNT, REGION, World, document, world

from penstock.core.errors import ServiceError
from penstock.services.functions.invoking import Invoked

PID = "import os, time\ndef handler(event, context):\n    time.sleep(event.get('s', 0))\n    return os.getpid()\n"
WAIT = """
import os, time
def handler(event, context):
    open(event["here"], "w").close()
    while not os.path.exists(event["go"]): time.sleep(0.01)
    return os.getpid()
"""


MEET = """
import os, time
def handler(event, context):
    if "there" in event:
        open(os.path.join(event["there"], str(os.getpid())), "w").close()
        while len(os.listdir(event["there"])) < 3: time.sleep(0.01)
    return os.getpid()
"""


async def together(made: World, count: int, event: Any = None) -> list[Invoked | BaseException]:
    asked = [made.invoke("f", event) for _ in range(count)]
    return await asyncio.gather(*asked, return_exceptions=True)


def waiting(made: World, tmp_path: Path) -> tuple[dict[str, str], Path, Path]:
    shared = made.place_for("shared")
    shared.chmod(0o777)
    here, go = shared / "here", shared / "go"
    return {"here": str(here), "go": str(go)}, here, go


def test_invocations_when_they_come_at_once_each_have_a_process(tmp_path: Path) -> None:
    async def run() -> None:
        async with world(tmp_path) as made:
            made.python("f", MEET)
            there = made.place_for("meeting")
            there.chmod(0o777)
            answers = await together(made, 3, {"there": str(there)})
            pids = {document(each) for each in answers if isinstance(each, Invoked)}
            assert len(pids) == 3
            assert {document(await made.invoke("f")) for _ in range(5)} <= pids

    asyncio.run(run())


def test_reservation_when_it_is_used_up_throttles_and_others_are_not(tmp_path: Path) -> None:
    async def run() -> None:
        async with world(tmp_path) as made:
            made.python("f", WAIT, reserved_concurrency=1, timeout_s=60)
            event, here, go = waiting(made, tmp_path)
            first = asyncio.create_task(made.invoke("f", event))  # noqa: TID251 - beside the test
            await made.until(here.exists)
            with pytest.raises(ServiceError) as refused:
                await made.invoke("f", event)
            assert (refused.value.code, refused.value.message, refused.value.status) == (
                "TooManyRequestsException",
                "Rate Exceeded.",
                429,
            )
            assert refused.value.details["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"
            go.touch()
            assert (await first).function_error is None
            assert (await made.invoke("f", event)).function_error is None
            made.add("zero", reserved_concurrency=0)
            with pytest.raises(ServiceError, match="Rate Exceeded"):
                await made.invoke("zero")

    asyncio.run(run())


def test_account_when_its_concurrency_is_used_up_throttles(tmp_path: Path) -> None:
    async def run() -> None:
        async with world(tmp_path, account_max=1) as made:
            made.python("f", WAIT, timeout_s=60)
            made.python("reserved", PID, reserved_concurrency=1)
            event, here, go = waiting(made, tmp_path)
            first = asyncio.create_task(made.invoke("f", event))  # noqa: TID251 - beside the test
            await made.until(here.exists)
            with pytest.raises(ServiceError) as refused:
                await made.invoke("f", event)
            assert refused.value.details["Reason"] == "ConcurrentInvocationLimitExceeded"
            assert (await made.invoke("reserved")).function_error is None
            go.touch()
            await first

    asyncio.run(run())


def test_caller_when_it_goes_away_leaves_the_process_to_the_next(tmp_path: Path) -> None:
    async def run() -> None:
        async with world(tmp_path) as made:
            made.python("f", WAIT, timeout_s=60, reserved_concurrency=1)
            event, here, go = waiting(made, tmp_path)
            first = asyncio.create_task(made.invoke("f", event))  # noqa: TID251 - beside the test
            await made.until(here.exists)
            first.cancel()
            await asyncio.gather(first, return_exceptions=True)
            go.touch()
            assert (await made.invoke("f", event)).function_error is None

    asyncio.run(run())


def test_processes_when_idle_for_long_are_ended_and_the_sweep_with_them(tmp_path: Path) -> None:
    async def run() -> None:
        async with world(tmp_path) as made:
            made.python("f", PID)
            await made.invoke("f")
            made.clock.advance(4 * 60_000)
            await made.invoke("f")
            made.clock.advance(4 * 60_000)
            await asyncio.sleep(0)  # noqa: TID251
            assert made.runner.slots == 1

            def later() -> bool:  # it may have asked for more only after the clock was advanced
                made.clock.advance(2 * 60_000)
                return made.runner.slots == 0

            await made.until(later)
            assert (await made.invoke("f")).function_error is None

    asyncio.run(run())


def test_process_when_its_credentials_end_is_ended_before_it_is_idle_for_long(tmp_path: Path) -> None:
    async def run() -> None:
        async with world(tmp_path) as made:
            made.keys.until_ms = made.clock.now_ms() + 60_000
            made.python("f", PID)
            await made.invoke("f")
            [held] = made.runner._pools.values()
            await made.until(lambda: held.pool._idle)  # or its time is over before it asks for more
            began_ms = made.clock.now_ms()

            def later() -> bool:
                made.clock.advance(10_000)
                return made.runner.slots == 0

            await made.until(later)
            assert 60_000 <= made.clock.now_ms() - began_ms < 4 * 60_000

    asyncio.run(run())


def test_dry_run_when_asked_runs_nothing(tmp_path: Path) -> None:
    async def run() -> None:
        async with world(tmp_path) as made:
            made.python("f", PID)
            assert (await made.invoke("f", kind="DryRun")).payload == b""
            assert made.runner.slots == 0

    asyncio.run(run())


def test_client_context_when_given_reaches_the_function(tmp_path: Path) -> None:
    async def run() -> None:
        async with world(tmp_path) as made:
            made.python("f", "def handler(e, c): return c.client_context.custom\n")
            text = base64.b64encode(b'{"custom":\n{"a":"b"}}').decode()
            assert document(await made.invoke("f", client_context=text)) == {"a": "b"}

    asyncio.run(run())


def test_metrics_when_functions_ran_are_told_by_name_and_alias(tmp_path: Path) -> None:
    async def run() -> None:
        async with world(tmp_path) as made:
            made.python("f", "def handler(e, c): return 1 / e['x']\n", alias="live", reserved_concurrency=1)
            await made.invoke("f", {"x": 1})
            await made.invoke("f", {"x": 0})
            reports = [float(text) for text in re.findall(r"\tDuration: ([0-9.]+) ms", made.log.text)]
            made.functions["f"] = msgspec.structs.replace(made.functions["f"], reserved_concurrency=0)
            with pytest.raises(ServiceError):
                await made.invoke("f")
            made.clock.advance(10_000)
            await made.until(lambda: made.told.measures)
            for dimensions in ({"FunctionName": "f"}, {"FunctionName": "f", "Resource": "f:live"}):
                found = {measure.name: measure.sample for of, measure in made.told.measures if of == dimensions}
                assert {name: (sample.count, sample.total) for name, sample in found.items() if name != "Duration"} == {
                    "Invocations": (2, 2), "Errors": (2, 1), "Throttles": (3, 1), "ConcurrentExecutions": (2, 2),
                }  # fmt: skip
                assert found["Duration"].count == 2
                assert abs(found["Duration"].total - sum(reports)) <= 2, (
                    "two roundings to a millisecond; starts are not counted"
                )

    asyncio.run(run())


def test_function_when_it_is_not_ready_is_refused(tmp_path: Path) -> None:
    async def run() -> None:
        async with world(tmp_path) as made:
            made.python("f", PID, state="Pending")
            with pytest.raises(ServiceError, match="currently in the following state: Pending"):
                await made.invoke("f")

    asyncio.run(run())


def test_function_when_it_is_not_known_is_refused(tmp_path: Path) -> None:
    async def run() -> None:
        async with world(tmp_path) as made:
            with pytest.raises(ServiceError, match="Function not found"):
                await made.invoke("nobody")
            assert (ACCOUNT, REGION) == ("123456789012", "us-east-1")

    asyncio.run(run())
