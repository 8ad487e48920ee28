"""What an agent measures, as the original names it, taken to CloudWatch.

Theory.  Each report takes from every flow's counters what came since the last, as one number for each metric, with the stream's name
as its dimension.  The request is one of our own: a client of botocore's for CloudWatch would take a fifth of the agent's memory.
"""

import asyncio
import logging
from collections.abc import Sequence
from concurrent.futures import Executor
from typing import Final

import msgspec

from penstock.agent.caller import Caller, CallFailed
from penstock.agent.meter import Counts
from penstock.agent.requests import error_text
from penstock.clients.metric_sinks import entry, requests
from penstock.clients.metrics import Datum, Level, Metric
from penstock.core.ports import Clock

logger = logging.getLogger(__name__)

TARGET: Final = "GraniteServiceVersion20100801.PutMetricData"
CONTENT_TYPE: Final = "application/x-amz-json-1.0"
METRICS: Final = {
    "bytes_sent": Metric("BytesSent", "Bytes", Level.SUMMARY),
    "records_sent": Metric("RecordsSent", "Count", Level.SUMMARY),
    "send_attempts": Metric("RecordSendAttempts", "Count", Level.SUMMARY),
    "send_errors": Metric("RecordSendErrors", "Count", Level.SUMMARY),
    "service_errors": Metric("ServiceErrors", "Count", Level.SUMMARY),
}
FAILING: Final = Metric("ConsecutiveProcessingErrors", "Count", Level.SUMMARY)


def numbers(counted: Counts, failing: int) -> list[tuple[Metric, int]]:
    """One flow's numbers since the last report; UNVERIFIED: `ConsecutiveProcessingErrors` is requests that failed in a row."""
    return [*((metric, getattr(counted, name)) for name, metric in METRICS.items()), (FAILING, failing)]


class CloudWatch:
    """A sink that puts metrics over the agent's own calls."""

    def __init__(self, caller: Caller, threads: Executor, namespace: str, clock: Clock) -> None:
        self._caller = caller
        self._threads = threads
        self._namespace = namespace
        self._clock = clock

    async def deliver(self, data: Sequence[Datum]) -> Sequence[Datum]:
        """Put them; what a failed request held is given back."""
        left: list[Datum] = []
        loop = asyncio.get_running_loop()
        for batch in requests(data):
            entries = [{**entry(datum), "Timestamp": self._clock.now_ms() / 1000} for datum in batch]
            body = msgspec.json.encode({"Namespace": self._namespace, "MetricData": entries})
            try:
                answer = await loop.run_in_executor(self._threads, self._caller.post, TARGET, body, CONTENT_TYPE)
            except CallFailed as error:
                logger.warning("metrics were not uploaded, and will be later: %s", error)
                left += batch
                continue
            if answer.status != 200:
                logger.warning(
                    "metrics were not uploaded, and will be later: %s", error_text(answer.status, answer.body)
                )
                left += batch
        return left
