"""Dialects: how families of services, and single services, say what they all say.

Theory.  The same front end of AWS refuses the same credentials under different codes: JSON and CBOR services answer 400, query services
have codes of their own and answer 403, services with paths of their own (rest-json) keep the codes and answer 403.  And a service may
have an idiom: it names errors with their namespaces, or sends a checksum of each answer.
Rules of this file: pure; a refusal that is not about credentials or constraints keeps its code; an idiom is a row.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal, NamedTuple

from penstock.core.errors import Error, ServiceError
from penstock.wire.model import ServiceModel

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


class Idiom(NamedTuple):
    """What a JSON service says in its own way."""

    own: str = ""  # before the names of the errors that its model lists
    shared: str = ""  # before those that every service has
    namespaces: Mapping[str, str] = MappingProxyType({})  # of single errors
    checksum: bool = False  # each answer has x-amz-crc32
    constraints: str | None = (
        None  # the code for inputs that break the model's constraints, where it is a code of its own
    )

    def error_type(self, code: str, model: ServiceModel | None) -> str:
        """The `__type` of an error."""
        namespace = self.own if model is not None and code in model.errors else self.shared
        return self.namespaces.get(code, namespace) + code


PLAIN: Final = Idiom()
# By signing name.  Source: answers that clients log; the SDKs for Java and Go check the checksum where there is one.
_IDIOMS: Final[Mapping[str, Idiom]] = {
    "dynamodb": Idiom(
        own="com.amazonaws.dynamodb.v20120810#",
        shared="com.amazon.coral.service#",
        namespaces={"ValidationException": "com.amazon.coral.validate#"},
        checksum=True,
    ),
    "logs": Idiom(constraints="InvalidParameterException"),
    "sns": Idiom(constraints="InvalidParameterException"),
    "sqs": Idiom(
        own="com.amazonaws.sqs#", shared="com.amazon.coral.service#", constraints="InvalidParameterValueException"
    ),
}


def idiom_of(model: ServiceModel | None) -> Idiom:
    """The idiom of a service; most have none."""
    return PLAIN if model is None else _IDIOMS.get(model.signing_name, PLAIN)


def reworded(error: ServiceError, family: Family, model: ServiceModel | None = None) -> ServiceError:
    """A refusal of credentials as services of this family tell it, one for constraints as this service does; any other as it is."""
    constraints = idiom_of(model).constraints
    if constraints is not None and error.code == Error.CONSTRAINTS.code and "validation error" in (error.message or ""):
        return ServiceError(constraints, error.message, error.status)
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
