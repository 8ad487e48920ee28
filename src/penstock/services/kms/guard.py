"""Who may use a key: the hook through which policies are enforced."""

from collections.abc import Mapping
from typing import Protocol

from penstock.core.context import Caller
from penstock.core.errors import ServiceError
from penstock.core.kms_errors import KmsError
from penstock.services.kms.state import Key


class Guard(Protocol):
    """Decides who may do what with a key."""

    def refusal(self, caller: Caller, action: str, key: Key, context: Mapping[str, str]) -> ServiceError | None:
        """Why a caller may not do `action` ("kms:Decrypt") with a key, as the error to be told; None if it may."""
        ...

    def check_policy(self, text: str) -> str | None:
        """What is wrong with a key policy, in AWS's words; None if nothing is."""
        ...


class OpenGuard:
    """With `--auth open`: every caller is its account's root and may do all with the account's keys, and nothing with another's."""

    def refusal(self, caller: Caller, action: str, key: Key, context: Mapping[str, str]) -> ServiceError | None:
        """Why not."""
        if caller.account == key.account:
            return None
        return KmsError.OTHER_ACCOUNT(principal=caller.arn, action=action, arn=key.arn)

    def check_policy(self, text: str) -> str | None:
        """Its form is looked at by the operation; nothing more is asked of it."""
        return None
