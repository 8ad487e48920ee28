"""What tools ask of every function, and what is the same for all of ours: code signing, the runtime's updates, recursive loops."""

from msgspec.structs import replace

from penstock.core.context import Caller
from penstock.services.functions.ops.shapes import FunctionOutput, NamedRequest, QualifiedRequest
from penstock.services.functions.service import Functions


class GetFunctionCodeSigningConfigRequest(NamedRequest):
    """GetFunctionCodeSigningConfig."""


class GetFunctionCodeSigningConfigResponse(FunctionOutput, omit_defaults=False):
    """No configuration: UNVERIFIED is that AWS then says so with an empty ARN."""

    function_name: str
    code_signing_config_arn: str = ""


async def get_function_code_signing_config(
    functions: Functions, caller: Caller, request: GetFunctionCodeSigningConfigRequest
) -> GetFunctionCodeSigningConfigResponse:
    """Code is not signed here."""
    return GetFunctionCodeSigningConfigResponse(
        function_name=functions.held(caller, request.function_name).function.name
    )


class GetRuntimeManagementConfigRequest(QualifiedRequest):
    """GetRuntimeManagementConfig."""


class GetRuntimeManagementConfigResponse(FunctionOutput):
    """How a runtime is updated."""

    update_runtime_on: str
    function_arn: str


async def get_runtime_management_config(
    functions: Functions, caller: Caller, request: GetRuntimeManagementConfigRequest
) -> GetRuntimeManagementConfigResponse:
    """Runtimes are those of the machine, so they are updated with it."""
    _, function, version = functions.found(caller, request.function_name, request.qualifier)
    return GetRuntimeManagementConfigResponse(update_runtime_on="Auto", function_arn=f"{function.arn}:{version.number}")


class PutFunctionRecursionConfigRequest(NamedRequest):
    """PutFunctionRecursionConfig."""

    recursive_loop: str


class RecursionConfigResponse(FunctionOutput):
    """What is done about recursive loops."""

    recursive_loop: str


async def put_function_recursion_config(
    functions: Functions, caller: Caller, request: PutFunctionRecursionConfigRequest
) -> RecursionConfigResponse:
    """Remember what should be done about recursive loops; nothing here looks for them."""
    name = functions.named(caller, request.function_name)
    await functions.directory.change(name, lambda held: replace(held, recursive_loop=request.recursive_loop))
    return RecursionConfigResponse(recursive_loop=request.recursive_loop)


class GetFunctionRecursionConfigRequest(NamedRequest):
    """GetFunctionRecursionConfig."""


async def get_function_recursion_config(
    functions: Functions, caller: Caller, request: GetFunctionRecursionConfigRequest
) -> RecursionConfigResponse:
    """What was said about recursive loops."""
    return RecursionConfigResponse(recursive_loop=functions.held(caller, request.function_name).function.recursive_loop)
