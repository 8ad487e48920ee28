"""The configuration table: KPL's keys, defaults and ranges, KPL's spelling, and errors that say what to do."""

import dataclasses

import pytest

from penstock.producer.config import NO_EFFECT, ConfigError, ProducerConfig, endpoint_url, keys

KPL = {  # every key of KPL with its default, as its documentation and source have it
    "AggregationEnabled": True,
    "AggregationMaxCount": 4294967295,
    "AggregationMaxSize": 51200,
    "CollectionMaxCount": 500,
    "CollectionMaxSize": 5242880,
    "ConnectTimeout": 6000,
    "RequestTimeout": 6000,
    "CredentialsRefreshDelay": 5000,
    "EnableCoreDumps": None,
    "FailIfThrottled": False,
    "KinesisEndpoint": "",
    "KinesisPort": 443,
    "CloudwatchEndpoint": "",
    "CloudwatchPort": 443,
    "StsEndpoint": "",
    "StsPort": 443,
    "LogLevel": "info",
    "MaxConnections": 24,
    "MinConnections": 1,
    "MaxUserRecordSize": 1048576,
    "MetricsGranularity": "shard",
    "MetricsLevel": "detailed",
    "MetricsNamespace": "KinesisProducerLibrary",
    "MetricsUploadDelay": 60000,
    "NativeExecutable": "",
    "RateLimit": 150,
    "RecordMaxBufferedTime": 100,
    "RecordTtl": 30000,
    "Region": "",
    "TempDirectory": "",
    "VerifyCertificate": True,
    "ProxyHost": "",
    "ProxyPort": 443,
    "ProxyUserName": "",
    "ProxyPassword": "",
    "ThreadingModel": "PER_REQUEST",
    "ThreadPoolSize": 0,
    "CaCertPath": "",
    "CaCertFile": "",
    "UserRecordTimeoutInMillis": 0,
    "EnableOldestFutureTracker": True,
    "ReturnUserRecordOnFailure": False,
    "EnableDaemonHealthCheck": False,
    "DaemonHealthCheckTimeoutMs": 30000,
    "GlueSchemaRegistryConfiguration": None,
}


def snake(key: str) -> str:
    return "".join("_" + letter.lower() if letter.isupper() else letter for letter in key).lstrip("_")


@pytest.mark.parametrize("key", KPL)
def test_key_of_kpl_has_its_default_and_is_taken_as_kpl_spells_it(key: str) -> None:
    default = KPL[key]
    assert getattr(ProducerConfig(), snake(key)) == default
    assert (
        ProducerConfig.of({key: default}) == ProducerConfig.of({key[0].lower() + key[1:]: default}) == ProducerConfig()
    )


@pytest.mark.parametrize(
    ("key", "low", "high"),
    [
        ("AggregationMaxSize", 64, 10485760),
        ("CollectionMaxCount", 1, 500),
        ("ConnectTimeout", 100, 300000),
        ("RequestTimeout", 100, 600000),
        ("MaxConnections", 1, 256),
        ("CollectionMaxSize", 52224, None),
        ("RecordTtl", 100, None),
        ("RateLimit", 1, None),
    ],
)
def test_number_when_it_is_out_of_range_is_refused_with_the_range(key: str, low: int, high: int | None) -> None:
    for inside in (low, str(low), high or 2**40):
        ProducerConfig.of({key: inside})
    for outside in (low - 1, *([high + 1] if high else []), "x", "", None, 1.5, True):
        with pytest.raises(ConfigError, match=f"^{snake(key)}: .* must be a whole number from {low}"):
            ProducerConfig.of({key: outside})


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [
        ("metrics_level", "loud", "must be one of detailed, none, summary"),
        ("aggregation_enabled", "yes", "must be true or false"),
        ("region", 7, "must be a text"),
        ("metrics_dimensions", "stage", "must be name=value"),
        ("metrics_dimensions", "=x", "must be name=value"),
    ],
)
def test_value_when_it_cannot_be_used_is_refused_with_what_can(key: str, value: object, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        ProducerConfig.of({key: value})


def test_key_when_it_is_unknown_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(ConfigError, match=r"'RecordTTLs' is no key of the producer; known are aggregation_enabled, "):
        ProducerConfig.of({"RecordTTLs": 1})


def test_password_when_it_cannot_be_used_is_not_shown() -> None:
    with pytest.raises(ConfigError) as refused:
        ProducerConfig.of({"proxy_password": 12345})
    assert "12345" not in str(refused.value)


def test_properties_of_kpl_are_taken_as_they_are() -> None:
    text = "# KPL\n! too\n\nRecordMaxBufferedTime = 200\nAggregationEnabled=false\nMetricsLevel = NONE\nTempDirectory = /tmp\n"
    found = ProducerConfig.of_properties(text)
    assert (found.record_max_buffered_time, found.aggregation_enabled, found.metrics_level) == (200, False, "none")
    with pytest.raises(ConfigError, match="must be `key = value`"):
        ProducerConfig.of_properties("RecordTtl\n")


def test_every_key_is_explained_and_those_without_effect_say_so() -> None:
    assert all(key.doc and key.doc.endswith(".") for key in keys().values())
    silent = {name for name, key in keys().items() if key.doc.startswith(NO_EFFECT)}
    assert {"native_executable", "temp_directory", "thread_pool_size"} <= silent
    assert not silent & {"record_ttl", "rate_limit", "max_connections"}
    assert len(keys()) == len(dataclasses.fields(ProducerConfig))


def test_endpoint_is_a_host_over_https_or_a_url() -> None:
    assert endpoint_url("", 443) is None
    assert endpoint_url("kinesis.example", 4567) == "https://kinesis.example:4567"
    assert endpoint_url("http://127.0.0.1:4566", 443) == "http://127.0.0.1:4566"
