"""Signatures: who is let in, and in which words and in which order everybody else is refused."""

from hashlib import sha256
from urllib.parse import quote

import pytest
from signed_calls import (
    BODY,
    EXPECTED,
    KEY_ID,
    NOW_S,
    SCOPE,
    SECRET,
    SIGNED_AT,
    Head,
    authorization,
    call,
    changed,
    head,
    outcome,
    sign_by_hand,
)

from penstock.core.errors import ServiceError
from penstock.wire.signature import (
    EXPIRES_MAX_S,
    STREAMING_PAYLOAD,
    UNSIGNED_PAYLOAD,
    Expectation,
    Secret,
    Verified,
    begin,
    finish,
)

WRONG = (
    "InvalidSignatureException",
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key"
    " and signing method. Consult the service documentation for details.",
)
UNKNOWN = ("UnrecognizedClientException", "The security token included in the request is invalid.")
SESSION = {KEY_ID: Secret(SECRET, "token/+=", (NOW_S + 60) * 1000)}


def presigned(
    token: str = "", token_signed: bool = True, payload: str | None = None, more: str = "", **fields: str
) -> Head:
    """A presigned GET of `/`."""
    query = {
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": f"{KEY_ID}/{SCOPE}",
        "X-Amz-Date": SIGNED_AT,
        "X-Amz-SignedHeaders": "host",
    } | {name.replace("_", "-"): value for name, value in fields.items()}
    if token and token_signed:
        query["X-Amz-Security-Token"] = token
    text = "&".join(sorted(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in query.items()))
    payload = sha256(b"").hexdigest() if payload is None else payload
    signature = sign_by_hand(f"GET\n/\n{text}\nhost:localhost:4566\n\nhost\n{payload}")
    if token and not token_signed:
        text += f"&X-Amz-Security-Token={quote(token, safe='')}"
    return head("GET", f"/?{text}&X-Amz-Signature={signature}{more}".encode(), [(b"host", b"localhost:4566")])


def test_verify_when_the_signature_is_right_says_who_signed() -> None:
    payload = sha256(BODY).hexdigest()
    assert outcome(call()) == Verified(KEY_ID, "20150830", "us-east-1", "kinesis", None, payload, None)


def test_verify_when_the_body_comes_later_needs_its_hash() -> None:
    pending = begin(call(), NOW_S * 1000, EXPECTED, {KEY_ID: Secret(SECRET)}.get)
    assert pending.needs_hash
    assert finish(pending, sha256(BODY).hexdigest()).access_key_id == KEY_ID
    with pytest.raises(ServiceError, match="does not match"):
        finish(pending, sha256(BODY + b" ").hexdigest())


@pytest.mark.parametrize("mark", [UNSIGNED_PAYLOAD, STREAMING_PAYLOAD])
def test_verify_when_the_body_is_not_hashed_takes_any(mark: str) -> None:
    signed = call(payload=mark, x_amz_content_sha256=mark)
    assert not begin(signed, NOW_S * 1000, EXPECTED, {KEY_ID: Secret(SECRET)}.get).needs_hash
    verified = outcome(signed, b"anything")
    assert isinstance(verified, Verified)
    assert verified.payload == mark
    assert (verified.seed is not None) == (mark == STREAMING_PAYLOAD)


@pytest.mark.parametrize("given", ["", "0" * 64, "UNSIGNED", "STREAMING-AWS4-HMAC-SHA256-EVENTS", "é"])
def test_verify_when_the_given_hash_is_not_the_bodys_refuses(given: str) -> None:
    assert outcome(call(x_amz_content_sha256=given)) == WRONG
    assert outcome(call(payload=given, x_amz_content_sha256=given)) == WRONG


@pytest.mark.parametrize("explicit", [True, False])
def test_verify_when_the_headers_differ_only_in_blanks_finds_the_same_form(explicit: bool) -> None:
    folded = call(x_note="a b")
    loose = changed(folded, x_note="  a \t  b ")
    assert isinstance(outcome(loose if explicit else folded), Verified)


def test_verify_when_a_header_came_twice_joins_it_in_order() -> None:
    signed = call(x_note="a,b")
    pairs = [pair for pair in signed.raw_headers if pair[0] != b"x-note"]
    twice = [(b"X-Note", b"a"), (b"x-note", b" b ")]
    assert isinstance(outcome(head("POST", b"/", [*pairs, *twice])), Verified)
    assert outcome(head("POST", b"/", [*pairs, *reversed(twice)])) == WRONG


def test_verify_when_hop_by_hop_headers_are_signed_reads_them_as_they_came() -> None:
    assert isinstance(outcome(call(connection="close", te="trailers", expect="100-continue")), Verified)


