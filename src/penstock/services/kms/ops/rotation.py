"""Rotation: new material for a key; what was encrypted with the old still opens."""

from typing import Final, Literal

from msgspec.structs import replace

from penstock.core.context import Caller
from penstock.core.ids import Millis
from penstock.core.kms_errors import KmsError
from penstock.engines.api import Conflict
from penstock.services.kms.ops.key import KeyIdAnswer, KeyRequest, check_staying
from penstock.services.kms.ops.paging import PAGE, page_of
from penstock.services.kms.service import Kms, next_rotation_ms
from penstock.services.kms.state import Key, RotationType
from penstock.wire.operation import Output

PERIOD_DEFAULT_DAYS: Final = 365
ON_DEMAND_MAX: Final = 25  # rotations of one key by request


class EnableKeyRotationRequest(KeyRequest, kw_only=True):
    """EnableKeyRotation."""

    rotation_period_in_days: int = PERIOD_DEFAULT_DAYS


async def enable_key_rotation(kms: Kms, caller: Caller, request: EnableKeyRotationRequest) -> None:
    """Rotate a key by itself from now on, every 90 to 2560 days.  Raises DISABLED, PENDING_DELETION."""
    key = _rotatable(kms, caller, request)
    days, now_ms = request.rotation_period_in_days, kms.clock.now_ms()
    await kms.keys.change(key.id, lambda held: replace(held, rotation_days=days, rotation_from_ms=now_ms))


async def disable_key_rotation(kms: Kms, caller: Caller, request: KeyRequest) -> None:
    """Rotate a key by itself no more.  Raises DISABLED, PENDING_DELETION."""
    key = _rotatable(kms, caller, request)
    await kms.keys.change(key.id, lambda held: replace(held, rotation_days=None, rotation_from_ms=None))


class RotationStatus(Output, omit_defaults=False):
    """Whether a key is rotated by itself."""

    key_rotation_enabled: bool
    key_id: str
    rotation_period_in_days: int | None = None
    next_rotation_date: Millis | None = None


async def get_key_rotation_status(kms: Kms, caller: Caller, request: KeyRequest) -> RotationStatus:
    """Tell whether and when a key is rotated by itself."""
    key = kms.find(caller, request.key_id).record
    check_staying(key)
    return RotationStatus(
        key_rotation_enabled=key.rotation_days is not None,
        key_id=key.arn,
        rotation_period_in_days=key.rotation_days,
        next_rotation_date=next_rotation_ms(key),
    )


async def rotate_key_on_demand(kms: Kms, caller: Caller, request: KeyRequest) -> KeyIdAnswer:
    """Rotate a key now.  Raises DISABLED, PENDING_DELETION, ROTATION_LIMIT, CONFLICT."""
    key = _rotatable(kms, caller, request)
    if sum(material.rotation == "ON_DEMAND" for material in key.materials) >= ON_DEMAND_MAX:
        raise KmsError.ROTATION_LIMIT(arn=key.arn, limit=ON_DEMAND_MAX)
    try:
        await kms.rotate(kms.find_own(caller, request.key_id), "ON_DEMAND")
    except Conflict:
        raise KmsError.CONFLICT() from None
    return KeyIdAnswer(key_id=key.arn)


class ListKeyRotationsRequest(KeyRequest, kw_only=True):
    """ListKeyRotations."""

    limit: int = PAGE
    marker: str | None = None
    include_key_material: Literal["ALL_KEY_MATERIAL", "ROTATIONS_ONLY"] = "ROTATIONS_ONLY"


class RotationEntry(Output):
    """One rotation that was."""

    key_id: str
    rotation_date: Millis | None = None
    rotation_type: RotationType | None = None


class RotationsAnswer(Output):
    """A page of rotations."""

    rotations: list[RotationEntry]
    truncated: bool
    next_marker: str | None = None


async def list_key_rotations(kms: Kms, caller: Caller, request: ListKeyRotationsRequest) -> RotationsAnswer:
    """List the rotations of a key, the first one first."""
    key = kms.find(caller, request.key_id).record
    check_staying(key)
    everything = request.include_key_material == "ALL_KEY_MATERIAL"
    rows = [material for material in key.materials if everything or material.rotation is not None]
    page, marker = page_of(rows, lambda material: f"{material.no:08}", request.limit, request.marker)
    rotations = [
        RotationEntry(
            key_id=key.arn,
            rotation_date=None if material.rotation is None else material.created_ms,
            rotation_type=material.rotation,
        )
        for material in page
    ]
    return RotationsAnswer(rotations=rotations, next_marker=marker, truncated=marker is not None)


def _rotatable(kms: Kms, caller: Caller, request: KeyRequest) -> Key:
    key = kms.find_own(caller, request.key_id).record
    kms.keys.check_usable(key)
    return key
