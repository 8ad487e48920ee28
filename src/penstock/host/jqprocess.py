"""Programs of jq in a process of their own, started when the first one is run, and again after one has ended it.

Theory.  A program may never end for some records, or want all memory.  The process is ended for it by the kernel; which record it was
stands in a file shared with it, so that this record alone is given up, and the others of its frame are asked about again.
"""

import asyncio
import os
import re
import struct
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Final

import msgspec

from penstock.core.ports import QueryResults

WORKER: Final = Path(__file__).with_name("jqworker.py")
RECORD_CPU_S: Final = 1.0  # of processor time, for one record
FRAME_RECORDS: Final = 256  # asked about at once: then it is another program's turn
ENDS_MAX: Final = 20  # of the process, in one call: a program that never ends for any record must come to an end
NO_MEMORY: Final = 77  # the worker's exit code
FRAME_MAX_BYTES: Final = 256 << 20
_LENGTH_BYTES: Final = 4
_PROGRESS: Final = struct.Struct("=i")  # as the worker has it
_NOWHERE: Final = _PROGRESS.pack(-1)
_READS_FILES = re.compile(r"(?:\s|#[^\n]*\n)*(?:import|include|module)\b")  # at its beginning, as jq's grammar has it


class JqProcess:
    """Runs programs, one frame of records at a time."""

    def __init__(self, record_cpu_s: float = RECORD_CPU_S) -> None:
        self._record_cpu_s = record_cpu_s
        self._process: Process | None = None
        self._progress: IO[bytes] | None = None  # shared with the process: the number of the record that it works on
        self._turn = asyncio.Lock()

    async def check(self, program: str) -> str | None:
        """What is wrong with a program; None if nothing is.  Raises ImportError where jq is not installed."""
        if find_spec("jq") is None:
            raise ImportError("jq")
        if _READS_FILES.match(program):
            return "a query cannot use modules"
        match await self._ask(program, []):
            case str() as problem:
                return problem.partition("\n")[0]
            case int():
                return "the query takes too long, or too much memory, before it has seen a record"
            case _:
                return None

    async def run(self, program: str, records: Sequence[str]) -> Sequence[QueryResults | None]:
        """The results of each record; None for one that the process was ended for, and for all after ENDS_MAX of them.

        Raises RuntimeError where jq does not run at all.
        """
        found: list[QueryResults | None] = []
        ends = ENDS_MAX
        for start in range(0, len(records), FRAME_RECORDS):
            results, ends = await self._frame(program, records[start : start + FRAME_RECORDS], ends)
            found += results
        return found

    async def _frame(self, program: str, records: Sequence[str], ends: int) -> tuple[list[QueryResults | None], int]:
        """The results of some records, and how many ends are left of `ends`."""
        found: list[QueryResults | None] = [None] * len(records)
        left = list(range(len(records)))
        while left and ends:
            answered = await self._ask(program, [records[number] for number in left])
            if isinstance(answered, int):
                del left[answered]
                ends -= 1
                continue
            if isinstance(answered, str):
                answered = [QueryResults((), answered)] * len(left)
            for number, results in zip(left, answered, strict=True):
                found[number] = results
            break
        return found, ends

    async def _ask(self, program: str, records: Sequence[str]) -> Sequence[QueryResults] | int | str:
        """The results of all; the number of the one that the process was ended for; or why the program is none."""
        work = msgspec.msgpack.encode((program, records))
        async with self._turn:
            progress = self._progress = self._progress or TemporaryFile(buffering=0)  # noqa: SIM115 - until `close`
            os.pwrite(progress.fileno(), _NOWHERE, 0)
            process = self._process or await self._start(progress)
            try:
                results = await _exchange(process, work)
            except (asyncio.IncompleteReadError, ConnectionError):
                return await self._judge_end(process, progress)
            except BaseException:  # what comes next on the pipe is for who does not listen any more
                await self._end()
                raise
        return msgspec.msgpack.decode(results, type=list[QueryResults] | str)

    async def close(self) -> None:
        """End the process."""
        async with self._turn:
            await self._end()
            if self._progress is not None:
                self._progress.close()
                self._progress = None

    async def _start(self, progress: IO[bytes]) -> Process:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",
            str(WORKER),
            str(self._record_cpu_s),
            str(progress.fileno()),
            stdin=PIPE,
            stdout=PIPE,
            env={},
            cwd="/",
            limit=FRAME_MAX_BYTES,
            pass_fds=[progress.fileno()],
        )
        return self._process

    async def _judge_end(self, process: Process, progress: IO[bytes]) -> int:
        """The number of the record that the process was ended for.  Raises RuntimeError if it could not work at all."""
        code = await process.wait()
        self._process = None
        came_to = os.pread(progress.fileno(), _PROGRESS.size, 0)
        if came_to == _NOWHERE or (code >= 0 and code != NO_MEMORY):  # jq is not there for it, or the like
            raise RuntimeError(f"the process that runs jq has ended with exit code {code}")
        [number] = _PROGRESS.unpack(came_to)
        return int(number)

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
