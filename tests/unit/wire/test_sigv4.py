"""Credentials: where they are read from, and AWS's complaint about each way to give them badly."""

import pytest

from penstock.core.errors import ServiceError
from penstock.wire.sigv4 import Credential, read_credential

SCOPE = "AKID/20260101/eu-west-1/kinesis/aws4_request"
HEADER = f"AWS4-HMAC-SHA256 Credential={SCOPE}, SignedHeaders=host;x-amz-date, Signature=00ff"
DATE = {"x-amz-date": "20260101T000000Z"}
QUERY = {
    "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
    "X-Amz-Credential": SCOPE,
    "X-Amz-Date": "20260101T000000Z",
    "X-Amz-SignedHeaders": "host",
    "X-Amz-Signature": "00ff",
}
EXPECTED = Credential("AKID", "20260101", "eu-west-1", "kinesis")
NO_CREDENTIAL = "Authorization header requires 'Credential' parameter."
NO_SIGNATURE = "Authorization header requires 'Signature' parameter."
NO_SIGNED_HEADERS = "Authorization header requires 'SignedHeaders' parameter."
NO_DATE = "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header."


def refusal(headers: dict[str, str], query: dict[str, str] | None = None) -> tuple[str, str | None]:
    with pytest.raises(ServiceError) as caught:
        read_credential(headers, query or {})
    assert caught.value.status == 400
    return caught.value.code, caught.value.message


@pytest.mark.parametrize(
    "authorization",
    [
        HEADER,
        HEADER.replace(", ", ","),
        HEADER.replace(", ", ",   "),
        f"AWS4-HMAC-SHA256 Signature=x=, SignedHeaders=host, Credential={SCOPE}",
    ],
)
@pytest.mark.parametrize("date", [DATE, {"date": "Thu, 01 Jan 2026 00:00:00 GMT"}])
def test_read_credential_when_the_header_is_whole_answers_its_scope(authorization: str, date: dict[str, str]) -> None:
    assert read_credential({"authorization": authorization, **date}, {}) == EXPECTED


def test_read_credential_when_the_query_is_whole_answers_its_scope() -> None:
    assert read_credential({}, QUERY) == EXPECTED


@pytest.mark.parametrize("headers", [{}, DATE, {"authorization": ""}])
def test_read_credential_when_there_is_none_says_so(headers: dict[str, str]) -> None:
    assert refusal(headers) == ("MissingAuthenticationTokenException", "Missing Authentication Token")


def test_read_credential_when_header_and_query_both_have_one_says_so() -> None:
    assert refusal({"authorization": "x"}, {"X-Amz-Algorithm": ""}) == (
        "InvalidSignatureException",
        "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header.",
    )


@pytest.mark.parametrize(
    ("authorization", "date", "complaints"),
    [
        ("AWS4-HMAC-SHA256", {}, [NO_CREDENTIAL, NO_SIGNATURE, NO_SIGNED_HEADERS, NO_DATE]),
        ("AWS4-HMAC-SHA256", DATE, [NO_CREDENTIAL, NO_SIGNATURE, NO_SIGNED_HEADERS]),
        ("a", DATE, [NO_CREDENTIAL, NO_SIGNATURE, NO_SIGNED_HEADERS]),
        (f"AWS4-HMAC-SHA256 Credential={SCOPE}", DATE, [NO_SIGNATURE, NO_SIGNED_HEADERS]),
        (f"AWS4-HMAC-SHA256 Credential={SCOPE}, Signature=1", DATE, [NO_SIGNED_HEADERS]),
        (f"AWS4-HMAC-SHA256 Credential={SCOPE}, Signature=, SignedHeaders=h", DATE, [NO_SIGNATURE]),
        ("AWS4-HMAC-SHA256 Credential=, Signature=1, SignedHeaders=h", DATE, [NO_CREDENTIAL]),
        (HEADER, {}, [NO_DATE]),
        (f"AWS4-HMAC-SHA256 credential={SCOPE}, Signature=1, SignedHeaders=h", DATE, [NO_CREDENTIAL]),
        ("Bearer {not}=%s", DATE, [NO_CREDENTIAL, NO_SIGNATURE, NO_SIGNED_HEADERS]),
    ],
)
def test_read_credential_when_the_header_is_half_lists_what_is_missing(
    authorization: str, date: dict[str, str], complaints: list[str]
) -> None:
    assert refusal({"authorization": authorization, **date}) == (
        "IncompleteSignatureException",
        " ".join([*complaints, f"Authorization={authorization}"]),
    )


