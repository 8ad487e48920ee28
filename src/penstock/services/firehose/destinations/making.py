"""From a configuration to the destination that it means: a table, one row for each kind.

Rules of this file: nothing of a destination is imported before one of its kind is made.
"""

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any, Final

from penstock.core.destination_errors import DestinationError
from penstock.services.firehose.destinations.api import Destination
from penstock.services.firehose.destinations.rules import check
from penstock.services.firehose.destinations.shapes import DestinationKind
from penstock.services.firehose.site import Site

Maker = Callable[[Any, Site], Destination]


def make_destination(kind: DestinationKind, shape: Any, site: Site) -> Destination:
    """The destination of a configuration.  Raises ServiceError for what it cannot be made of, or reached with, on this server."""
    check(kind, shape)
    module, extra = _NEEDS[kind]
    if not _is_installed(module):
        raise DestinationError.NOT_INSTALLED(what=kind, extra=f"pip install 'penstock[{extra}]'")
    manager = getattr(shape, "secrets_manager_configuration", None)
    if manager is not None and manager.enabled and site.secrets is None:
        raise DestinationError.SECRETS()
    return MAKERS[kind](shape, site)


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # of a package above it
        return False


def _http(shape: Any, site: Site) -> Destination:
    from penstock.services.firehose.destinations.http import HttpEndpointDestination

    return HttpEndpointDestination(shape, site)


def _search(shape: Any, site: Site) -> Destination:
    from penstock.services.firehose.destinations.search import make_search

    return make_search(shape, site)


def _serverless(shape: Any, site: Site) -> Destination:
    from penstock.services.firehose.destinations.search import make_serverless

    return make_serverless(shape, site)


def _splunk(shape: Any, site: Site) -> Destination:
    from penstock.services.firehose.destinations.splunk import SplunkDestination

    return SplunkDestination(shape, site)


def _redshift(shape: Any, site: Site) -> Destination:
    from penstock.services.firehose.destinations.warehouse import WarehouseDestination

    return WarehouseDestination(shape, site)


def _iceberg(shape: Any, site: Site) -> Destination:
    from penstock.services.firehose.destinations.iceberg import IcebergDestination

    return IcebergDestination(shape, site)


def _snowflake(shape: Any, site: Site) -> Destination:
    from penstock.services.firehose.destinations.snowflake import SnowflakeDestination

    return SnowflakeDestination(shape, site)


_NEEDS: Final[Mapping[DestinationKind, tuple[str, str]]] = {  # a module, and the extra that has it
    "HttpEndpoint": ("aiohttp", "firehose"),
    "Elasticsearch": ("aiohttp", "firehose"),
    "Amazonopensearchservice": ("aiohttp", "firehose"),
    "AmazonOpenSearchServerless": ("aiohttp", "firehose"),
    "Splunk": ("aiohttp", "firehose"),
    "Redshift": ("psycopg", "firehose"),
    "Iceberg": ("pyiceberg", "iceberg"),
    "Snowflake": ("snowflake.ingest.streaming", "snowflake"),
}
MAKERS: Final[Mapping[DestinationKind, Maker]] = {
    "HttpEndpoint": _http,
    "Elasticsearch": _search,
    "Amazonopensearchservice": _search,
    "AmazonOpenSearchServerless": _serverless,
    "Splunk": _splunk,
    "Redshift": _redshift,
    "Iceberg": _iceberg,
    "Snowflake": _snowflake,
}
