"""Server-side encryption of direct puts: on, with a key, and off."""

from msgspec.structs import replace

from penstock.core.context import Caller
from penstock.core.firehose_errors import FirehoseError
from penstock.core.limits import DAY_MS, ENCRYPTION_CHANGES_PER_DAY
from penstock.services.firehose.directory import DeliveryView
from penstock.services.firehose.encryption import EncryptionInput, checked_encryption
from penstock.services.firehose.ops.naming import Empty, NamedRequest
from penstock.services.firehose.service import Firehose
from penstock.services.firehose.state import DeliveryStream, Encryption


class StartEncryptionRequest(NamedRequest, kw_only=True):
    """StartDeliveryStreamEncryption."""

    delivery_stream_encryption_configuration_input: EncryptionInput | None = None


async def start_delivery_stream_encryption(
    firehose: Firehose, caller: Caller, request: StartEncryptionRequest
) -> Empty:
    """Begin to encrypt what is put from now on.  Raises OTHER_SOURCE, IN_USE, ENCRYPTION_LIMIT, KMS."""
    view = _direct(firehose, caller, request.delivery_stream_name)
    given = request.delivery_stream_encryption_configuration_input or EncryptionInput(key_type="AWS_OWNED_CMK")
    wanted = await checked_encryption(firehose.streams.envelope, caller, given)
    assert wanted is not None
    await _begin(firehose, view, wanted)
    return Empty()


async def stop_delivery_stream_encryption(firehose: Firehose, caller: Caller, request: NamedRequest) -> Empty:
    """Begin to encrypt no more.  Raises OTHER_SOURCE, IN_USE, ENCRYPTION_LIMIT."""
    view = _direct(firehose, caller, request.delivery_stream_name)
    if view.stream.encryption.status != "DISABLED":
        await _begin(firehose, view, replace(view.stream.encryption, status="DISABLING"))
    return Empty()


def _direct(firehose: Firehose, caller: Caller, name: str) -> DeliveryView:
    view = firehose.find_active(caller, name)
    stream = view.stream
    if stream.type != "DirectPut":
        raise FirehoseError.OTHER_SOURCE(type=stream.type)
    if stream.encryption.status in ("ENABLING", "DISABLING"):
        raise FirehoseError.IN_USE(name=name, account=caller.account, status=stream.encryption.status)
    return view


async def _begin(firehose: Firehose, view: DeliveryView, wanted: Encryption) -> None:
    now_ms = firehose.clock.now_ms()

    def changed(held: DeliveryStream) -> DeliveryStream:
        recent = tuple(at_ms for at_ms in held.encryption_changes_ms if at_ms > now_ms - DAY_MS)
        if len(recent) >= ENCRYPTION_CHANGES_PER_DAY:
            raise FirehoseError.ENCRYPTION_LIMIT(name=held.name, limit=ENCRYPTION_CHANGES_PER_DAY)
        return replace(held, encryption=wanted, encryption_changes_ms=(*recent, now_ms))

    await firehose.change(view, changed)
    await firehose.lifecycle.carry_on(view)
