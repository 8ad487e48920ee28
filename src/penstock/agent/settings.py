"""The settings of agent.json: every key, what it takes, and what it does.

Theory.  A field of `GlobalSettings` or `FlowSettings` is one key; its metadata gives AWS's name, the default, the range and the reason.
Keys that the original has for its threads and queues are known but do nothing here, and `WITHOUT_EFFECT` says why.
Rules of this file:
  1. Pure: documents in, settings and problems out.
  2. A bad value is one problem that names the key; an unknown key is one warning.  Nothing is guessed from a bad value.
  3. Numbers and booleans may be written as strings, as the original takes them.
Source: the AWS developer guides, "Writing to Kinesis with the agent" and "Pre-process data with agents".
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple
from urllib.parse import urlsplit

from penstock.core.limits import DAY_MS, KIB, MIB, MINUTE_MS, PUT_RECORDS_MAX_COUNT, SECOND_MS

BATCH_MAX_BYTES: Final = {"kinesis": 5 * MIB, "firehose": 4 * MIB}  # a request of PutRecords, of PutRecordBatch
BATCH_MAX_RECORDS: Final = PUT_RECORDS_MAX_COUNT  # of both
RECORD_MAX_BYTES: Final = {"kinesis": MIB, "firehose": 1000 * KIB}  # of a record; Kinesis counts the partition key
BUFFER_AGE_MAX_MS: Final = 15 * MINUTE_MS
_LONGEST_MS: Final = 7 * DAY_MS

Destination = Literal["kinesis", "firehose"]


class Problem(NamedTuple):
    """Something in the configuration that must, or should, be changed."""

    where: str  # the file, the flow and the key it is about
    text: str
    fatal: bool = True


class Key(NamedTuple):
    """How one key is read."""

    name: str  # as agent.json spells it
    read: Callable[[Any], Any]  # raises ValueError, TypeError
    accepts: str  # completes "must be ..."


def _key(name: str, default: object, read: Callable[[Any], Any], accepts: str) -> Any:
    return field(default=default, metadata={"key": Key(name, read, accepts)})


def _read_text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _read_name(value: Any) -> str:
    if not _read_text(value).strip():
        raise ValueError
    return str(value).strip()


def _read_endpoint(value: Any) -> str:
    text = _read_text(value).strip()
    if not text:
        return ""
    scheme, mark, _ = text.partition("://")
    if mark and scheme not in ("http", "https"):
        raise ValueError
    url = text if mark else "https://" + text
    parts = urlsplit(url)
    if not parts.hostname or parts.port == 0 or parts.query or any(sign.isspace() for sign in text):
        raise ValueError
    return url


def _read_flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False}[_read_text(value).strip().lower()]


def _read_integer(value: Any) -> int:
    if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
        raise ValueError
    return int(value)


def _read_options(value: Any) -> tuple[Mapping[str, Any], ...]:
    if not isinstance(value, list) or not all(isinstance(option, dict) for option in value):
        raise ValueError
    return tuple(value)


def _text(name: str, default: str = "") -> Any:
    return _key(name, default, _read_text, "a string")


def _named(name: str) -> Any:
    return _key(name, "", _read_name, "a string that is not empty")


def _endpoint(name: str) -> Any:
    return _key(name, "", _read_endpoint, "a host name or an http(s) URL; empty for AWS's own")


def _flag(name: str, *, default: bool) -> Any:
    return _key(name, default, _read_flag, "true or false")


def _integer(name: str, default: int, low: int, high: int) -> Any:
    def read(value: Any) -> int:
        number = _read_integer(value)
        if not low <= number <= high:
            raise ValueError
        return number

    return _key(name, default, read, f"a whole number from {low} to {high}")


def _choice(name: str, *values: str) -> Any:
    def read(value: Any) -> str:
        text = _read_text(value).strip().upper()
        if text not in values:
            raise ValueError
        return text

    return _key(name, values[0], read, "one of " + ", ".join(values))


@dataclass(frozen=True, slots=True, kw_only=True)
class GlobalSettings:
    """The keys beside `flows`."""

    kinesis_endpoint: str = _endpoint("kinesis.endpoint")
    kinesis_region: str = _text("kinesis.region")
    firehose_endpoint: str = _endpoint("firehose.endpoint")
    cloudwatch_endpoint: str = _endpoint("cloudwatch.endpoint")
    sts_endpoint: str = _endpoint("sts.endpoint")
    access_key_id: str = _text("awsAccessKeyId")
    secret_access_key: str = _text("awsSecretAccessKey")
    role_arn: str = _text("assumeRoleARN")
    role_external_id: str = _text("assumeRoleExternalId")
    emit_metrics: bool = _flag("cloudwatch.emitMetrics", default=True)
    namespace: str = _key("cloudwatch.namespace", "AWSKinesisAgent", _read_name, "a string that is not empty")
    tag_instance: bool = _flag("cloudwatch.tagInstance", default=False)
    metrics_ms: int = _integer("cloudwatch.metricsBufferTimeMillis", 30_000, SECOND_MS, 15 * MINUTE_MS)
    log_file: str = _text("log.file")  # empty: standard error
    log_level: str = _choice("log.level", "INFO", "TRACE", "DEBUG", "WARN", "ERROR")
    log_max_bytes: int = _integer("log.maxFileSize", 10 * MIB, 64 * KIB, 1 << 40)
    log_backups: int = _integer("log.maxBackupIndex", 10, 0, 1000)
    log_metrics: bool = _flag("log.emitMetrics", default=False)
    status_s: int = _integer("log.statusReportingPeriodSeconds", 30, 1, 86_400)
    checkpoint_file: str = _key(
        "checkpointFile", "/var/run/aws-kinesis-agent/checkpoints", _read_name, "the path of a file"
    )
    checkpoint_days: int = _integer("checkpointTimeToLiveDays", 7, 1, 3650)
    checkpoint_wait_s: int = _integer("checkpoints.queryTimeoutSeconds", 30, 1, 3600)
    sending_threads: int = _integer("maxSendingThreads", 0, 1, 1000)  # 0: by the cores
    sending_threads_per_core: int = _integer("maxSendingThreadsPerCore", 12, 1, 100)
    connections: int = _integer("maxConnections", 0, 1, 1000)  # 0: one for each sending thread
    connect_timeout_ms: int = _integer("connectionTimeoutMillis", 5 * SECOND_MS, 100, _LONGEST_MS)
    read_timeout_ms: int = _integer("socketTimeoutMillis", 20 * SECOND_MS, 100, _LONGEST_MS)
    shutdown_ms: int = _integer("shutdownTimeoutMillis", 10 * SECOND_MS, 0, 15 * MINUTE_MS)
    user_agent: str = _text("userAgent")
    user_agent_whole: str = _text("userAgentOverride")

    def senders(self, cores: int) -> int:
        """How many requests may be under way at once."""
        return self.sending_threads or self.sending_threads_per_core * cores


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowSettings:
    """The keys of one flow."""

    file_pattern: str = _named("filePattern")
    kinesis_stream: str = _named("kinesisStream")
    delivery_stream: str = _named("deliveryStream")
    initial_position: str = _choice("initialPosition", "END_OF_FILE", "START_OF_FILE")
    buffer_age_ms: int = _integer("maxBufferAgeMillis", 60_000, SECOND_MS, BUFFER_AGE_MAX_MS)
    buffer_records: int = _integer("maxBufferSizeRecords", BATCH_MAX_RECORDS, 1, BATCH_MAX_RECORDS)
    buffer_bytes: int = _integer("maxBufferSizeBytes", 0, 1, max(BATCH_MAX_BYTES.values()))  # 0: the request's limit
    partition_key: str = _choice("partitionKeyOption", "RANDOM", "DETERMINISTIC")
    multi_line_start: str = _named("multiLineStartPattern")
    footer: str = _named("fileFooterPattern")
    header_lines: int = _integer("skipHeaderLines", 0, 0, 1_000_000)
    truncated_end: str = _text("truncatedRecordTerminator", "\n")
    aggregated_bytes: int = _integer("aggregatedRecordSizeBytes", 0, 0, RECORD_MAX_BYTES["firehose"])
    poll_ms: int = _integer("minTimeBetweenFilePollsMillis", 100, 1, _LONGEST_MS)
    refresh_ms: int = _integer("maxTimeBetweenFileTrackerRefreshMillis", 10_000, 1, _LONGEST_MS)
    retry_first_ms: int = _integer("retryInitialBackoffMillis", 100, 1, _LONGEST_MS)
    retry_longest_ms: int = _integer("retryMaxBackoffMillis", 10_000, 1, _LONGEST_MS)
    queue_batches: int = _integer("publishQueueCapacity", 100, 1, 10_000)
    processing: tuple[Mapping[str, Any], ...] = _key(
        "dataProcessingOptions", (), _read_options, "an array of objects, each with an optionName"
    )

    @property
    def destination(self) -> Destination:
        """Which service the records go to."""
        return "kinesis" if self.kinesis_stream else "firehose"

    @property
    def target(self) -> str:
        """The stream's name."""
        return self.kinesis_stream or self.delivery_stream

    @property
    def flow_id(self) -> str:
        """What checkpoints are kept under; the original's ids."""
        return f"{'kinesis' if self.kinesis_stream else 'fh'}:{self.target}:{self.file_pattern}"

    @property
    def batch_bytes(self) -> int:
        """Most bytes of a request's records."""
        largest = BATCH_MAX_BYTES[self.destination]
        return min(self.buffer_bytes, largest) if self.buffer_bytes else largest


