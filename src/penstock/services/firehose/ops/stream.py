"""Delivery streams: create, describe, list, delete."""

from collections.abc import Mapping, Sequence
from typing import Final, Literal

import msgspec
from msgspec import field

from penstock.core import limits
from penstock.core.arn import parse_stream_arn
from penstock.core.context import Caller
from penstock.core.errors import ServiceError
from penstock.core.firehose_errors import FirehoseError
from penstock.core.ids import Millis, stream_uid
from penstock.services.firehose.configuration import Accepted, accept, describe, invalid
from penstock.services.firehose.destinations.shapes import SHAPES, DestinationKind
from penstock.services.firehose.encryption import EncryptionInput, checked_encryption
from penstock.services.firehose.ops.naming import Empty, NamedRequest, Tag
from penstock.services.firehose.ops.tag import checked_tags
from penstock.services.firehose.service import Firehose
from penstock.services.firehose.state import (
    DESTINATION_ID,
    Checkpoint,
    DeliveryStream,
    Document,
    Encryption,
    SourceType,
)
from penstock.services.firehose.trial import try_out
from penstock.services.firehose.vault import put_together, take_apart
from penstock.services.streams.course import begin, link_of
from penstock.services.streams.directory import StreamView
from penstock.wire.operation import Input, Output

_SOURCES: Final[Mapping[str, SourceType]] = {  # by the field that configures it
    "direct_put_source_configuration": "DirectPut",
    "kinesis_stream_source_configuration": "KinesisStreamAsSource",
    "msk_source_configuration": "MSKAsSource",
    "database_source_configuration": "DatabaseAsSource",
}


class CreateDeliveryStreamRequest(NamedRequest, kw_only=True):
    """CreateDeliveryStream."""

    delivery_stream_type: SourceType = "DirectPut"
    direct_put_source_configuration: Document | None = None
    kinesis_stream_source_configuration: Document | None = None
    msk_source_configuration: Document | None = field(name="MSKSourceConfiguration", default=None)
    database_source_configuration: Document | None = None
    delivery_stream_encryption_configuration_input: EncryptionInput | None = None
    s3_destination_configuration: Document | None = None
    extended_s3_destination_configuration: Document | None = None
    redshift_destination_configuration: Document | None = None
    elasticsearch_destination_configuration: Document | None = None
    amazonopensearchservice_destination_configuration: Document | None = None
    amazon_open_search_serverless_destination_configuration: Document | None = None
    splunk_destination_configuration: Document | None = None
    http_endpoint_destination_configuration: Document | None = None
    snowflake_destination_configuration: Document | None = None
    iceberg_destination_configuration: Document | None = None
    tags: Sequence[Tag] = ()


class CreateDeliveryStreamOutput(Output):
    """The ARN of what is being created."""

    delivery_stream_arn: str = field(name="DeliveryStreamARN")


async def create_delivery_stream(
    firehose: Firehose, caller: Caller, request: CreateDeliveryStreamRequest
) -> CreateDeliveryStreamOutput:
    """Begin a delivery stream.  Raises STREAM_EXISTS, STREAMS_MAX and the refusals of its members."""
    accepted = the_destination(request, "Configuration")
    _check_source(request)
    tags = checked_tags({}, request.tags)
    encryption = await checked_encryption(
        firehose.streams.envelope, caller, request.delivery_stream_encryption_configuration_input
    )
    if encryption is not None and request.delivery_stream_type != "DirectPut":  # UNVERIFIED: wording
        raise invalid("Server-side encryption can only be enabled for DirectPut delivery streams.")
    if firehose.directory.find(caller.account, caller.region, request.delivery_stream_name) is not None:
        raise FirehoseError.STREAM_EXISTS(name=request.delivery_stream_name, account=caller.account)
    if len(firehose.directory.of(caller.account, caller.region)) >= limits.DELIVERY_STREAMS_MAX:
        raise FirehoseError.STREAMS_MAX(limit=limits.DELIVERY_STREAMS_MAX)
    stream = await _new(firehose, caller, request, accepted)
    stream = msgspec.structs.replace(stream, tags=tags, encryption=encryption or Encryption())
    await try_out(firehose, stream, accepted)
    stream, first = await _begin_source(firehose, caller, stream)
    view = await firehose.directory.create(stream, first)
    await firehose.lifecycle.carry_on(view)
    return CreateDeliveryStreamOutput(delivery_stream_arn=stream.arn)


