"""Transactions: several writes that are carried out together or not at all, and several reads of one moment."""

import hashlib
from typing import Final

import msgspec

from penstock.core.context import Caller
from penstock.core.errors import ServiceError
from penstock.core.ids import Millis
from penstock.core.lease_errors import LeaseError
from penstock.core.limits import MIB, MINUTE_MS
from penstock.engines.api import Conflict, Write
from penstock.services.leases.conditions import Condition
from penstock.services.leases.keys import Position, item_position, key_position
from penstock.services.leases.ops.asked import (
    READ_UNIT_BYTES,
    WRITE_UNIT_BYTES,
    Capacity,
    CapacityAsked,
    MetricsAsked,
    Request,
    ReturnOnFailure,
    capacity,
    condition,
    projection,
    substitutions,
)
from penstock.services.leases.ops.attributes import Attributes, read_item, write_item
from penstock.services.leases.ops.item import changing, check_keys_kept, checking, deleting, putting, shown
from penstock.services.leases.service import Leases
from penstock.services.leases.state import Token, encode, token_key
from penstock.services.leases.tables import TableView
from penstock.services.leases.updates import parse_update
from penstock.services.leases.values import Item, item_bytes
from penstock.services.leases.writing import Decide, Intent, Refused
from penstock.wire.operation import Input, Output

TOKEN_VALID_MS: Final = 10 * MINUTE_MS
REQUEST_MAX_BYTES: Final = 4 * MIB
_REASONS: Final = {
    "ConditionalCheckFailedException": "ConditionalCheckFailed",
    "ValidationException": "ValidationError",
}


class Part(Request, kw_only=True):
    """What the writes of a transaction have in common."""

    condition_expression: str | None = None
    expression_attribute_names: dict[str, str] | None = None
    expression_attribute_values: Attributes | None = None
    return_values_on_condition_check_failure: ReturnOnFailure = "NONE"


class ConditionCheck(Part, kw_only=True):
    """An item that must be so."""

    key: Attributes


class Put(Part, kw_only=True):
    """An item to put."""

    item: Attributes


class Delete(Part, kw_only=True):
    """An item to delete."""

    key: Attributes


class Update(Part, kw_only=True):
    """An item to change."""

    key: Attributes
    update_expression: str


class TransactWriteItem(Input):
    """One of these."""

    condition_check: ConditionCheck | None = None
    put: Put | None = None
    delete: Delete | None = None
    update: Update | None = None

    @property
    def part(self) -> ConditionCheck | Put | Delete | Update:
        """The one that it is.  Raises TRANSACT_REQUEST."""
        parts = [part for part in (self.condition_check, self.put, self.delete, self.update) if part is not None]
        if len(parts) != 1:
            raise LeaseError.TRANSACT_REQUEST()
        return parts[0]


class TransactWriteItemsRequest(Input, kw_only=True):
    """TransactWriteItems."""

    transact_items: list[TransactWriteItem]
    client_request_token: str | None = None
    return_consumed_capacity: CapacityAsked = "NONE"
    return_item_collection_metrics: MetricsAsked = "NONE"


class TransactWriteItemsAnswer(Output):
    """Nothing, or the capacity that it would have used."""

    consumed_capacity: list[Capacity] | None = None


class CancellationReason(Output, kw_only=True):
    """Why one part was not carried out."""

    code: str
    message: str | None = None
    item: Attributes | None = None


async def transact_write_items(
    leases: Leases, caller: Caller, request: TransactWriteItemsRequest
) -> TransactWriteItemsAnswer:
    """Carry out up to 100 writes, all or none."""
    intents = [_intent(leases, caller, item.part) for item in request.transact_items]
    places = {(intent.table.table.uid, intent.position) for intent in intents}
    if len(places) < len(intents):
        raise LeaseError.TRANSACT_DUPLICATES()
    token = _token(leases, caller, request)
    sizes: dict[str, int] = {}
    if token is None or not _is_known(leases, token):
        try:
            outcomes = await leases.writer.write_all(intents, token)
        except Conflict:  # the same request, a moment earlier
            assert token is not None
            _is_known(leases, token)
        except Refused as refused:
            raise _canceled(refused) from None
        else:
            for intent, outcome in zip(intents, outcomes, strict=True):
                size = max(item_bytes(outcome.before or {}), item_bytes(outcome.after or {}))
                sizes[intent.table.table.name] = sizes.get(intent.table.table.name, 0) + 2 * size
    used = [capacity(request.return_consumed_capacity, name, size, WRITE_UNIT_BYTES) for name, size in sizes.items()]
    return TransactWriteItemsAnswer([each for each in used if each is not None] or None)