@pytest.mark.parametrize(("signed", "came"), [("host", ":authority"), (":authority", "host")])
def test_verify_when_http2_calls_the_host_authority_takes_either(signed: str, came: str) -> None:
    lines = f"{signed}:localhost\nx-amz-date:{SIGNED_AT}\n"
    canonical = f"POST\n/\n\n{lines}\n{signed};x-amz-date\n{sha256(BODY).hexdigest()}"
    given = authorization(sign_by_hand(canonical), f"{signed};x-amz-date")
    pairs = {came: "localhost", "x-amz-date": SIGNED_AT, "authorization": given}
    assert isinstance(outcome(head("POST", b"/", [(n.encode(), v.encode()) for n, v in pairs.items()])), Verified)


@pytest.mark.parametrize("zone", ["GMT", "-0000", "+0000"])
def test_verify_when_only_the_date_header_tells_the_time_reads_it(zone: str) -> None:
    date = f"Sun, 30 Aug 2015 12:36:00 {zone}"
    canonical = f"POST\n/\n\ndate:{date}\nhost:h\n\ndate;host\n{sha256(BODY).hexdigest()}"
    pairs = {"date": date, "host": "h", "authorization": authorization(sign_by_hand(canonical), "date;host")}
    assert isinstance(outcome(head("POST", b"/", [(n.encode(), v.encode()) for n, v in pairs.items()])), Verified)


def test_verify_when_the_list_of_signed_headers_is_not_sorted_sorts_it() -> None:
    signed = call()
    given = signed.headers["authorization"].replace("host;x-amz-date", "x-amz-date;host")
    assert given != signed.headers["authorization"]
    assert isinstance(outcome(changed(signed, authorization=given)), Verified)


@pytest.mark.parametrize(("service", "path"), [("kinesis", "/a%2520b/%25C3%25A9"), ("s3", "/x/../a%20b//%C3%A9")])
def test_verify_when_the_path_is_odd_encodes_it_once_more_but_not_for_s3(service: str, path: str) -> None:
    target = {"kinesis": "/x/../a%20b//%C3%A9", "s3": "/x/../a%20b//%c3%a9"}[service]
    scope = SCOPE.replace("kinesis", service)
    signed = call(target=path, scope=scope)
    there = Head("POST", target.encode(), {}, signed.headers, signed.raw_headers)
    assert isinstance(outcome(there, expected=Expectation(service)), Verified)


def test_verify_when_the_header_is_signed_keeps_a_signature_in_the_query_that_is_only_a_field() -> None:
    signed = call(target="/?X-Amz-Signature=1")
    assert isinstance(outcome(signed), Verified)
    assert outcome(head("POST", b"/", signed.raw_headers)) == WRONG


# Presigned


def test_verify_when_the_query_is_signed_says_who_signed() -> None:
    assert isinstance(outcome(presigned(), b""), Verified)
    assert isinstance(outcome(presigned(X_Amz_Expires="1"), b""), Verified)
    assert isinstance(outcome(presigned(X_Amz_Expires=str(EXPIRES_MAX_S)), b""), Verified)


@pytest.mark.parametrize("token_signed", [True, False])
def test_verify_when_a_presigned_token_is_in_or_out_of_the_signature_takes_both(token_signed: bool) -> None:
    signed = presigned("token/+=", token_signed)
    assert isinstance(outcome(signed, b"", secrets=SESSION), Verified)
    assert outcome(presigned("another", token_signed), b"", secrets=SESSION) == UNKNOWN


def test_verify_when_a_presigned_body_is_unsigned_takes_any() -> None:
    signed = presigned(payload=UNSIGNED_PAYLOAD, X_Amz_Content_Sha256=UNSIGNED_PAYLOAD)
    assert isinstance(outcome(signed, b"anything"), Verified)


@pytest.mark.parametrize("more", ["&x=1", "&X-Amz-Date=" + SIGNED_AT, "&", "&X-Amz-Signature=1"])
def test_verify_when_a_presigned_query_has_grown_refuses(more: str) -> None:
    refused = outcome(presigned(more=more), b"")
    assert (refused == WRONG) == (more != "&")  # an empty field is none


@pytest.mark.parametrize("expires", ["0", "604801", "-1", "1.0", "", "x", "9" * 5000, "٣"])
def test_verify_when_it_may_not_last_so_long_refuses(expires: str) -> None:
    assert outcome(presigned(X_Amz_Expires=expires), b"") == (
        "IncompleteSignatureException",
        "X-Amz-Expires must be a whole number of seconds from 1 to 604800.",
    )