def the_destination(request: Input, suffix: Literal["Configuration", "Update"]) -> Accepted:
    """The one destination that a creation brings, accepted.  Raises INVALID."""
    kind, document = named_destination(request, suffix)
    return accept(kind, document)


def named_destination(request: Input, suffix: str) -> tuple[DestinationKind, Document]:
    """The kind and document of the one destination in a request.  Raises INVALID for none or several."""
    members = {one.encode_name: getattr(request, one.name) for one in msgspec.structs.fields(request)}
    given = {kind: document for kind in SHAPES if (document := members.get(f"{kind}Destination{suffix}")) is not None}
    if len(given) != 1:
        raise invalid("Exactly one destination configuration is supported for a Firehose")
    return next(iter(given.items()))


async def _new(
    firehose: Firehose, caller: Caller, request: CreateDeliveryStreamRequest, accepted: Accepted
) -> DeliveryStream:
    document, secrets = take_apart(accepted.document)
    uid = stream_uid(firehose.entropy.bytes(24))
    source_field = next(name for name, kind in _SOURCES.items() if kind == request.delivery_stream_type)
    return DeliveryStream(
        account=caller.account,
        region=caller.region,
        name=request.delivery_stream_name,
        uid=uid,
        created_ms=firehose.clock.now_ms(),
        status="CREATING",
        type=request.delivery_stream_type,
        kind=accepted.kind,
        destination=document,
        sealed=await firehose.vault.seal(request.delivery_stream_name, uid, secrets),
        source=getattr(request, source_field),
    )


def _check_source(request: CreateDeliveryStreamRequest) -> None:
    """Raise INVALID where the source is not that of the type, or is none that delivers here."""
    wanted = request.delivery_stream_type
    for name, kind in _SOURCES.items():
        given = getattr(request, name) is not None
        member = next(one.encode_name for one in msgspec.structs.fields(request) if one.name == name)
        if given and kind != wanted:  # UNVERIFIED: wording
            raise invalid(f"{member} is not valid when the DeliveryStreamType is {wanted}.")
        if not given and kind == wanted != "DirectPut":  # UNVERIFIED: wording
            raise invalid(f"{member} is required when the DeliveryStreamType is {wanted}.")
    if wanted in ("MSKAsSource", "DatabaseAsSource"):  # ours
        raise invalid(f"{wanted} is not supported by Penstock yet; docs/firehose.md lists what is.")


async def _begin_source(
    firehose: Firehose, caller: Caller, stream: DeliveryStream
) -> tuple[DeliveryStream, list[Checkpoint]]:
    """The delivery stream with where it begins to read, LATEST for a Kinesis stream.  Raises INVALID."""
    if stream.source_arn is None:
        return stream, []
    view = _source_view(firehose, caller, stream.source_arn)
    beginning = begin([link_of(held.shard) for held in view.shards.values()], "LATEST")
    tips = {no: await firehose.streams.reader.tip(view, view.shards[no]) for no in beginning.first}
    first = [Checkpoint(stream.uid, no, *position) for no, position in tips.items()]
    source = {**(stream.source or {}), "DeliveryStartTimestamp": firehose.clock.now_ms()}
    return msgspec.structs.replace(
        stream, source=source, source_uid=view.stream.uid, source_since=beginning.since
    ), first


def _source_view(firehose: Firehose, caller: Caller, arn: str) -> StreamView:
    try:
        named = parse_stream_arn(arn)
    except ServiceError as error:
        raise invalid(str(error.message)) from None
    found = firehose.streams.directory.find(named.account, named.region, named.name)
    foreign = (named.account, named.region) != (caller.account, caller.region)
    if found is None or foreign or found.stream.status == "CREATING":  # UNVERIFIED: wording
        raise invalid(f"Kinesis stream {named.name} under account {named.account} cannot be read: it is not there.")
    return found


class DescribeDeliveryStreamRequest(NamedRequest, kw_only=True):
    """DescribeDeliveryStream.  There is one destination, so nothing is paged."""

    limit: int | None = None
    exclusive_start_destination_id: str | None = None


class FailureDescription(Output):
    """Why something could not be done."""

    type: str
    details: str


class EncryptionDescription(Output, kw_only=True):
    """The state of encryption."""

    key_arn: str | None = field(name="KeyARN", default=None)
    key_type: str | None = None
    status: str
    failure_description: FailureDescription | None = None


class SourceDescription(Output):
    """Where records come from."""

    direct_put_source_description: Document | None = None
    kinesis_stream_source_description: Document | None = None


