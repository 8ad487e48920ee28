"""Reports: what became of deliveries, for metrics, for the delivery log, and for `penstock firehose status`.

Rules of this file: no secret is in a text that comes here; what is kept is bounded.
"""

import logging
from collections import deque
from typing import Final

import msgspec

from penstock.core.ids import Millis
from penstock.core.limits import MINUTE_MS
from penstock.core.ports import Clock
from penstock.services.firehose.shapes import CloudWatchLoggingOptions
from penstock.services.firehose.state import DeliveryStream
from penstock.services.firehose.tally import Tallies, Tally
from penstock.services.logs.sink import LogSink
from penstock.services.streams.measures import Unit

logger = logging.getLogger(__name__)

ERRORS_KEPT: Final = 10
_TEXT_CHARS: Final = 2000
_UNITS: Final[dict[str, Unit]] = {"Bytes": "Bytes", "Duration": "Milliseconds"}


class Trouble(msgspec.Struct, frozen=True):
    """An error of a delivery."""

    at_ms: Millis
    stage: str
    code: str
    message: str


class Report:
    """What is told of one delivery stream."""

    def __init__(self, stream: DeliveryStream, tallies: Tallies, sink: LogSink | None, clock: Clock) -> None:
        self._stream = stream
        self._tallies = tallies
        self._sink = sink
        self._clock = clock
        self._warned_ms = -MINUTE_MS
        self.errors: deque[Trouble] = deque(maxlen=ERRORS_KEPT)
        self.delivered_records = 0
        self.delivered_bytes = 0
        self.objects = 0
        self.failed_records = 0

    @property
    def tally(self) -> Tally:
        """Where its figures are added."""
        stream = self._stream
        return self._tallies.of((stream.account, stream.region, stream.name))

    def add(self, name: str, value: float) -> None:
        """One value of a metric of processing, whose unit its name tells."""
        self.tally.add(name, _UNITS.get(name.rpartition(".")[2], "Count"), value)

    def trouble(self, stage: str, code: str, message: str, options: CloudWatchLoggingOptions, place: str = "") -> None:
        """An error: in the delivery log where the configuration wants it, in the server's own once a minute."""
        text, now_ms = message[:_TEXT_CHARS], self._clock.now_ms()
        self.errors.append(Trouble(now_ms, stage, code, text))
        if not 0 <= now_ms - self._warned_ms < MINUTE_MS:
            self._warned_ms = now_ms
            logger.warning("delivery stream %s: %s: %s: %s", self._stream.name, stage, code, text)
        if self._sink is None or not options.enabled or not options.log_group_name or not options.log_stream_name:
            return
        told = {
            "deliveryStreamARN": self._stream.arn,
            "destination": place,
            "deliveryStreamVersionId": self._stream.version,
            "message": text,
            "errorCode": code,
        }
        line = msgspec.json.encode(told).decode()
        stream = self._stream
        self._sink.put(stream.account, stream.region, options.log_group_name, options.log_stream_name, now_ms, line)
