"""What the inputs of operations have in common."""

from penstock.wire.operation import Input, Output


class NamedRequest(Input, kw_only=True):
    """An input that names a delivery stream."""

    delivery_stream_name: str


class Tag(Input, kw_only=True):
    """One tag, as requests bring it."""

    key: str
    value: str | None = None


class ToldTag(Output):
    """One tag, as answers tell it."""

    key: str
    value: str


class Empty(Output):
    """An answer without members."""
