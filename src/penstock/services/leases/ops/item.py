"""Items: put, get, update, delete."""

from typing import Literal

from penstock.core.context import Caller
from penstock.core.lease_errors import LeaseError
from penstock.services.leases.conditions import Condition, holds
from penstock.services.leases.keys import item_position, key_position
from penstock.services.leases.legacy import AttributeChange, updating
from penstock.services.leases.ops.asked import (
    READ_UNIT_BYTES,
    WRITE_UNIT_BYTES,
    Capacity,
    CapacityAsked,
    Conditional,
    ExpectedAttributeValue,
    MetricsAsked,
    Request,
    ReturnOnFailure,
    ReturnsCapacity,
    ReturnValue,
    capacity,
    check_language,
    condition,
    expectation,
    projection,
    substitutions,
)
from penstock.services.leases.ops.attributes import Attributes, AttributeValue, read_item, read_value, write_item
from penstock.services.leases.paths import Path, project
from penstock.services.leases.service import Leases
from penstock.services.leases.tables import TableView
from penstock.services.leases.updates import Remove, Take, Update, apply, parse_update
from penstock.services.leases.values import Item, item_bytes
from penstock.services.leases.writing import Decide, Intent, Outcome
from penstock.wire.operation import Input


class ConditionalWrite(Request, kw_only=True):
    """What PutItem, UpdateItem and DeleteItem have in common."""

    expected: dict[str, ExpectedAttributeValue] | None = None
    conditional_operator: Conditional | None = None
    condition_expression: str | None = None
    expression_attribute_names: dict[str, str] | None = None
    expression_attribute_values: Attributes | None = None
    return_values: ReturnValue = "NONE"
    return_values_on_condition_check_failure: ReturnOnFailure = "NONE"
    return_consumed_capacity: CapacityAsked = "NONE"
    return_item_collection_metrics: MetricsAsked = "NONE"  # taken; there are no item collections to measure


class WrittenAnswer(ReturnsCapacity):
    """What became of an item."""

    attributes: Attributes | None = None


class PutItemRequest(ConditionalWrite, kw_only=True):
    """PutItem."""

    item: Attributes


async def put_item(leases: Leases, caller: Caller, request: PutItemRequest) -> WrittenAnswer:
    """Put an item in the place of any with its key."""
    wanted = _condition(request)
    _check_returns(request.return_values, "NONE", "ALL_OLD")
    item = read_item(request.item)
    table = leases.table(caller, request.table_name)
    decide = putting(item, wanted, told=request.return_values_on_condition_check_failure == "ALL_OLD")
    outcome = await leases.writer.write(Intent(table, item_position(table.schema, item), decide))
    return _written(request, table, outcome, outcome.before if request.return_values == "ALL_OLD" else None)


class DeleteItemRequest(ConditionalWrite, kw_only=True):
    """DeleteItem."""

    key: Attributes


async def delete_item(leases: Leases, caller: Caller, request: DeleteItemRequest) -> WrittenAnswer:
    """Delete an item; one that is not there is deleted already."""
    wanted = _condition(request)
    _check_returns(request.return_values, "NONE", "ALL_OLD")
    key = read_item(request.key)
    table = leases.table(caller, request.table_name)
    decide = deleting(wanted, told=request.return_values_on_condition_check_failure == "ALL_OLD")
    outcome = await leases.writer.write(Intent(table, key_position(table.schema, key), decide))
    return _written(request, table, outcome, outcome.before if request.return_values == "ALL_OLD" else None)


class AttributeValueUpdate(Input, forbid_unknown_fields=True):
    """One attribute of AttributeUpdates."""

    value: AttributeValue | None = None
    action: Literal["ADD", "PUT", "DELETE"] = "PUT"


class UpdateItemRequest(ConditionalWrite, kw_only=True):
    """UpdateItem."""

    key: Attributes
    attribute_updates: dict[str, AttributeValueUpdate] | None = None
    update_expression: str | None = None


async def update_item(leases: Leases, caller: Caller, request: UpdateItemRequest) -> WrittenAnswer:
    """Change an item, or make one that has its key and what the update puts there."""
    update, wanted = _update(request)
    key = read_item(request.key)
    table = leases.table(caller, request.table_name)
    position = key_position(table.schema, key)
    check_keys_kept(update, key)
    decide = changing(
        key, update, wanted, told=request.return_values_on_condition_check_failure == "ALL_OLD",
        legacy=request.update_expression is None and request.attribute_updates is not None,
    )  # fmt: skip
    outcome = await leases.writer.write(Intent(table, position, decide, LeaseError.ITEM_SIZE_UPDATED))
    return _written(request, table, outcome, _returned(request.return_values, update.paths, outcome))


class GetItemRequest(Request, kw_only=True):
    """GetItem."""

    key: Attributes
    attributes_to_get: list[str] | None = None
    consistent_read: bool = False
    return_consumed_capacity: CapacityAsked = "NONE"
    projection_expression: str | None = None
    expression_attribute_names: dict[str, str] | None = None


class GotAnswer(ReturnsCapacity):
    """An item, if it is there."""

    item: Attributes | None = None