def _intent(leases: Leases, caller: Caller, part: ConditionCheck | Put | Delete | Update) -> Intent:
    texts = {"ConditionExpression": part.condition_expression}
    if isinstance(part, Update):
        texts = {"UpdateExpression": part.update_expression, **texts}
    given = substitutions(texts, part.expression_attribute_names, part.expression_attribute_values)
    update = parse_update(part.update_expression, given) if isinstance(part, Update) else None
    wanted = condition(part.condition_expression, given)
    given.check_used()
    table = leases.table(caller, part.table_name)
    item = read_item(part.item if isinstance(part, Put) else part.key)
    position = item_position(table.schema, item) if isinstance(part, Put) else key_position(table.schema, item)
    told = part.return_values_on_condition_check_failure == "ALL_OLD"
    if update is not None:
        check_keys_kept(update, item)
        return Intent(table, position, changing(item, update, wanted, told=told), LeaseError.ITEM_SIZE_UPDATED)
    return Intent(table, position, _decide(part, item, wanted, told=told))


def _decide(
    part: ConditionCheck | Put | Delete | Update, item: Item, wanted: Condition | None, *, told: bool
) -> Decide:
    match part:
        case Put():
            return putting(item, wanted, told=told)
        case Delete():
            return deleting(wanted, told=told)
        case _:
            if wanted is None:
                raise LeaseError.MISSING(member="transactItems.1.member.conditionCheck.conditionExpression")
            return checking(wanted, told=told)


def _token(leases: Leases, caller: Caller, request: TransactWriteItemsRequest) -> Write | None:
    """What is stored so that the request is not carried out again."""
    if request.client_request_token is None:
        return None
    body = msgspec.msgpack.encode(request.transact_items)
    if len(body) > REQUEST_MAX_BYTES:
        raise LeaseError.TRANSACT_SIZE(limit_bytes=REQUEST_MAX_BYTES)
    token = Token(hashlib.sha256(body).digest(), Millis(leases.clock.now_ms() + TOKEN_VALID_MS))
    key = token_key(caller.account, caller.region, request.client_request_token)
    known = leases.tables.tokens.get(key)
    return Write(key, encode(token), 0 if known is None else known[1])


def _is_known(leases: Leases, write: Write) -> bool:
    """Whether a request was carried out already.  Raises TOKEN_REUSED if another one with its token was."""
    known = leases.tables.tokens.get(write.key)
    if known is None or known[0].until_ms < leases.clock.now_ms():
        return False
    assert write.value is not None
    if known[0].digest != msgspec.msgpack.decode(write.value, type=Token).digest:
        raise LeaseError.TOKEN_REUSED()
    return True


def _canceled(refused: Refused) -> ServiceError:
    """The refusal of a transaction.  What was wrong with its writes is told by their places."""
    reasons = [_reason(error) for error in refused.reasons]
    refusal = LeaseError.TRANSACTION_CANCELED(codes=", ".join(reason.code for reason in reasons))
    refusal.details = {"CancellationReasons": reasons}
    return refusal


def _reason(error: ServiceError | None) -> CancellationReason:
    if error is None:
        return CancellationReason(code="None")
    item = error.details.get("Item")
    assert item is None or isinstance(item, dict)
    return CancellationReason(code=_REASONS.get(error.code, error.code), message=error.message, item=item)


class Get(Request, kw_only=True):
    """An item to read."""

    key: Attributes
    projection_expression: str | None = None
    expression_attribute_names: dict[str, str] | None = None


class TransactGetItem(Input, kw_only=True):
    """One of several."""

    get: Get


class TransactGetItemsRequest(Input, kw_only=True):
    """TransactGetItems."""

    transact_items: list[TransactGetItem]
    return_consumed_capacity: CapacityAsked = "NONE"


class ItemResponse(Output):
    """An item, if it is there."""

    item: Attributes | None = None


class TransactGetItemsAnswer(Output, kw_only=True):
    """The items, in the order in which they were asked for."""

    responses: list[ItemResponse]
    consumed_capacity: list[Capacity] | None = None


async def transact_get_items(
    leases: Leases, caller: Caller, request: TransactGetItemsRequest
) -> TransactGetItemsAnswer:
    """Read up to 100 items as they are at one moment."""
    found: list[ItemResponse] = []
    seen: set[tuple[str, Position]] = set()
    sizes: dict[str, int] = {}
    for each in request.transact_items:
        table, position = _place(leases, caller, each.get)
        if (table.table.uid, position) in seen:
            raise LeaseError.TRANSACT_DUPLICATES()
        seen.add((table.table.uid, position))
        held = table.items.get(position)
        name = table.table.name
        sizes[name] = sizes.get(name, 0) + 2 * (0 if held is None else held.size_bytes)
        found.append(ItemResponse(None if held is None else _projected(each.get, held.item)))
    used = [capacity(request.return_consumed_capacity, name, size, READ_UNIT_BYTES) for name, size in sizes.items()]
    return TransactGetItemsAnswer(responses=found, consumed_capacity=[each for each in used if each] or None)


def _place(leases: Leases, caller: Caller, get: Get) -> tuple[TableView, Position]:
    table = leases.table(caller, get.table_name)
    return table, key_position(table.schema, read_item(get.key))


def _projected(get: Get, item: Item) -> Attributes:
    given = substitutions({"ProjectionExpression": get.projection_expression}, get.expression_attribute_names, None)
    paths = projection(get.projection_expression, None, given)
    given.check_used()
    return write_item(shown(item, paths))
