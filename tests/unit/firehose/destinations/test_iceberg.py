"""Iceberg: rows of real tables in a catalog of SQLite, and catalogs that fail."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from peers import BACKUP, ROLE, entry, parcel, parcel_of, standing
from pyiceberg.catalog import Catalog, load_catalog
from pyiceberg.schema import Schema
from pyiceberg.types import (
    BooleanType,
    DateType,
    DecimalType,
    IntegerType,
    ListType,
    LongType,
    MapType,
    NestedField,
    StringType,
    StructType,
    TimestampType,
    TimestamptzType,
)

from penstock.core.lakehouse import Change, catalog_properties, settle
from penstock.host.lakehouse import IcebergTables
from penstock.services.firehose.destinations.api import Again, Delivered, Mixed, Outcome, Parcel, Refused
from penstock.services.firehose.destinations.iceberg import IcebergDestination
from penstock.services.firehose.destinations.shapes import (
    CatalogConfiguration,
    DestinationTableConfiguration,
    Iceberg,
    PartitionField,
    PartitionSpec,
    Switch,
)
from penstock.services.firehose.entries import Entry, Route
from penstock.services.firehose.site import Places

PEOPLE = Schema(
    NestedField(1, "id", LongType(), required=True),
    NestedField(2, "name", StringType()),
    NestedField(3, "at", TimestampType()),
)


class Lake:
    """A catalog, and how a destination finds it."""

    def __init__(self, folder: Path) -> None:
        self.properties = catalog_properties("", str(folder / "catalog.db"))
        self.root = str(folder / "buckets")
        self.catalog: Catalog = load_catalog("penstock", **self.properties, warehouse=f"file://{self.root}/lake")

    def rows(self, name: str) -> list[dict[str, Any]]:
        rows = self.catalog.load_table(name).scan().to_arrow().to_pylist()
        return sorted(rows, key=lambda row: json.dumps(row, default=str, sort_keys=True))

    @asynccontextmanager
    async def destination(self, **more: Any) -> AsyncIterator[IcebergDestination]:
        lakehouse = IcebergTables(self.properties)
        given = {
            "role_arn": ROLE,
            "catalog_configuration": CatalogConfiguration(warehouse_location="s3://lake/"),
            "s3_configuration": BACKUP,
        }
        async with standing(lakehouse=lakehouse, places=Places(buckets_root=self.root)) as site:
            yield IcebergDestination(Iceberg(**{**given, **more}), site)
        await lakehouse.close()

    def deliver(self, *parcels: Parcel, **more: Any) -> Outcome:
        async def scenario() -> Outcome:
            async with self.destination(**more) as destination:
                return [await destination.deliver(one) for one in parcels][-1]

        return asyncio.run(scenario())


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    (tmp_path / "buckets").mkdir()
    found = Lake(tmp_path)
    found.catalog.create_namespace("crm")
    found.catalog.create_table("crm.people", PEOPLE)
    yield found
    found.catalog.close()


def table(*keys: str, name: str = "people", **more: Any) -> DestinationTableConfiguration:
    return DestinationTableConfiguration(
        destination_database_name="crm", destination_table_name=name, unique_keys=keys, **more
    )


def routed(number: int, operation: Any, table: str = "people", **row: Any) -> Entry:
    return entry(json.dumps(row).encode(), number, route=Route("crm", table, operation))


def test_records_when_one_table_is_configured_are_its_rows_and_another_reader_reads_them(lake: Lake) -> None:
    outcome = lake.deliver(
        parcel(b'{"id":1,"name":"Ada","at":"2026-01-02T03:04:05","more":1}', b'{"ID":"2","at":1767323045000000}\n'),
        destination_table_configuration_list=[table()],
    )
    assert isinstance(outcome, Delivered)
    assert (outcome.records, outcome.objects) == (2, 1)
    found = lake.rows("crm.people")
    assert [(row["id"], row["name"], str(row["at"])) for row in found] == [
        (1, "Ada", "2026-01-02 03:04:05"),
        (2, None, "2026-01-02 03:04:05"),
    ]
    [file] = list(Path(lake.root).rglob("*.parquet"))
    with duckdb.connect() as reader:
        assert reader.execute("SELECT count(*) FROM read_parquet(?)", [str(file)]).fetchall() == [(2,)]


def test_attempt_when_repeated_after_a_lost_answer_changes_nothing(lake: Lake) -> None:
    given_ = parcel(b'{"id":1}', b'{"id":2}', b'{"id":"bad"}')
    outcome = lake.deliver(given_, given_, destination_table_configuration_list=[table()])
    assert isinstance(outcome, Mixed)
    assert [failure.entry.place for failure in outcome.failures] == [2]
    assert [row["id"] for row in lake.rows("crm.people")] == [1, 2]


def test_changes_when_they_meet_keep_their_order(lake: Lake) -> None:
    first = [routed(n, "insert", id=n, name="old") for n in range(5)]
    second = [
        routed(0, "update", id=0, name="new"), routed(1, "delete", id=1), routed(2, "update", id=2, name="a"), routed(3, "delete", id=2),
        routed(4, "insert", id=2, name="last"), routed(5, "update", id=9, name="made"), routed(6, "delete", id=77),
    ]  # fmt: skip
    later = parcel_of(second)
    later = Parcel(later.entries, "11111111-6a58-4bb4-9b4f-0d2d6b5a1c11", later.oldest_ms)
    outcome = lake.deliver(parcel_of(first), later, destination_table_configuration_list=[table("id")])
    assert isinstance(outcome, Delivered)
    assert outcome.records == 7
    assert {row["id"]: row["name"] for row in lake.rows("crm.people")} == {
        0: "new",
        2: "last",
        3: "old",
        4: "old",
        9: "made",
    }


def test_keys_when_of_several_columns_are_matched_together(lake: Lake) -> None:
    first = parcel_of([routed(n, "insert", id=n, name="x") for n in range(3)])
    changes = [
        routed(0, "delete", id=0, name="x"),
        routed(1, "delete", id=1, name="y"),
        routed(2, "update", id=2, name="x", at=1),
    ]
    outcome = lake.deliver(
        first, Parcel(changes, "2222", 1), destination_table_configuration_list=[table("id", "name")]
    )
    assert isinstance(outcome, Delivered)
    assert {row["id"]: row["at"] is not None for row in lake.rows("crm.people")} == {1: False, 2: True}


def test_appending_when_it_is_all_that_is_allowed_makes_every_change_an_insert(lake: Lake) -> None:
    given_ = parcel_of([routed(0, "update", id=1), routed(1, "delete", id=1)])
    outcome = lake.deliver(given_, append_only=True, destination_table_configuration_list=[table("id")])
    assert isinstance(outcome, Delivered)
    assert [row["id"] for row in lake.rows("crm.people")] == [1, 1]


def test_records_when_some_cannot_be_rows_fail_alone(lake: Lake) -> None:
    entries = [
        entry(b"no json", 0), entry(b"[1]", 1), entry(b'{"name":"no id"}', 2), entry(b'{"id":"x"}', 3), entry(b'{"id":9223372036854775808}', 4),
        entry(b'{"id":1.5}', 5), entry(b'{"id":true}', 6), entry(b'{"id":7,"at":"yesterday"}', 7), entry(b'{"id":8}', 8), entry(b'{"id":\xff}', 9),
    ]  # fmt: skip
    outcome = lake.deliver(parcel_of(entries), destination_table_configuration_list=[table()])
    assert isinstance(outcome, Mixed)
    assert outcome.again is None
    assert outcome.delivered.records == 1
    codes = {failure.entry.place: failure.code.removeprefix("Iceberg.") for failure in outcome.failures}
    assert codes == {
        0: "InvalidRecord", 1: "InvalidRecord", 9: "InvalidRecord", 2: "MissingColumnWithinRecord", 3: "InvalidValue", 4: "InvalidValue",
        5: "InvalidValue", 6: "InvalidValue", 7: "InvalidValue",
    }  # fmt: skip
    assert {failure.kind for failure in outcome.failures} == {"iceberg-failed"}
    assert [row["id"] for row in lake.rows("crm.people")] == [8]


def test_changes_when_the_table_has_no_keys_or_the_record_lacks_them_fail_alone(lake: Lake) -> None:
    refused = lake.deliver(parcel_of([routed(0, "update", id=1)]), destination_table_configuration_list=[table()])
    assert isinstance(refused, Refused)
    assert refused.failures[0].code == "Iceberg.MissingUniqueKeys"
    lacking = lake.deliver(
        parcel_of([routed(0, "delete", id=1)]), destination_table_configuration_list=[table("id", "name")]
    )
    assert isinstance(lacking, Refused)
    assert lacking.failures[0].message == "name is a unique key, and the record lacks it"


def test_records_when_routed_go_to_their_tables_and_one_missing_table_holds_back_only_its_own(lake: Lake) -> None:
    lake.catalog.create_table("crm.orders", Schema(NestedField(1, "n", IntegerType())))
    given_ = parcel_of(
        [
            routed(0, "insert", id=1),
            routed(1, "insert", "orders", n=5),
            routed(2, "insert", "gone", n=5),
            entry(b"{}", 3),
        ]
    )
    outcome = lake.deliver(given_)
    assert isinstance(outcome, Mixed)
    assert outcome.delivered.records == 2
    assert [failure.code for failure in outcome.failures] == ["Iceberg.MissingRoute"]
    assert outcome.again is not None
    assert (outcome.again.code, [one.place for one in outcome.again.entries]) == ("Iceberg.NoSuchTable", [2])
    assert lake.rows("crm.orders") == [{"n": 5}]


def test_table_when_it_may_be_made_is_made_partitioned_and_then_grows_columns(lake: Lake) -> None:
    configured = table(name="events", partition_spec=PartitionSpec(identity=[PartitionField(source_name="region")]))
    options = {
        "destination_table_configuration_list": [configured],
        "table_creation_configuration": Switch(enabled=True),
        "schema_evolution_configuration": Switch(enabled=True),
    }
    first = parcel(
        b'{"region":"eu","n":1,"tags":["a"],"who":{"name":"Ada"},"nothing":null}', b'{"region":"us","n":2.5}'
    )
    assert isinstance(lake.deliver(first, **options), Delivered)
    made = lake.catalog.load_table("crm.events")
    assert [field.name for field in made.spec().fields] == ["region"]
    assert made.location() == f"file://{lake.root}/lake/crm/events"
    assert str(made.schema().find_type("n")) == "double"
    more = Parcel([entry(b'{"region":"eu","n":3,"added":true,"mixed":1}', 0), entry(b'{"mixed":"x"}', 1)], "3333", 1)
    assert isinstance(lake.deliver(more, **options), Delivered)
    kinds = {field.name: str(field.field_type) for field in lake.catalog.load_table("crm.events").schema().fields}
    assert (kinds["added"], kinds["mixed"]) == ("boolean", "string")
    assert {row["mixed"] for row in lake.rows("crm.events")} == {None, "1", "x"}


def test_catalog_when_it_cannot_be_reached_or_hangs_or_refuses_costs_one_attempt() -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.server.hangs:  # type: ignore[attr-defined]
                done.wait(5)
            self.send_response(401)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, format: str, *args: object) -> None:
            return

    done = threading.Event()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}"

    async def attempt(properties: dict[str, str], wait_s: float) -> Again:
        lakehouse = IcebergTables(properties, wait_s)
        given = Iceberg(
            role_arn=ROLE, catalog_configuration=CatalogConfiguration(warehouse_location="s3://lake"), s3_configuration=BACKUP,
            destination_table_configuration_list=[table()],
        )  # fmt: skip
        async with standing(lakehouse=lakehouse) as site:
            outcome = await IcebergDestination(given, site).deliver(parcel(b'{"id":1}'))
        await lakehouse.close()
        assert isinstance(outcome, Again)
        assert "token-secret" not in outcome.message
        return outcome

    def code(properties: dict[str, str], wait_s: float = 20) -> str:
        return asyncio.run(attempt(properties, wait_s)).code

    rest = {"type": "rest", "uri": url, "token": "token-secret"}
    try:
        server.hangs = False  # type: ignore[attr-defined]
        assert code(rest) == "Iceberg.AccessDenied"
        server.hangs = True  # type: ignore[attr-defined]
        assert code(rest, 0.2) == "Iceberg.Timeout"
        assert code({"type": "sql", "uri": "sqlite:////nowhere/at/all.db"}) == "Iceberg.CatalogError"
        assert code({"type": "no such"}) == "Iceberg.CatalogError"
        assert code({"type": "sql", "uri": "nonsense://user:token-secret@host/db"}) == "Iceberg.CatalogError"
    finally:
        done.set()
        server.shutdown()
        server.server_close()
    assert code(rest) == "Iceberg.CatalogError"


@pytest.mark.parametrize(
    ("setting", "properties"),
    [
        ("", {"type": "sql", "uri": "sqlite:////d/c.db"}), ("sql+postgresql://h/db", {"type": "sql", "uri": "postgresql://h/db"}),
        ("rest+https://h/c", {"type": "rest", "uri": "https://h/c"}), ("glue+", {"type": "glue"}),
        ("glue+http://h:1", {"type": "glue", "glue.endpoint": "http://h:1"}),
    ],
)  # fmt: skip
def test_setting_when_read_is_a_catalog(setting: str, properties: dict[str, str]) -> None:
    assert catalog_properties(setting, "/d/c.db") == properties
    for bad in ("hive+x", "rest+", "rest+ftp://x", "sql+", "nonsense"):
        with pytest.raises(ValueError, match="catalogs are"):
            catalog_properties(bad, "/d/c.db")


WIDE = Schema(
    NestedField(1, "flag", BooleanType()),
    NestedField(2, "price", DecimalType(5, 2)),
    NestedField(3, "day", DateType()),
    NestedField(4, "at", TimestamptzType()),
    NestedField(5, "list", ListType(6, LongType(), element_required=False)),
    NestedField(7, "map", MapType(8, StringType(), 9, IntegerType(), value_required=False)),
    NestedField(10, "inner", StructType(NestedField(11, "text", StringType(), required=True))),
)


def test_values_when_of_every_kind_arrive_as_they_are(lake: Lake) -> None:
    lake.catalog.create_table("crm.wide", WIDE)
    good = b'{"flag":"TRUE","price":"12.3","day":"2026-01-02","at":"2026-01-02T03:04:05+01:00","list":[1,null],"map":{"a":1},"inner":{"text":7}}'
    bad = [
        b'{"flag":1}',
        b'{"price":12.345}',
        b'{"price":12345}',
        b'{"day":"2026-13-01"}',
        b'{"list":{}}',
        b'{"map":[]}',
        b'{"inner":{}}',
        b'{"inner":"x"}',
    ]
    outcome = lake.deliver(parcel(good, *bad), destination_table_configuration_list=[table(name="wide")])
    assert isinstance(outcome, Mixed)
    assert sorted(failure.entry.place for failure in outcome.failures) == list(range(1, 9))
    [row] = lake.rows("crm.wide")
    assert (row["flag"], str(row["price"]), str(row["day"]), row["list"], row["map"], row["inner"]) == (
        True, "12.30", "2026-01-02", [1, None], [("a", 1)], {"text": "7"},
    )  # fmt: skip
    assert row["at"].isoformat() == "2026-01-02T02:04:05+00:00"
    assert pa.__version__


changes = st.lists(
    st.builds(
        Change,
        st.sampled_from(["insert", "update", "delete"]),
        st.fixed_dictionaries({"k": st.integers(0, 3), "v": st.integers()}),
    )
)


@given(st.lists(st.fixed_dictionaries({"k": st.integers(0, 3), "v": st.integers()})), changes)
def test_changes_when_settled_come_to_what_they_come_to_one_by_one(
    rows: list[dict[str, int]], made: Sequence[Change]
) -> None:
    meant = list(rows)
    for operation, row in made:
        if operation != "insert":
            meant = [one for one in meant if one["k"] != row["k"]]
        if operation != "delete":
            meant.append(dict(row))
    settled = settle(made, ["k"])
    found = [row for row in rows if (row["k"],) not in settled.cleared] + [dict(row) for row in settled.added]
    assert sorted(found, key=lambda row: (row["k"], row["v"])) == sorted(meant, key=lambda row: (row["k"], row["v"]))