async def get_item(leases: Leases, caller: Caller, request: GetItemRequest) -> GotAnswer:
    """Read an item."""
    given = substitutions(
        {"ProjectionExpression": request.projection_expression}, request.expression_attribute_names, None
    )
    paths = projection(request.projection_expression, request.attributes_to_get, given)
    given.check_used()
    table = leases.table(caller, request.table_name)
    held = table.items.get(key_position(table.schema, read_item(request.key)))
    used = capacity(
        request.return_consumed_capacity, table.table.name, 0 if held is None else held.size_bytes, READ_UNIT_BYTES,
        half=not request.consistent_read,
    )  # fmt: skip
    return GotAnswer(item=None if held is None else write_item(shown(held.item, paths)), consumed_capacity=used)


def shown(item: Item, paths: list[Path] | None) -> Item:
    """What a read answers of an item."""
    return item if paths is None else project(item, paths)


# What writes decide


def putting(item: Item, wanted: Condition | None, *, told: bool) -> Decide:
    """The item takes the place."""

    def decide(before: Item | None) -> Item | None:
        check_condition(wanted, before, told=told)
        return item

    return decide


def deleting(wanted: Condition | None, *, told: bool) -> Decide:
    """Nothing is left."""

    def decide(before: Item | None) -> Item | None:
        check_condition(wanted, before, told=told)
        return None

    return decide


def checking(wanted: Condition, *, told: bool) -> Decide:
    """All stays as it is."""

    def decide(before: Item | None) -> Item | None:
        check_condition(wanted, before, told=told)
        return before

    return decide


def changing(key: Item, update: Update, wanted: Condition | None, *, told: bool, legacy: bool = False) -> Decide:
    """The item is changed, or made from its key."""
    # UNVERIFIED: that an update which only removes makes an item; the API reference says that a legacy one does not
    makes = not (legacy and update.actions and all(isinstance(action, Remove | Take) for action in update.actions))

    def decide(before: Item | None) -> Item | None:
        check_condition(wanted, before, told=told)
        if before is None and not makes:
            return None
        return apply(update, key if before is None else before)

    return decide


def check_condition(wanted: Condition | None, before: Item | None, *, told: bool) -> None:
    """Raise CONDITION_FAILED unless a condition holds; `told`: with the item that it does not hold of."""
    if wanted is None or holds(wanted, before or {}):
        return
    refusal = LeaseError.CONDITION_FAILED()
    if told and before is not None:
        refusal.details = {"Item": write_item(before)}
    raise refusal


def check_keys_kept(update: Update, key: Item) -> None:
    """Raise KEY_CHANGED for an update of the key's own attributes."""
    for path in update.paths:
        if path[0] in key:
            raise LeaseError.KEY_CHANGED(name=path[0])


def _condition(request: ConditionalWrite) -> Condition | None:
    """The condition of a write that has no other expression."""
    _check_written_language(request)
    given = substitutions(
        {"ConditionExpression": request.condition_expression},
        request.expression_attribute_names,
        request.expression_attribute_values,
    )
    wanted = condition(request.condition_expression, given)
    given.check_used()
    return wanted if wanted is not None else expectation(request.expected, request.conditional_operator)


def _update(request: UpdateItemRequest) -> tuple[Update, Condition | None]:
    _check_written_language(
        request, ("UpdateExpression", request.update_expression), ("AttributeUpdates", request.attribute_updates)
    )
    given = substitutions(
        {"UpdateExpression": request.update_expression, "ConditionExpression": request.condition_expression},
        request.expression_attribute_names,
        request.expression_attribute_values,
    )
    update = Update(()) if request.update_expression is None else parse_update(request.update_expression, given)
    wanted = condition(request.condition_expression, given)
    given.check_used()
    if request.attribute_updates is not None:
        changes = {
            name: AttributeChange(asked.action, None if asked.value is None else read_value(asked.value))
            for name, asked in request.attribute_updates.items()
        }
        update = updating(changes)
    return update, wanted if wanted is not None else expectation(request.expected, request.conditional_operator)


def _check_written_language(
    request: ConditionalWrite, modern: tuple[str, object] | None = None, old: tuple[str, object] | None = None
) -> None:
    expressions: dict[str, object] = dict([modern] if modern else [])
    legacy: dict[str, object] = dict([old] if old else [])
    check_language(
        {**expressions, "ConditionExpression": request.condition_expression},
        {**legacy, "Expected": request.expected, "ConditionalOperator": request.conditional_operator},
    )


def _check_returns(asked: ReturnValue, *allowed: ReturnValue) -> None:
    if asked not in allowed:
        raise LeaseError.RETURN_VALUES()


def _returned(asked: ReturnValue, paths: list[Path], outcome: Outcome) -> Item | None:
    match asked:
        case "NONE":
            return None
        case "ALL_OLD":
            return outcome.before
        case "ALL_NEW":
            return outcome.after
        case "UPDATED_OLD":
            return project(outcome.before or {}, paths) or None
        case "UPDATED_NEW":
            return project(outcome.after or {}, paths) or None


def _written(request: ConditionalWrite, table: TableView, outcome: Outcome, returned: Item | None) -> WrittenAnswer:
    used: Capacity | None = None
    if request.return_consumed_capacity != "NONE":
        size = max(item_bytes(outcome.before or {}), item_bytes(outcome.after or {}))
        used = capacity(request.return_consumed_capacity, table.table.name, size, WRITE_UNIT_BYTES)
    return WrittenAnswer(attributes=None if returned is None else write_item(returned), consumed_capacity=used)
