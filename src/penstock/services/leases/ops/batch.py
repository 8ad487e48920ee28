"""Many items at once, each by itself: BatchGetItem and BatchWriteItem."""

from typing import Final

from msgspec.structs import replace

from penstock.core.context import Caller
from penstock.core.lease_errors import LeaseError
from penstock.core.limits import MIB
from penstock.services.leases.keys import Position, item_position, key_position
from penstock.services.leases.ops.asked import (
    READ_UNIT_BYTES,
    WRITE_UNIT_BYTES,
    Capacity,
    CapacityAsked,
    MetricsAsked,
    capacity,
    projection,
    substitutions,
)
from penstock.services.leases.ops.attributes import Attributes, read_item, write_item
from penstock.services.leases.ops.item import deleting, putting, shown
from penstock.services.leases.service import Leases
from penstock.services.leases.tables import TableView
from penstock.services.leases.values import item_bytes
from penstock.services.leases.writing import Intent
from penstock.wire.operation import Input, Output

READS_MAX: Final = 100
WRITES_MAX: Final = 25
ANSWER_MAX_BYTES: Final = 16 * MIB


class KeysAndAttributes(Input, kw_only=True):
    """What is read of one table."""

    keys: list[Attributes]
    attributes_to_get: list[str] | None = None
    consistent_read: bool = False
    projection_expression: str | None = None
    expression_attribute_names: dict[str, str] | None = None


class BatchGetItemRequest(Input, kw_only=True):
    """BatchGetItem."""

    request_items: dict[str, KeysAndAttributes]
    return_consumed_capacity: CapacityAsked = "NONE"


class BatchGetItemAnswer(Output, kw_only=True, omit_defaults=False):
    """The items that are there, by table as it was named."""

    responses: dict[str, list[Attributes]]
    unprocessed_keys: dict[str, KeysAndAttributes]
    consumed_capacity: list[Capacity] | None = None


async def batch_get_item(leases: Leases, caller: Caller, request: BatchGetItemRequest) -> BatchGetItemAnswer:
    """Read up to 100 items; those that would make more than 16 MB are left to the next call."""
    if sum(len(asked.keys) for asked in request.request_items.values()) > READS_MAX:
        raise LeaseError.BATCH_MAX(operation="BatchGetItem")
    answer = BatchGetItemAnswer(responses={}, unprocessed_keys={})
    left = ANSWER_MAX_BYTES
    used: list[Capacity | None] = []
    for name, asked in request.request_items.items():
        before = left
        left = _read(leases.table(caller, name), name, asked, left, answer)
        half = not asked.consistent_read
        used.append(capacity(request.return_consumed_capacity, name, before - left, READ_UNIT_BYTES, half=half))
    answer.consumed_capacity = [each for each in used if each is not None] or None
    return answer


def _read(table: TableView, name: str, asked: KeysAndAttributes, left: int, answer: BatchGetItemAnswer) -> int:
    """Answer the keys of one table; return how many bytes may still be answered."""
    given = substitutions({"ProjectionExpression": asked.projection_expression}, asked.expression_attribute_names, None)
    paths = projection(asked.projection_expression, asked.attributes_to_get, given)
    given.check_used()
    positions = [key_position(table.schema, read_item(key)) for key in asked.keys]
    if len(set(positions)) < len(positions):
        raise LeaseError.BATCH_DUPLICATES()
    found = answer.responses[name] = []
    for place, position in enumerate(positions):
        held = table.items.get(position)
        if held is None:
            continue
        if held.size_bytes > left:
            answer.unprocessed_keys[name] = replace(asked, keys=asked.keys[place:])
            return left
        left -= held.size_bytes
        found.append(write_item(shown(held.item, paths)))
    return left


class PutRequest(Input, kw_only=True):
    """An item to put."""

    item: Attributes


class DeleteRequest(Input, kw_only=True):
    """The key of an item to delete."""

    key: Attributes


class WriteRequest(Input):
    """One of the two."""

    put_request: PutRequest | None = None
    delete_request: DeleteRequest | None = None


class BatchWriteItemRequest(Input, kw_only=True):
    """BatchWriteItem."""

    request_items: dict[str, list[WriteRequest]]
    return_consumed_capacity: CapacityAsked = "NONE"
    return_item_collection_metrics: MetricsAsked = "NONE"


class BatchWriteItemAnswer(Output, kw_only=True, omit_defaults=False):
    """What was not written: nothing."""

    unprocessed_items: dict[str, list[WriteRequest]]
    consumed_capacity: list[Capacity] | None = None


async def batch_write_item(leases: Leases, caller: Caller, request: BatchWriteItemRequest) -> BatchWriteItemAnswer:
    """Put and delete up to 25 items."""
    if sum(map(len, request.request_items.values())) > WRITES_MAX:
        raise LeaseError.BATCH_MAX(operation="BatchWriteItem")
    intents: list[Intent] = []
    seen: set[tuple[str, Position]] = set()
    sizes = dict.fromkeys(request.request_items, 0)
    for name, writes in request.request_items.items():
        table = leases.table(caller, name)
        for write in writes:
            intent, size = _intent(table, write)
            sizes[name] += size
            place = (table.table.uid, intent.position)
            if place in seen:
                raise LeaseError.BATCH_DUPLICATES()
            seen.add(place)
            intents.append(intent)
    await leases.writer.write_all(intents, None)
    used = [capacity(request.return_consumed_capacity, name, size, WRITE_UNIT_BYTES) for name, size in sizes.items()]
    told = [each for each in used if each is not None] or None
    return BatchWriteItemAnswer(unprocessed_items={}, consumed_capacity=told)


def _intent(table: TableView, write: WriteRequest) -> tuple[Intent, int]:
    match write.put_request, write.delete_request:
        case PutRequest() as put, None:
            item = read_item(put.item)
            return Intent(table, item_position(table.schema, item), putting(item, None, told=False)), item_bytes(item)
        case None, DeleteRequest() as delete:
            position = key_position(table.schema, read_item(delete.key))
            return Intent(table, position, deleting(None, told=False)), 1
        case _:
            raise LeaseError.BATCH_REQUEST()
