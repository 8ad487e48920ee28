"""Reserved concurrency: what calls at once may have together."""

import asyncio
from pathlib import Path

from penstock.core.context import Caller
from penstock.core.errors import ServiceError
from penstock.core.ids import AccountId, Millis, Region
from penstock.engines.local.meta import SqliteMeta
from penstock.engines.memory import MemoryBuckets
from penstock.engines.memoryblobs import MemoryBlobs
from penstock.host.clock import TestClock
from penstock.host.entropy import SystemEntropy
from penstock.host.tasks import LoopTasks
from penstock.host.threads import WorkThreads
from penstock.services.functions.ops.concurrency import PutFunctionConcurrencyRequest, put_function_concurrency
from penstock.services.functions.outlets import Outlets
from penstock.services.functions.packages import Packages
from penstock.services.functions.service import Functions, open_functions
from penstock.services.functions.state import Code, Function, Version

ACCOUNT, REGION = AccountId("123456789012"), Region("us-east-1")
NAMES = ("f", "g", "h")


async def opened(meta: SqliteMeta, threads: WorkThreads) -> Functions:
    """Functions of the account, all alike."""
    buckets = MemoryBuckets()
    functions = await open_functions(
        meta,
        Packages(MemoryBlobs(), buckets, threads, directories=False),
        Outlets(buckets),
        clock=TestClock(),
        entropy=SystemEntropy(),
        tasks=LoopTasks(),
        transition_ms=0,
        code_path="/",
    )
    latest = Version(
        revision="1",
        code=Code("", 1),
        role="r",
        runtime="python3.11",
        handler="h",
        modified_ms=Millis(0),
        ready_ms=Millis(0),
    )
    for name in NAMES:
        function = Function(account=ACCOUNT, region=REGION, name=name, uid=name, created_ms=Millis(0), latest=latest)
        await functions.directory.create(function)
    return functions


def test_reserves_when_asked_for_at_once_then_together_they_leave_some_for_the_others(tmp_path: Path) -> None:
    async def put_at_once() -> tuple[list[object], int]:
        meta, threads = await SqliteMeta.open(tmp_path / "meta.sqlite"), WorkThreads()
        functions = await opened(meta, threads)
        requests = [
            PutFunctionConcurrencyRequest(function_name=name, reserved_concurrent_executions=400) for name in NAMES
        ]
        caller = Caller(ACCOUNT, REGION, "key", "lambda:PutFunctionConcurrency")
        puts = [put_function_concurrency(functions, caller, request) for request in requests]
        answers = await asyncio.gather(*puts, return_exceptions=True)
        held = sum(one.reserved_concurrency or 0 for one in functions.directory.all())
        await meta.close()
        threads.close()
        return list(answers), held

    answers, held = asyncio.run(put_at_once())
    assert [type(answer) for answer in answers].count(ServiceError) == 1
    assert held == 800
