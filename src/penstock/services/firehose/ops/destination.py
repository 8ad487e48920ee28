"""Destinations: how they are updated."""

from msgspec.structs import replace

from penstock.core.context import Caller
from penstock.core.firehose_errors import FirehoseError
from penstock.engines.api import Conflict
from penstock.services.firehose.configuration import merge
from penstock.services.firehose.ops.naming import Empty, NamedRequest
from penstock.services.firehose.ops.stream import named_destination
from penstock.services.firehose.service import Firehose
from penstock.services.firehose.state import DESTINATION_ID, DeliveryStream, Document
from penstock.services.firehose.trial import try_out
from penstock.services.firehose.vault import put_together, take_apart


class UpdateDestinationRequest(NamedRequest, kw_only=True):
    """UpdateDestination."""

    current_delivery_stream_version_id: str
    destination_id: str
    s3_destination_update: Document | None = None
    extended_s3_destination_update: Document | None = None
    redshift_destination_update: Document | None = None
    elasticsearch_destination_update: Document | None = None
    amazonopensearchservice_destination_update: Document | None = None
    amazon_open_search_serverless_destination_update: Document | None = None
    splunk_destination_update: Document | None = None
    http_endpoint_destination_update: Document | None = None
    snowflake_destination_update: Document | None = None
    iceberg_destination_update: Document | None = None


async def update_destination(firehose: Firehose, caller: Caller, request: UpdateDestinationRequest) -> Empty:
    """Change a destination: members that are not given stay as they are, unless the kind changes.

    Raises IN_USE, STALE_VERSION, NO_DESTINATION and the refusals of its members.
    """
    view = firehose.find_active(caller, request.delivery_stream_name)
    stream = view.stream
    _check_version(stream, request.current_delivery_stream_version_id)
    if request.destination_id != DESTINATION_ID:
        raise FirehoseError.NO_DESTINATION(destination=request.destination_id)
    kind, update = named_destination(request, "Update")
    held = put_together(stream.destination, await firehose.vault.open(stream))
    accepted = merge(stream.kind, held, kind, update)
    await try_out(firehose, stream, accepted)
    document, secrets = take_apart(accepted.document)
    changed = replace(
        stream,
        version=stream.version + 1,
        updated_ms=firehose.clock.now_ms(),
        kind=accepted.kind,
        destination=document,
        sealed=await firehose.vault.seal(stream.name, stream.uid, secrets),
    )
    try:
        await firehose.directory.replace(view, changed)
    except Conflict:
        _check_version(view.stream, request.current_delivery_stream_version_id)
        raise FirehoseError.IN_USE(name=stream.name, account=stream.account, status=view.stream.status) from None
    return Empty()


def _check_version(stream: DeliveryStream, given: str) -> None:
    if given != str(stream.version):
        raise FirehoseError.STALE_VERSION(name=stream.name, current=stream.version, given=given)
