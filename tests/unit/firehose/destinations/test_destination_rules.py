"""What configurations of destinations are refused with, and what of them is told."""

from typing import Any

import msgspec
import pytest

from penstock.core.errors import ServiceError
from penstock.host.apimodels import load_model
from penstock.services.firehose.destinations.presets import PRESETS
from penstock.services.firehose.destinations.rules import check, check_update, prepared, replaced, shown
from penstock.services.firehose.destinations.shapes import SHAPES, DestinationKind
from penstock.wire.document import coerce
from penstock.wire.json import SCALARS
from penstock.wire.reject import check as check_constraints

ROLE = "arn:aws:iam::123456789012:role/delivery"
S3 = {"RoleARN": ROLE, "BucketARN": "arn:aws:s3:::failed"}
SECRET = {"Enabled": True, "SecretARN": "arn:aws:secretsmanager:us-east-1:123456789012:secret:it"}
GOOD: dict[DestinationKind, dict[str, Any]] = {
    "HttpEndpoint": {"EndpointConfiguration": {"Url": "http://127.0.0.1:8080/in"}, "S3Configuration": S3},
    "Elasticsearch": {"RoleARN": ROLE, "ClusterEndpoint": "http://127.0.0.1:9200", "IndexName": "i", "S3Configuration": S3},
    "Amazonopensearchservice": {"RoleARN": ROLE, "DomainARN": "arn:aws:es:us-east-1:123456789012:domain/logs", "IndexName": "i", "S3Configuration": S3},
    "AmazonOpenSearchServerless": {"RoleARN": ROLE, "CollectionEndpoint": "https://search:9200", "IndexName": "i", "S3Configuration": S3},
    "Splunk": {"HECEndpoint": "https://splunk:8088", "HECEndpointType": "Event", "HECToken": "t", "S3Configuration": S3},
    "Redshift": {
        "RoleARN": ROLE, "ClusterJDBCURL": "jdbc:postgresql://127.0.0.1:5432/db", "CopyCommand": {"DataTableName": "t"},
        "Username": "u", "Password": "secret", "S3Configuration": S3,
    },
    "Iceberg": {"RoleARN": ROLE, "CatalogConfiguration": {"WarehouseLocation": "s3://lake/"}, "S3Configuration": S3},
    "Snowflake": {
        "AccountUrl": "https://abcdefg.eu-central-1.snowflakecomputing.com", "Database": "d", "Schema": "s", "Table": "t", "RoleARN": ROLE,
        "User": "u", "PrivateKey": "QUJD" * 100, "S3Configuration": S3,
    },
}  # fmt: skip
Change = dict[str, Any]


def shape(kind: DestinationKind, **change: Any) -> Any:
    document = {name: value for name, value in {**GOOD[kind], **change}.items() if value is not None}
    return msgspec.convert(document, SHAPES[kind])


@pytest.mark.parametrize("kind", GOOD)
def test_configuration_when_it_names_machines_of_one_s_own_passes_the_model_and_the_rules(
    kind: DestinationKind,
) -> None:
    wrapper = load_model("firehose").operations["CreateDeliveryStream"].input
    assert wrapper is not None
    document = {"DeliveryStreamName": "orders", f"{kind}DestinationConfiguration": GOOD[kind]}
    check_constraints(wrapper, coerce(wrapper, document, SCALARS))
    check(kind, shape(kind))


@pytest.mark.parametrize(
    ("kind", "change", "text"),
    [
        ("HttpEndpoint", {"EndpointConfiguration": {"Url": "https://"}}, "must be an http or https URL"),
        ("HttpEndpoint", {"EndpointConfiguration": {"Url": "https://host:99999/"}}, "must be an http or https URL"),
        ("HttpEndpoint", {"EndpointConfiguration": {"Url": "https://host/a b"}}, "must be an http or https URL"),
        ("HttpEndpoint", {"EndpointConfiguration": {"Url": "http://h/", "AccessKey": "a\r\nX: b"}}, "printable ASCII"),
        ("HttpEndpoint", {"SecretsManagerConfiguration": {"Enabled": True}}, "SecretARN must be specified"),
        ("Elasticsearch", {"ClusterEndpoint": None}, "Exactly one of DomainARN and ClusterEndpoint"),
        ("Elasticsearch", {"DomainARN": "arn:aws:es:us-east-1:123456789012:domain/logs"}, "Exactly one of DomainARN and"),
        ("Elasticsearch", {"ClusterEndpoint": "https:nohost"}, "ClusterEndpoint must be an http or https URL"),
        ("AmazonOpenSearchServerless", {"CollectionEndpoint": None}, "CollectionEndpoint must be specified"),
        ("Splunk", {"HECToken": None}, "HECToken must be specified"),
        ("Splunk", {"HECToken": "a\nb"}, "printable ASCII"),
        ("Splunk", {"HECEndpoint": "splunk:8088"}, "HECEndpoint must be an http or https URL"),
        ("Redshift", {"ClusterJDBCURL": "jdbc:mysql://h:1/d"}, "ClusterJDBCURL must be"),
        ("Redshift", {"ClusterJDBCURL": "jdbc:redshift://h:70000/d"}, "ClusterJDBCURL must be"),
        ("Redshift", {"Password": None}, "Password must be specified"),
        ("Redshift", {"S3Configuration": {**S3, "CompressionFormat": "Snappy"}}, "cannot copy objects whose compression is Snappy"),
        ("Redshift", {"S3Configuration": {**S3, "Prefix": "!{timestamp:yyyy}/"}}, "Prefix of a Redshift destination"),
        ("Redshift", {"S3BackupMode": "Enabled"}, "S3BackupConfiguration must be specified"),
        ("Redshift", {"CopyCommand": {"DataTableName": "t", "CopyOptions": "csv; drop table t"}}, "CopyOptions cannot be used"),
        ("Iceberg", {"CatalogConfiguration": {}}, "CatalogARN must be specified"),
        ("Iceberg", {"DestinationTableConfigurationList": [{"DestinationTableName": "t", "DestinationDatabaseName": "d"}] * 2}, "more than once"),
        ("Snowflake", {"PrivateKey": None}, "PrivateKey must be specified"),
        ("Snowflake", {"DataLoadingOption": "VARIANT_CONTENT_MAPPING"}, "ContentColumnName must be specified"),
        ("Snowflake", {"DataLoadingOption": "VARIANT_CONTENT_AND_METADATA_MAPPING", "ContentColumnName": "c"}, "MetaDataColumnName must be"),
    ],
)  # fmt: skip
def test_configuration_when_it_means_nothing_is_refused(kind: DestinationKind, change: Change, text: str) -> None:
    with pytest.raises(ServiceError, match=text) as refused:
        check(kind, shape(kind, **change))
    assert refused.value.code == "InvalidArgumentException"


