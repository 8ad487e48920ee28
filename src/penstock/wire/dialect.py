"""Dialects: refusals of credentials as each family of services words them.

Theory.  The same front end of AWS refuses the same credentials under different codes: JSON and CBOR services answer 400, query services
have codes of their own and answer 403, services with paths of their own (rest-json) keep the codes and answer 403.
Rules of this file: pure; a refusal that is not about credentials passes untouched.
"""

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

from penstock.core.errors import Error, ServiceError

REFUSED_STATUS: Final = 403

Family = Literal["json", "cbor", "rpc", "query", "rest-json", "none"]


class _Word(NamedTuple):
    code: str
    status: int
    text: str | None = None  # where it differs


_QUERY: Final[Mapping[str, _Word]] = {
    # source: amzn/selling-partner-api-docs#3081
    "MissingAuthenticationTokenException": _Word(
        "MissingAuthenticationToken", REFUSED_STATUS, "Request is missing Authentication Token"
    ),
    "IncompleteSignatureException": _Word("IncompleteSignature", 400),  # source: apache/hadoop, S3A's notes on STS
    "InvalidSignatureException": _Word("SignatureDoesNotMatch", REFUSED_STATUS),  # source: aws-sdk-android#88, of SQS
    "UnrecognizedClientException": _Word("InvalidClientTokenId", REFUSED_STATUS),  # source: okta-awscli#145
    "ExpiredTokenException": _Word("ExpiredToken", REFUSED_STATUS),  # source: aws-sdk-java-v2#1649
    "AccessDeniedException": _Word("AccessDenied", REFUSED_STATUS),
}


def reworded(error: ServiceError, family: Family) -> ServiceError:
    """A refusal of credentials as services of this family tell it; any other as it is."""
    word = _QUERY.get(error.code)
    # a trust policy's expired web identity shares a code with an expired session, but not its text
    if word is None or (error.code == Error.TOKEN_EXPIRED.code and error.message != Error.TOKEN_EXPIRED().message):
        return error
    match family:
        case "query":
            return ServiceError(word.code, word.text or error.message, word.status)
        case "rest-json":
            return ServiceError(error.code, error.message, REFUSED_STATUS)
        case _:
            return error
