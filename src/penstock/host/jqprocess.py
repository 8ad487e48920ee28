"""Programs of jq in a process of their own, started when the first one is run, and again after one has ended it."""

import asyncio
import re
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from penstock.core.ports import QueryResults

WORKER: Final = Path(__file__).with_name("jqworker.py")
BATCH_CPU_S: Final = 5  # of processor time, for the records of one call
NO_MEMORY: Final = 77  # the worker's exit code
FRAME_MAX_BYTES: Final = 256 << 20
_LENGTH_BYTES: Final = 4
_READS_FILES = re.compile(r"(?:\s|#[^\n]*\n)*(?:import|include|module)\b")  # at its beginning, as jq's grammar has it


class JqProcess:
    """Runs programs, one batch at a time."""

    def __init__(self, batch_cpu_s: int = BATCH_CPU_S) -> None:
        self._batch_cpu_s = batch_cpu_s
        self._process: Process | None = None
        self._turn = asyncio.Lock()

    @staticmethod
    def check(program: str) -> str | None:
        """What is wrong with a program; None if nothing is."""
        import jq

        if _READS_FILES.match(program):
            return "a query cannot use modules"
        try:
            jq.compile(program)
        except ValueError as problem:
            return str(problem).partition("\n")[0]
        return None

    async def run(self, program: str, records: Sequence[str]) -> Sequence[QueryResults] | None:
        """The results of each record; None if the process was ended for them.  Raises RuntimeError where jq does not run at all."""
        work = msgspec.msgpack.encode((program, records))
        async with self._turn:
            process = self._process or await self._start()
            try:
                results = await _exchange(process, work)
            except (asyncio.IncompleteReadError, ConnectionError):
                await self._judge_end(process)
                return None
            except BaseException:  # what comes next on the pipe is for who does not listen any more
                await self._end()
                raise
        return msgspec.msgpack.decode(results, type=list[QueryResults])

    async def close(self) -> None:
        """End the process."""
        async with self._turn:
            await self._end()

    async def _start(self) -> Process:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",
            str(WORKER),
            str(self._batch_cpu_s),
            stdin=PIPE,
            stdout=PIPE,
            env={},
            cwd="/",
            limit=FRAME_MAX_BYTES,
        )
        return self._process

    async def _judge_end(self, process: Process) -> None:
        """Return if the process was ended for its program; raise RuntimeError if it could not work at all."""
        code = await process.wait()
        self._process = None
        if code >= 0 and code != NO_MEMORY:  # not by a signal: jq is not there for it, or the like
            raise RuntimeError(f"the process that runs jq has ended with exit code {code}")

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            if process.returncode is None:
                process.kill()
            await process.wait()


async def _exchange(process: Process, work: bytes) -> bytes:
    assert process.stdin is not None, "it was started with pipes"
    assert process.stdout is not None, "it was started with pipes"
    process.stdin.write(len(work).to_bytes(_LENGTH_BYTES, "big") + work)
    await process.stdin.drain()
    length = int.from_bytes(await process.stdout.readexactly(_LENGTH_BYTES), "big")
    return await process.stdout.readexactly(length)
