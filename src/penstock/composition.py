"""The services put together: identities, keys and streams on one engine, each behind the gates that the settings ask for.

With `--auth enforced` a gate of policies stands before every operation, the rates of `--limits aws` behind it, and keys are guarded by
their policies too; with `--auth open` there are only the rates.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from penstock.core.context import Caller
from penstock.core.errors import ServiceError
from penstock.core.kms_errors import KmsError
from penstock.core.ports import Clock, Entropy
from penstock.core.settings import SettingError, Settings, issuer_sources
from penstock.engine import Engine
from penstock.host.apimodels import load_model
from penstock.host.clock import SystemClock
from penstock.host.fetch import CannotFetch, fetch
from penstock.host.masterkey import MASTER_KEY_FILE, MasterKeyFile
from penstock.host.tasks import LoopTasks
from penstock.keyservice import KeyServices, open_keys
from penstock.server.door import Door, OpenDoor
from penstock.services.binding import Admit, Gate, bind, chained
from penstock.services.catalog import targets as catalog_targets
from penstock.services.catalog.ops import database as catalog_database
from penstock.services.catalog.ops import table as catalog_table
from penstock.services.catalog.ops import tag as catalog_tag
from penstock.services.catalog.ops import version as catalog_version
from penstock.services.catalog.service import Catalog
from penstock.services.iam import targets as iam_targets
from penstock.services.iam.actions import ResourceKind
from penstock.services.iam.authentication import SignedDoor
from penstock.services.iam.authorisation import Authoriser
from penstock.services.iam.evaluate import Need
from penstock.services.iam.identities import MasterKeyProblem
from penstock.services.iam.ops import attachment, inline, key, profile, role, sts, user
from penstock.services.iam.ops import policy as managed_policy
from penstock.services.iam.service import Iam, open_iam
from penstock.services.kms.guard import Guard, OpenGuard
from penstock.services.kms.state import Key
from penstock.services.leases import targets as lease_targets
from penstock.services.leases.codec import CODECS as LEASE_CODECS
from penstock.services.leases.ops import account as lease_account
from penstock.services.leases.ops import backup, batch, item, lifetime, search, table, transaction
from penstock.services.leases.ops import tag as lease_tag
from penstock.services.leases.service import Leases, open_leases
from penstock.services.metrics import targets as metric_targets
from penstock.services.metrics.ops import data, listing, put, statistics
from penstock.services.metrics.own import OwnMetrics
from penstock.services.metrics.registry import StreamMetrics
from penstock.services.metrics.service import Metrics, open_metrics
from penstock.services.streams import targets as stream_targets
from penstock.services.streams.codec import CODECS
from penstock.services.streams.ops import (
    account,
    capacity,
    consumer,
    encryption,
    monitoring,
    policy,
    record,
    reshard,
    setting,
    shard,
    stream,
    tag,
)
from penstock.services.streams.quota import ShardRates
from penstock.services.streams.service import Allowance, Streams, open_streams
from penstock.services.targets import Finder, Target
from penstock.wire.operation import Service
from penstock.wire.route import Router

STREAM_OPERATIONS: Final = (
    account,
    capacity,
    consumer,
    encryption,
    monitoring,
    policy,
    record,
    reshard,
    setting,
    shard,
    stream,
    tag,
)
IAM_OPERATIONS: Final = (attachment, inline, key, managed_policy, profile, role, user)
STS_OPERATIONS: Final = (sts,)
METRIC_OPERATIONS: Final = (data, listing, put, statistics)
METRIC_CODECS: Final = {"PutMetricData": put.CODEC}
CATALOG_OPERATIONS: Final = (catalog_database, catalog_table, catalog_tag, catalog_version)
LEASE_OPERATIONS: Final = (lease_account, backup, batch, item, lifetime, search, table, lease_tag, transaction)

_CATALOG_FINDERS: Final[Mapping[ResourceKind, Finder]] = {
    ResourceKind.CATALOG: catalog_targets.catalog,
    ResourceKind.DATABASE: catalog_targets.database,
    ResourceKind.CATALOG_TABLE: catalog_targets.table,
    ResourceKind.CATALOG_GIVEN: catalog_targets.given,
}


@dataclass(slots=True)
class Services:
    """What a reset replaces."""

    tasks: LoopTasks
    streams: Streams
    iam: Iam
    keys: KeyServices
    metrics: Metrics
    leases: Leases
    catalog: Catalog
    router: Router
    door: Door


class _KeyGuard:
    """With `--auth enforced`: keys are used as their policies, and those of who asks, allow."""

    def __init__(self, authoriser: Authoriser) -> None:
        self._authoriser = authoriser

    def refusal(self, caller: Caller, action: str, key: Key, context: Mapping[str, str]) -> ServiceError | None:
        """Why a caller may not do `action` with a key."""
        own = key.manager == "AWS" and caller.account == key.account
        if own and not caller.operation.startswith("kms:"):
            return None  # AWS's policy of it lets the account's principals use it through the service that it is for
        target = Target(key.arn, key.account, None if own else key.policy, key.tags)
        why = self._authoriser.why_not(caller, action, target, None, Need.UNION if own else Need.REQUIRED)
        return None if why is None else KmsError.DENIED(text=why)

    def check_policy(self, text: str) -> str | None:
        """What is wrong with a key policy."""
        return self._authoriser.problem_of(text)


async def open_services(
    settings: Settings, engine: Engine, data_dir: Path, clock: Clock, entropy: Entropy, metrics: StreamMetrics
) -> Services:
    """Open every service.  Raises SettingError for what cannot be used; the engine is closed then."""
    tasks = LoopTasks()
    iam = await _open_iam(settings, engine, data_dir, clock, entropy)
    enforced = settings.auth == "enforced"
    authoriser = Authoriser(iam.identities, clock) if enforced else None
    guard: Guard = OpenGuard() if authoriser is None else _KeyGuard(authoriser)
    keys = await open_keys(settings, engine, master_key_path(settings, data_dir), clock, entropy, tasks, guard)
    metered = await open_metrics(engine.meta, clock=clock, tasks=tasks, series_max=settings.metric_series)
    streams = await open_streams(
        engine.log,
        engine.meta,
        clock=clock,
        entropy=entropy,
        tasks=tasks,
        metrics=metrics,
        enforce_limits=settings.limits == "aws",
        transition_ms=settings.transition_ms,
        allowance=_allowance(settings),
        keys=keys.keys,
        judged=enforced,
        sink=OwnMetrics(metered.store, "AWS/Kinesis"),
    )
    leases = await _open_leases(settings, engine, clock, entropy, tasks)
    catalog = Catalog(engine.meta, clock)
    rates = streams.admission.gate if streams.admission is not None else None
    services: list[Service] = [
        bind(
            load_model("kinesis"), STREAM_OPERATIONS, streams, CODECS,
            chained(_policies(authoriser, "kinesis", stream_targets.finders(streams)), rates),
        ),
        bind(load_model("iam"), IAM_OPERATIONS, iam, {}, _policies(authoriser, "iam", iam_targets.finders(iam))),
        bind(load_model("sts"), STS_OPERATIONS, iam, {}),
        bind(
            load_model("cloudwatch"), METRIC_OPERATIONS, metered, METRIC_CODECS,
            _policies(authoriser, "cloudwatch", {ResourceKind.ANY: metric_targets.unnamed}),
        ),
        keys.bind(_unnamed_keys(authoriser)),
        bind(load_model("dynamodb"), LEASE_OPERATIONS, leases, LEASE_CODECS, _lease_policies(authoriser, leases)),
        _bind_catalog(catalog, authoriser),
    ]  # fmt: skip
    door: Door = (
        SignedDoor(iam.identities, clock, SystemClock(), settings.account_id)
        if enforced
        else OpenDoor(settings.account_id)
    )
    return Services(tasks, streams, iam, keys, metered, leases, catalog, Router(services), door)


def _bind_catalog(catalog: Catalog, authoriser: Authoriser | None) -> Service:
    admit = _policies(authoriser, "glue", _CATALOG_FINDERS)
    return bind(load_model("glue"), CATALOG_OPERATIONS, catalog, {}, admit)


def _policies(authoriser: Authoriser | None, service: str, finders: Mapping[ResourceKind, Finder]) -> Admit | None:
    if authoriser is None:
        return None
    return lambda operation: authoriser.gate(service, operation, finders)


def _lease_policies(authoriser: Authoriser | None, leases: Leases) -> Admit | None:
    if authoriser is None:
        return None
    finders, demands = {ResourceKind.TABLE: lease_targets.table_finder(leases)}, lease_targets.demands(leases)
    return lambda operation: authoriser.gate("dynamodb", operation, finders, demands)


def _unnamed_keys(authoriser: Authoriser | None) -> Admit | None:
    """The gate of KMS operations that are about no key; of the others the guard decides, once the key is found."""
    if authoriser is None:
        return None

    def admit(operation: str) -> Gate | None:
        return authoriser.gate("kms", operation, {}) if authoriser.is_unnamed("kms", operation) else None

    return admit


def master_key_path(settings: Settings, data_dir: Path) -> Path:
    """Where the master key is, or will be."""
    return Path(settings.master_key_file or data_dir / MASTER_KEY_FILE)


async def _open_leases(settings: Settings, engine: Engine, clock: Clock, entropy: Entropy, tasks: LoopTasks) -> Leases:
    return await open_leases(
        engine.meta,
        clock=clock,
        entropy=entropy,
        tasks=tasks,
        transition_ms=settings.transition_ms,
        memory_max_bytes=settings.lease_memory,
    )


async def _open_iam(settings: Settings, engine: Engine, data_dir: Path, clock: Clock, entropy: Entropy) -> Iam:
    try:
        return await open_iam(
            engine.meta,
            MasterKeyFile(master_key_path(settings, data_dir), entropy),
            clock=clock,
            entropy=entropy,
            management=settings.account_id,
            sources=issuer_sources(settings.oidc_issuer),
            audiences=frozenset(text.strip() for text in settings.oidc_audience.split(",")),
            fetch=fetch,
            refused=CannotFetch,
        )
    except MasterKeyProblem as problem:
        await engine.close()
        raise SettingError(str(problem)) from None


def _allowance(settings: Settings) -> Allowance:
    rates = ShardRates(
        write_bytes=settings.shard_write or None,
        write_records=settings.shard_write_records or None,
        read_bytes=settings.shard_read or None,
        read_calls=settings.shard_read_calls or None,
    )
    return Allowance(settings.account_shards, settings.account_on_demand_streams, rates)
