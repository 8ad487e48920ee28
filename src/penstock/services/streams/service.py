"""The streams service: what its operations share, put together once."""

from typing import NamedTuple, Protocol

from msgspec import Struct

from penstock.core.arn import StreamArn, parse_stream_arn
from penstock.core.context import Caller
from penstock.core.errors import Error
from penstock.core.ids import parse_shard_id, shard_id
from penstock.core.limits import ON_DEMAND_STREAMS_MAX, SHARDS_MAX
from penstock.core.ports import Clock, Entropy, Tasks
from penstock.engines.api import Conflict, MetaStore, RecordLog, Write
from penstock.services.metrics.registry import StreamMetrics
from penstock.services.streams.account import Accounts
from penstock.services.streams.admission import Admission
from penstock.services.streams.autoscaler import Autoscaler
from penstock.services.streams.directory import ConsumerView, Directory, ShardView, StreamView
from penstock.services.streams.envelope import Envelope, KeyService, NoKeys
from penstock.services.streams.faults import FaultPlan
from penstock.services.streams.lifecycle import Lifecycle
from penstock.services.streams.measures import Measures, Sink
from penstock.services.streams.meter import Meter
from penstock.services.streams.peaks import Peaks
from penstock.services.streams.quota import UNLIMITED, ShardRates
from penstock.services.streams.reader import Reader
from penstock.services.streams.registration import Registration
from penstock.services.streams.retention import Retention
from penstock.services.streams.state import ROOT
from penstock.services.streams.subscription import Subscriptions
from penstock.services.streams.tokens import KEY_BYTES, NONCE_BYTES, Sealer
from penstock.services.streams.traffic import Traffic
from penstock.services.streams.writer import Writer

_TOKEN_KEY = ROOT + "secret/token-key"


class Allowance(NamedTuple):
    """What the server lets each account have in a region, and each shard take and give."""

    account_shards: int = SHARDS_MAX
    on_demand_streams: int = ON_DEMAND_STREAMS_MAX
    shard_rates: ShardRates = UNLIMITED  # whatever --limits says


class StreamNamed(Protocol):
    """An input that names a stream in any of the three ways."""

    @property
    def stream_arn(self) -> str | None:
        """Its ARN."""
        ...

    @property
    def stream_id(self) -> str | None:
        """Its StreamId."""
        ...


