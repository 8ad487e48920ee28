"""How inputs name their stream or consumer: members that nearly every operation has."""

from penstock.core.arn import parse_stream_arn
from penstock.core.context import Caller
from penstock.core.errors import Error
from penstock.services.streams.directory import ConsumerView, StreamView
from penstock.services.streams.service import Streams
from penstock.wire.operation import Input


class StreamRequest(Input):
    """An input that names a stream by StreamName, StreamARN or StreamId."""

    stream_name: str | None = None
    stream_arn: str | None = None
    stream_id: str | None = None


class StreamArnRequest(Input):
    """An input of the newer kind, which has no StreamName."""

    stream_arn: str | None = None
    stream_id: str | None = None


class ResourceRequest(Input, kw_only=True):
    """An input that names a stream or a consumer by its ARN."""

    resource_arn: str
    stream_id: str | None = None  # of the stream; it must agree with the ARN


Resource = tuple[StreamView, ConsumerView | None]  # a stream, or the consumer of one


def find_resource(streams: Streams, caller: Caller, request: ResourceRequest) -> Resource:
    """What a ResourceARN names.  Raises what Streams.find and Streams.find_consumer raise."""
    arn, stream_id = request.resource_arn, request.stream_id
    if parse_stream_arn(arn).consumer is None:
        return streams.find(caller, StreamRequest(stream_arn=arn, stream_id=stream_id)), None
    view, held = streams.find_consumer(caller, arn)
    if stream_id not in (None, view.stream.uid):  # UNVERIFIED: as for streams
        raise Error.STREAM_NOT_FOUND(stream=stream_id, account=caller.account)
    return view, held
