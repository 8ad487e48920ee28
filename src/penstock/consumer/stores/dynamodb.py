"""Leases in DynamoDB, in KCL 3's own table: a Java KCL worker and ours can share one application.

Theory.  KCL 3 elects a leader, who assigns leases by what workers write of themselves: WorkerMetricStats items, in a table beside the
lease table or, from 3.5 on, in it.  Ours never stand for election: where there is one worker of KCL's, it leads, and where there is none
nobody needs to.  A worker of ours writes that it is there as soon as anybody reads it, with no measurements, which KCL takes for "balance
by throughput"; it starts on what the leader gives it, and lets go of what the leader gives to others.
Rules of this file:
  1. Only the table's own items of leases are written, and our worker's own item of statistics.
  2. Nothing of KCL's is made but the lease table, with the index that KCL wants in it.
"""

from typing import Any, Final

from penstock.clients.aws import Connection, Service
from penstock.clients.calls import CALL_ERRORS, error_code, error_text
from penstock.consumer.lease import Lease
from penstock.consumer.store import StoreRefused, StoreUnavailable
from penstock.consumer.stores.dynamo_items import KEY, OWNER, Item, condition_of, item_of, lease_of, update_of
from penstock.host.clock import SystemClock

INDEX: Final = "LeaseOwnerToLeaseKeyIndex"
LEADER_KEY: Final = "Leader"
LEADER_GONE_S: Final = 120  # a lock that nobody touched for so long is nobody's: KCL's lease of it
ACTIVE_TRIES: Final = 600
ACTIVE_POLL_MS: Final = 100
FAILED_CONDITION: Final = "ConditionalCheckFailedException"
NO_TABLE: Final = "ResourceNotFoundException"
REFUSALS: Final = frozenset({"AccessDeniedException", "UnrecognizedClientException", "ValidationException"})
FAILURES: Final = (*CALL_ERRORS, TimeoutError)


