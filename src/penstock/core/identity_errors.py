"""The error table of IAM and STS: what their operations refuse, beside the rows that every service shares.

The rules are those of errors.py, but for the statuses: IAM has several, and its API model tells which.
Source of texts, where no other is named: answers that other emulators' tests and users' reports quote.
"""

from typing import Final

from penstock.core.errors import Row, Table

_ABSENT: Final = 404
_TAKEN: Final = 409
_FORBIDDEN: Final = 403


class IamError(Table):
    """The rows of IAM and STS."""

    NO_USER = Row("NoSuchEntity", "The user with name {name} cannot be found.", _ABSENT)
    NO_ROLE = Row("NoSuchEntity", "The role with name {name} cannot be found.", _ABSENT)
    NO_KEY = Row("NoSuchEntity", "The Access Key with id {id} cannot be found.", _ABSENT)
    NO_POLICY = Row("NoSuchEntity", "Policy {arn} was not found.", _ABSENT)
    NO_ATTACHABLE = Row("NoSuchEntity", "Policy {arn} does not exist or is not attachable.", _ABSENT)
    NO_VERSION = Row("NoSuchEntity", "Policy {arn} version {version} does not exist or is not attachable.", _ABSENT)
    NO_INLINE = Row("NoSuchEntity", "The {kind} policy with name {name} cannot be found.", _ABSENT)
    NO_BOUNDARY = Row(  # UNVERIFIED: wording
        "NoSuchEntity", "The {kind} with name {name} does not have a permissions boundary.", _ABSENT
    )
    NO_PROFILE = Row("NoSuchEntity", "Instance Profile {name} cannot be found.", _ABSENT)
    USER_EXISTS = Row("EntityAlreadyExists", "User with name {name} already exists.", _TAKEN)
    ROLE_EXISTS = Row("EntityAlreadyExists", "Role with name {name} already exists.", _TAKEN)
    POLICY_EXISTS = Row(
        "EntityAlreadyExists", "A policy called {name} already exists. Duplicate names are not allowed.", _TAKEN
    )
    PROFILE_EXISTS = Row("EntityAlreadyExists", "Instance Profile {name} already exists.", _TAKEN)
    HAS_KEYS = Row("DeleteConflict", "Cannot delete entity, must delete access keys first.", _TAKEN)
    HAS_INLINE = Row("DeleteConflict", "Cannot delete entity, must delete policies first.", _TAKEN)
    HAS_ATTACHED = Row("DeleteConflict", "Cannot delete entity, must detach all policies first.", _TAKEN)
    HAS_PROFILES = Row("DeleteConflict", "Cannot delete entity, must remove roles from instance profile first.", _TAKEN)
    IS_ATTACHED = Row("DeleteConflict", "Cannot delete a policy attached to entities.", _TAKEN)
    HAS_VERSIONS = Row(
        "DeleteConflict",
        "This policy has more than one version. Before you delete a policy, you must delete the policy's versions."
        " The default version is deleted with the policy.",
        _TAKEN,
    )
    VERSION_IS_DEFAULT = Row("DeleteConflict", "Cannot delete the default version of a policy.", _TAKEN)
    QUOTA = Row("LimitExceeded", "Cannot exceed quota for {quota}: {limit}", _TAKEN)
    INLINE_TOO_LARGE = Row("LimitExceeded", "Maximum policy size of {limit} bytes exceeded for {kind} {name}", _TAKEN)
    VERSIONS_FULL = Row(
        "LimitExceeded",
        "A managed policy can have up to {limit} versions. Before you create a new version, you must delete an existing version.",
        _TAKEN,
    )
    MODIFIED = Row(  # UNVERIFIED: wording
        "ConcurrentModification", "Another request changed the entity at the same time. Try again.", _TAKEN
    )
    MALFORMED_POLICY = Row("MalformedPolicyDocument", "{problem}")
    INVALID_INPUT = Row("InvalidInput", "{text}")
    INVALID = Row("ValidationError", "{text}")
    UNMODIFIABLE = Row(  # UNVERIFIED: code and wording
        "AccessDenied", "Policy {arn} is AWS's own and can not be changed.", _FORBIDDEN
    )
    DENIED = Row(
        "AccessDenied", "User: {principal} is not authorized to perform: {action} on resource: {resource}", 403
    )
    DENIED_WEB = Row("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity", 403)
    DENIED_ROOT = Row("AccessDenied", "Roles may not be assumed by root accounts.", 403)
    DENIED_SESSION = Row("AccessDenied", "Cannot call {operation} with session credentials", 403)
    PACKED_TOO_LARGE = Row(
        "PackedPolicyTooLarge",
        "Packed size of session policies is larger than {limit} bytes.",  # UNVERIFIED: wording
    )
    TOKEN_REFUSED = Row("InvalidIdentityToken", "{text}")
    TOKEN_OUTDATED = Row(
        "ExpiredTokenException", "Token expired: current date/time {now} must be before the expiration date/time {end}"
    )
    KEYS_UNREACHABLE = Row(
        "IDPCommunicationError",
        "The keys of identity provider {issuer} cannot be read.",  # UNVERIFIED: wording
    )
    MASTER_KEY = Row(  # ours
        "ServiceFailure", "The server cannot use its master key: {problem}", 500
    )
