"""A child process that processes one shard.

Rules of this file:
  1. What a child prints and does not mean for us is logged, and no line of it is held that is longer than LINE_MAX_BYTES.
  2. No child outlives its shard: its input is closed, and if that does not end it, it is terminated and then killed.
"""

import asyncio
import logging
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from penstock.consumer.multilang import protocol
from penstock.consumer.multilang.protocol import BadAnswer, CheckpointAsked, Noise, Status
from penstock.consumer.position import Checkpoint
from penstock.consumer.processor import BadCheckpoint, Batch, Checkpointer, ProcessorBroken, RecordProcessor
from penstock.consumer.store import StoreUnavailable
from penstock.consumer.tenure import LeaseLost
from penstock.host.tasks import LoopTasks

logger = logging.getLogger("penstock.kcl")
LINE_MAX_BYTES: Final = 1 << 20
GOODBYE_S: Final = 5.0  # for a child to end by itself, and again after SIGTERM
ERRORS: Final[tuple[tuple[type[Exception], str], ...]] = (
    (LeaseLost, "ShutdownException"),
    (StoreUnavailable, "ThrottlingException"),
    (BadCheckpoint, "IllegalArgumentException"),
)


class ChildProcessor(RecordProcessor):
    """Asks a child process, and waits for its answers as long as `patience_s` says; None: for ever."""

    def __init__(self, command: Sequence[str], patience_s: float | None) -> None:
        self._command = command
        self._patience_s = patience_s
        self._process: Process | None = None
        self._tasks = LoopTasks()
        self._name = "?"
        self._checkpointed_end = False
        self._told_the_end = False

    async def initialize(self, shard_id: str, at: Checkpoint) -> None:
        """Start the child."""
        self._name = shard_id
        self._process = process = await asyncio.create_subprocess_exec(
            *self._command, stdin=PIPE, stdout=PIPE, stderr=PIPE, limit=LINE_MAX_BYTES
        )
        assert process.stderr is not None
        self._tasks.spawn(self._log(process.stderr), f"standard error for {shard_id}")
        await self._ask(protocol.INITIALIZE, protocol.initialize(shard_id, at), None)

    async def process_records(self, batch: Batch) -> None:
        """Give it records."""
        question = protocol.process_records(batch.records, batch.behind_ms)
        await self._ask(protocol.PROCESS, question, batch.checkpointer)

    async def lease_lost(self) -> None:
        """Tell it so."""
        self._told_the_end = True
        await self._ask(protocol.LEASE_LOST, protocol.tell(protocol.LEASE_LOST), None)

    async def shard_ended(self, checkpointer: Checkpointer) -> None:
        """Tell it so; it has to checkpoint."""
        self._told_the_end = True
        await self._ask(protocol.SHARD_ENDED, protocol.tell(protocol.SHARD_ENDED), checkpointer)
        if not self._checkpointed_end:
            raise ProcessorBroken(f"{self._name}: the child did not checkpoint at the end of the shard")

    async def shutdown_requested(self, checkpointer: Checkpointer) -> None:
        """Tell it so; it may checkpoint."""
        await self._ask(protocol.SHUTDOWN_REQUESTED, protocol.tell(protocol.SHUTDOWN_REQUESTED), checkpointer)

    async def close(self) -> None:
        """End the child."""
        process = self._process
        if process is None:
            return
        if not self._told_the_end and process.returncode is None:  # as KCL does after a shutdown was requested
            with suppress(ProcessorBroken, TimeoutError):
                async with asyncio.timeout(GOODBYE_S):
                    await self.lease_lost()
        assert process.stdin is not None
        process.stdin.close()
        for end in (process.terminate, process.kill):
            if await _ended(process):
                break
            logger.warning("%s: the child does not end by itself", self._name)
            with suppress(ProcessLookupError):
                end()
        await process.wait()
        await self._tasks.stop()

    async def _ask(self, action: str, question: bytes, checkpointer: Checkpointer | None) -> None:
        """Put a question and see to the child until it has answered.  Raises ProcessorBroken."""
        process = self._process
        assert process is not None
        assert process.stdin is not None
        try:
            async with asyncio.timeout(self._patience_s):
                process.stdin.write(question)
                await process.stdin.drain()
                await self._answered(action, process, checkpointer)
        except TimeoutError:
            process.kill()
            raise ProcessorBroken(f"{self._name}: no answer to {action} within {self._patience_s} s") from None
        except (ConnectionError, BadAnswer) as error:
            with suppress(ProcessLookupError):
                process.kill()
            raise ProcessorBroken(f"{self._name}: the child cannot be spoken to: {error}") from error

    async def _answered(self, action: str, process: Process, checkpointer: Checkpointer | None) -> None:
        assert process.stdout is not None
        assert process.stdin is not None
        while True:
            line = await _line_of(process.stdout)
            if not line:
                code = await process.wait()
                raise BadAnswer(f"it has ended with exit code {code}")
            match protocol.read(line):
                case Noise(text):
                    if text:  # amazon_kclpy begins each message with an empty line
                        logger.info("%s: %s", self._name, text)
                case CheckpointAsked(at):
                    error = await self._checkpoint(action, at, checkpointer)
                    process.stdin.write(protocol.checkpoint_reply(at, error))
                    await process.stdin.drain()
                case Status(response_for) if response_for == action:
                    return
                case Status(response_for):
                    raise BadAnswer(f"a status for {response_for} where one for {action} was due")

    async def _checkpoint(self, action: str, at: Checkpoint | None, checkpointer: Checkpointer | None) -> str | None:
        """Make a checkpoint; the name of KCL's exception if it cannot be made."""
        if checkpointer is None:
            return "ShutdownException" if action == protocol.LEASE_LOST else "InvalidStateException"
        try:
            await checkpointer.checkpoint(at)
        except tuple(kind for kind, _ in ERRORS) as error:
            logger.info("%s: no checkpoint at %s: %s", self._name, at, error)
            return next(name for kind, name in ERRORS if isinstance(error, kind))
        self._checkpointed_end = action == protocol.SHARD_ENDED and (at is None or at.ended)
        return None

    async def _log(self, stream: asyncio.StreamReader) -> None:
        while line := await _line_of(stream):
            logger.info("%s: %s", self._name, line.decode("utf-8", "replace").rstrip())


async def _line_of(stream: asyncio.StreamReader) -> bytes:
    """The next line; the beginning of one that is too long, whose rest is passed over; nothing at the end."""
    try:
        return await stream.readuntil(b"\n")
    except asyncio.IncompleteReadError as end:
        return end.partial
    except asyncio.LimitOverrunError:
        begin = await stream.read(LINE_MAX_BYTES)
        await _pass_over(stream)
        return begin[:200] + b" ... (a line of more than %d bytes)\n" % LINE_MAX_BYTES


async def _pass_over(stream: asyncio.StreamReader) -> None:
    while True:
        try:
            await stream.readuntil(b"\n")
        except asyncio.LimitOverrunError as more:
            await stream.readexactly(more.consumed)
        except asyncio.IncompleteReadError:
            return
        else:
            return


async def _ended(process: Process) -> bool:
    try:
        async with asyncio.timeout(GOODBYE_S):
            await process.wait()
    except TimeoutError:
        return False
    return True


def maker(command: Sequence[str], patience_s: float | None) -> Callable[[], RecordProcessor]:
    """What makes a child for each shard."""
    return lambda: ChildProcessor(command, patience_s)
