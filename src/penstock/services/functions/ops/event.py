"""What becomes of events: the configuration of asynchronous invocations, of a function or of a version or alias of it."""

from msgspec.structs import replace

from penstock.core.context import Caller
from penstock.core.function_errors import FunctionError
from penstock.core.ids import Millis
from penstock.services.functions.invoking import LATEST
from penstock.services.functions.names import FunctionName
from penstock.services.functions.ops.configuration import Members
from penstock.services.functions.ops.shapes import FunctionOutput, NamedRequest, QualifiedRequest
from penstock.services.functions.outlets import KINDS, kind_of
from penstock.services.functions.service import Functions, page
from penstock.services.functions.state import EventConfig, Function


class PutFunctionEventInvokeConfigRequest(QualifiedRequest):
    """PutFunctionEventInvokeConfig."""

    maximum_retry_attempts: int | None = None
    maximum_event_age_in_seconds: int | None = None
    destination_config: Members | None = None


class FunctionEventInvokeConfig(FunctionOutput):
    """A configuration, as it is told."""

    last_modified: Millis
    function_arn: str
    maximum_retry_attempts: int | None = None
    maximum_event_age_in_seconds: int | None = None
    destination_config: Members | None = None


async def put_function_event_invoke_config(
    functions: Functions, caller: Caller, request: PutFunctionEventInvokeConfigRequest
) -> FunctionEventInvokeConfig:
    """Set a configuration; what the input leaves out is as if it had never been set."""
    return await _put(functions, caller, request, EventConfig(modified_ms=functions.clock.now_ms()))


class UpdateFunctionEventInvokeConfigRequest(PutFunctionEventInvokeConfigRequest):
    """UpdateFunctionEventInvokeConfig."""


async def update_function_event_invoke_config(
    functions: Functions, caller: Caller, request: UpdateFunctionEventInvokeConfigRequest
) -> FunctionEventInvokeConfig:
    """Change a configuration; what the input leaves out stays."""
    return await _put(functions, caller, request, _config(functions, caller, request)[1])


class GetFunctionEventInvokeConfigRequest(QualifiedRequest):
    """GetFunctionEventInvokeConfig."""


async def get_function_event_invoke_config(
    functions: Functions, caller: Caller, request: GetFunctionEventInvokeConfigRequest
) -> FunctionEventInvokeConfig:
    """A configuration."""
    name, config = _config(functions, caller, request)
    return _told(name.arn, name.qualifier or LATEST, config)


class DeleteFunctionEventInvokeConfigRequest(QualifiedRequest):
    """DeleteFunctionEventInvokeConfig."""


async def delete_function_event_invoke_config(
    functions: Functions, caller: Caller, request: DeleteFunctionEventInvokeConfigRequest
) -> None:
    """Forget a configuration."""
    name, _ = _config(functions, caller, request)
    gone = name.qualifier or LATEST

    def without(function: Function) -> Function:
        configs = {key: config for key, config in function.event_configs.items() if key != gone}
        return replace(function, event_configs=configs)

    await functions.directory.change(name, without)


class ListFunctionEventInvokeConfigsRequest(NamedRequest):
    """ListFunctionEventInvokeConfigs."""

    marker: str | None = None
    max_items: int | None = None


class ListFunctionEventInvokeConfigsResponse(FunctionOutput):
    """A page of configurations."""

    function_event_invoke_configs: list[FunctionEventInvokeConfig]
    next_marker: str | None = None


async def list_function_event_invoke_configs(
    functions: Functions, caller: Caller, request: ListFunctionEventInvokeConfigsRequest
) -> ListFunctionEventInvokeConfigsResponse:
    """The configurations of a function and of its versions and aliases."""
    function = functions.held(caller, request.function_name).function
    entries = [(key, _told(function.arn, key, config)) for key, config in sorted(function.event_configs.items())]
    taken, marker = page(entries, request.marker, request.max_items)
    return ListFunctionEventInvokeConfigsResponse(function_event_invoke_configs=taken, next_marker=marker)


def _config(functions: Functions, caller: Caller, request: QualifiedRequest) -> tuple[FunctionName, EventConfig]:
    name, function, _ = functions.found(caller, request.function_name, request.qualifier)
    qualifier = name.qualifier or LATEST
    config = function.event_configs.get(qualifier)
    if config is None:
        raise FunctionError.NO_EVENT_CONFIG(arn=f"{function.arn}:{qualifier}")
    return name, config


async def _put(
    functions: Functions, caller: Caller, request: PutFunctionEventInvokeConfigRequest, base: EventConfig
) -> FunctionEventInvokeConfig:
    name, _, _ = functions.found(caller, request.function_name, request.qualifier)
    retries, age_s, destinations = (
        request.maximum_retry_attempts, request.maximum_event_age_in_seconds, request.destination_config,
    )  # fmt: skip
    if retries is None and age_s is None and destinations is None:
        raise FunctionError.EVENT_CONFIG_EMPTY()
    config = EventConfig(
        modified_ms=functions.clock.now_ms(),
        retries=base.retries if retries is None else retries,
        age_s=base.age_s if age_s is None else age_s,
        on_success=base.on_success if destinations is None else _destination(name, destinations, "OnSuccess"),
        on_failure=base.on_failure if destinations is None else _destination(name, destinations, "OnFailure"),
    )
    qualifier = name.qualifier or LATEST
    await functions.directory.change(
        name, lambda held: replace(held, event_configs={**held.event_configs, qualifier: config})
    )
    return _told(name.arn, qualifier, config)


def _destination(name: FunctionName, destinations: Members, which: str) -> str:
    """Where a record goes; empty: nowhere.  Raises INVALID."""
    arn: str = (destinations.get(which) or {}).get("Destination") or ""
    kind = kind_of(arn)
    if arn and (kind not in KINDS or (kind == "s3" and which == "OnSuccess")):
        text = f"The provided destination config DestinationConfig({which}={which}(destination={arn})) is invalid."
        raise FunctionError.INVALID(text=text)
    if arn and arn.rpartition(":function:")[2].split(":")[0] == name.name and kind == "lambda":
        text = "You can't specify the function as a destination for itself."
        raise FunctionError.INVALID(text=text)
    return arn


def _told(arn: str, qualifier: str, config: EventConfig) -> FunctionEventInvokeConfig:
    destinations = {
        "OnSuccess": {"Destination": config.on_success} if config.on_success else {},
        "OnFailure": {"Destination": config.on_failure} if config.on_failure else {},
    }
    return FunctionEventInvokeConfig(
        last_modified=config.modified_ms,
        function_arn=f"{arn}:{qualifier}",
        maximum_retry_attempts=config.retries,
        maximum_event_age_in_seconds=config.age_s,
        destination_config=destinations,
    )
