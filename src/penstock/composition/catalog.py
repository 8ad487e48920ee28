"""The data catalog, the part of Glue that deliveries and readers of tables need: its operations and its core."""

from typing import Final

from penstock.composition.room import Held, Plug, Room
from penstock.services.catalog import targets
from penstock.services.catalog.ops import database, table, tag, version
from penstock.services.catalog.service import Catalog
from penstock.wire.operation import Codec

OPERATIONS: Final = (database, table, tag, version)
CODECS: Final[dict[str, Codec]] = {}


async def plug(room: Room) -> Plug:
    """The catalog."""
    catalog = await room.open(open_catalog)
    if room.authoriser is None:
        return Plug(catalog)
    from penstock.services.iam.actions import ResourceKind

    finders = {
        ResourceKind.CATALOG: targets.catalog,
        ResourceKind.DATABASE: targets.database,
        ResourceKind.CATALOG_TABLE: targets.table,
        ResourceKind.CATALOG_GIVEN: targets.given,
    }
    return Plug(catalog, room.authoriser.admit("glue", finders))


async def open_catalog(room: Room) -> Held[Catalog]:
    """Nothing is read before it is asked for."""
    catalog = Catalog(room.engine.meta, room.clock)
    return Held(catalog, catalog.clear)
