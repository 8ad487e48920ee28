"""Admission: how often an account may call each control-plane operation, while `--limits aws` is in force.

Theory.  Each operation has a rate (core/limits.py: CONTROL_CALLS) and each account and region a bucket of its own for it; an operation
whose rate is per stream has one for each stream.  A call over the rate is refused before anything else happens, and costs nothing.
Rules of this file:
  1. Buckets are of this process and begin full.  A full one is as good as none, so those are dropped when there are many.
  2. The operations know nothing of this: whoever binds them puts the gate in front (services/binding.py).
"""

from collections.abc import Callable
from typing import Any, Final

from penstock.core.arn import parse_stream_arn
from penstock.core.context import Caller
from penstock.core.errors import Error, ServiceError
from penstock.core.limits import CONTROL_CALLS, CallRate
from penstock.core.ports import Clock
from penstock.services.metrics.registry import StreamMetrics
from penstock.services.streams.quota import TokenBucket

BUCKETS_KEPT: Final = 10_000  # beyond which the full ones are looked for


class Admission:
    """Admits control-plane calls."""

    def __init__(self, clock: Clock, metrics: StreamMetrics) -> None:
        self._clock = clock
        self._metrics = metrics
        self._buckets: dict[tuple[str, str, str, str], TokenBucket] = {}  # by account, region, operation, stream
        self._crowded = BUCKETS_KEPT

    def gate(self, operation: str) -> Callable[[Caller, Any], None] | None:
        """What to ask before each call of an operation; None for one without a rate.

        The gate raises CALL_RATE_STREAM where the request names a stream, and CALL_RATE_ACCOUNT otherwise.
        """
        rate = CONTROL_CALLS.get(operation)
        if rate is None:
            return None

        def admit(caller: Caller, request: Any) -> None:
            stream = named_stream(request)
            if not self.admits(caller, operation, rate, stream):
                self._metrics.refused_calls.inc()
                if stream:
                    raise Error.CALL_RATE_STREAM(stream=stream, account=caller.account)
                raise Error.CALL_RATE_ACCOUNT(account=caller.account)

        return admit

    def admits(self, caller: Caller, operation: str, rate: CallRate, stream: str) -> bool:
        """Whether one call of an operation may be made now; `stream` is the name that it gives, or empty."""
        now_ms = self._clock.now_ms()
        key = caller.account, caller.region, operation, stream if rate.scope == "stream" else ""
        bucket = self._buckets.get(key)
        if bucket is None:
            self._make_room(now_ms)
            bucket = self._buckets[key] = TokenBucket(rate.per_second, now_ms)
        if not bucket.has(1, now_ms):
            return False
        bucket.take(1)
        return True

    def _make_room(self, now_ms: int) -> None:
        if len(self._buckets) >= self._crowded:
            self._buckets = {key: bucket for key, bucket in self._buckets.items() if not bucket.is_full(now_ms)}
            self._crowded = max(BUCKETS_KEPT, 2 * len(self._buckets))


def named_stream(request: Any) -> str:
    """The stream that a request names, in whichever member, or empty; whether it exists is not asked."""
    name = getattr(request, "stream_name", None)
    if name is not None:
        return str(name)
    for member in ("stream_arn", "resource_arn", "consumer_arn"):
        arn = getattr(request, member, None)
        if arn is not None:
            try:
                return parse_stream_arn(arn).name
            except ServiceError:  # the operation will say so
                return ""
    return getattr(request, "stream_id", None) or ""