class DynamoDBStore:
    """The leases of one application in the table of its name."""

    def __init__(self, connection: Connection, table: str) -> None:
        self._service = Service("dynamodb", connection)
        self._table = table
        self._clock = SystemClock()
        self._shared_table = False  # whether KCL's other entities were seen among the leases
        self._leader: tuple[str, int] | None = None  # the last version of its lock, and since when it stands (s)

    async def open(self) -> None:
        """Make the table, if it is not there, and wait until it is ready."""
        try:
            for _ in range(ACTIVE_TRIES):
                status = await self._status()
                if status in ("ACTIVE", "UPDATING"):
                    return
                if status is None:
                    await self._create_table()
                await self._clock.sleep(ACTIVE_POLL_MS)
        except FAILURES as error:
            if error_code(error) in REFUSALS:
                raise StoreRefused(f"the table {self._table} cannot be used: {error_text(error)}") from error
            raise StoreUnavailable(error_text(error)) from error
        raise StoreUnavailable(f"the table {self._table} does not become active")

    async def _status(self) -> str | None:
        try:
            answer = await self._service.call("describe_table", TableName=self._table)
        except CALL_ERRORS as error:
            if error_code(error) == NO_TABLE:
                return None
            raise
        return str(answer["Table"]["TableStatus"])

    async def _create_table(self) -> None:
        index = {
            "IndexName": INDEX,
            "KeySchema": [
                {"AttributeName": OWNER, "KeyType": "HASH"},
                {"AttributeName": KEY, "KeyType": "RANGE"},
            ],
            "Projection": {"ProjectionType": "KEYS_ONLY"},
        }
        try:
            await self._service.call(
                "create_table",
                TableName=self._table,
                KeySchema=[{"AttributeName": KEY, "KeyType": "HASH"}],
                AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in (KEY, OWNER)],
                BillingMode="PAY_PER_REQUEST",
                GlobalSecondaryIndexes=[index],
            )
        except CALL_ERRORS as error:
            if error_code(error) != "ResourceInUseException":  # another worker has just made it
                raise

    async def leases(self) -> list[Lease]:
        """All leases."""
        items: list[Item] = []
        at: dict[str, Any] = {}
        while True:
            answer = await self._call("scan", ConsistentRead=True, **at)
            items += answer["Items"]
            if "LastEvaluatedKey" not in answer:
                break
            at = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}
        found = [lease_of(item) for item in items]
        self._shared_table = len(found) > found.count(None) and None in found
        return sorted((lease for lease in found if lease is not None), key=lambda lease: lease.key)

    async def get(self, key: str) -> Lease | None:
        """One lease."""
        answer = await self._call("get_item", Key={KEY: {"S": key}}, ConsistentRead=True)
        return lease_of(answer["Item"]) if "Item" in answer else None

    async def create(self, lease: Lease) -> bool:
        """Add a lease."""
        return await self._conditionally(
            "put_item", Item=item_of(lease), ConditionExpression=f"attribute_not_exists({KEY})"
        )

    async def swap(self, old: Lease, new: Lease) -> bool:
        """Write what differs."""
        update = update_of(old, new)
        extra: dict[str, Any] = {"UpdateExpression": update.expression} if update.expression else {}
        return await self._conditionally(
            "update_item",
            Key={KEY: {"S": old.key}},
            ConditionExpression=update.condition,
            ExpressionAttributeNames=update.names,
            ExpressionAttributeValues=update.values,
            **extra,
        )

    async def delete(self, lease: Lease) -> bool:
        """Take a lease away."""
        condition, names, values = condition_of(lease)
        return await self._conditionally(
            "delete_item",
            Key={KEY: {"S": lease.key}},
            ConditionExpression=condition,
            ExpressionAttributeNames=names,
            ExpressionAttributeValues=values,
        )

    async def attend(self, worker: str, now_s: int) -> bool:
        """Write that a worker is there, if KCL runs here; whether a leader of KCL's is alive."""
        leader = await self._leader_item()
        if leader is None:
            return False
        await self._write_statistics(worker, now_s)
        return self._is_alive(leader, now_s)

    async def _leader_item(self) -> Item | None:
        """KCL's lock: among the leases, or in the table beside them."""
        answer = await self._call("get_item", Key={KEY: {"S": LEADER_KEY}}, ConsistentRead=True)
        self._shared_table = "Item" in answer
        if "Item" in answer:
            return dict(answer["Item"])
        try:
            answer = await self._service.call(
                "get_item", TableName=f"{self._table}-CoordinatorState", Key={"key": {"S": LEADER_KEY}}
            )
        except FAILURES as error:
            if error_code(error) in (NO_TABLE, "AccessDeniedException"):  # no KCL here, or none that we may know of
                return None
            raise StoreUnavailable(error_text(error)) from error
        return dict(answer["Item"]) if "Item" in answer else None

    async def _write_statistics(self, worker: str, now_s: int) -> None:
        table = self._table if self._shared_table else f"{self._table}-WorkerMetricStats"
        key = KEY if self._shared_table else "wid"
        item: Item = {key: {"S": worker}, "lut": {"N": str(now_s)}, "sts": {"M": {}}, "opr": {"M": {}}}
        if self._shared_table:
            item["entityType"] = {"S": "WORKER_METRIC_STATS"}
        try:
            await self._service.call("put_item", TableName=table, Item=item)
        except FAILURES as error:
            if error_code(error) != NO_TABLE:  # KCL is about to make it
                raise StoreUnavailable(error_text(error)) from error

    def _is_alive(self, leader: Item, now_s: int) -> bool:
        version = str(leader.get("recordVersionNumber", {}).get("S"))
        if self._leader is None or self._leader[0] != version:
            self._leader = (version, now_s)
        return "isReleased" not in leader and now_s - self._leader[1] < LEADER_GONE_S

    async def close(self) -> None:
        """Take no more calls."""
        self._service.close()

    async def _conditionally(self, operation: str, **arguments: object) -> bool:
        try:
            await self._call(operation, **arguments)
        except _Refused:
            return False
        return True

    async def _call(self, operation: str, **arguments: object) -> dict[str, Any]:
        try:
            return await self._service.call(operation, TableName=self._table, **arguments)
        except FAILURES as error:
            if error_code(error) == FAILED_CONDITION:
                raise _Refused from None
            raise StoreUnavailable(error_text(error)) from error


class _Refused(Exception):
    """A condition did not hold."""
