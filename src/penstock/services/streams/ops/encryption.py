"""Server-side encryption: with which key a stream is encrypted, as a state.  Sealing records is envelope.py's business."""

import re
from typing import Final, Literal

from msgspec.structs import replace

from penstock.core import limits
from penstock.core.context import Caller
from penstock.core.errors import Error
from penstock.core.ids import Millis
from penstock.services.streams.directory import StreamView
from penstock.services.streams.ops.naming import StreamRequest
from penstock.services.streams.service import Streams

_ARN: Final = r"arn:aws[a-z-]*:kms:(?P<region>[a-z0-9-]+):\d{12}:"
_KEY: Final = r"([0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|mrk-[0-9a-f]{32})"
_ALIAS: Final = r"alias/[a-zA-Z0-9/_-]+"
_KEY_ID = re.compile(rf"{_KEY}|{_ALIAS}|{_ARN}(key/{_KEY}|{_ALIAS})", re.ASCII)


class StreamEncryptionRequest(StreamRequest, kw_only=True):
    """StartStreamEncryption and StopStreamEncryption."""

    encryption_type: Literal["NONE", "KMS"]
    key_id: str


async def start_stream_encryption(streams: Streams, caller: Caller, request: StreamEncryptionRequest) -> None:
    """Encrypt with a key of KMS from now on, or with another one than until now.

    Raises STREAM_NOT_ACTIVE, ENCRYPTION_TYPE, KEY_ID_INVALID, KEY_OTHER_REGION, StreamKeyError for a key that cannot be used, and
    KEY_CHANGED_TOO_OFTEN under `--limits aws`.
    """
    view = _checked(streams, caller, request)
    await streams.envelope.check_key(caller, request.key_id)
    changes = _counted(streams, caller, view, view.stream.encrypted_ms)
    await streams.lifecycle.change(view, replace(view.stream, key_id=request.key_id, encrypted_ms=changes))


async def stop_stream_encryption(streams: Streams, caller: Caller, request: StreamEncryptionRequest) -> None:
    """Encrypt no more.

    Raises STREAM_NOT_ACTIVE, ENCRYPTION_TYPE, KEY_ID_INVALID, KEY_OTHER_REGION, and KEY_CHANGED_TOO_OFTEN under `--limits aws`.
    """
    view = _checked(streams, caller, request)
    if view.stream.key_id is None:  # UNVERIFIED: a stream that is not encrypted, and KeyId of another key, are accepted
        return
    changes = _counted(streams, caller, view, view.stream.decrypted_ms)
    await streams.lifecycle.change(view, replace(view.stream, key_id=None, decrypted_ms=changes))


def _checked(streams: Streams, caller: Caller, request: StreamEncryptionRequest) -> StreamView:
    if request.encryption_type != "KMS":
        raise Error.ENCRYPTION_TYPE(type=request.encryption_type)
    match = _KEY_ID.fullmatch(request.key_id)
    if match is None:
        raise Error.KEY_ID_INVALID(key_id=request.key_id)
    if match["region"] not in (None, caller.region):
        raise Error.KEY_OTHER_REGION(region=match["region"])
    return streams.find_active(caller, request)


def _counted(streams: Streams, caller: Caller, view: StreamView, changes_ms: tuple[Millis, ...]) -> tuple[Millis, ...]:
    """The changes of the last 24 hours with this one.  Raises KEY_CHANGED_TOO_OFTEN."""
    now_ms = streams.clock.now_ms()
    recent = tuple(at for at in changes_ms if now_ms - at < limits.DAY_MS)
    if streams.meter.enforcing and len(recent) >= limits.KEY_CHANGES_PER_DAY:
        raise Error.KEY_CHANGED_TOO_OFTEN(
            operation=caller.operation.partition(":")[2],
            limit=limits.KEY_CHANGES_PER_DAY,
            stream=view.stream.name,
            account=caller.account,
        )
    return (*recent[1 - limits.KEY_CHANGES_PER_DAY :], now_ms)
