"""Dialects: the same refusal, as each family of services words it."""

import pytest

from penstock.core.errors import Error, ServiceError
from penstock.host.apimodels import load_model
from penstock.wire.dialect import PLAIN, Family, idiom_of, reworded


@pytest.mark.parametrize(
    ("error", "query"),
    [
        (Error.AUTH_MISSING(), ("MissingAuthenticationToken", 403)),
        (Error.AUTH_TWICE(), ("SignatureDoesNotMatch", 403)),
        (Error.AUTH_HOST_UNSIGNED(), ("SignatureDoesNotMatch", 403)),
        (Error.SIGNATURE_WRONG(explained=""), ("SignatureDoesNotMatch", 403)),
        (Error.AUTH_INCOMPLETE(text="x"), ("IncompleteSignature", 400)),
        (Error.KEY_UNKNOWN(), ("InvalidClientTokenId", 403)),
        (Error.TOKEN_INVALID(), ("InvalidClientTokenId", 403)),
        (Error.TOKEN_EXPIRED(), ("ExpiredToken", 403)),
    ],
)
def test_reworded_when_credentials_are_refused_speaks_each_dialect(error: ServiceError, query: tuple[str, int]) -> None:
    told = reworded(error, "query")
    assert (told.code, told.status) == query
    rest = reworded(error, "rest-json")
    assert (rest.code, rest.status, rest.message) == (error.code, 403, error.message)
    assert reworded(error, "json") is reworded(error, "cbor") is error


def test_reworded_when_there_are_none_uses_the_query_services_own_text() -> None:
    assert reworded(Error.AUTH_MISSING(), "query").message == "Request is missing Authentication Token"
    assert reworded(Error.KEY_UNKNOWN(), "query").message == Error.KEY_UNKNOWN().message


@pytest.mark.parametrize("family", ["json", "query", "rest-json"])
def test_reworded_when_it_is_not_about_credentials_changes_nothing(family: Family) -> None:
    for error in (Error.BODY_NOT_PARSED(), ServiceError("ExpiredTokenException", "Token too old")):
        assert reworded(error, family) is error


def test_idiom_when_a_service_has_none_then_errors_are_named_plainly() -> None:
    kinesis = load_model("kinesis")
    assert idiom_of(None) is idiom_of(kinesis) is PLAIN
    assert PLAIN.error_type("ValidationException", kinesis) == "ValidationException"
    assert not PLAIN.checksum


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("ConditionalCheckFailedException", "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException"),
        ("ValidationException", "com.amazon.coral.validate#ValidationException"),
        ("AccessDeniedException", "com.amazon.coral.service#AccessDeniedException"),
        ("SerializationException", "com.amazon.coral.service#SerializationException"),
    ],
)
def test_idiom_when_it_is_dynamodbs_then_errors_have_their_namespaces(code: str, told: str) -> None:
    model = load_model("dynamodb")
    assert idiom_of(model).checksum
    assert idiom_of(model).error_type(code, model) == told
