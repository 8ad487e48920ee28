"""Key policies: one for each key, called `default`."""

from typing import Final

import msgspec
from msgspec.structs import replace

from penstock.core.context import Caller
from penstock.core.kms_errors import KmsError
from penstock.core.limits import KIB
from penstock.services.kms.ops.paging import PAGE
from penstock.services.kms.service import Kms
from penstock.services.kms.state import Key
from penstock.wire.operation import Input, Output

NAME: Final = "default"
POLICY_MAX_BYTES: Final = 32 * KIB  # a quota of AWS


class GetKeyPolicyRequest(Input):
    """GetKeyPolicy."""

    key_id: str
    policy_name: str = NAME


class PolicyAnswer(Output):
    """A policy."""

    policy: str
    policy_name: str


async def get_key_policy(kms: Kms, caller: Caller, request: GetKeyPolicyRequest) -> PolicyAnswer:
    """Tell a key's policy.  Raises NO_POLICY."""
    key = kms.find(caller, request.key_id).record
    if request.policy_name != NAME:
        raise KmsError.NO_POLICY()
    return PolicyAnswer(policy=key.policy, policy_name=NAME)


class PutKeyPolicyRequest(Input):
    """PutKeyPolicy."""

    key_id: str
    policy: str
    policy_name: str = NAME
    bypass_policy_lockout_safety_check: bool = False


async def put_key_policy(kms: Kms, caller: Caller, request: PutKeyPolicyRequest) -> None:
    """Replace a key's policy.  Raises NO_POLICY, POLICY, POLICY_SIZE, PENDING_DELETION.

    The lockout safety check is the guard's; without enforcement nobody is locked out.
    """
    key: Key = kms.find_own(caller, request.key_id).record
    if request.policy_name != NAME:
        raise KmsError.NO_POLICY()
    check_policy(kms, request.policy)
    if key.deletion_ms is not None:
        raise KmsError.PENDING_DELETION(arn=key.arn)
    await kms.keys.change(key.id, lambda held: replace(held, policy=request.policy))


class ListKeyPoliciesRequest(Input):
    """ListKeyPolicies."""

    key_id: str
    limit: int = PAGE
    marker: str | None = None


class PolicyNamesAnswer(Output):
    """The names of a key's policies."""

    policy_names: list[str]
    truncated: bool


async def list_key_policies(kms: Kms, caller: Caller, request: ListKeyPoliciesRequest) -> PolicyNamesAnswer:
    """List the policies of a key: there is one."""
    kms.find(caller, request.key_id)
    return PolicyNamesAnswer(policy_names=[NAME], truncated=False)


def check_policy(kms: Kms, text: str) -> None:
    """Raise POLICY or POLICY_SIZE unless a text can be a key policy."""
    if len(text.encode()) > POLICY_MAX_BYTES:
        raise KmsError.POLICY_SIZE(limit_bytes=POLICY_MAX_BYTES)
    try:
        document = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        raise KmsError.POLICY(problem="This policy contains invalid Json") from None  # UNVERIFIED: KMS's own wording
    if not isinstance(document, dict) or not isinstance(document.get("Statement"), dict | list):
        raise KmsError.POLICY(problem="Syntax errors in policy.")  # UNVERIFIED: KMS's own wording
    problem = kms.guard.check_policy(text)
    if problem is not None:
        raise KmsError.POLICY(problem=problem)
