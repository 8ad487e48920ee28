"""What every lease store does: the contract of consumer/store.py, held by each."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from postgres_server import postgres_server

from penstock.clients.aws import Connection
from penstock.consumer.lease import Lease
from penstock.consumer.position import FROM_OLDEST, Checkpoint
from penstock.consumer.store import LeaseStore, StoreRefused, StoreUnavailable
from penstock.consumer.stores.dynamodb import DynamoDBStore
from penstock.consumer.stores.memory import MemoryStore
from penstock.consumer.stores.postgres import PostgresStore
from penstock.consumer.stores.sqlite import SqliteStore
from penstock.core.hashkeys import HASH_KEY_MAX, HashRange
from penstock.testing import PenstockServer

LEASE = Lease(
    key="shardId-000000000007",
    checkpoint=FROM_OLDEST,
    parents=("shardId-000000000001", "shardId-000000000003"),
    hash_keys=HashRange(0, HASH_KEY_MAX),
)
AT = Checkpoint("49590338271490256608559692538361571095921575989136588898", 3)
Opener = Callable[[str], LeaseStore]


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    with postgres_server() as url:
        yield url


@pytest.fixture(scope="session")
def dynamodb() -> Iterator[Connection]:
    with PenstockServer() as server:
        yield Connection(
            endpoint=server.endpoint_url, region=server.region, access_key_id="test", secret_access_key="test"
        )


@pytest.fixture(params=["memory", "sqlite", "postgres", "dynamodb"])
def opener(request: pytest.FixtureRequest, tmp_path: Path) -> Opener:
    """Opens stores of an application; two of one application share their leases."""
    match request.param:
        case "memory":
            shared: dict[str, MemoryStore] = {}
            return lambda application: shared.setdefault(application, MemoryStore())
        case "sqlite":
            return lambda application: SqliteStore(tmp_path / "deep" / "leases.db", application)
        case "dynamodb":
            connection = request.getfixturevalue("dynamodb")
            prefix = "".join(letter for letter in tmp_path.name if letter.isalnum())
            return lambda application: DynamoDBStore(connection, f"{prefix}-{application}")
        case _:
            url = request.getfixturevalue("postgres")
            return lambda application: PostgresStore(url, f"{tmp_path.name} {application}")


def played(opener: Opener, play: Callable[[LeaseStore], Awaitable[None]]) -> None:
    async def run() -> None:
        store = opener("orders")
        await store.open()
        try:
            await play(store)
        finally:
            await store.close()

    asyncio.run(run())


def test_lease_when_created_then_it_is_given_back_whole(opener: Opener) -> None:
    async def play(store: LeaseStore) -> None:
        full = replace(
            LEASE, checkpoint=AT, counter=7, owner="a", checkpoint_owner="b", switches=2, children=("c",), began_ms=5
        )
        assert await store.create(full)
        assert await store.get(LEASE.key) == full
        assert await store.leases() == [full]
        assert await store.get("another") is None

    played(opener, play)


def test_lease_when_it_is_there_then_it_is_not_created_again(opener: Opener) -> None:
    async def play(store: LeaseStore) -> None:
        assert await store.create(LEASE)
        assert not await store.create(replace(LEASE, checkpoint=AT))
        assert await store.get(LEASE.key) == LEASE

    played(opener, play)


@pytest.mark.parametrize(
    "changed",
    [
        LEASE.renewed(),
        replace(LEASE, owner="a"),
        replace(LEASE, checkpoint_owner="a"),
        replace(LEASE, checkpoint=AT),
        replace(LEASE, checkpoint=Checkpoint("TRIM_HORIZON", 1)),
    ],
)
def test_swap_when_the_stored_lease_is_another_then_nothing_is_written(opener: Opener, changed: Lease) -> None:
    async def play(store: LeaseStore) -> None:
        assert await store.create(LEASE)
        assert await store.swap(LEASE, changed)
        assert not await store.swap(LEASE, LEASE.taken("z"))
        assert not await store.delete(LEASE)
        assert await store.get(LEASE.key) == changed
        assert await store.swap(changed, changed.taken("z"))

    played(opener, play)


def test_swap_when_nothing_changes_then_it_succeeds(opener: Opener) -> None:
    async def play(store: LeaseStore) -> None:
        assert await store.create(LEASE)
        assert await store.swap(LEASE, LEASE)
        assert not await store.swap(LEASE.renewed(), LEASE)

    played(opener, play)


def test_lease_when_deleted_then_it_is_gone(opener: Opener) -> None:
    async def play(store: LeaseStore) -> None:
        assert await store.create(LEASE)
        assert await store.delete(LEASE)
        assert await store.leases() == []
        assert not await store.swap(LEASE, LEASE.renewed())
        assert not await store.delete(LEASE)

    played(opener, play)


def test_swap_when_many_want_it_then_one_has_it(opener: Opener) -> None:
    async def play(_: LeaseStore) -> None:
        stores = [opener("orders") for _ in range(5)]
        for store in stores:
            await store.open()
        assert await stores[0].create(LEASE)
        won = await asyncio.gather(*(store.swap(LEASE, LEASE.taken(str(place))) for place, store in enumerate(stores)))
        assert won.count(True) == 1
        stored = await stores[0].get(LEASE.key)
        assert stored is not None
        assert stored.owner == str(won.index(True))
        for store in stores:
            await store.close()

    played(opener, play)


def test_leases_when_applications_share_a_store_then_they_do_not_see_each_other(opener: Opener) -> None:
    async def play(store: LeaseStore) -> None:
        other = opener("billing")
        await other.open()
        assert await store.create(LEASE)
        assert await other.leases() == []
        assert await other.create(LEASE)
        assert await other.delete(LEASE)
        assert await store.leases() == [LEASE]
        await other.close()

    played(opener, play)


def test_sqlite_when_the_file_cannot_be_made_then_it_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreRefused, match="no leases can be kept in"):
        asyncio.run(SqliteStore(tmp_path / "file" / "leases.db", "orders").open())


def test_sqlite_when_a_row_is_damaged_then_it_is_not_taken_for_a_lease(tmp_path: Path) -> None:
    async def play() -> None:
        store = SqliteStore(tmp_path / "leases.db", "orders")
        await store.open()
        assert await store.create(LEASE)
        await store._write("UPDATE leases SET body = ?", '{"key": "x", "checkpoint": {"sequence": "nonsense"}}')
        with pytest.raises(StoreUnavailable, match="cannot be read"):
            await store.leases()
        await store.close()

    asyncio.run(play())


def test_postgres_when_the_database_is_missing_then_it_says_so(postgres: str) -> None:
    with pytest.raises((StoreRefused, StoreUnavailable), match="nowhere"):
        asyncio.run(PostgresStore(postgres.replace("/postgres?", "/nowhere?"), "orders").open())


def test_postgres_when_its_connection_breaks_then_the_next_call_has_another(postgres: str, tmp_path: Path) -> None:
    async def play() -> None:
        store = PostgresStore(postgres, tmp_path.name)
        await store.open()
        assert await store.create(LEASE)
        assert store._connection is not None
        await store._connection.close()
        with pytest.raises(StoreUnavailable):
            await store.leases()
        assert await store.leases() == [LEASE]
        await store.close()

    asyncio.run(play())
