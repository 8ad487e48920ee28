"""Using keys: Encrypt, Decrypt, ReEncrypt, and data keys."""

from typing import Final, Literal

import msgspec

from penstock.core.context import Caller
from penstock.core.kms_errors import KmsError
from penstock.services.kms.keyring import DATA_KEY_BYTES
from penstock.services.kms.service import Kms
from penstock.services.kms.state import Key, Place
from penstock.wire.operation import Input, Output

SYMMETRIC: Final = "SYMMETRIC_DEFAULT"


class EncryptRequest(Input, kw_only=True):
    """Encrypt."""

    key_id: str
    plaintext: bytes
    encryption_context: dict[str, str] = msgspec.field(default_factory=dict)
    encryption_algorithm: str = SYMMETRIC
    dry_run: bool = False


class EncryptAnswer(Output):
    """A ciphertext."""

    ciphertext_blob: bytes
    key_id: str
    encryption_algorithm: str


async def encrypt(kms: Kms, caller: Caller, request: EncryptRequest) -> EncryptAnswer:
    """Encrypt up to 4096 bytes.  Raises DISABLED, PENDING_DELETION, UNAVAILABLE, ALGORITHM, DRY_RUN."""
    _check_algorithm(request.encryption_algorithm)
    key = kms.find(caller, request.key_id, request.encryption_context).record
    blob = kms.keyring.encrypt(key, request.plaintext, request.encryption_context)
    _check_wet(dry_run=request.dry_run)
    return EncryptAnswer(ciphertext_blob=blob, key_id=key.arn, encryption_algorithm=SYMMETRIC)


class DecryptRequest(Input, kw_only=True):
    """Decrypt."""

    ciphertext_blob: bytes | None = None  # the model does not call it required
    encryption_context: dict[str, str] = msgspec.field(default_factory=dict)
    key_id: str | None = None
    encryption_algorithm: str = SYMMETRIC
    dry_run: bool = False


class DecryptAnswer(Output):
    """A plaintext."""

    key_id: str
    plaintext: bytes
    encryption_algorithm: str


async def decrypt(kms: Kms, caller: Caller, request: DecryptRequest) -> DecryptAnswer:
    """Decrypt what one of our keys encrypted.

    Raises CIPHERTEXT, WRONG_KEY, FOREIGN_CIPHERTEXT, DISABLED, PENDING_DELETION, UNAVAILABLE, ALGORITHM, DRY_RUN.
    """
    _check_algorithm(request.encryption_algorithm)
    key, plaintext = _opened(kms, caller, request.ciphertext_blob, request.key_id, request.encryption_context)
    _check_wet(dry_run=request.dry_run)
    return DecryptAnswer(key_id=key.arn, plaintext=plaintext, encryption_algorithm=SYMMETRIC)


class ReEncryptRequest(Input, kw_only=True):
    """ReEncrypt."""

    ciphertext_blob: bytes | None = None
    source_encryption_context: dict[str, str] = msgspec.field(default_factory=dict)
    source_key_id: str | None = None
    destination_key_id: str
    destination_encryption_context: dict[str, str] = msgspec.field(default_factory=dict)
    source_encryption_algorithm: str = SYMMETRIC
    destination_encryption_algorithm: str = SYMMETRIC
    dry_run: bool = False


class ReEncryptAnswer(Output):
    """A ciphertext under another key."""

    ciphertext_blob: bytes
    source_key_id: str
    key_id: str
    source_encryption_algorithm: str
    destination_encryption_algorithm: str


async def re_encrypt(kms: Kms, caller: Caller, request: ReEncryptRequest) -> ReEncryptAnswer:
    """Decrypt and encrypt again, so that the plaintext is never told.  Raises what `decrypt` and `encrypt` raise."""
    _check_algorithm(request.source_encryption_algorithm)
    _check_algorithm(request.destination_encryption_algorithm)
    reader = caller._replace(operation="kms:ReEncryptFrom")
    writer = caller._replace(operation="kms:ReEncryptTo")
    source, plaintext = _opened(
        kms, reader, request.ciphertext_blob, request.source_key_id, request.source_encryption_context
    )
    context = request.destination_encryption_context
    target = kms.find(writer, request.destination_key_id, context).record
    blob = kms.keyring.encrypt(target, plaintext, context)
    _check_wet(dry_run=request.dry_run)
    return ReEncryptAnswer(
        ciphertext_blob=blob,
        source_key_id=source.arn,
        key_id=target.arn,
        source_encryption_algorithm=SYMMETRIC,
        destination_encryption_algorithm=SYMMETRIC,
    )


