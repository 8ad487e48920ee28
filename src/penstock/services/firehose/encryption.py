"""Encryption of direct puts: with which key it is asked for, and whether that can be used."""

from msgspec import field

from penstock.core.context import Caller
from penstock.core.errors import ServiceError
from penstock.core.firehose_errors import FirehoseError
from penstock.services.firehose.configuration import invalid
from penstock.services.firehose.state import Encryption, KeyType
from penstock.services.streams.envelope import Envelope
from penstock.wire.operation import Input


class EncryptionInput(Input, kw_only=True):
    """Which key."""

    key_arn: str | None = field(name="KeyARN", default=None)
    key_type: KeyType


async def checked_encryption(envelope: Envelope, caller: Caller, given: EncryptionInput | None) -> Encryption | None:
    """Encryption as it is asked for, on its way.  Raises INVALID, KMS for a key that cannot be used."""
    if given is None:
        return None
    if (given.key_arn is None) == (given.key_type == "CUSTOMER_MANAGED_CMK"):  # UNVERIFIED: wording
        raise invalid("KeyARN is required when KeyType is CUSTOMER_MANAGED_CMK, and not allowed otherwise.")
    if given.key_arn is not None:
        try:
            await envelope.check_key(caller, given.key_arn)
        except ServiceError as error:
            raise FirehoseError.KMS(text=error.message) from None
    return Encryption("ENABLING", given.key_type, given.key_arn)