@pytest.mark.parametrize(
    "missing",
    [
        ["X-Amz-Credential"],
        ["X-Amz-Signature"],
        ["X-Amz-SignedHeaders"],
        ["X-Amz-Date"],
        ["X-Amz-Credential", "X-Amz-Signature", "X-Amz-SignedHeaders", "X-Amz-Date"],
    ],
)
@pytest.mark.parametrize("empty", [True, False])
def test_read_credential_when_the_query_is_half_lists_what_is_missing(missing: list[str], empty: bool) -> None:
    query = {name: "" if name in missing else value for name, value in QUERY.items() if empty or name not in missing}
    complaints = [f"AWS query-string parameters must include '{name}'." for name in missing]
    assert refusal({}, query) == (
        "IncompleteSignatureException",
        " ".join([*complaints, "Re-examine the query-string parameters."]),
    )


@pytest.mark.parametrize(
    ("scope", "part"),
    [
        ("AKID", "exactly 5 slash-delimited elements"),
        (SCOPE + "/more", "exactly 5 slash-delimited elements"),
        ("AKID/20260101/eu-west-1/kinesis/aws4", "end with 'aws4_request'"),
        ("AKID/20260101//kinesis/aws4_request", "valid region"),
        ("AKID/20260101/eu west/kinesis/aws4_request", "'west/kinesis/aws4_request' not a valid key=value pair"),
        ("AKID/20260101/eu-west-1/" + "kinesis" * 100 + "/aws4", "end with 'aws4_request'"),
        ("AKID/20260101/EU/kinesis/aws4_request", "valid region"),
        ("/20260101/eu-west-1/kinesis/aws4_request", "Credential should be scoped"),
        ("é/20260101/eu-west-1/kinesis/aws4_request", "Credential should be scoped"),
        ("k" * 129 + "/20260101/eu-west-1/kinesis/aws4_request", "Credential should be scoped"),
    ],
)
def test_read_credential_when_the_scope_is_malformed_says_how_it_should_be(scope: str, part: str) -> None:
    authorization = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=1"
    code, message = refusal({"authorization": authorization, **DATE})
    assert code == "IncompleteSignatureException"
    assert part in str(message)


# Source: iann0036/cloud9-sync#10 and mhart/dynalite quote it
@pytest.mark.parametrize(
    ("authorization", "pair"),
    [("Bearer {not}%s", "{not}%s"), ("AWS4-HMAC-SHA256 Signature=b,    Credential,    SignedHeaders", "Credential")],
)
def test_read_credential_when_a_part_is_no_pair_quotes_it(authorization: str, pair: str) -> None:
    assert refusal({"authorization": authorization, **DATE}) == (
        "IncompleteSignatureException",
        f"'{pair}' not a valid key=value pair (missing equal-sign) in Authorization header: '{authorization}'.",
    )


def test_read_credential_when_the_signature_is_asymmetric_says_that_it_is_not_supported() -> None:
    authorization = HEADER.replace("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256").replace("/eu-west-1", "")
    assert refusal({"authorization": authorization, **DATE}) == (
        "IncompleteSignatureException",
        "Unsupported AWS 'algorithm': 'AWS4-ECDSA-P256-SHA256' (only AWS4-HMAC-SHA256 for now). ",
    )
