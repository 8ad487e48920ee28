"""ARNs of streams and of their consumers: `arn:aws:kinesis:<region>:<account>:stream/<name>[/consumer/<consumer>:<created>]`."""

import re
from typing import NamedTuple

from penstock.core.errors import Error
from penstock.core.ids import AccountId, Region, StreamName

_STREAM = re.compile(
    r"arn:aws[a-z-]*:kinesis:(?P<region>[^:]*):(?P<account>\d{12}):stream/(?P<name>[a-zA-Z0-9_.-]{1,128})(?P<rest>/.*)?",
    re.ASCII,
)


class StreamArn(NamedTuple):
    """The stream that an ARN names, and the consumer where it names one."""

    region: Region
    account: AccountId
    name: StreamName
    consumer: str | None = None  # "<name>:<created>", or None for the stream itself


def stream_arn(region: str, account: str, name: str) -> str:
    """The ARN of a stream, as answers carry it."""
    return f"arn:aws:kinesis:{region}:{account}:stream/{name}"


def consumer_arn(region: str, account: str, name: str, consumer: str, created_ms: int) -> str:
    """The ARN of a consumer of a stream; the time of its creation, in seconds, is part of it."""
    return f"{stream_arn(region, account, name)}/consumer/{consumer}:{created_ms // 1000}"


def parse_stream_arn(arn: str) -> StreamArn:
    """Read the ARN of a stream or of one of its consumers.

    Raises ARN_MALFORMED for anything else.
    """
    match = _STREAM.fullmatch(arn)
    rest = match["rest"] if match is not None else None
    if match is None or (rest is not None and not rest.startswith("/consumer/")):
        raise Error.ARN_MALFORMED(arn=arn)
    consumer = rest.removeprefix("/consumer/") if rest is not None else None
    return StreamArn(Region(match["region"]), AccountId(match["account"]), StreamName(match["name"]), consumer)