class Streams(Struct, frozen=True):
    """Everything that an operation of this service may need."""

    directory: Directory
    accounts: Accounts
    allowance: Allowance
    admission: Admission | None  # None: calls are not counted
    lifecycle: Lifecycle
    retention: Retention
    registration: Registration
    subscriptions: Subscriptions
    envelope: Envelope
    writer: Writer
    reader: Reader
    meter: Meter
    faults: FaultPlan
    metrics: StreamMetrics
    traffic: Traffic
    peaks: Peaks
    autoscaler: Autoscaler
    sealer: Sealer
    clock: Clock
    entropy: Entropy
    judged: bool = False  # policies were asked before an operation begins, also about the streams of other accounts

    async def clear(self) -> None:
        """Forget every stream, record and account.  Background work must have been stopped."""
        for view in self.directory.all():
            await self.lifecycle.forget(view)
        await self.accounts.clear()

    def nonce(self) -> bytes:
        """A nonce for one sealed token."""
        return self.entropy.bytes(NONCE_BYTES)

    def find(self, caller: Caller, request: StreamNamed) -> StreamView:
        """The stream that a request names, by StreamName, StreamARN or StreamId, which must agree where several are given.

        Raises STREAM_NOT_NAMED, STREAM_NAMED_TWICE, ARN_MALFORMED, ACCESS_DENIED_BY_RESOURCE for a stream of another account, and
        STREAM_NOT_FOUND.
        """
        name: str | None = getattr(request, "stream_name", None)
        account: str = caller.account
        if request.stream_arn is not None:
            account, arn_name = self._place_in_arn(caller, request.stream_arn)
            if name is not None and name != arn_name:
                raise Error.STREAM_NAMED_TWICE(arn=request.stream_arn, name=name)
            name = arn_name
        if request.stream_id is not None:
            view = self.directory.find_uid(request.stream_id)
            if view is None or (view.stream.account, view.stream.region) != (account, caller.region):
                raise Error.STREAM_NOT_FOUND(stream=request.stream_id, account=caller.account)
            if name not in (None, view.stream.name):  # UNVERIFIED: a StreamId that disagrees with the name or ARN
                raise Error.STREAM_NOT_FOUND(stream=request.stream_id, account=caller.account)
            return view
        if name is None:
            raise Error.STREAM_NOT_NAMED()
        view = self.directory.find(account, caller.region, name)
        if view is None:
            raise Error.STREAM_NOT_FOUND(stream=name, account=account)
        return view

    def find_readable(self, caller: Caller, request: StreamNamed) -> StreamView:
        """As `find`, but a stream that is still CREATING does not exist for reads and writes (they have no error for it)."""
        view = self.find(caller, request)
        if view.stream.status == "CREATING":
            raise Error.STREAM_NOT_FOUND(stream=view.stream.name, account=caller.account)
        return view

    def find_active(self, caller: Caller, request: StreamNamed) -> StreamView:
        """As `find`, for operations that need an ACTIVE stream.  Raises STREAM_NOT_ACTIVE."""
        view = self.find(caller, request)
        self.lifecycle.check_active(view)
        return view

    def find_shard(self, caller: Caller, view: StreamView, text: str) -> ShardView:
        """The shard that a shard id means.

        Raises SHARD_NOT_FOUND for a text that means no shard number, SHARD_DOES_NOT_EXIST for a number that the stream has not.
        """
        number = parse_shard_id(text)
        if number is None:
            raise Error.SHARD_NOT_FOUND(shard=text, stream=view.stream.name, account=caller.account)
        held = view.shards.get(number)
        if held is None:
            raise Error.SHARD_DOES_NOT_EXIST(shard=shard_id(number), stream=view.stream.name, account=caller.account)
        return held

    def find_consumer(self, caller: Caller, arn: str) -> tuple[StreamView, ConsumerView]:
        """The consumer that an ARN names, and its stream.

        Raises ARN_MALFORMED, ACCESS_DENIED_BY_RESOURCE for one of another account, STREAM_NOT_FOUND for a stream of another region,
        and CONSUMER_NOT_FOUND.
        """
        parsed = parse_stream_arn(arn)
        if parsed.consumer is None:
            raise Error.ARN_MALFORMED(arn=arn)
        self._check_place(caller, parsed, arn)
        view = self.directory.find(parsed.account, caller.region, parsed.name)
        name, _, created_s = parsed.consumer.partition(":")
        held = view.consumers.get(name) if view is not None else None
        if view is None or held is None or created_s != str(held.consumer.created_ms // 1000):
            raise Error.CONSUMER_NOT_FOUND(arn=arn)
        return view, held

    def _place_in_arn(self, caller: Caller, arn: str) -> tuple[str, str]:
        """Account and name of the stream that an ARN names."""
        parsed = parse_stream_arn(arn)
        if parsed.consumer is not None:
            raise Error.ARN_MALFORMED(arn=arn)
        self._check_place(caller, parsed, arn)
        return parsed.account, parsed.name

    def _check_place(self, caller: Caller, parsed: StreamArn, arn: str) -> None:
        if parsed.account != caller.account and not self.judged:
            raise Error.ACCESS_DENIED_BY_RESOURCE(principal=caller.arn, action=caller.operation, resource=arn)
        if parsed.region != caller.region:  # UNVERIFIED: the stream is not in the region that was called
            raise Error.STREAM_NOT_FOUND(stream=parsed.name, account=caller.account)


async def open_streams(
    log: RecordLog,
    meta: MetaStore,
    *,
    clock: Clock,
    entropy: Entropy,
    tasks: Tasks,
    metrics: StreamMetrics,
    enforce_limits: bool,
    transition_ms: int,
    allowance: Allowance | None = None,
    keys: KeyService | None = None,
    judged: bool = False,
    sink: Sink | None = None,
) -> Streams:
    """Start the service on an engine: read its state, resume what was under way, begin the background work."""
    directory = Directory(meta)
    await directory.open()
    accounts = Accounts(meta)
    await accounts.open()
    allowance = allowance or Allowance()
    meter = Meter(enforce_limits, allowance.shard_rates)
    faults = FaultPlan(entropy)
    envelope = Envelope(keys or NoKeys(), directory, clock, entropy, tasks)
    reader = Reader(log, clock, envelope)
    lifecycle = Lifecycle(log, directory, clock, tasks, meter, transition_ms)
    traffic, peaks = Traffic(), Peaks(meta)
    await peaks.open()
    streams = Streams(
        directory=directory,
        accounts=accounts,
        allowance=allowance,
        admission=Admission(clock, metrics) if enforce_limits else None,
        lifecycle=lifecycle,
        retention=Retention(log, directory, reader, meter, clock),
        registration=Registration(directory, clock, tasks, transition_ms),
        subscriptions=Subscriptions(reader, clock, tasks, metrics, traffic, enforcing=enforce_limits),
        envelope=envelope,
        writer=Writer(log, clock, meter, faults, metrics, traffic),
        reader=reader,
        meter=meter,
        faults=faults,
        metrics=metrics,
        traffic=traffic,
        peaks=peaks,
        autoscaler=Autoscaler(directory, lifecycle, traffic, peaks, meter, clock, allowance.account_shards),
        sealer=Sealer(await _token_key(meta, entropy)),
        clock=clock,
        entropy=entropy,
        judged=judged,
    )
    await streams.lifecycle.resume()
    await streams.registration.resume()
    tasks.spawn(streams.retention.run(), "retention")
    tasks.spawn(streams.autoscaler.run(), "autoscaler")
    if sink is not None:
        tasks.spawn(Measures(directory, traffic, sink, clock).run(), "measures")
    return streams


async def _token_key(meta: MetaStore, entropy: Entropy) -> bytes:
    """The key of iterators and tokens, made once per data directory."""
    while (held := await meta.get(_TOKEN_KEY)) is None:
        try:
            await meta.commit([Write(_TOKEN_KEY, entropy.bytes(KEY_BYTES), 0)])
        except Conflict:  # another process made it first
            continue
    return held.value
