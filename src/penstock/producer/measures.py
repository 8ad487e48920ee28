"""What the producer measures: KPL's names, units, levels and dimensions.

Source: KPL's metrics.md, metrics_constants.h and metrics_manager.cc.
"""

from collections.abc import Sequence
from typing import Final

from penstock.clients.metrics import Datum, Dimensions, Level, Meter, Metric, Statistics
from penstock.producer.config import ProducerConfig

_LEVELS: Final = {"none": Level.NONE, "summary": Level.SUMMARY, "detailed": Level.DETAILED}

USER_RECORDS_PUT: Final = Metric("UserRecordsPut", "Count", Level.SUMMARY)
KINESIS_RECORDS_PUT: Final = Metric("KinesisRecordsPut", "Count", Level.SUMMARY)
ERRORS_BY_CODE: Final = Metric("ErrorsByCode", "Count", Level.SUMMARY, rooted=1)  # by the code, which comes first
ALL_ERRORS: Final = Metric("AllErrors", "Count", Level.SUMMARY)
BUFFERING_TIME: Final = Metric("BufferingTime", "Milliseconds", Level.SUMMARY)
USER_RECORDS_RECEIVED: Final = Metric("UserRecordsReceived", "Count", Level.DETAILED)
USER_RECORDS_PENDING: Final = Metric("UserRecordsPending", "Count", Level.DETAILED)
USER_RECORDS_DATA_PUT: Final = Metric("UserRecordsDataPut", "Bytes", Level.DETAILED)
KINESIS_RECORDS_DATA_PUT: Final = Metric("KinesisRecordsDataPut", "Bytes", Level.DETAILED)
RETRIES_PER_RECORD: Final = Metric("RetriesPerRecord", "Count", Level.DETAILED)
REQUEST_TIME: Final = Metric("RequestTime", "Milliseconds", Level.DETAILED)
USER_RECORDS_PER_KINESIS_RECORD: Final = Metric("UserRecordsPerKinesisRecord", "Count", Level.DETAILED)
KINESIS_RECORDS_PER_REQUEST: Final = Metric("KinesisRecordsPerPutRecordsRequest", "Count", Level.DETAILED)
USER_RECORDS_PER_REQUEST: Final = Metric("UserRecordsPerPutRecordsRequest", "Count", Level.DETAILED)
USER_RECORD_EXPIRED: Final = Metric("UserRecordExpired", "Count", Level.DETAILED)


class Measures:
    """The meter of one producer, with its stream's dimensions."""

    def __init__(self, config: ProducerConfig, stream: str, *, wanted: bool = True) -> None:
        own = [pair.partition("=") for pair in config.metrics_dimensions.split(",") if pair]
        self._custom: Dimensions = tuple((name.strip(), value.strip()) for name, _, value in own)
        by_stream = config.metrics_granularity != "global"
        self._of_stream: Dimensions = (*self._custom, *((("StreamName", stream),) if by_stream else ()))
        self._by_shard = config.metrics_granularity == "shard"
        level = _LEVELS[config.metrics_level] if wanted else Level.NONE
        self.wanted = level is not Level.NONE
        self.meter = Meter(level, rolls_up=config.metrics_to == "cloudwatch")

    def put(self, metric: Metric, value: float, shard_id: str | None = None, times: int = 1) -> None:
        """Count a number, of a shard where one is named."""
        self.meter.put(metric, value, self._dimensions(shard_id), times)

    def put_all(self, metric: Metric, values: Sequence[float], shard_id: str | None) -> None:
        """Count several numbers, at least one."""
        held = Statistics(len(values), sum(values), min(values), max(values))
        self.meter.merge(Datum(metric, self._dimensions(shard_id), held))

    def error(self, code: str, shard_id: str | None, times: int = 1) -> None:
        """Count an error by its code, and among all errors."""
        dimensions = self._dimensions(shard_id)
        self.meter.put(ALL_ERRORS, 1, dimensions, times)
        self.meter.put(ERRORS_BY_CODE, 1, (("ErrorCode", code), *dimensions), times)

    def _dimensions(self, shard_id: str | None) -> Dimensions:
        if shard_id is None or not self._by_shard:
            return self._of_stream
        return (*self._of_stream, ("ShardId", shard_id))
