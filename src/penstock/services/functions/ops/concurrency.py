"""How many of a function run at once: reserved concurrency, and what an account has of it."""

from typing import Final

from msgspec.structs import replace

from penstock.core.context import Caller
from penstock.core.function_errors import FunctionError
from penstock.services.functions.archive import UNZIPPED_MAX_BYTES
from penstock.services.functions.ops.shapes import FunctionInput, FunctionOutput, NamedRequest
from penstock.services.functions.packages import ZIPPED_MAX_BYTES
from penstock.services.functions.service import Functions
from penstock.services.functions.state import Function

ACCOUNT_CONCURRENCY: Final = 1000
UNRESERVED_MIN: Final = 100
CODE_MAX_BYTES: Final = 80_530_636_800  # of all functions of an account; told, not enforced


class PutFunctionConcurrencyRequest(NamedRequest):
    """PutFunctionConcurrency."""

    reserved_concurrent_executions: int


class ConcurrencyResponse(FunctionOutput):
    """What is reserved; absent if nothing is."""

    reserved_concurrent_executions: int | None = None


async def put_function_concurrency(
    functions: Functions, caller: Caller, request: PutFunctionConcurrencyRequest
) -> ConcurrencyResponse:
    """Reserve concurrency for a function, and bound it to that.  Zero stops it."""
    name, count = functions.named(caller, request.function_name), request.reserved_concurrent_executions

    def reserved(function: Function) -> Function:
        others = _reserved(functions, function.account, function.region) - (function.reserved_concurrency or 0)
        if others + count > ACCOUNT_CONCURRENCY - UNRESERVED_MIN:
            raise FunctionError.RESERVED_TOO_MUCH(minimum=UNRESERVED_MIN)
        return replace(function, reserved_concurrency=count)

    async with functions.reserving:
        await functions.directory.change(name, reserved)
    return ConcurrencyResponse(reserved_concurrent_executions=count)


class GetFunctionConcurrencyRequest(NamedRequest):
    """GetFunctionConcurrency."""


async def get_function_concurrency(
    functions: Functions, caller: Caller, request: GetFunctionConcurrencyRequest
) -> ConcurrencyResponse:
    """What is reserved for a function."""
    held = functions.held(caller, request.function_name)
    return ConcurrencyResponse(reserved_concurrent_executions=held.function.reserved_concurrency)


class DeleteFunctionConcurrencyRequest(NamedRequest):
    """DeleteFunctionConcurrency."""


async def delete_function_concurrency(
    functions: Functions, caller: Caller, request: DeleteFunctionConcurrencyRequest
) -> None:
    """Let a function share what is unreserved again."""
    name = functions.named(caller, request.function_name)
    await functions.directory.change(name, lambda held: replace(held, reserved_concurrency=None))


class GetAccountSettingsRequest(FunctionInput):
    """GetAccountSettings."""


class AccountLimit(FunctionOutput):
    """What an account may have."""

    total_code_size: int
    code_size_unzipped: int
    code_size_zipped: int
    concurrent_executions: int
    unreserved_concurrent_executions: int


class AccountUsage(FunctionOutput, omit_defaults=False):
    """What it has."""

    total_code_size: int
    function_count: int


class GetAccountSettingsResponse(FunctionOutput):
    """Both."""

    account_limit: AccountLimit
    account_usage: AccountUsage


async def get_account_settings(
    functions: Functions, caller: Caller, request: GetAccountSettingsRequest
) -> GetAccountSettingsResponse:
    """Limits and usage of the account in the region."""
    del request  # it says nothing
    owned = functions.directory.of(caller.account, caller.region)
    codes = {code.blob: code.size_bytes for one in owned for code in functions.directory.codes(one)}
    return GetAccountSettingsResponse(
        account_limit=AccountLimit(
            total_code_size=CODE_MAX_BYTES,
            code_size_unzipped=UNZIPPED_MAX_BYTES,
            code_size_zipped=ZIPPED_MAX_BYTES,
            concurrent_executions=ACCOUNT_CONCURRENCY,
            unreserved_concurrent_executions=ACCOUNT_CONCURRENCY - _reserved(functions, caller.account, caller.region),
        ),
        account_usage=AccountUsage(total_code_size=sum(codes.values()), function_count=len(owned)),
    )


def _reserved(functions: Functions, account: str, region: str) -> int:
    return sum(one.reserved_concurrency or 0 for one in functions.directory.of(account, region))
