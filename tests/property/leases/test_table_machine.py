"""A table with an index, held against a dict: whatever is written in whatever order, reads see all of it and nothing else."""

import asyncio
from typing import Any

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from penstock.core.context import Caller
from penstock.core.errors import ServiceError
from penstock.core.ids import AccountId, Region
from penstock.engines.memory import MemoryMeta
from penstock.host.clock import TestClock
from penstock.host.entropy import SeededEntropy
from penstock.host.tasks import LoopTasks
from penstock.services.leases.ops.batch import BatchWriteItemRequest, batch_write_item
from penstock.services.leases.ops.item import (
    DeleteItemRequest,
    GetItemRequest,
    PutItemRequest,
    UpdateItemRequest,
    delete_item,
    get_item,
    put_item,
    update_item,
)
from penstock.services.leases.ops.search import QueryRequest, ScanRequest, query, scan
from penstock.services.leases.ops.table import CreateTableRequest, create_table
from penstock.services.leases.ops.transaction import TransactWriteItemsRequest, transact_write_items
from penstock.services.leases.service import Leases, open_leases
from penstock.services.leases.tables import Tables

CALLER = Caller(AccountId("123456789012"), Region("us-east-1"), "test", "dynamodb:x")
hashes = st.sampled_from(["a", "b", "c"])
ranges = st.integers(-2, 3)
owners = st.sampled_from(["x", "y", None])
Key = tuple[str, int]
DEFINITION = {
    "TableName": "app",
    "KeySchema": [{"AttributeName": "h", "KeyType": "HASH"}, {"AttributeName": "r", "KeyType": "RANGE"}],
    "AttributeDefinitions": [
        {"AttributeName": name, "AttributeType": kind}
        for name, kind in (("h", "S"), ("r", "N"), ("o", "S"), ("n", "N"))
    ],
    "BillingMode": "PAY_PER_REQUEST",
    "GlobalSecondaryIndexes": [
        {
            "IndexName": "by-owner",
            "KeySchema": [{"AttributeName": "o", "KeyType": "HASH"}, {"AttributeName": "n", "KeyType": "RANGE"}],
            "Projection": {"ProjectionType": "ALL"},
        }
    ],
}


def wire_key(key: Key) -> dict[str, Any]:
    return {"h": {"S": key[0]}, "r": {"N": str(key[1])}}


def wire_item(key: Key, owner: str | None, count: int) -> dict[str, Any]:
    return {**wire_key(key), "n": {"N": str(count)}, **({} if owner is None else {"o": {"S": owner}})}


def read_back(item: Any) -> tuple[Key, str | None, int]:
    told = msgspec.to_builtins(item)
    return (told["h"]["S"], int(told["r"]["N"])), told.get("o", {}).get("S"), int(told["n"]["N"])


class TableMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.tasks = LoopTasks()
        self.meta = MemoryMeta()
        self.leases = self.run(self.opened())
        self.model: dict[Key, tuple[str | None, int]] = {}
        self.ask(create_table, CreateTableRequest, DEFINITION)

    async def opened(self) -> Leases:
        return await open_leases(
            self.meta, clock=TestClock(), entropy=SeededEntropy(1), tasks=self.tasks, transition_ms=0,
            memory_max_bytes=1 << 20,
        )  # fmt: skip

    def run(self, work: Any) -> Any:
        return self.loop.run_until_complete(work)

    def ask(self, operation: Any, kind: Any, document: dict[str, Any]) -> Any:
        return self.run(operation(self.leases, CALLER, msgspec.convert({"TableName": "app", **document}, kind)))

    def teardown(self) -> None:
        self.run(self.tasks.stop())
        self.loop.close()

    @rule(key=st.tuples(hashes, ranges), owner=owners, count=st.integers(0, 9))
    def put(self, key: Key, owner: str | None, count: int) -> None:
        self.ask(put_item, PutItemRequest, {"Item": wire_item(key, owner, count)})
        self.model[key] = (owner, count)

    @rule(key=st.tuples(hashes, ranges), owner=owners)
    def create(self, key: Key, owner: str | None) -> None:
        document = {"Item": wire_item(key, owner, 0), "Expected": {"h": {"Exists": False}}}
        if key in self.model:
            with pytest.raises(ServiceError, match="conditional"):
                self.ask(put_item, PutItemRequest, document)
        else:
            self.ask(put_item, PutItemRequest, document)
            self.model[key] = (owner, 0)

    @rule(key=st.tuples(hashes, ranges))
    def delete(self, key: Key) -> None:
        answer = self.ask(delete_item, DeleteItemRequest, {"Key": wire_key(key), "ReturnValues": "ALL_OLD"})
        held = self.model.pop(key, None)
        assert (answer.attributes is None) == (held is None)

    @rule(key=st.tuples(hashes, ranges), seen=st.integers(0, 9), owner=owners)
    def renew(self, key: Key, seen: int, owner: str | None) -> None:
        document = {
            "Key": wire_key(key),
            "UpdateExpression": "ADD n :one " + ("REMOVE o" if owner is None else "SET o = :o"),
            "ConditionExpression": "n = :seen",
            "ExpressionAttributeValues": {
                ":one": {"N": "1"}, ":seen": {"N": str(seen)}, **({} if owner is None else {":o": {"S": owner}}),
            },
        }  # fmt: skip
        if key in self.model and self.model[key][1] == seen:
            self.ask(update_item, UpdateItemRequest, document)
            self.model[key] = (owner, seen + 1)
        else:
            with pytest.raises(ServiceError, match="conditional"):
                self.ask(update_item, UpdateItemRequest, document)

    @rule(keys=st.lists(st.tuples(hashes, ranges), min_size=1, max_size=4, unique=True), owner=owners)
    def batch(self, keys: list[Key], owner: str | None) -> None:
        requests = [
            {"DeleteRequest": {"Key": wire_key(key)}}
            if key in self.model
            else {"PutRequest": {"Item": wire_item(key, owner, 5)}}
            for key in keys
        ]
        self.ask(batch_write_item, BatchWriteItemRequest, {"RequestItems": {"app": requests}})
        for key in keys:
            if self.model.pop(key, None) is None:
                self.model[key] = (owner, 5)

    @rule(origin=st.tuples(hashes, ranges), goal=st.tuples(hashes, ranges))
    def move(self, origin: Key, goal: Key) -> None:
        parts = [
            {"Delete": {"TableName": "app", "Key": wire_key(origin), "ConditionExpression": "attribute_exists(h)"}},
            {
                "Put": {
                    "TableName": "app",
                    "Item": wire_item(goal, "x", 7),
                    "ConditionExpression": "attribute_not_exists(h)",
                }
            },
        ]
        document = {"TransactItems": parts}
        if origin != goal and origin in self.model and goal not in self.model:
            self.ask(transact_write_items, TransactWriteItemsRequest, document)
            del self.model[origin]
            self.model[goal] = ("x", 7)
        else:
            with pytest.raises(ServiceError):
                self.ask(transact_write_items, TransactWriteItemsRequest, document)

    @rule()
    def restart(self) -> None:
        self.run(self.tasks.stop())
        self.tasks = LoopTasks()
        self.leases = self.run(self.opened())

    @rule(limit=st.integers(1, 5), total=st.integers(1, 4))
    def scan_pages(self, limit: int, total: int) -> None:
        found = []
        for segment in range(total):
            found += self.pages(scan, ScanRequest, {"Limit": limit, "Segment": segment, "TotalSegments": total})
        assert sorted(found) == sorted((key, *held) for key, held in self.model.items())

    @rule(part=hashes, low=ranges, forward=st.booleans(), limit=st.integers(1, 4))
    def query_pages(self, part: str, low: int, forward: bool, limit: int) -> None:
        document = {
            "Limit": limit,
            "ScanIndexForward": forward,
            "KeyConditionExpression": "h = :h AND r >= :r",
            "ExpressionAttributeValues": {":h": {"S": part}, ":r": {"N": str(low)}},
        }
        expected = sorted((key for key in self.model if key[0] == part and key[1] >= low), reverse=not forward)
        assert [key for key, *_ in self.pages(query, QueryRequest, document)] == expected

    @rule(owner=st.sampled_from(["x", "y"]), forward=st.booleans(), limit=st.integers(1, 4))
    def query_index(self, owner: str, forward: bool, limit: int) -> None:
        document = {
            "IndexName": "by-owner",
            "Limit": limit,
            "ScanIndexForward": forward,
            "KeyConditionExpression": "o = :o",
            "ExpressionAttributeValues": {":o": {"S": owner}},
        }
        found = self.pages(query, QueryRequest, document)
        assert sorted(found) == sorted((key, *held) for key, held in self.model.items() if held[0] == owner)
        counts = [count for *_, count in found]
        assert counts == sorted(counts, reverse=not forward)

    def pages(self, operation: Any, kind: Any, document: dict[str, Any]) -> list[tuple[Key, str | None, int]]:
        found: list[tuple[Key, str | None, int]] = []
        start: dict[str, Any] = {}
        while True:
            page = self.ask(operation, kind, {**document, **start})
            assert page.count == len(page.items) <= document["Limit"]
            found += map(read_back, page.items)
            if page.last_evaluated_key is None:
                return found
            start = {"ExclusiveStartKey": msgspec.to_builtins(page.last_evaluated_key)}

    @invariant()
    def every_item_is_there(self) -> None:
        for part in ("a", "b", "c"):
            for number in range(-2, 4):
                got = self.ask(get_item, GetItemRequest, {"Key": wire_key((part, number))}).item
                held = self.model.get((part, number))
                assert (None if got is None else read_back(got)[1:]) == held

    @invariant()
    def what_is_counted_is_what_is_there(self) -> None:
        fresh = Tables(self.meta)
        self.run(fresh.open())
        [view], [again] = self.leases.tables.all(), fresh.all()
        assert view.order == again.order == sorted(view.items)
        assert view.size_bytes == again.size_bytes == sum(held.size_bytes for held in view.items.values())
        assert self.leases.tables.memory_bytes == fresh.memory_bytes
        assert view.indexes["by-owner"].entries == again.indexes["by-owner"].entries


TestTable = TableMachine.TestCase
TestTable.settings = settings(max_examples=25, stateful_step_count=25)