_NO_QUEUE: Final = "reading waits by itself while too much is unsent"
_NO_THREADS: Final = "threads are started when they are needed"
WITHOUT_EFFECT: Final[Mapping[str, str]] = {
    "sendingThreadsMaxQueueSize": _NO_QUEUE,
    "sendingThreadsKeepAliveMillis": _NO_THREADS,
    "waitOnFullPublishQueueMillis": _NO_QUEUE,
    "waitOnEmptyPublishQueueMillis": _NO_QUEUE,
    "waitOnFullRetryQueueMillis": _NO_QUEUE,
    "cloudwatch.metricsQueueSize": "what is not uploaded yet is added up",
    "checkpoints.connectionTimeoutSeconds": "SQLite needs no connection",
    "useTcpKeepAlive": "connections are tried again when they break",
    "useHttpGzip": "the services do not take compressed requests",
    "userDefinedCredentialsProvider.classname": "it names a Java class; use assumeRoleARN, keys, or the SDK's own sources",
    "userDefinedCredentialsProvider.location": "it names a Java archive; use assumeRoleARN, keys, or the SDK's own sources",
}


class Known(NamedTuple):
    """A table of keys."""

    keys: Mapping[str, tuple[str, Key]]  # agent.json's name: the field's name and how it is read
    others: frozenset[str]  # names that somebody else reads


