"""Firehose: its operations and its core, which begins to deliver when it is opened."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from penstock.composition.catalog import open_catalog
from penstock.composition.functions import open_core as open_functions
from penstock.composition.logs import open_logs
from penstock.composition.rights import rights_of_roles
from penstock.composition.room import Held, Plug, Room
from penstock.core.lakehouse import CATALOG_FILE, catalog_properties
from penstock.core.ports import Queries
from penstock.engine import buckets_folder
from penstock.host.awscredentials import environment_credentials
from penstock.host.jqprocess import JqProcess
from penstock.host.lakehouse import IcebergTables
from penstock.host.masterkey import MasterKeyFile
from penstock.host.outbound import Outbound
from penstock.host.snowpipe import SnowpipeSdk
from penstock.host.sqlwire import SqlWire
from penstock.host.tasks import LoopTasks
from penstock.host.threads import WorkThreads
from penstock.services.catalog.service import Catalog
from penstock.services.firehose.codec import CODECS as CODECS
from penstock.services.firehose.destinations.making import make_destination
from penstock.services.firehose.makers import MakeConverter, Makers, MakeSteps
from penstock.services.firehose.ops import destination, encryption, record, stream, tag
from penstock.services.firehose.processing.api import Converter, Step
from penstock.services.firehose.processing.chain import make_steps
from penstock.services.firehose.processing.measures import Measures
from penstock.services.firehose.service import Firehose, Surroundings, open_firehose
from penstock.services.firehose.shapes import DataFormatConversionConfiguration, Shape
from penstock.services.firehose.site import Places, Site
from penstock.services.functions.invoking import Invocation, Invoked
from penstock.services.metrics.own import OwnMetrics

SESSION: Final = "firehose"  # UNVERIFIED: the session's name when Firehose writes as its role
OPERATIONS: Final = (destination, encryption, record, stream, tag)


async def plug(room: Room) -> Plug:
    """Delivery streams."""
    firehose = await room.open(open_core)
    if room.authoriser is None:
        return Plug(firehose)
    from penstock.services.firehose.targets import finders

    return Plug(firehose, room.authoriser.admit("firehose", finders(firehose)))


async def open_core(room: Room) -> Held[Firehose]:
    """Delivery streams, at work."""
    settings, threads, queries, ways = room.settings, WorkThreads(), JqProcess(), _ways(room)
    logs, catalog = await room.open(open_logs), await room.open(open_catalog)
    around = Surroundings(
        streams=room.streams,
        objects=room.engine.buckets,
        makers=Makers(_steps_with(LateFunctions(room), queries), _converter_with(catalog), make_destination),
        master=MasterKeyFile(room.master_key, room.entropy),
        threads=threads,
        new_tasks=LoopTasks,
        metrics=OwnMetrics(room.metrics.store, "AWS/Firehose"),
        logs=logs,
        network=ways.network,
        warehouses=SqlWire(settings.delivery_ca),
        lakehouse=ways.lakehouse,
        snowpipe=ways.snowpipe,
        places=_places(room),
        rights=rights_of_roles(room, SESSION),
    )
    firehose = await open_firehose(
        room.engine.log,
        room.engine.meta,
        around,
        clock=room.clock,
        entropy=room.entropy,
        tasks=room.tasks,
        enforce_limits=settings.limits == "aws",
        transition_ms=settings.transition_ms,
    )

    async def close() -> None:
        await firehose.close()
        for way in ways:
            await way.close()
        await queries.close()
        threads.close()

    return Held(firehose, firehose.clear, close)


class Ways(NamedTuple):
    """What destinations reach others by; each is idle, and imports nothing, until a destination of its kind delivers."""

    network: Outbound
    lakehouse: IcebergTables
    snowpipe: SnowpipeSdk


def _ways(room: Room) -> Ways:
    settings = room.settings
    catalog = catalog_properties(settings.iceberg_catalog, str(room.data_dir / CATALOG_FILE))
    if settings.s3_endpoint:
        catalog["s3.endpoint"] = settings.s3_endpoint
    return Ways(Outbound(settings.delivery_ca), IcebergTables(catalog), SnowpipeSdk())


def _places(room: Room) -> Places:
    folder = buckets_folder(room.settings, room.data_dir)
    return Places(
        search_endpoint=room.settings.search_endpoint,
        buckets_root=str(folder.absolute()) if folder is not None else "",
        credentials=environment_credentials() if room.settings.search_signing == "aws" else None,
    )


class LateFunctions:
    """An Invoker whose service is opened by the first call."""

    def __init__(self, room: Room) -> None:
        self._room = room

    async def invoke(self, invocation: Invocation) -> Invoked:
        """Run a function."""
        return await (await self._room.open(open_functions)).invoker.invoke(invocation)


def _steps_with(functions: LateFunctions, queries: Queries) -> MakeSteps:
    def made(shape: Shape, site: Site, measures: Measures) -> Sequence[Step]:
        return make_steps(shape, site, functions, queries, measures)

    return made


def _converter_with(catalog: Catalog) -> MakeConverter:
    def made(configuration: DataFormatConversionConfiguration, site: Site, measures: Measures) -> Converter | None:
        from penstock.services.firehose.processing.conversion import make_converter

        return make_converter(configuration, site, catalog, measures)

    return made