class DataKeyRequest(Input, kw_only=True):
    """GenerateDataKey and GenerateDataKeyWithoutPlaintext."""

    key_id: str
    encryption_context: dict[str, str] = msgspec.field(default_factory=dict)
    number_of_bytes: int | None = None
    key_spec: Literal["AES_256", "AES_128"] | None = None
    dry_run: bool = False


class DataKeyAnswer(Output):
    """A data key, in plain and encrypted."""

    ciphertext_blob: bytes
    plaintext: bytes
    key_id: str


class SealedDataKeyAnswer(Output):
    """A data key, encrypted only."""

    ciphertext_blob: bytes
    key_id: str


async def generate_data_key(kms: Kms, caller: Caller, request: DataKeyRequest) -> DataKeyAnswer:
    """Make a data key, and tell it in plain and encrypted.

    Raises DATA_KEY_SIZE, DISABLED, PENDING_DELETION, UNAVAILABLE, DRY_RUN.
    """
    if (request.number_of_bytes is None) == (request.key_spec is None):
        raise KmsError.DATA_KEY_SIZE()
    size_bytes = request.number_of_bytes or DATA_KEY_BYTES[request.key_spec or "AES_256"]
    key = kms.find(caller, request.key_id, request.encryption_context).record
    made = kms.keyring.generate(key, size_bytes, request.encryption_context)
    _check_wet(dry_run=request.dry_run)
    return DataKeyAnswer(ciphertext_blob=made.blob, plaintext=made.plaintext, key_id=key.arn)


async def generate_data_key_without_plaintext(kms: Kms, caller: Caller, request: DataKeyRequest) -> SealedDataKeyAnswer:
    """Make a data key, and tell it encrypted only.  Raises what `generate_data_key` raises."""
    made = await generate_data_key(kms, caller, request)
    return SealedDataKeyAnswer(ciphertext_blob=made.ciphertext_blob, key_id=made.key_id)


class GenerateRandomRequest(Input):
    """GenerateRandom."""

    number_of_bytes: int | None = None
    custom_key_store_id: str | None = None


class RandomAnswer(Output):
    """Random bytes."""

    plaintext: bytes


async def generate_random(kms: Kms, caller: Caller, request: GenerateRandomRequest) -> RandomAnswer:
    """Draw 1 to 1024 random bytes.  Raises RANDOM_SIZE, UNSUPPORTED."""
    if request.custom_key_store_id is not None:
        raise KmsError.UNSUPPORTED(what="A custom key store")
    if request.number_of_bytes is None:
        raise KmsError.RANDOM_SIZE()
    return RandomAnswer(plaintext=kms.entropy.bytes(request.number_of_bytes))


def _opened(
    kms: Kms, caller: Caller, blob: bytes | None, key_id: str | None, context: dict[str, str]
) -> tuple[Key, bytes]:
    """The key of a ciphertext, which must be the one that was named if one was, and the plaintext."""
    if blob is None:
        raise KmsError.CIPHERTEXT()
    owner = kms.keyring.owner(Place(caller.account, caller.region), blob)
    if key_id is not None and kms.find(caller, key_id, context).record.id != owner.id:
        raise KmsError.WRONG_KEY()
    if key_id is None and owner.account != caller.account:  # as where it does not exist
        refusal = kms.guard.refusal(caller, caller.operation, owner, context)
        if refusal is not None:
            raise KmsError.FOREIGN_CIPHERTEXT()
    kms.check_allowed(caller, caller.operation, owner, context)
    return owner, kms.keyring.decrypt(owner, blob, context)


def _check_algorithm(algorithm: str) -> None:
    if algorithm != SYMMETRIC:
        raise KmsError.ALGORITHM(algorithm=algorithm)


def _check_wet(*, dry_run: bool) -> None:
    if dry_run:
        raise KmsError.DRY_RUN()
