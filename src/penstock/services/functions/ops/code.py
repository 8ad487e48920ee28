"""UpdateFunctionCode."""

from typing import Any

import msgspec

from penstock.core.context import Caller
from penstock.core.errors import ServiceError
from penstock.core.function_errors import FunctionError
from penstock.services.functions.ops.configuration import Members, updated
from penstock.services.functions.ops.describing import described
from penstock.services.functions.ops.shapes import FunctionInput, check_revision
from penstock.services.functions.ops.version import next_version
from penstock.services.functions.service import Functions
from penstock.services.functions.state import Version


class CodeSource(FunctionInput):
    """Where code comes from."""

    zip_file: bytes | None = None
    s3_bucket: str | None = None
    s3_key: str | None = None
    s3_object_version: str | None = None
    s3_object_storage_mode: str | None = None
    image_uri: str | None = None
    source_kms_key_arn: str | None = msgspec.field(default=None, name="SourceKMSKeyArn")


class UpdateFunctionCodeRequest(CodeSource, kw_only=True):
    """UpdateFunctionCode."""

    function_name: str
    architectures: list[str] | None = None
    publish: bool = False
    publish_to: str | None = None
    dry_run: bool = False
    revision_id: str | None = None


async def update_function_code(functions: Functions, caller: Caller, request: UpdateFunctionCodeRequest) -> Members:
    """Give $LATEST other code, and publish it if that is asked for."""
    held = functions.changeable(caller, request.function_name)
    old = held.function.latest
    check_revision(request.revision_id, old.revision)
    if request.publish_to is not None:
        raise FunctionError.UNSUPPORTED(what="PublishTo")
    data = await functions.packages.fetch(request, "UpdateFunctionCode")
    if request.dry_run:
        return described(held.function, old, functions.clock.now_ms())
    code = await functions.packages.store(held.function.uid, functions.new_id(), data)
    fields: dict[str, Any] = {"code": code}
    if request.architectures is not None:
        fields["kept"] = {**old.kept, "Architectures": request.architectures}
    function = msgspec.structs.replace(held.function, latest=updated(functions, old, fields))
    published: Version | None = None
    if request.publish:
        function, published = next_version(functions, function, "")
    try:
        await functions.directory.replace(held, function, published)
    except ServiceError:
        await functions.packages.forget([code])
        raise
    await functions.packages.forget([old.code], functions.directory.codes(function))
    told = function.latest if published is None else published
    return described(function, told, functions.clock.now_ms(), None if published is None else published.number)
