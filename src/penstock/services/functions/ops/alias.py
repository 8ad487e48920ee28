"""Aliases: names that are given to versions, and may be given to others."""

import re
from collections.abc import Mapping
from typing import Final, TypeVar

from msgspec.structs import replace

from penstock.core.context import Caller
from penstock.core.function_errors import FunctionError
from penstock.services.functions.invoking import LATEST
from penstock.services.functions.ops.configuration import Members
from penstock.services.functions.ops.shapes import (
    FunctionInput,
    FunctionOutput,
    NamedRequest,
    check_revision,
    shown_alias,
)
from penstock.services.functions.service import Functions, page
from penstock.services.functions.state import Alias, Function

# The model's own pattern of names looks ahead, which ours, that are linear, cannot.
_NAME = re.compile(r"[a-zA-Z0-9-_]*[a-zA-Z-_][a-zA-Z0-9-_]*", re.ASCII)
Kept = TypeVar("Kept")
_NAME_RULE: Final = "Member must satisfy regular expression pattern: (?!^[0-9]+$)([a-zA-Z0-9-_]+)"


class Routing(FunctionInput):
    """The share of another version."""

    additional_version_weights: dict[str, float] | None = None


class CreateAliasRequest(NamedRequest):
    """CreateAlias."""

    name: str
    function_version: str
    description: str = ""
    routing_config: Routing | None = None


async def create_alias(functions: Functions, caller: Caller, request: CreateAliasRequest) -> Members:
    """Give a version another name."""
    if _NAME.fullmatch(request.name) is None:
        raise FunctionError.CONSTRAINT(value=request.name, member="name", rule=_NAME_RULE)
    name = functions.named(caller, request.function_name)
    weights = {} if request.routing_config is None else request.routing_config.additional_version_weights or {}
    alias = Alias(
        version=request.function_version, revision=functions.new_id(), description=request.description, weights=weights
    )

    def with_alias(function: Function) -> Function:
        if request.name in function.aliases:
            raise FunctionError.ALIAS_EXISTS(arn=f"{function.arn}:{request.name}")
        _check_versions(functions, function, alias)
        return replace(function, aliases={**function.aliases, request.name: alias})

    return shown_alias(await functions.directory.change(name, with_alias), request.name, alias)


class AliasRequest(NamedRequest):
    """An input that names an alias."""

    name: str


class UpdateAliasRequest(AliasRequest, kw_only=True):
    """UpdateAlias."""

    function_version: str | None = None
    description: str | None = None
    routing_config: Routing | None = None
    revision_id: str | None = None


async def update_alias(functions: Functions, caller: Caller, request: UpdateAliasRequest) -> Members:
    """Give the name to another version, or to two."""

    def changed(function: Function) -> Function:
        alias = _alias(function, request.name)
        check_revision(request.revision_id, alias.revision)
        weights = alias.weights
        if request.routing_config is not None:
            weights = request.routing_config.additional_version_weights or {}
        after = Alias(
            version=alias.version if request.function_version is None else request.function_version,
            revision=functions.new_id(),
            description=alias.description if request.description is None else request.description,
            weights=weights,
        )
        _check_versions(functions, function, after)
        return replace(function, aliases={**function.aliases, request.name: after})

    function = await functions.directory.change(functions.named(caller, request.function_name), changed)
    return shown_alias(function, request.name, function.aliases[request.name])


class GetAliasRequest(AliasRequest):
    """GetAlias."""


async def get_alias(functions: Functions, caller: Caller, request: GetAliasRequest) -> Members:
    """What an alias stands for."""
    function = functions.held(caller, request.function_name).function
    return shown_alias(function, request.name, _alias(function, request.name))


class ListAliasesRequest(NamedRequest):
    """ListAliases."""

    function_version: str | None = None
    marker: str | None = None
    max_items: int | None = None


class ListAliasesResponse(FunctionOutput):
    """A page of aliases."""

    aliases: list[Members]
    next_marker: str | None = None


async def list_aliases(functions: Functions, caller: Caller, request: ListAliasesRequest) -> ListAliasesResponse:
    """Aliases of a function, or of one version of it, by name."""
    function = functions.held(caller, request.function_name).function
    wanted = request.function_version
    found = [
        (name, shown_alias(function, name, alias))
        for name, alias in sorted(function.aliases.items())
        if wanted in (None, alias.version, *alias.weights)
    ]
    taken, marker = page(found, request.marker, request.max_items)
    return ListAliasesResponse(aliases=taken, next_marker=marker)


class DeleteAliasRequest(AliasRequest):
    """DeleteAlias."""


async def delete_alias(functions: Functions, caller: Caller, request: DeleteAliasRequest) -> None:
    """Take the name away, with its policy and configuration; one that is not there is passed over."""

    def without(function: Function) -> Function:
        return replace(
            function,
            aliases=_but(function.aliases, request.name),
            policies=_but(function.policies, request.name),
            event_configs=_but(function.event_configs, request.name),
        )

    await functions.directory.change(functions.named(caller, request.function_name), without)


def _but(held: Mapping[str, Kept], name: str) -> dict[str, Kept]:
    return {key: value for key, value in held.items() if key != name}


def _alias(function: Function, name: str) -> Alias:
    alias = function.aliases.get(name)
    if alias is None:
        raise FunctionError.NO_ALIAS(arn=f"{function.arn}:{name}")
    return alias


def _check_versions(functions: Functions, function: Function, alias: Alias) -> None:
    """Raise NO_FUNCTION, INVALID unless an alias stands for versions that are there."""
    for number in (alias.version, *alias.weights):
        if functions.directory.published(function, number) is None:
            raise FunctionError.NO_FUNCTION(arn=f"{function.arn}:{number}")
    if not alias.weights:
        return
    if len(alias.weights) > 1:
        text = "Number of items in AdditionalVersionWeights cannot be greater than 1"  # UNVERIFIED: wording
        raise FunctionError.INVALID(text=text)
    if alias.version == LATEST:
        text = "$LATEST is not supported for an alias pointing to more than 1 version"
        raise FunctionError.INVALID(text=text)
    if alias.version in alias.weights:
        text = f"Invalid function version {alias.version}. Function version {alias.version} is already included in routing configuration."
        raise FunctionError.INVALID(text=text)
