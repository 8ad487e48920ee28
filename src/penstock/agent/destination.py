"""A stream that records are put into: Kinesis's PutRecords, Firehose's PutRecordBatch."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import Executor

from penstock.agent.caller import Caller, CallFailed
from penstock.agent.delivery import PutFailed
from penstock.agent.requests import BadAnswer, Operation, Outcome, error_text, read_answer, write_request


class Stream:
    """One stream of one service; its requests are made on the threads of a pool."""

    def __init__(self, operation: Operation, name: str, caller: Caller, threads: Executor) -> None:
        self._operation = operation
        self._name = name
        self._caller = caller
        self._threads = threads

    async def put(self, records: Sequence[bytes], keys: Sequence[str]) -> Outcome:
        """Send one request.  Raises PutFailed."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._put, records, keys)

    def _put(self, records: Sequence[bytes], keys: Sequence[str]) -> Outcome:
        body = write_request(self._operation, self._name, records, keys)
        try:
            answer = self._caller.post(self._operation.target, body)
            if answer.status != 200:
                raise PutFailed(error_text(answer.status, answer.body))
            return read_answer(self._operation, answer.body, len(records))
        except (CallFailed, BadAnswer) as error:
            raise PutFailed(str(error)) from None
