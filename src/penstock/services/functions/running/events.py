"""Events: invocations that nobody waits for.

Theory.  An event is tried, and twice more should the function fail, a minute and then two later; while the function is throttled it is
tried again for as long as events live.  They are kept in memory: a server that stops forgets those that it has not run.
Rules of this file: what is kept is bounded by PENDING_MAX_BYTES; an event that finds no room is refused, not dropped.
"""

import logging
from collections.abc import Awaitable, Callable
from typing import Final

from penstock.core.errors import ServiceError
from penstock.core.invoke_errors import UNRESERVED, throttled
from penstock.core.limits import HOUR_MS, MIB, MINUTE_MS, SECOND_MS
from penstock.core.ports import Clock, Tasks
from penstock.services.functions.invoking import Invocation, Invoked

logger = logging.getLogger(__name__)

PENDING_MAX_BYTES: Final = 64 * MIB
EVENT_OVERHEAD_BYTES: Final = 4096  # a pending event without a payload
RETRY_AFTER_MS: Final = (1 * MINUTE_MS, 2 * MINUTE_MS)
LIFE_MS: Final = 6 * HOUR_MS
THROTTLED_MS: Final = 1 * SECOND_MS  # doubled each time
THROTTLED_MAX_MS: Final = 5 * MINUTE_MS

Run = Callable[[Invocation, str], Awaitable[Invoked]]


class Events:
    """Those of one server."""

    def __init__(self, run: Run, clock: Clock, tasks: Tasks) -> None:
        self._run = run
        self._clock = clock
        self._tasks = tasks
        self._pending_bytes = 0

    def add(self, invocation: Invocation, request_id: str) -> None:
        """Run an event, beginning soon.  Raises TOO_MANY where there is no room for it."""
        size = len(invocation.payload) + EVENT_OVERHEAD_BYTES
        if self._pending_bytes + size > PENDING_MAX_BYTES:
            raise throttled(UNRESERVED)
        self._pending_bytes += size
        self._tasks.spawn(self._see_to(invocation, request_id, size), "event of a function")

    async def _see_to(self, invocation: Invocation, request_id: str, size: int) -> None:
        until_ms, failures, wait_ms = self._clock.now_ms() + LIFE_MS, 0, THROTTLED_MS
        try:
            while self._clock.now_ms() < until_ms:
                try:
                    done = await self._run(invocation, request_id)
                except ServiceError as refusal:
                    if refusal.code != "TooManyRequestsException":
                        logger.warning("an event for %s was dropped: %s", invocation.function, refusal)
                        return
                    await self._clock.sleep(wait_ms)
                    wait_ms = min(2 * wait_ms, THROTTLED_MAX_MS)
                    continue
                if done.function_error is None or failures == len(RETRY_AFTER_MS):
                    return
                await self._clock.sleep(RETRY_AFTER_MS[failures])
                failures += 1
        finally:
            self._pending_bytes -= size
