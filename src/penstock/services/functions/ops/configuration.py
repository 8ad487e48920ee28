"""The configuration of a function: what inputs ask for, whether it can be had, and what is kept of it.

Rule of this file: a member that changes nothing here is kept and told back; one without which the function would not run as it is meant
to is refused in words.  Source of texts: answers that users report.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from penstock.core.context import Caller
from penstock.core.function_errors import FunctionError
from penstock.services.functions.ops.describing import described
from penstock.services.functions.ops.shapes import FunctionInput, QualifiedRequest, check_revision
from penstock.services.functions.service import Functions
from penstock.services.functions.state import Version

TIMEOUT_MAX_S: Final = 900
MEMORY_MAX_MB: Final = 10_240
ENVIRONMENT_MAX_BYTES: Final = 4096
_RESERVED_NAMES: Final = """_HANDLER _X_AMZN_TRACE_ID AWS_DEFAULT_REGION AWS_REGION AWS_EXECUTION_ENV AWS_LAMBDA_FUNCTION_NAME
    AWS_LAMBDA_FUNCTION_MEMORY_SIZE AWS_LAMBDA_FUNCTION_VERSION AWS_LAMBDA_INITIALIZATION_TYPE AWS_LAMBDA_LOG_GROUP_NAME
    AWS_LAMBDA_LOG_STREAM_NAME AWS_ACCESS_KEY AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_LAMBDA_RUNTIME_API
    LAMBDA_TASK_ROOT LAMBDA_RUNTIME_DIR"""
# Those of the API model.  Most of them do not run here: running-functions.md
_RUNTIME_NAMES: Final = """nodejs nodejs4.3 nodejs6.10 nodejs8.10 nodejs10.x
    nodejs12.x nodejs14.x nodejs16.x nodejs18.x nodejs20.x nodejs22.x
    nodejs24.x nodejs26.x nodejs4.3-edge java8 java8.al2 java8.al2023 java11 java11.al2023 java17 java17.al2023 java21 java25
    python2.7 python3.6 python3.7 python3.8 python3.9 python3.10 python3.11 python3.12 python3.13 python3.14 python3.15
    dotnetcore1.0 dotnetcore2.0 dotnetcore2.1 dotnetcore3.1 dotnet6 dotnet8 dotnet10 go1.x ruby2.5 ruby2.7 ruby3.2 ruby3.3
    ruby3.4 ruby4.0 provided provided.al2 provided.al2023 custom"""
RUNTIMES: Final = tuple(_RUNTIME_NAMES.split())
RESERVED: Final = frozenset(_RESERVED_NAMES.split())

Members = dict[str, Any]  # a structure of the API, by AWS's names


class Settings(FunctionInput):
    """What CreateFunction and UpdateFunctionConfiguration have in common."""

    role: str | None = None
    handler: str | None = None
    runtime: str | None = None
    description: str | None = None
    timeout: int | None = None
    memory_size: int | None = None
    environment: Members | None = None
    dead_letter_config: Members | None = None
    vpc_config: Members | None = None
    tracing_config: Members | None = None
    kms_key_arn: str | None = None
    ephemeral_storage: Members | None = None
    snap_start: Members | None = None
    logging_config: Members | None = None
    layers: list[str] | None = None
    file_system_configs: list[Members] | None = None
    image_config: Members | None = None
    capacity_provider_config: Members | None = None
    durable_config: Members | None = None
    runtime_config: Members | None = None
    accelerator_config: Members | None = None


_REFUSED: Final = {
    "layers": "Layers",
    "file_system_configs": "FileSystemConfigs",
    "image_config": "ImageConfig",
    "capacity_provider_config": "CapacityProviderConfig",
    "durable_config": "DurableConfig",
    "runtime_config": "RuntimeConfig",
    "accelerator_config": "AcceleratorConfig",
}


def changes(asked: Settings) -> dict[str, Any]:
    """The fields of a Version that an input sets; `kept` holds only those members that it has.

    Raises RUNTIME, CONSTRAINT, INVALID, UNSUPPORTED.
    """
    for field, member in _REFUSED.items():
        if getattr(asked, field):
            raise FunctionError.UNSUPPORTED(what=member)
    _check_bounds(asked)
    plain = {
        "role": asked.role,
        "handler": asked.handler,
        "runtime": asked.runtime,
        "description": asked.description,
        "timeout_s": asked.timeout,
        "memory_mb": asked.memory_size,
    }
    fields: dict[str, Any] = {name: value for name, value in plain.items() if value is not None}
    if asked.environment is not None:
        fields["environment"] = checked_environment(asked.environment.get("Variables") or {})
    if asked.dead_letter_config is not None:
        fields["dead_letter_arn"] = checked_target(asked.dead_letter_config.get("TargetArn") or "")
    fields["kept"] = _kept(asked)
    return fields


def _kept(asked: Settings) -> Members:
    kept: Members = {
        "TracingConfig": asked.tracing_config,
        "KMSKeyArn": asked.kms_key_arn,
        "EphemeralStorage": asked.ephemeral_storage,
        "LoggingConfig": asked.logging_config,
    }
    if asked.vpc_config is not None:
        vpc = {"SubnetIds": [], "SecurityGroupIds": [], **asked.vpc_config}
        kept["VpcConfig"] = {**vpc, "VpcId": "vpc-00000000" if vpc["SubnetIds"] else ""}
    if asked.snap_start is not None:
        kept["SnapStart"] = {"ApplyOn": "None", **asked.snap_start, "OptimizationStatus": "Off"}
    return {name: value for name, value in kept.items() if value is not None}


def _check_bounds(asked: Settings) -> None:
    """The model's bounds are those of the largest machines that functions can be given."""
    if asked.runtime and asked.runtime not in RUNTIMES:
        raise FunctionError.RUNTIME(runtime=asked.runtime[:64], known=", ".join(RUNTIMES))
    if asked.timeout is not None and asked.timeout > TIMEOUT_MAX_S:
        rule = f"Member must have value less than or equal to {TIMEOUT_MAX_S}"
        raise FunctionError.CONSTRAINT(value=asked.timeout, member="timeout", rule=rule)
    if asked.memory_size is not None and asked.memory_size > MEMORY_MAX_MB:
        text = f"'MemorySize' value failed to satisfy constraint: Member must have value less than or equal to {MEMORY_MAX_MB}"
        raise FunctionError.INVALID(text=text)
    if (asked.vpc_config or {}).get("Ipv6AllowedForDualStack"):
        raise FunctionError.UNSUPPORTED(what="Ipv6AllowedForDualStack")


