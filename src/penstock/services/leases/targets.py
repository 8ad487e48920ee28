"""Which tables an input is about, for authorisation.

Theory.  Most operations name one table.  A batch or transaction names several, and each of its parts is asked for by itself, under the
action that it would be alone.
Rule of this file: a target is what the input names, whether it exists or not.
"""

from collections.abc import Iterator
from typing import Any, Final

from penstock.core.context import Caller
from penstock.services.leases.service import Leases, place_of
from penstock.services.leases.state import table_arn
from penstock.services.leases.tables import tags_of
from penstock.services.targets import Demand, Demands, Finder, Target

_PART_ACTIONS: Final = {
    "condition_check": "dynamodb:ConditionCheckItem",
    "put": "dynamodb:PutItem",
    "delete": "dynamodb:DeleteItem",
    "update": "dynamodb:UpdateItem",
    "get": "dynamodb:GetItem",
}


def table_finder(leases: Leases) -> Finder:
    """Finds the table, or its index, that an input names."""

    def find(caller: Caller, request: Any) -> Target:
        name = getattr(request, "table_name", None) or request.resource_arn
        target = _target(leases, caller, name)
        index = getattr(request, "index_name", None)
        return target if index is None else target._replace(arn=f"{target.arn}/index/{index}")

    return find


def demands(leases: Leases) -> dict[str, Demands]:
    """What must be allowed for operations that name several tables, by operation."""

    def batch(caller: Caller, request: Any) -> Iterator[Demand]:
        for name in request.request_items:
            yield Demand(caller.operation, _target(leases, caller, name))

    def transaction(caller: Caller, request: Any) -> Iterator[Demand]:
        for item in request.transact_items:
            for member, action in _PART_ACTIONS.items():
                part = getattr(item, member, None)
                if part is not None:
                    yield Demand(action, _target(leases, caller, part.table_name))

    return {
        "BatchGetItem": batch,
        "BatchWriteItem": batch,
        "TransactWriteItems": transaction,
        "TransactGetItems": transaction,
    }


def _target(leases: Leases, caller: Caller, name: str) -> Target:
    place = place_of(caller, name)
    view = leases.tables.find(place.account, place.region, place.name)
    return Target(table_arn(place.region, place.account, place.name), place.account, None, tags_of(view))
