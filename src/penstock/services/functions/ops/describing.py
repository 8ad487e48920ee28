"""Functions and their versions as answers describe them."""

from datetime import UTC, datetime
from typing import Any, Final

from penstock.services.functions.invoking import LATEST
from penstock.services.functions.state import Function, Version

_RUNTIME: Final = "0" * 64  # ours is not one of several versions
_DEFAULTS: Final[dict[str, Any]] = {
    "TracingConfig": {"Mode": "PassThrough"},
    "Architectures": ["x86_64"],
    "EphemeralStorage": {"Size": 512},
}


def described(function: Function, version: Version, now_ms: int, qualifier: str | None = None) -> dict[str, Any]:
    """A version as FunctionConfiguration has it; its ARN ends in the qualifier that it was asked for by."""
    told = {
        **_DEFAULTS,
        "FunctionName": function.name,
        "FunctionArn": function.arn if qualifier is None else f"{function.arn}:{qualifier}",
        "Runtime": version.runtime,
        "Role": version.role,
        "Handler": version.handler,
        "CodeSize": version.code.size_bytes,
        "CodeSha256": version.code.sha256,
        "Description": version.description,
        "Timeout": version.timeout_s,
        "MemorySize": version.memory_mb,
        "LastModified": moment(version.modified_ms),
        "Version": version.number,
        "RevisionId": version.revision,
        "PackageType": "Zip",
        "SnapStart": {"ApplyOn": "None", "OptimizationStatus": "Off"},
        "LoggingConfig": {"LogFormat": "Text", "LogGroup": f"/aws/lambda/{function.name}"},
        "RuntimeVersionConfig": {"RuntimeVersionArn": f"arn:aws:lambda:{function.region}::runtime:{_RUNTIME}"},
        **_states(version, now_ms),
        **{name: value for name, value in version.kept.items() if name != "LoggingConfig"},
    }
    if version.environment:
        told["Environment"] = {"Variables": version.environment}
    if version.dead_letter_arn:
        told["DeadLetterConfig"] = {"TargetArn": version.dead_letter_arn}
    told["LoggingConfig"] |= version.kept.get("LoggingConfig") or {}
    return told


def listed(function: Function, version: Version, now_ms: int, *, qualified: bool = True) -> dict[str, Any]:
    """A version as lists have it: with its number in the ARN where it stands among others, and without states.

    Source: ListFunctions, ListVersionsByFunction in the API reference.
    """
    told = described(function, version, now_ms, version.number if qualified else None)
    for name in (
        "State",
        "StateReason",
        "StateReasonCode",
        "LastUpdateStatus",
        "LastUpdateStatusReason",
        "RuntimeVersionConfig",
    ):
        told.pop(name, None)
    return told


def moment(at_ms: int) -> str:
    """A moment as Lambda writes it: ISO 8601 with milliseconds and an offset."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at_ms % 1000:03}+0000"


def _states(version: Version, now_ms: int) -> dict[str, str]:
    state = version.state(now_ms)
    if state == "Pending":
        return {
            "State": state,
            "StateReason": "The function is being created.",
            "StateReasonCode": "Creating",
        }
    if version.number == LATEST and version.updating(now_ms):
        return {
            "State": state,
            "LastUpdateStatus": "InProgress",
            "LastUpdateStatusReason": "The function is being updated.",
            "LastUpdateStatusReasonCode": "Updating",
        }
    return {"State": state, "LastUpdateStatus": "Successful"}