def checked_environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Environment variables as they are kept.  Raises INVALID for reserved names and for more than 4 KB."""
    reserved = sorted(RESERVED & variables.keys())
    if reserved:
        raise FunctionError.INVALID(
            text="Lambda was unable to configure your environment variables because the environment variables you have"
            " provided contains reserved keys that are currently not supported for modification. Reserved keys used in this"
            f" request: {', '.join(reserved)}"
        )
    measured = msgspec.json.encode(variables)
    if len(measured) > ENVIRONMENT_MAX_BYTES:
        raise FunctionError.INVALID(
            text="Lambda was unable to configure your environment variables because the environment variables you have"
            f" provided exceeded the 4KB limit. String measured: {measured[:ENVIRONMENT_MAX_BYTES].decode(errors='replace')}"
        )
    return dict(variables)


def checked_target(arn: str) -> str:
    """Where failed events go: a queue or a topic, or nowhere.  Raises INVALID."""
    if arn and arn.split(":")[2:3] not in (["sqs"], ["sns"]):
        text = f"The provided target ARN {arn[:200]} is not valid. It must be the ARN of an SQS queue or SNS topic."
        raise FunctionError.INVALID(text=text)  # UNVERIFIED: wording
    return arn


class GetFunctionConfigurationRequest(QualifiedRequest):
    """GetFunctionConfiguration."""


async def get_function_configuration(
    functions: Functions, caller: Caller, request: GetFunctionConfigurationRequest
) -> Members:
    """What is set of a version."""
    name, function, version = functions.found(caller, request.function_name, request.qualifier)
    return described(function, version, functions.clock.now_ms(), name.qualifier)


class UpdateFunctionConfigurationRequest(Settings, kw_only=True):
    """UpdateFunctionConfiguration."""

    function_name: str
    revision_id: str | None = None


async def update_function_configuration(
    functions: Functions, caller: Caller, request: UpdateFunctionConfigurationRequest
) -> Members:
    """Change what is set of $LATEST; what the input leaves out stays."""
    held = functions.changeable(caller, request.function_name)
    latest = held.function.latest
    check_revision(request.revision_id, latest.revision)
    fields = changes(request)
    fields["kept"] = {**latest.kept, **fields["kept"]}
    function = msgspec.structs.replace(held.function, latest=updated(functions, latest, fields))
    await functions.directory.replace(held, function)
    return described(function, function.latest, functions.clock.now_ms())


def updated(functions: Functions, version: Version, fields: Mapping[str, Any]) -> Version:
    """$LATEST with other fields: an update that begins now."""
    return msgspec.structs.replace(
        version,
        **fields,
        revision=functions.new_id(),
        modified_ms=functions.clock.now_ms(),
        ready_ms=functions.after_transition(),
        new=False,
    )
