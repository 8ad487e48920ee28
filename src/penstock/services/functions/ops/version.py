"""Published versions: numbers that stay, whatever becomes of $LATEST."""

from typing import Any

import msgspec

from penstock.core.context import Caller
from penstock.core.function_errors import FunctionError
from penstock.services.functions.ops.configuration import Members
from penstock.services.functions.ops.describing import described, listed
from penstock.services.functions.ops.shapes import FunctionOutput, NamedRequest, check_revision, numbered
from penstock.services.functions.service import Functions, page
from penstock.services.functions.state import Function, Version


def next_version(functions: Functions, function: Function, description: str) -> tuple[Function, Version]:
    """A function that has published its $LATEST, and the version that this made."""
    number = str(function.next_version)
    fields: dict[str, Any] = {"description": description} if description else {}
    version = msgspec.structs.replace(
        function.latest,
        **fields,
        number=number,
        revision=functions.new_id(),
        new=True,
        ready_ms=functions.after_transition(),
    )
    return msgspec.structs.replace(function, next_version=function.next_version + 1), version


class PublishVersionRequest(NamedRequest):
    """PublishVersion."""

    code_sha256: str | None = None
    description: str = ""
    revision_id: str | None = None
    publish_to: str | None = None


async def publish_version(functions: Functions, caller: Caller, request: PublishVersionRequest) -> Members:
    """Make a version of $LATEST; where nothing has changed since the last one, that one is told again."""
    if request.publish_to is not None:
        raise FunctionError.UNSUPPORTED(what="PublishTo")
    held = functions.changeable(caller, request.function_name)
    function, latest = held.function, held.function.latest
    check_revision(request.revision_id, latest.revision)
    if request.code_sha256 not in (None, "", latest.code.sha256):
        raise FunctionError.INVALID(
            text=f"CodeSHA256 ({request.code_sha256}) is different from current CodeSHA256 in $LATEST ({latest.code.sha256})."
            " Please try again with the CodeSHA256 in $LATEST."
        )
    published = functions.directory.versions(function)
    version = published[-1] if published and _same(published[-1], latest) else None
    if version is None:
        function, version = next_version(functions, function, request.description)
        await functions.directory.replace(held, function, version)
    return described(function, version, functions.clock.now_ms(), version.number)


def _same(version: Version, latest: Version) -> bool:
    """Whether nothing would be new in a version of $LATEST.  Its description and what names it do not count."""
    kept = {
        name: getattr(version, name) for name in ("number", "revision", "description", "modified_ms", "ready_ms", "new")
    }
    return msgspec.structs.replace(latest, **kept) == version


class ListVersionsByFunctionRequest(NamedRequest):
    """ListVersionsByFunction."""

    marker: str | None = None
    max_items: int | None = None


class ListVersionsByFunctionResponse(FunctionOutput):
    """A page of versions."""

    versions: list[Members]
    next_marker: str | None = None


async def list_versions_by_function(
    functions: Functions, caller: Caller, request: ListVersionsByFunctionRequest
) -> ListVersionsByFunctionResponse:
    """Tell $LATEST and the published versions."""
    function = functions.held(caller, request.function_name).function
    versions = [function.latest, *functions.directory.versions(function)]
    taken, marker = page([(numbered(version), version) for version in versions], request.marker, request.max_items)
    now_ms = functions.clock.now_ms()
    return ListVersionsByFunctionResponse(
        versions=[listed(function, version, now_ms) for version in taken], next_marker=marker
    )