# Refusals, in the order in which they are made: each row is wrong in what it says and in all that follows


STALE = "20150830T123059Z"
BAD_SCOPE = "20150829/us_east/dynamodb/aws5_request"
BAD_SCOPE_TEXT = (
    "Credential should be scoped to a valid region, not 'us_east'. "
    "Credential should be scoped to correct service: 'kinesis'. "
    "Credential should be scoped with a valid terminator: 'aws4_request', not 'aws5_request'. "
    "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
    "'20150829' != '20150830', from '20150830T123600Z'."
)
STEPS: list[tuple[str, str, str, str]] = [
    (f"AWS5 Credential=x/{SCOPE}, SignedHeaders=bar, nothing", "x", "IncompleteSignatureException", "'nothing' not a valid key=value pair (missing equal-sign) in Authorization header: '{}'."),
    (",", "x", "IncompleteSignatureException", "Authorization header requires 'Credential' parameter. Authorization header requires 'Signature' parameter. Authorization header requires 'SignedHeaders' parameter. Authorization={}"),
    ("AWS5 Credential=a, Signature=1", "x", "IncompleteSignatureException", "Authorization header requires 'SignedHeaders' parameter. Authorization={}"),
    ("AWS5 Credential=a, SignedHeaders=bar, Signature=1", "201", "IncompleteSignatureException", "Date must be in ISO-8601 'basic format'. Got '201'. See http://en.wikipedia.org/wiki/ISO_8601"),
    ("AWS5 Credential=a, SignedHeaders=bar, Signature=1", STALE, "InvalidSignatureException", "Signature expired: 20150830T123059Z is now earlier than 20150830T123100Z (20150830T123600Z - 5 min.)"),
    ("AWS5 Credential=a, SignedHeaders=bar, Signature=1", "20150830T124101Z", "InvalidSignatureException", "Signature not yet current: 20150830T124101Z is still later than 20150830T124100Z (20150830T123600Z + 5 min.)"),
    ("AWS5 Credential=a, SignedHeaders=bar, Signature=1", SIGNED_AT, "InvalidSignatureException", "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization."),
    ("AWS5 Credential=a, SignedHeaders=, Signature=1", SIGNED_AT, "InvalidSignatureException", "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization."),
    ("AWS4-HMAC-SHA25 Credential=a, SignedHeaders=Host, Signature=1", SIGNED_AT, "IncompleteSignatureException", "Unsupported AWS 'algorithm': 'AWS4-HMAC-SHA25' (only AWS4-HMAC-SHA256 for now). "),
    (f"AWS4-ECDSA-P256-SHA256 Credential={KEY_ID}/20150830/kinesis/aws4_request, SignedHeaders=host;x-amz-date;x-amz-region-set, Signature=3045", SIGNED_AT, "IncompleteSignatureException", "Unsupported AWS 'algorithm': 'AWS4-ECDSA-P256-SHA256' (only AWS4-HMAC-SHA256 for now). "),
    ("AWS4-HMAC-SHA256 Credential=a/b/c/d, SignedHeaders=host, Signature=1", SIGNED_AT, "IncompleteSignatureException", "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got 'a/b/c/d'"),
    (f"AWS4-HMAC-SHA256 Credential=a/{BAD_SCOPE}, SignedHeaders=host, Signature=1", SIGNED_AT, "InvalidSignatureException", BAD_SCOPE_TEXT),
    (f"AWS4-HMAC-SHA256 Credential=a/{SCOPE}, SignedHeaders=host, Signature=1", SIGNED_AT, *UNKNOWN),
    (f"AWS4-HMAC-SHA256 Credential={KEY_ID}/{SCOPE}, SignedHeaders=host, Signature=1", SIGNED_AT, *WRONG),
]  # fmt: skip


@pytest.mark.parametrize(("given", "date", "code", "text"), STEPS, ids=lambda value: str(value)[:40])
def test_verify_when_much_is_wrong_complains_of_what_aws_sees_first(
    given: str, date: str, code: str, text: str
) -> None:
    wrong = changed(call(), authorization=given, x_amz_date=date, x_amz_security_token="bogus")
    assert outcome(wrong) == (code, text.replace("{}", given))


def test_verify_when_a_long_term_key_brings_a_token_refuses_last() -> None:
    assert outcome(call(x_amz_security_token="bogus")) == (
        "UnrecognizedClientException",
        "The security token included in the request is invalid",
    )


