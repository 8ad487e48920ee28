"""Services: opened by the first request, or at start where what they keep acts by itself; forgotten by a reset in any case."""

import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from penstock.composition.room import Room
from penstock.composition.table import ROWS, Row
from penstock.host.apimodels import load_model
from penstock.testing import PenstockServer
from penstock.wire.route import Address

TABLE: dict[str, Any] = {
    "TableName": "jobs",
    "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
    "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
    "BillingMode": "PAY_PER_REQUEST",
}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.model)
def test_row_when_held_against_its_model_then_its_address_is_the_models(row: Row) -> None:
    assert row.address == Address.of(load_model(row.model))


def test_rows_when_a_service_keeps_state_then_what_acts_is_part_of_it() -> None:
    assert all(prefix.startswith(row.state) for row in ROWS for prefix in row.acting)


def opened(server: PenstockServer) -> set[str]:
    """The cores that are open."""
    return {opener.__module__.rpartition(".")[2] for opener in server._running._services.room._held}


def test_services_when_nobody_calls_them_then_they_are_not_open() -> None:
    with PenstockServer() as server:
        server.client("kinesis").list_streams()
        assert opened(server) == set()
        server.client("sts").get_caller_identity()
        assert opened(server) == {"identities"}


def test_services_when_state_acts_by_itself_then_they_are_open_after_a_restart(tmp_path: Path) -> None:
    with PenstockServer(engine="local", data_dir=str(tmp_path)) as server:
        tables = server.client("dynamodb")
        tables.create_table(**TABLE)
        tables.update_time_to_live(
            TableName="jobs", TimeToLiveSpecification={"Enabled": True, "AttributeName": "until"}
        )
        due = str(server.clock.now_ms // 1000 + 60)
        tables.put_item(TableName="jobs", Item={"id": {"S": "a"}, "until": {"N": due}})
    with PenstockServer(engine="local", data_dir=str(tmp_path)) as server:
        assert opened(server) == {"leases"}
        gone = threading.Event()
        room = server._running._services.room
        server._call(watched(room, lambda changes: gone.set()))
        server.clock.advance(hours=24)
        assert gone.wait(60), "nobody asked for it, and it expired"


async def watched(room: Room, watcher: Callable[[object], None]) -> None:
    room.engine.meta.watch("leases/item/", watcher)


def test_reset_when_a_service_was_not_called_since_the_start_then_its_state_is_forgotten_too(tmp_path: Path) -> None:
    with PenstockServer(engine="local", data_dir=str(tmp_path)) as server:
        server.client("iam").create_user(UserName="ann")
    with PenstockServer(engine="local", data_dir=str(tmp_path)) as server:
        assert opened(server) == set()
        server.reset()
        assert server.client("iam").list_users()["Users"] == []


def test_services_when_one_cannot_be_opened_then_its_caller_is_told_and_the_next_one_is_served(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    key = tmp_path / "master.key"
    with PenstockServer(engine="local", data_dir=str(tmp_path)) as server:
        key.write_text("no key")
        with pytest.raises(server.client("kms").exceptions.ClientError, match="InternalFailure"):
            server.client("kms").create_key()
        assert "must hold 64 hexadecimal digits" in caplog.text
        key.unlink()
        assert server.client("kms").create_key()["KeyMetadata"]["Enabled"]


START = """
import asyncio, sys
import penstock.cli
from penstock.app import make_app
from penstock.core.settings import load

async def start():
    given = {"data_dir": sys.argv[1], "engine": "local", "auth": "enforced", "port": "0", "no_tls": "true"}
    app = make_app(load(given, {}, None))
    await app.start()
    print(*sys.modules)
    await app.stop()

asyncio.run(start())
"""
# each costs a start 2 to 40 ms
HEAVY = (
    "aiohttp", "botocore", "configparser", "cryptography.hazmat.primitives.asymmetric", "cryptography.x509", "email", "google.protobuf",
    "hpack", "html", "http.client", "http.server", "msgpack", "numpy", "obstore", "penstock.agent", "penstock.commands", "penstock.server.http2", "penstock.consumer", "penstock.demo",
    "penstock.producer", "prometheus_client", "pyarrow", "rich", "urllib.request", "xml",
    *(f"penstock.services.{name}" for name in ("firehose", "functions", "leases", "logs", "queues", "topics", "catalog")),
)  # fmt: skip


def test_start_when_signatures_are_verified_then_what_may_never_be_used_is_not_imported(tmp_path: Path) -> None:
    import subprocess

    ran = subprocess.run([sys.executable, "-c", START, str(tmp_path)], capture_output=True, text=True, check=True)
    loaded = ran.stdout.split()
    assert not [
        name
        for name in loaded
        if ".ops" in name or name.startswith(tuple(f"{heavy}." for heavy in HEAVY)) or name in HEAVY
    ]


def test_reset_when_it_was_done_often_then_what_it_replaced_hears_nothing_more() -> None:
    with PenstockServer() as server:

        def watchers() -> int:
            meta: Any = server._running._engine.meta
            return len(meta._watchers)

        def use() -> None:
            server.client("dynamodb").list_tables()
            server.client("sqs").list_queues()
            server.client("lambda").list_functions()
            server.client("firehose").list_delivery_streams()

        use()
        before = watchers()
        for _ in range(3):
            server.reset()
            use()
        assert watchers() == before