def _known(settings: type, *others: str) -> Known:
    rows = ((member.name, member.metadata["key"]) for member in dataclasses.fields(settings))
    return Known({key.name: (name, key) for name, key in rows}, frozenset(others))


GLOBAL_KEYS: Final = _known(GlobalSettings, "flows")
FLOW_KEYS: Final = _known(FlowSettings)


def read_global(document: Mapping[str, Any], where: str) -> tuple[GlobalSettings, list[Problem]]:
    """The global settings of a document, with the defaults where it has none or bad ones."""
    values, problems = _read(document, GLOBAL_KEYS, where)
    settings = GlobalSettings(**values)
    if bool(settings.access_key_id) != bool(settings.secret_access_key):
        problems.append(Problem(where, "awsAccessKeyId and awsSecretAccessKey must be given together"))
    return settings, problems


def read_flow(document: Mapping[str, Any], where: str) -> tuple[FlowSettings, list[Problem]]:
    """One flow's settings, and what is wrong with them."""
    values, problems = _read(document, FLOW_KEYS, where)
    flow = FlowSettings(**values)
    return flow, [*problems, *_contradictions(flow, where)]


def _contradictions(flow: FlowSettings, where: str) -> Iterator[Problem]:
    if not flow.file_pattern:
        yield Problem(where, "filePattern is missing")
    if bool(flow.kinesis_stream) == bool(flow.delivery_stream):
        yield Problem(where, "say kinesisStream or deliveryStream, one of them")
    if flow.aggregated_bytes and flow.kinesis_stream:
        yield Problem(where, "aggregatedRecordSizeBytes is for deliveryStream; it is ignored", fatal=False)
    if flow.buffer_bytes > flow.batch_bytes:
        yield Problem(where, f"maxBufferSizeBytes must be at most {flow.batch_bytes} for a {flow.destination} stream")
    if flow.retry_first_ms > flow.retry_longest_ms:
        yield Problem(where, "retryInitialBackoffMillis must not be above retryMaxBackoffMillis")
    if len(flow.truncated_end.encode()) > KIB:
        yield Problem(where, "truncatedRecordTerminator must be at most 1024 bytes")


def _read(document: Mapping[str, Any], known: Known, where: str) -> tuple[dict[str, Any], list[Problem]]:
    values: dict[str, Any] = {}
    problems: list[Problem] = []
    for name, value in document.items():
        if name in WITHOUT_EFFECT:
            problems.append(Problem(where, f"{name} has no effect: {WITHOUT_EFFECT[name]}", fatal=False))
        elif name in known.keys:
            field_name, key = known.keys[name]
            try:
                values[field_name] = key.read(value)
            except (ValueError, TypeError, KeyError, OverflowError):
                problems.append(Problem(where, f"{name} must be {key.accepts}, not {value!r:.80}"))
        elif name not in known.others and not name.startswith(("#", "_")):
            problems.append(Problem(where, f"{name} is no key that is known; it is ignored", fatal=False))
    return values, problems