class DeliveryStreamDescription(Output, kw_only=True):
    """A delivery stream."""

    delivery_stream_name: str
    delivery_stream_arn: str = field(name="DeliveryStreamARN")
    delivery_stream_status: str
    failure_description: FailureDescription | None = None
    delivery_stream_encryption_configuration: EncryptionDescription
    delivery_stream_type: str
    version_id: str
    create_timestamp: Millis
    last_update_timestamp: Millis | None = None
    source: SourceDescription | None = None
    destinations: Sequence[Document]
    has_more_destinations: bool


class DescribeDeliveryStreamOutput(Output):
    """A delivery stream."""

    delivery_stream_description: DeliveryStreamDescription


async def describe_delivery_stream(
    firehose: Firehose, caller: Caller, request: DescribeDeliveryStreamRequest
) -> DescribeDeliveryStreamOutput:
    """Describe a delivery stream, in whatever state, without secrets."""
    stream = firehose.find(caller, request.delivery_stream_name).stream
    destination: Document = {"DestinationId": DESTINATION_ID, **describe(stream.kind, await _told(firehose, stream))}
    shown = request.exclusive_start_destination_id is None or request.exclusive_start_destination_id < DESTINATION_ID
    encryption = stream.encryption
    return DescribeDeliveryStreamOutput(
        delivery_stream_description=DeliveryStreamDescription(
            delivery_stream_name=stream.name,
            delivery_stream_arn=stream.arn,
            delivery_stream_status=stream.status,
            failure_description=_failure(stream.failure),
            delivery_stream_encryption_configuration=EncryptionDescription(
                key_arn=encryption.key_arn,
                key_type=encryption.key_type,
                status=encryption.status,
                failure_description=_failure(encryption.failure),
            ),
            delivery_stream_type=stream.type,
            version_id=str(stream.version),
            create_timestamp=stream.created_ms,
            last_update_timestamp=stream.updated_ms,
            source=_source(stream),
            destinations=[destination] if shown else [],
            has_more_destinations=False,
        )
    )


async def _told(firehose: Firehose, stream: DeliveryStream) -> Document:
    """The destination as it is told: with the one secret that AWS tells, HECToken."""
    if stream.kind != "Splunk":
        return stream.destination
    try:
        return put_together(stream.destination, await firehose.vault.open(stream))
    except ServiceError:
        return stream.destination


def _source(stream: DeliveryStream) -> SourceDescription | None:
    if stream.source is None:
        return None
    if stream.type == "DirectPut":
        return SourceDescription(direct_put_source_description=stream.source)
    return SourceDescription(kinesis_stream_source_description=stream.source)


def _failure(why: tuple[str, str] | None) -> FailureDescription | None:
    return None if why is None else FailureDescription(type=why[0], details=why[1])


class ListDeliveryStreamsRequest(Input):
    """ListDeliveryStreams."""

    limit: int = limits.LIST_DELIVERY_STREAMS_PAGE
    delivery_stream_type: SourceType | None = None
    exclusive_start_delivery_stream_name: str = ""


class ListDeliveryStreamsOutput(Output):
    """A page of names."""

    delivery_stream_names: Sequence[str]
    has_more_delivery_streams: bool


async def list_delivery_streams(
    firehose: Firehose, caller: Caller, request: ListDeliveryStreamsRequest
) -> ListDeliveryStreamsOutput:
    """List the names of delivery streams, in their order."""
    found = [
        stream.name
        for stream in firehose.directory.of(caller.account, caller.region)
        if stream.name > request.exclusive_start_delivery_stream_name
        and request.delivery_stream_type in (None, stream.type)
    ]
    return ListDeliveryStreamsOutput(
        delivery_stream_names=found[: request.limit], has_more_delivery_streams=len(found) > request.limit
    )


class DeleteDeliveryStreamRequest(NamedRequest, kw_only=True):
    """DeleteDeliveryStream."""

    allow_force_delete: bool = False


async def delete_delivery_stream(firehose: Firehose, caller: Caller, request: DeleteDeliveryStreamRequest) -> Empty:
    """Begin to delete a delivery stream; what it has not delivered is lost.  Raises CREATING, IN_USE."""
    view = firehose.find(caller, request.delivery_stream_name)
    stream = view.stream
    if stream.status == "CREATING":
        raise FirehoseError.CREATING(name=stream.name, account=caller.account)
    if stream.status != "DELETING":  # asking again changes nothing
        await firehose.change(view, lambda held: msgspec.structs.replace(held, status="DELETING"))
        await firehose.lifecycle.carry_on(view)
    return Empty()