@pytest.mark.parametrize(
    ("region", "regions", "known"),
    [
        ("eu-west-1", None, True),
        ("eu-west-1", frozenset(["eu-west-1"]), True),
        ("us-east-1", frozenset(["eu-west-1"]), False),
        ("EU", None, False),
        ("r" * 65, None, False),
    ],
)
def test_verify_when_the_region_is_not_ours_says_so(region: str, regions: frozenset[str] | None, known: bool) -> None:
    signed = call(scope=SCOPE.replace("us-east-1", region))
    found = outcome(signed, expected=Expectation("kinesis", regions))
    if known:
        assert isinstance(found, Verified)
    else:
        text = f"Credential should be scoped to a valid region, not '{region}'. "
        assert found == ("InvalidSignatureException", text)


@pytest.mark.parametrize(
    ("skew_s", "ok"), [(-300, True), (-301, False), (300, True), (301, False), (-86_400, False), (86_400, False)]
)
def test_verify_when_clocks_differ_allows_five_minutes(skew_s: int, ok: bool) -> None:
    assert isinstance(outcome(call(), now_s=NOW_S + skew_s), Verified) == ok


def test_verify_when_the_service_allows_more_skew_says_how_much() -> None:
    fifteen = Expectation("kinesis", skew_min=15)
    assert isinstance(outcome(call(), now_s=NOW_S + 900, expected=fifteen), Verified)
    assert outcome(call(), now_s=NOW_S + 901, expected=fifteen) == (
        "InvalidSignatureException",
        "Signature expired: 20150830T123600Z is now earlier than 20150830T123601Z (20150830T125101Z - 15 min.)",
    )


def test_verify_when_a_presigned_request_is_too_old_says_since_when() -> None:
    assert outcome(presigned(X_Amz_Expires="60"), b"", now_s=NOW_S + 61) == (
        "InvalidSignatureException",
        "Signature expired: 20150830T123600Z is now earlier than 20150830T123601Z (20150830T123701Z - 1 min.)",
    )
    assert outcome(presigned(X_Amz_Expires="90"), b"", now_s=NOW_S + 91) == (
        "InvalidSignatureException",
        "Signature expired: 20150830T123600Z is now earlier than 20150830T123601Z (20150830T123731Z - 90 s.)",
    )


@pytest.mark.parametrize("token", [None, "", "other", "token/+=x", "é"])
def test_verify_when_temporary_credentials_bring_another_token_refuses(token: str | None) -> None:
    signed = call() if token is None else call(x_amz_security_token=token)
    assert outcome(signed, secrets=SESSION) == UNKNOWN


def test_verify_when_temporary_credentials_bring_their_token_lets_them_in_until_they_end() -> None:
    signed = call(x_amz_security_token="token/+=")
    verified = outcome(signed, secrets=SESSION)
    assert isinstance(verified, Verified)
    assert verified.session_token == "token/+="
    assert outcome(signed, now_s=NOW_S + 60, secrets=SESSION) == (
        "ExpiredTokenException",
        "The security token included in the request is expired",
    )


def test_verify_when_a_secret_was_replaced_refuses_the_old_one() -> None:
    old = call(secret="old")
    assert isinstance(outcome(old, secrets={KEY_ID: Secret("old")}), Verified)
    assert outcome(old, secrets={KEY_ID: Secret("new")}) == WRONG


def test_verify_when_asked_to_explain_tells_what_should_have_been_signed() -> None:
    lines = f"host:localhost:4566\nx-amz-date:{SIGNED_AT}\nx-amz-target:Kinesis_20131202.ListStreams\n"
    canonical = f"POST\n/\n\n{lines}\nhost;x-amz-date;x-amz-target\n{sha256(BODY + b'x').hexdigest()}"
    digest = sha256(canonical.encode()).hexdigest()
    assert outcome(call(), BODY + b"x", expected=Expectation("kinesis", explains=True)) == (
        WRONG[0],
        f"{WRONG[1]}\n\nThe Canonical String for this request should have been\n'{canonical}'"
        f"\n\nThe String-to-Sign should have been\n'AWS4-HMAC-SHA256\n{SIGNED_AT}\n{SCOPE}\n{digest}'\n",
    )


def test_nothing_that_holds_a_secret_shows_it() -> None:
    pending = begin(call(), NOW_S * 1000, EXPECTED, {KEY_ID: Secret(SECRET)}.get)
    streamed = outcome(call(payload=STREAMING_PAYLOAD, x_amz_content_sha256=STREAMING_PAYLOAD))
    session = outcome(call(x_amz_security_token="token/+="), secrets=SESSION)
    for shown in (repr(pending), repr(streamed), repr(session), str(SESSION)):
        assert SECRET not in shown
        assert "token/" not in shown
    assert isinstance(streamed, Verified)
    assert repr(streamed.seed) == "Seed(...)"