@pytest.mark.parametrize(
    ("kind", "gone"),
    [("Splunk", ["HECToken"]), ("Redshift", ["Username", "Password"]), ("Snowflake", ["User", "PrivateKey"])],
)
def test_credentials_when_they_are_a_secret_need_not_be_given(kind: DestinationKind, gone: list[str]) -> None:
    check(kind, shape(kind, SecretsManagerConfiguration=SECRET, **dict.fromkeys(gone)))


@pytest.mark.parametrize(
    ("kind", "everything", "some"),
    [
        ("Redshift", "Enabled", "Disabled"),
        ("Splunk", "AllEvents", "FailedEventsOnly"),
        ("HttpEndpoint", "AllData", "FailedDataOnly"),
    ],
)
def test_backup_of_everything_when_on_cannot_be_turned_off(kind: DestinationKind, everything: str, some: str) -> None:
    extra = {"S3BackupConfiguration": S3} if kind == "Redshift" else {}
    on, off = shape(kind, S3BackupMode=everything, **extra), shape(kind, S3BackupMode=some)
    check_update(kind, off, on)
    check_update(kind, on, on)
    with pytest.raises(ServiceError, match=f"from {everything} to {some}"):
        check_update(kind, on, off)


def test_domain_when_an_update_names_it_otherwise_is_no_longer_named_as_before() -> None:
    held = {"DomainARN": "arn", "IndexName": "i"}
    assert replaced(held, {"ClusterEndpoint": "https://c"}) == {"IndexName": "i"}
    assert replaced(held, {"IndexName": "j"}) == held
    assert replaced({"ClusterEndpoint": "https://c"}, {"DomainARN": "arn"}) == {}


def test_description_when_told_has_no_user_of_a_url_and_no_secret() -> None:
    document = shown(
        "Elasticsearch", {**GOOD["Elasticsearch"], "ClusterEndpoint": "https://admin:hunter2@search:9200/p"}
    )
    assert document["ClusterEndpoint"] == "https://search:9200/p"
    told = shown("HttpEndpoint", {"EndpointConfiguration": {"Url": "https://a:hunter2@h/", "Name": "n"}})
    assert told["EndpointConfiguration"] == {"Url": "https://h/", "Name": "n"}
    assert shown("Iceberg", GOOD["Iceberg"]) == GOOD["Iceberg"]


@pytest.mark.parametrize(
    ("url", "size_mb"),
    [
        ("https://aws-kinesis-http-intake.logs.datadoghq.com/v1/input", 4),
        ("https://aws-api.newrelic.com/firehose/v1", 1),
    ],
)
def test_buffer_when_left_out_is_the_vendor_s(url: str, size_mb: int) -> None:
    document = {"EndpointConfiguration": {"Url": url}, "S3Configuration": S3}
    assert prepared("HttpEndpoint", document)["BufferingHints"] == {"SizeInMBs": size_mb, "IntervalInSeconds": 60}
    asked = {**document, "BufferingHints": {"SizeInMBs": 2, "IntervalInSeconds": 5}}
    assert prepared("HttpEndpoint", asked) == asked


def test_buffer_when_the_endpoint_is_nobody_s_is_the_api_s() -> None:
    assert prepared("HttpEndpoint", GOOD["HttpEndpoint"]) == GOOD["HttpEndpoint"]
    assert prepared("Splunk", GOOD["Splunk"]) == GOOD["Splunk"]
    named = {**GOOD["HttpEndpoint"], "EndpointConfiguration": {"Url": "https://notdatadoghq.com/"}}
    assert prepared("HttpEndpoint", named) == named


def test_presets_when_listed_are_those_of_the_console_and_within_the_model_s_bounds() -> None:
    assert len(PRESETS) == 8
    assert all(1 <= preset.size_in_mbs <= 64 and 0 <= preset.interval_in_seconds <= 900 for preset in PRESETS.values())
