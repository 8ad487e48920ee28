"""Which catalog, database and table an input is about, for authorisation."""

from typing import Any

from penstock.core.context import Caller
from penstock.services.catalog.service import fold, place_of
from penstock.services.catalog.state import database_arn, table_arn
from penstock.services.targets import Target


def catalog(caller: Caller, request: Any) -> Target:
    """The catalog itself: of operations that list databases."""
    place = place_of(caller, getattr(request, "catalog_id", None))
    return Target(f"arn:aws:glue:{place.region}:{place.catalog}:catalog", place.catalog)


def database(caller: Caller, request: Any) -> Target:
    """The database that an input names, or is to be."""
    place = place_of(caller, getattr(request, "catalog_id", None))
    return Target(database_arn(place, fold(_database_name(request))), place.catalog)


def table(caller: Caller, request: Any) -> Target:
    """The table that an input names; all of a database's where it names none."""
    place = place_of(caller, request.catalog_id)
    name = getattr(request, "table_name", None) or getattr(request, "name", None) or "*"
    definition = getattr(request, "table_input", None)
    named = definition.name if definition is not None else name
    return Target(table_arn(place, fold(request.database_name), fold(named)), place.catalog)


def given(caller: Caller, request: Any) -> Target:
    """What an input names by its ARN."""
    arn = request.resource_arn
    parts = arn.split(":")
    return Target(arn, parts[4] if len(parts) > 5 else caller.account)


def _database_name(request: Any) -> str:
    name: str = getattr(request, "name", None) or request.database_input.name
    return name
