"""The Firehose service: what its operations share, put together once."""

from collections.abc import Callable
from dataclasses import dataclass

from penstock.core.context import Caller
from penstock.core.firehose_errors import FirehoseError
from penstock.core.lakehouse import Lakehouse
from penstock.core.network import Network
from penstock.core.ports import Clock, Entropy, Tasks, Threads
from penstock.core.snowpipe import Snowpipe
from penstock.core.warehouse import Warehouses
from penstock.engines.api import Conflict, MetaStore, RecordLog
from penstock.services.firehose.directory import DeliveryView, Directory
from penstock.services.firehose.fleet import Fleet, World
from penstock.services.firehose.inlet import Inlets
from penstock.services.firehose.lifecycle import Lifecycle
from penstock.services.firehose.makers import Makers
from penstock.services.firehose.quota import Quotas
from penstock.services.firehose.site import NO_PLACES, Objects, Places, SecretSource, Site
from penstock.services.firehose.state import DeliveryStream
from penstock.services.firehose.tally import Tallies
from penstock.services.firehose.vault import MasterKeys, Vault
from penstock.services.logs.sink import LogSink
from penstock.services.streams.measures import Sink
from penstock.services.streams.service import Streams
from penstock.services.targets import RoleRights


@dataclass(frozen=True, slots=True)
class Firehose:
    """Everything that an operation of this service may need."""

    directory: Directory
    lifecycle: Lifecycle
    fleet: Fleet
    inlets: Inlets
    streams: Streams
    vault: Vault
    makers: Makers
    tallies: Tallies
    quotas: Quotas
    site_of: Callable[[DeliveryStream], Site]
    enforce_limits: bool
    clock: Clock
    entropy: Entropy

    def find(self, caller: Caller, name: str) -> DeliveryView:
        """The delivery stream of a name, in whatever state.  Raises NO_STREAM."""
        view = self.directory.find(caller.account, caller.region, name)
        if view is None:
            raise FirehoseError.NO_STREAM(name=name, account=caller.account)
        return view

    def find_active(self, caller: Caller, name: str) -> DeliveryView:
        """As `find`, for what needs an ACTIVE one.  Raises IN_USE."""
        view = self.find(caller, name)
        if view.stream.status != "ACTIVE":
            raise FirehoseError.IN_USE(name=name, account=caller.account, status=view.stream.status)
        return view

    async def change(self, view: DeliveryView, changed: Callable[[DeliveryStream], DeliveryStream]) -> None:
        """Replace a record by what is made of it; where another change comes first, of that one."""
        while True:
            try:
                await self.directory.replace(view, changed(view.stream))
            except Conflict:
                self.find_again(view)
                continue
            return

    def find_again(self, view: DeliveryView) -> None:
        """Raise NO_STREAM if a delivery stream is gone."""
        stream = view.stream
        if self.directory.find(stream.account, stream.region, stream.name) is not view:
            raise FirehoseError.NO_STREAM(name=stream.name, account=stream.account)

    async def clear(self) -> None:
        """Forget every delivery stream.  Background work must have been stopped; the streams service clears inlets."""
        await self.fleet.close()
        for view in self.directory.all():
            await self.directory.remove(view)

    async def close(self) -> None:
        """Stop delivering.  What is under way is delivered again after the next start."""
        await self.fleet.close()


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What of the server the service may use."""

    streams: Streams
    objects: Objects
    makers: Makers
    master: MasterKeys
    threads: Threads
    new_tasks: Callable[[], Tasks]
    metrics: Sink | None = None
    logs: LogSink | None = None
    secrets: SecretSource | None = None
    network: Network | None = None
    warehouses: Warehouses | None = None
    lakehouse: Lakehouse | None = None
    snowpipe: Snowpipe | None = None
    places: Places = NO_PLACES
    rights: RoleRights | None = None


async def open_firehose(
    log: RecordLog,
    meta: MetaStore,
    around: Surroundings,
    *,
    clock: Clock,
    entropy: Entropy,
    tasks: Tasks,
    enforce_limits: bool,
    transition_ms: int,
) -> Firehose:
    """Start the service: read its state, resume what was under way, deliver."""

    def site_of(stream: DeliveryStream) -> Site:
        return _site(around, stream, clock, entropy)

    directory, inlets = Directory(meta), Inlets(around.streams, log)
    vault, tallies = Vault(around.master, entropy), Tallies(around.metrics, clock)
    world = World(
        log, meta, around.streams, inlets, vault, around.makers, tallies, around.logs, site_of, around.new_tasks
    )
    fleet = Fleet(world, directory, tasks)
    lifecycle = Lifecycle(directory, inlets, clock, tasks, transition_ms, fleet.stop)
    await directory.open()
    await lifecycle.resume()
    if around.metrics is not None:
        tasks.spawn(tallies.run(), "measures of delivery streams")
    return Firehose(
        directory=directory,
        lifecycle=lifecycle,
        fleet=fleet,
        inlets=inlets,
        streams=around.streams,
        vault=vault,
        makers=around.makers,
        tallies=tallies,
        quotas=Quotas(),
        site_of=site_of,
        enforce_limits=enforce_limits,
        clock=clock,
        entropy=entropy,
    )


def _site(around: Surroundings, stream: DeliveryStream, clock: Clock, entropy: Entropy) -> Site:
    return Site(
        account=stream.account,
        region=stream.region,
        stream=stream.name,
        arn=stream.arn,
        version=str(stream.version),
        source_arn=stream.source_arn,
        clock=clock,
        entropy=entropy,
        threads=around.threads,
        objects=around.objects,
        secrets=around.secrets,
        network=around.network,
        warehouses=around.warehouses,
        lakehouse=around.lakehouse,
        snowpipe=around.snowpipe,
        places=around.places,
        rights=around.rights,
    )
