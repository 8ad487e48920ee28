"""The error table of KMS, and of the streams that are encrypted with its keys, beside the rows that every service shares.

The rules are those of errors.py.  Source of texts, where no other is named: answers that users' reports and other emulators' tests quote.
"""

from typing import Final

from penstock.core.errors import SERVER_STATUS, Row, ServiceError, Table


class KmsError(Table):
    """The rows of KMS."""

    NO_KEY = Row("NotFoundException", "Key '{arn}' does not exist")
    NO_KEY_ID = Row("NotFoundException", "Invalid keyId '{key_id}'")
    NO_ALIAS = Row("NotFoundException", "Alias {arn} is not found.")
    OTHER_REGION = Row("NotFoundException", "Invalid arn {region}")
    NO_POLICY = Row("NotFoundException", "No such policy exists")
    DISABLED = Row("DisabledException", "{arn} is disabled.")
    PENDING_DELETION = Row("KMSInvalidStateException", "{arn} is pending deletion.")
    NOT_PENDING_DELETION = Row("KMSInvalidStateException", "{arn} is not pending deletion.")
    UNAVAILABLE = Row(  # ours: the master key that its material is under is not there, or is another one
        "KeyUnavailableException", "{arn} is unavailable: the server's master key does not open it.", SERVER_STATUS
    )
    MASTER_KEY = Row("KMSInternalException", "The server cannot use its master key: {problem}", SERVER_STATUS)  # ours
    ALIAS_EXISTS = Row("AlreadyExistsException", "An alias with the name {arn} already exists")
    ALIAS_PREFIX = Row(
        "ValidationException",
        'Alias must start with the prefix "alias/". Please see '
        "https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html",
    )
    ALIAS_NAME = Row("ValidationException", "{name} contains invalid characters for an alias")
    ALIAS_RESERVED = Row(  # UNVERIFIED: wording
        "NotAuthorizedException", "Aliases that begin with alias/aws/ are reserved for AWS managed keys."
    )
    ALIAS_TARGET = Row(  # UNVERIFIED: wording; the API reference says that a target is no alias
        "ValidationException", "Aliases must refer to keys. Not aliases"
    )
    AWS_MANAGED = Row(
        "AccessDeniedException",
        "User: {principal} is not authorized to perform: {action} on resource: {arn}"
        " because no resource-based policy allows the {action} action",
    )
    DENIED = Row("AccessDeniedException", "{text}")
    OTHER_ACCOUNT = Row(
        "AccessDeniedException",
        "User: {principal} is not authorized to perform: {action} on resource: {arn} because the resource does not exist in"
        " this Region, no resource-based policies allow access, or a resource-based policy explicitly denies access",
    )
    FOREIGN_CIPHERTEXT = Row(
        "AccessDeniedException",
        "The ciphertext refers to a customer master key that does not exist, does not exist in this region,"
        " or you are not allowed to access.",
    )
    CIPHERTEXT = Row("InvalidCiphertextException", None)
    WRONG_KEY = Row(
        "IncorrectKeyException",
        "The key ID in the request does not identify a CMK that can perform this operation.",
    )
    ALGORITHM = Row(  # UNVERIFIED: code and wording
        "InvalidKeyUsageException", "Algorithm {algorithm} is incompatible with key spec SYMMETRIC_DEFAULT."
    )
    KEY_SPEC = Row(  # ours in its reason: AWS has them
        "UnsupportedOperationException", "KeySpec {spec} is not supported here; only SYMMETRIC_DEFAULT is."
    )
    KEY_USAGE = Row("ValidationException", "KeyUsage {usage} is not compatible with KeySpec SYMMETRIC_DEFAULT")
    KEY_SPEC_TWICE = Row(
        "ValidationException",
        "You cannot specify KeySpec and CustomerMasterKeySpec in the same request. CustomerMasterKeySpec is deprecated.",
    )
    UNSUPPORTED = Row("UnsupportedOperationException", "{what} is not supported here.")  # ours in its reason
    DATA_KEY_SIZE = Row("ValidationException", "Please specify either number of bytes or key spec.")
    RANDOM_SIZE = Row("ValidationException", "NumberOfBytes is required.")  # UNVERIFIED: wording
    WINDOW = Row(  # UNVERIFIED: wording; the API reference names the range
        "ValidationException", "PendingWindowInDays must be between {low} and {high} (inclusive)."
    )
    MARKER = Row("InvalidMarkerException", None)
    POLICY = Row("MalformedPolicyDocumentException", "{problem}")
    POLICY_SIZE = Row(  # UNVERIFIED: code; the quota is AWS's
        "LimitExceededException", "The key policy is larger than {limit_bytes} bytes."
    )
    TAGS = Row("TagException", "{problem}")
    TAG_LIMIT = Row("LimitExceededException", "A key can have at most {limit} tags.")  # UNVERIFIED: wording
    ALIAS_LIMIT = Row("LimitExceededException", "A key can have at most {limit} aliases.")  # UNVERIFIED: wording
    ROTATION_LIMIT = Row(  # UNVERIFIED: wording; the API reference names the limit
        "LimitExceededException", "{arn} was rotated on demand {limit} times, which is as often as it can be."
    )
    CONFLICT = Row("KMSInternalException", "Another request changed the key at the same time.", SERVER_STATUS)
    DRY_RUN = Row("DryRunOperationException", "The request would have succeeded, but the DryRun option is set.")


class StreamKeyError(Table):
    """What reads and writes of an encrypted stream are told of its key.  The text is KMS's own."""

    DISABLED = Row("KMSDisabledException", "{text}")
    STATE = Row("KMSInvalidStateException", "{text}")
    DENIED = Row("KMSAccessDeniedException", "{text}")
    NOT_FOUND = Row("KMSNotFoundException", "{text}")
    OPT_IN = Row("KMSOptInRequired", "{text}")
    THROTTLED = Row("KMSThrottlingException", "{text}")


_AS_STREAM: Final = {
    "DisabledException": StreamKeyError.DISABLED,
    "KMSInvalidStateException": StreamKeyError.STATE,
    "KeyUnavailableException": StreamKeyError.STATE,
    "InvalidKeyUsageException": StreamKeyError.STATE,
    "AccessDeniedException": StreamKeyError.DENIED,
    "InvalidCiphertextException": StreamKeyError.STATE,
    "IncorrectKeyException": StreamKeyError.STATE,
    "NotFoundException": StreamKeyError.NOT_FOUND,
    "InvalidArnException": StreamKeyError.NOT_FOUND,
    "OptInRequired": StreamKeyError.OPT_IN,
    "SubscriptionRequiredException": StreamKeyError.OPT_IN,
    "ThrottlingException": StreamKeyError.THROTTLED,
    "LimitExceededException": StreamKeyError.THROTTLED,
}


def stream_key_error(error: ServiceError) -> ServiceError:
    """A refusal of KMS as an operation of a stream tells it; one that is of no such kind stays as it is."""
    row = _AS_STREAM.get(error.code)
    return error if row is None else row(text=error.message or error.code)
