"""How inputs name their stream: three members that nearly every operation has."""

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
