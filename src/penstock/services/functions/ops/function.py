"""Functions: made, found, listed, deleted."""

from typing import Any, Final

from penstock.core.context import Caller
from penstock.core.errors import ServiceError
from penstock.core.function_errors import FunctionError
from penstock.services.functions.invoking import LATEST
from penstock.services.functions.ops.code import CodeSource
from penstock.services.functions.ops.configuration import Members, Settings, changes
from penstock.services.functions.ops.describing import described, listed
from penstock.services.functions.ops.shapes import FunctionInput, FunctionOutput, QualifiedRequest, numbered
from penstock.services.functions.ops.tag import checked_tags
from penstock.services.functions.ops.version import next_version
from penstock.services.functions.service import Functions, page
from penstock.services.functions.state import Code, Function, Version

DELETED_STATUS: Final = 204


class CreateFunctionRequest(Settings, kw_only=True):
    """CreateFunction."""

    function_name: str
    code: CodeSource
    role: str
    package_type: str = "Zip"
    publish: bool = False
    publish_to: str | None = None
    architectures: list[str] | None = None
    tags: dict[str, str] | None = None
    code_signing_config_arn: str | None = None
    tenancy_config: Members | None = None


async def create_function(functions: Functions, caller: Caller, request: CreateFunctionRequest) -> Members:
    """Make a function of a zip."""
    name = functions.named(caller, request.function_name)
    _check_supported(request)
    fields = changes(request)
    tags = checked_tags({}, request.tags or {})
    if functions.directory.exists(name):
        raise FunctionError.EXISTS(name=name.name)
    uid, now_ms = functions.new_id(), functions.clock.now_ms()
    data = await functions.packages.fetch(request.code, "CreateFunction")
    code = await functions.packages.store(uid, functions.new_id(), data)
    if request.architectures is not None:
        fields["kept"]["Architectures"] = request.architectures
    latest = _first_version(functions, code, fields)
    function = Function(
        account=name.account, region=name.region, name=name.name, uid=uid, created_ms=now_ms, latest=latest, tags=tags
    )
    published: Version | None = None
    if request.publish:
        function, published = next_version(functions, function, "")
    try:
        await functions.directory.create(function, published)
    except ServiceError:
        await functions.packages.forget([code])
        raise
    if published is None:
        return described(function, latest, now_ms)
    return described(function, published, now_ms, published.number)


def _first_version(functions: Functions, code: Code, fields: dict[str, Any]) -> Version:
    return Version(
        revision=functions.new_id(),
        code=code,
        modified_ms=functions.clock.now_ms(),
        ready_ms=functions.after_transition(),
        **fields,
    )


def _check_supported(request: CreateFunctionRequest) -> None:
    for what, asked in (
        ("PackageType Image", request.package_type == "Image"),
        ("PublishTo", request.publish_to),
        ("CodeSigningConfigArn", request.code_signing_config_arn),
        ("TenancyConfig", request.tenancy_config),
    ):
        if asked:
            raise FunctionError.UNSUPPORTED(what=what)
    if not request.runtime or not request.handler:
        raise FunctionError.RUNTIME_AND_HANDLER()


class GetFunctionRequest(QualifiedRequest):
    """GetFunction."""


class GetFunctionResponse(FunctionOutput):
    """A function, and where its code is."""

    configuration: Members
    code: Members
    tags: dict[str, str] | None = None
    concurrency: Members | None = None


async def get_function(functions: Functions, caller: Caller, request: GetFunctionRequest) -> GetFunctionResponse:
    """A version, and a URL that gives its code for ten minutes."""
    name, function, version = functions.found(caller, request.function_name, request.qualifier)
    reserved = function.reserved_concurrency
    return GetFunctionResponse(
        configuration=described(function, version, functions.clock.now_ms(), name.qualifier),
        code={"RepositoryType": "S3", "Location": functions.links.url(caller, version.code)},
        tags=function.tags or None,
        concurrency=None if reserved is None else {"ReservedConcurrentExecutions": reserved},
    )


class ListFunctionsRequest(FunctionInput):
    """ListFunctions."""

    master_region: str | None = None
    function_version: str | None = None
    marker: str | None = None
    max_items: int | None = None


class ListFunctionsResponse(FunctionOutput):
    """A page of functions."""

    functions: list[Members]
    next_marker: str | None = None


async def list_functions(functions: Functions, caller: Caller, request: ListFunctionsRequest) -> ListFunctionsResponse:
    """The functions of the account in the region; with `FunctionVersion` ALL their published versions too."""
    entries: list[tuple[str, tuple[Function, Version]]] = []
    everything = request.function_version == "ALL"
    for function in functions.directory.of(caller.account, caller.region):
        published = functions.directory.versions(function) if everything else []
        versions = [function.latest, *published]
        entries += [(f"{function.name}:{numbered(version)}", (function, version)) for version in versions]
    taken, marker = page(sorted(entries, key=lambda entry: entry[0]), request.marker, request.max_items)
    now_ms = functions.clock.now_ms()
    told = [listed(function, version, now_ms, qualified=everything) for function, version in taken]
    return ListFunctionsResponse(functions=told, next_marker=marker)


class DeleteFunctionRequest(QualifiedRequest):
    """DeleteFunction."""


class DeleteFunctionResponse(FunctionOutput):
    """Nothing but a status."""

    status_code: int


async def delete_function(
    functions: Functions, caller: Caller, request: DeleteFunctionRequest
) -> DeleteFunctionResponse:
    """Delete a function with its versions, or one version of it."""
    name = functions.named(caller, request.function_name, request.qualifier)
    held = functions.directory.held(name)
    function = held.function
    if name.qualifier == LATEST:
        raise FunctionError.LATEST_STAYS()
    if name.qualifier is None:
        codes = functions.directory.codes(function)
        await functions.directory.remove(held)
    else:
        version = functions.directory.published(function, name.qualifier)
        users = [alias for alias, of in function.aliases.items() if name.qualifier in (of.version, *of.weights)]
        if users:
            raise FunctionError.VERSION_IN_USE(aliases=", ".join(sorted(users)))
        codes = [] if version is None else [version.code]
        await functions.directory.remove_version(held, name.qualifier)
    await functions.packages.forget(codes, () if name.qualifier is None else functions.directory.codes(function))
    return DeleteFunctionResponse(status_code=DELETED_STATUS)
