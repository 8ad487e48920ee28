"""Permissions: the resource policies of functions, versions and aliases, a statement at a time."""

import re
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from penstock.core.context import Caller
from penstock.core.function_errors import FunctionError
from penstock.services.functions.invoking import LATEST
from penstock.services.functions.names import FunctionName
from penstock.services.functions.ops.configuration import Members
from penstock.services.functions.ops.shapes import FunctionOutput, QualifiedRequest, check_revision
from penstock.services.functions.service import Functions
from penstock.services.functions.state import Function, Policy

POLICY_MAX_BYTES: Final = 20_480
_ACCOUNT = re.compile(r"\d{12}", re.ASCII)
_PRINCIPAL_ARN = re.compile(r"arn:aws[a-z-]*:(iam|sts)::(\d{12}):.+", re.ASCII)
_SERVICE = re.compile(r"[a-z0-9.-]+\.(amazonaws\.com(\.cn)?|amazon\.com|aws)", re.ASCII)


class AddPermissionRequest(QualifiedRequest, kw_only=True):
    """AddPermission."""

    statement_id: str
    action: str
    principal: str
    source_arn: str | None = None
    source_account: str | None = None
    event_source_token: str | None = None
    function_url_auth_type: str | None = None
    invoked_via_function_url: bool | None = None
    principal_org_id: str | None = msgspec.field(default=None, name="PrincipalOrgID")
    revision_id: str | None = None


class AddPermissionResponse(FunctionOutput):
    """The statement, as a policy has it."""

    statement: str


async def add_permission(functions: Functions, caller: Caller, request: AddPermissionRequest) -> AddPermissionResponse:
    """Let a principal do something with a function, or with one version or alias of it."""
    name = _policed(functions, caller, request)
    statement = _statement(name, request)

    def with_statement(function: Function) -> Function:
        held = function.policies.get(name.qualifier or "")
        check_revision(request.revision_id, "" if held is None else held.revision, "GetPolicy")
        statements = {} if held is None else held.statements
        if request.statement_id in statements:
            raise FunctionError.STATEMENT_EXISTS(sid=request.statement_id)
        policy = Policy(functions.new_id(), {**statements, request.statement_id: statement})
        size = len(policy.document)
        if size > POLICY_MAX_BYTES:
            raise FunctionError.POLICY_TOO_LONG(size=size, limit=POLICY_MAX_BYTES)
        return replace(function, policies={**function.policies, name.qualifier or "": policy})

    await functions.directory.change(name, with_statement)
    return AddPermissionResponse(statement=msgspec.json.encode(statement).decode())


class RemovePermissionRequest(QualifiedRequest, kw_only=True):
    """RemovePermission."""

    statement_id: str
    revision_id: str | None = None


async def remove_permission(functions: Functions, caller: Caller, request: RemovePermissionRequest) -> None:
    """Take a statement away."""
    name = _policed(functions, caller, request)

    def without(function: Function) -> Function:
        held = function.policies.get(name.qualifier or "")
        if held is None:
            raise FunctionError.NO_POLICY_TO_CHANGE()
        if request.statement_id not in held.statements:
            raise FunctionError.NO_STATEMENT(sid=request.statement_id)
        check_revision(request.revision_id, held.revision, "GetPolicy")
        statements = {sid: one for sid, one in held.statements.items() if sid != request.statement_id}
        policies = {key: policy for key, policy in function.policies.items() if key != (name.qualifier or "")}
        if statements:
            policies[name.qualifier or ""] = Policy(functions.new_id(), statements)
        return replace(function, policies=policies)

    await functions.directory.change(name, without)


class GetPolicyRequest(QualifiedRequest):
    """GetPolicy."""


class GetPolicyResponse(FunctionOutput):
    """A policy."""

    policy: str
    revision_id: str


async def get_policy(functions: Functions, caller: Caller, request: GetPolicyRequest) -> GetPolicyResponse:
    """The policy of a function, or of one version or alias of it."""
    name, function, _ = functions.found(caller, request.function_name, request.qualifier)
    policy = function.policies.get(name.qualifier or "")
    if policy is None:
        raise FunctionError.NO_POLICY()
    return GetPolicyResponse(policy=policy.document.decode(), revision_id=policy.revision)


def _policed(functions: Functions, caller: Caller, request: QualifiedRequest) -> FunctionName:
    """What an input wants to have a policy.  Raises NO_FUNCTION, POLICY_OF_LATEST."""
    name, _, _ = functions.found(caller, request.function_name, request.qualifier)
    if name.qualifier == LATEST:
        raise FunctionError.POLICY_OF_LATEST()
    return name


def _statement(name: FunctionName, request: AddPermissionRequest) -> Members:
    action = "lambda:" + request.action.partition(":")[2] if ":" in request.action else request.action
    statement: Members = {
        "Sid": request.statement_id,
        "Effect": "Allow",
        "Principal": _principal(request.principal),
        "Action": action,
        "Resource": name.qualified_arn,
    }
    conditions = _conditions(request)
    if conditions:
        statement["Condition"] = conditions
    return statement


def _principal(text: str) -> str | Members:
    """A principal as a policy names it.  Raises PRINCIPAL."""
    if text == "*":
        return text
    if _ACCOUNT.fullmatch(text):
        return {"AWS": f"arn:aws:iam::{text}:root"}
    if _PRINCIPAL_ARN.fullmatch(text):
        return {"AWS": text}
    if _SERVICE.fullmatch(text):
        return {"Service": text}
    raise FunctionError.PRINCIPAL()


def _conditions(request: AddPermissionRequest) -> dict[str, dict[str, Any]]:
    equals = {
        "AWS:SourceAccount": request.source_account,
        "lambda:EventSourceToken": request.event_source_token,
        "lambda:FunctionUrlAuthType": request.function_url_auth_type,
        "aws:PrincipalOrgID": request.principal_org_id,
    }
    conditions: dict[str, dict[str, Any]] = {}
    texts = {key: value for key, value in equals.items() if value is not None}
    if texts:
        conditions["StringEquals"] = texts
    if request.invoked_via_function_url is not None:
        conditions["Bool"] = {"lambda:InvokedViaFunctionUrl": "true" if request.invoked_via_function_url else "false"}
    if request.source_arn is not None:
        conditions["ArnLike"] = {"AWS:SourceArn": request.source_arn}
    return conditions
