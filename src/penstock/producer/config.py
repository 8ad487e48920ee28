"""The configuration table: every key of the Kinesis Producer Library, with its default, its range and what it does here.

Theory.  A field of `ProducerConfig` is one key.  Keys go by KPL's names in snake_case; `of` and `of_properties` take them as KPL spells
them, too (`RecordMaxBufferedTime`, `recordMaxBufferedTime`), so a KPL properties file can be used as it is.  Keys about KPL's native
process, for which there is nothing here to configure, are taken and have no effect; their doc says so.
Rules of this file:
  1. Pure; a value that cannot be used raises ConfigError with one line that names key, value and what would be accepted.
  2. Durations are in milliseconds and sizes in bytes, as KPL has them, whatever a key is called.

Source: KPL's default_config.properties and KinesisProducerConfiguration.
"""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Self

_LARGEST: Final = 2**63 - 1
NO_EFFECT: Final = "No effect here"


class ConfigError(ValueError):
    """A configuration that cannot be used; its text is the one line to show."""


class Key(NamedTuple):
    """How one key is read and explained."""

    doc: str
    accepts: str  # completes "must be ..."
    parse: Callable[[object], Any]  # raises ValueError


def _number(default: int, low: int, high: int, doc: str) -> Any:
    def parse(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise ValueError
        number = int(value)
        if not low <= number <= high:
            raise ValueError
        return number

    accepts = f"a whole number from {low}" + (f" to {high}" if high < _LARGEST else "")
    return field(default=default, metadata={"key": Key(doc, accepts, parse)})


def _flag(default: bool, doc: str) -> Any:
    def parse(value: object) -> bool:
        found = {"true": True, "false": False}.get(str(value).lower())
        if found is None:
            raise ValueError
        return found

    return field(default=default, metadata={"key": Key(doc, "true or false", parse)})


def _choice(default: str, others: str, doc: str) -> Any:
    values = (default, *others.split())

    def parse(value: object) -> str:
        found = str(value).upper() if default.isupper() else str(value).lower()
        if found not in values:
            raise ValueError
        return found

    return field(default=default, metadata={"key": Key(doc, "one of " + ", ".join(values), parse)})


def _text(doc: str, default: str = "") -> Any:
    def parse(value: object) -> str:
        if not isinstance(value, str):
            raise ValueError
        return value

    return field(default=default, metadata={"key": Key(doc, "a text", parse)})


def _none(default: Any, doc: str = "") -> Any:
    """A key that has nothing to do here: whatever it is, it is taken."""
    text = f"{NO_EFFECT}: {doc}" if doc else NO_EFFECT + "."
    return field(default=default, metadata={"key": Key(text, "anything", lambda value: value)})


@dataclass(frozen=True, slots=True, kw_only=True)
class ProducerConfig:
    """Every key, by name.  Raises ConfigError."""

    aggregation_enabled: bool = _flag(True, "Pack user records into aggregates, which KCL and our consumer unpack.")
    aggregation_max_count: int = _number(2**32 - 1, 1, _LARGEST, "Most user records in an aggregate.")
    aggregation_max_size: int = _number(51_200, 64, 10_485_760, "Largest aggregate, in bytes.")
    collection_max_count: int = _number(500, 1, 500, "Most Kinesis records in a PutRecords request.")
    collection_max_size: int = _number(
        5_242_880, 52_224, _LARGEST, "Most bytes (data and keys) in a PutRecords request."
    )
    record_max_buffered_time: int = _number(
        100, 0, _LARGEST, "Longest that a record waits for others, in ms; a retried one waits half of it."
    )
    record_ttl: int = _number(30_000, 100, _LARGEST, "After so many ms a record that was not taken fails with Expired.")
    rate_limit: int = _number(
        150, 1, _LARGEST, "Percent of a shard's write rate (1,000 records and 1 MiB a second) to use."
    )
    fail_if_throttled: bool = _flag(False, "Fail a record that is throttled, instead of sending it again.")
    max_user_record_size: int = _number(1_048_576, 1, 10_485_760, "Largest user record (data and key), in bytes.")
    max_connections: int = _number(24, 1, 256, "Requests under way at a time; 1 keeps the order of records per key.")
    min_connections: int = _none(1, "connections are opened as they are needed.")
    connect_timeout: int = _number(6000, 100, 300_000, "Longest wait for a connection, in ms.")
    request_timeout: int = _number(6000, 100, 600_000, "Longest silence while an answer is awaited, in ms.")
    region: str = _text("The region; empty: from AWS_REGION, the profile or the machine, as every AWS SDK finds it.")
    kinesis_endpoint: str = _text("A host, reached over HTTPS, or a URL; empty: AWS's, or AWS_ENDPOINT_URL.")
    kinesis_port: int = _number(443, 1, 65_535, "The port of kinesis_endpoint, where that is a host.")
    cloudwatch_endpoint: str = _text(
        "The same for CloudWatch.  Empty while kinesis_endpoint is set: metrics are not uploaded."
    )
    cloudwatch_port: int = _number(443, 1, 65_535, "The port of cloudwatch_endpoint, where that is a host.")
    sts_endpoint: str = _none("", "STS is found as every AWS SDK finds it.")
    sts_port: int = _none(443)
    verify_certificate: bool = _flag(True, "Verify the endpoint's certificate.")
    ca_cert_file: str = _text("A file of certificates to trust instead of the usual ones.")
    ca_cert_path: str = _none("", "name a file with ca_cert_file.")
    proxy_host: str = _text("An HTTP proxy.")
    proxy_port: int = _number(443, 1, 65_535, "Its port.")
    proxy_user_name: str = _text("Who to be there.")
    proxy_password: str = _text("And the password.")
    metrics_level: str = _choice("detailed", "none summary", "How much is measured.")
    metrics_granularity: str = _choice("shard", "global stream", "The finest dimension of metrics.")
    metrics_namespace: str = _text("CloudWatch's namespace; Prometheus' prefix.", "KinesisProducerLibrary")
    metrics_upload_delay: int = _number(60_000, 1, _LARGEST, "Time between uploads, in ms.")
    return_user_record_on_failure: bool = _flag(False, "Give the record back in the exception of one that failed.")
    user_record_timeout_in_millis: int = _number(
        0, 0, _LARGEST, "Give up waiting for a record after so many ms, whatever becomes of it; 0: never."
    )
    enable_oldest_future_tracker: bool = _none(True, "`oldest_record_ms` is always there.")
    credentials_refresh_delay: int = _none(5000, "credentials are renewed as they end.")
    log_level: str = _none("info", "configure the logger `penstock.producer`.")
    thread_config: str = _none("")
    threading_model: str = _none("PER_REQUEST", "see max_connections.")
    thread_pool_size: int = _none(0, "see max_connections.")
    native_executable: str = _none("", "there is no native process.")
    temp_directory: str = _none("", "there is no native process.")
    enable_core_dumps: bool | None = _none(None, "there is no native process.")
    enable_daemon_health_check: bool = _none(False, "there is no native process.")
    daemon_health_check_timeout_ms: int = _none(30_000, "there is no native process.")
    glue_schema_registry_configuration: object = _none(None, "encode data before it is put.")
    # ours
    idempotent: bool = _flag(
        False, "Give each user record a unique id, by which our consumer drops what was put twice."
    )
    metrics_to: str = _choice("cloudwatch", "prometheus nowhere", "Where metrics go.")
    metrics_dimensions: str = _text("Dimensions of every metric, before its own: `stage=test,team=orders`.")
    outstanding_max_bytes: int = _number(
        134_217_728, 1, _LARGEST, "Most memory that records may take that are under way; put waits beyond that."
    )

    def __post_init__(self) -> None:
        for name, key in keys().items():
            value = getattr(self, name)
            try:
                object.__setattr__(self, name, key.parse(value))
            except ValueError:
                shown = "..." if name == "proxy_password" else repr(value)[:80]
                raise ConfigError(f"{name}: {shown} must be {key.accepts}") from None
        for pair in filter(None, self.metrics_dimensions.split(",")):
            if not all(part.strip() for part in pair.partition("=")):
                raise ConfigError(f"metrics_dimensions: {pair!r} must be name=value")

    @classmethod
    def of(cls, values: Mapping[str, object]) -> Self:
        """A configuration from a mapping; keys in snake_case or in KPL's spelling.  Raises ConfigError."""
        known = {_plain(name): name for name in keys()}
        chosen: dict[str, Any] = {}
        for key, value in values.items():
            name = known.get(_plain(key))
            if name is None:
                raise ConfigError(f"{key!r} is no key of the producer; known are {', '.join(keys())}")
            chosen[name] = value
        return cls(**chosen)

    @classmethod
    def of_properties(cls, properties: str) -> Self:
        """A configuration from the text of a KPL properties file.  Raises ConfigError."""
        values = {}
        for line in properties.splitlines():
            text = line.strip()
            if text and text[0] not in "#!":
                key, separator, value = text.partition("=")
                if not separator:
                    raise ConfigError(f"{text[:80]!r} must be `key = value`")
                values[key.strip()] = value.strip()
        return cls.of(values)


def keys() -> dict[str, Key]:
    """The keys, by name."""
    return {each.name: each.metadata["key"] for each in dataclasses.fields(ProducerConfig)}


def _plain(key: str) -> str:
    return key.replace("_", "").replace("-", "").lower()


def endpoint_url(endpoint: str, port: int) -> str | None:
    """The URL that a KPL endpoint means; None: AWS's own."""
    if not endpoint or "://" in endpoint:
        return endpoint or None
    return f"https://{endpoint}:{port}"
