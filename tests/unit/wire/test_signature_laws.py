"""Two signers, one signature: whatever botocore signs is accepted, in both forms, and nothing else by the same signature."""

from urllib.parse import quote, urlencode, urlsplit

from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st
from signed_calls import KEY_ID, SECRET, Head, head

from penstock.core.errors import ServiceError
from penstock.wire.authorization import read_instant
from penstock.wire.signature import Expectation, Secret, Verified, verify

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
words = st.text(st.characters(exclude_categories=["Cs", "Cc", "Z"]), max_size=8)
blanks = st.sampled_from(["", " ", "  ", "\t", " \t ", "   "])
header_value = st.lists(st.tuples(blanks, words), max_size=4).map(lambda parts: "".join(a + b for a, b in parts))
header_name = st.from_regex(r"x-[a-z0-9-]{1,12}", fullmatch=True).filter(lambda name: not name.startswith("x-am"))
headers = st.lists(st.tuples(header_name, header_value), max_size=6)
fields = st.lists(st.tuples(text, text), max_size=5)
segment = st.one_of(st.sampled_from(["", ".", "..", "...", "%", "%41", "a+b", "~", "a:b@c", "*"]), text)
path = st.lists(segment, max_size=5).map(lambda parts: "/" + "/".join(quote(part, safe=":@+%*~") for part in parts))
methods = st.sampled_from(["GET", "POST", "PUT", "DELETE", "OPTIONS"])
QUERY = ("X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature", "X-Amz-SignedHeaders", "X-Amz-Date")
tokens = st.none() | st.text("abcXYZ019+/=", min_size=1, max_size=40)
services = st.sampled_from(["kinesis", "firehose", "sts", "kinesisvideo"])


def sent(request: AWSRequest, url: str) -> Head:
    """What of a signed request goes over the wire."""
    parts = urlsplit(url)
    target = (parts.path or "/") + ("?" + parts.query if parts.query else "")
    pairs = [(name.encode(), value.encode()) for name, value in request.headers.items()]
    return head(str(request.method), target.encode(), [(b"Host", b"localhost:4566"), *pairs])


def accepted(of: Head, body: bytes, service: str, token: str | None) -> bool:
    date = of.headers.get("x-amz-date") or of.headers.get("date") or of.query.get("X-Amz-Date", "")
    secrets = {KEY_ID: Secret(SECRET, token)}
    try:
        verified = verify(of, body, read_instant(date).at_s * 1000, Expectation(service), secrets.get)
    except ServiceError:
        return False
    assert isinstance(verified, Verified)
    assert (verified.access_key_id, verified.region, verified.service) == (KEY_ID, "eu-west-1", service)
    return True


@given(methods, path, fields, headers, st.binary(max_size=64), tokens, services, st.booleans())
def test_a_header_signed_by_botocore_is_accepted(
    method: str,
    path: str,
    fields: list[tuple[str, str]],
    headers: list[tuple[str, str]],
    body: bytes,
    token: str | None,
    service: str,
    dated: bool,
) -> None:
    url = "http://localhost:4566" + path
    request = AWSRequest(method, url, data=body, params=dict(fields))
    for name, value in headers:
        request.headers.add_header(name, value)
    if dated:
        request.headers["Date"] = "to be replaced"
    SigV4Auth(Credentials(KEY_ID, SECRET, token), service, "eu-west-1").add_auth(request)
    of = sent(request, url + ("?" + urlencode(dict(fields)) if fields else ""))
    assert accepted(of, body, service, token)
    assert not accepted(of, body + b"x", service, token)
    assert not accepted(of._replace(target=of.target + b"x"), body, service, token)
    assert not accepted(of._replace(method=method + "X"), body, service, token)
    signed = of.headers["authorization"].partition("SignedHeaders=")[2].partition(",")[0].split(";")
    for at, (raw_name, raw_value) in enumerate(of.raw_headers):
        if raw_name.decode() in signed:
            grown = [*of.raw_headers[:at], (raw_name, raw_value + b"x"), *of.raw_headers[at + 1 :]]
            assert not accepted(head(method, of.target, grown), body, service, token)


@given(path, fields, headers, tokens, services, st.integers(1, 604_800))
def test_a_query_signed_by_botocore_is_accepted(
    path: str,
    fields: list[tuple[str, str]],
    headers: list[tuple[str, str]],
    token: str | None,
    service: str,
    expires_s: int,
) -> None:
    query = urlencode({name: value for name, value in fields if name and value}, quote_via=quote)
    request = AWSRequest("GET", f"http://localhost:4566{path}" + ("?" + query if query else ""))
    for name, value in headers:
        request.headers.add_header(name, value)
    SigV4QueryAuth(Credentials(KEY_ID, SECRET, token), service, "eu-west-1", expires_s).add_auth(request)
    of = sent(request, str(request.url))
    assert accepted(of, b"", service, token)
    assert not accepted(of, b"x", service, token)
    for name in ("X-Amz-Expires", "X-Amz-Date", "X-Amz-Credential", "X-Amz-Signature", "X-Amz-SignedHeaders"):
        changed = of.target.replace(f"{name}=".encode(), f"{name}=1".encode())
        assert changed != of.target
        assert not accepted(head("GET", changed, of.raw_headers), b"", service, token)


parts = st.one_of(
    st.sampled_from([KEY_ID, "kinesis", "host", "20150830", "eu-west-1", "aws4_request"]), st.text(max_size=8)
)


@given(
    st.binary(max_size=200),
    st.lists(st.tuples(st.sampled_from([b"host", b"x-amz-content-sha256", b"a"]), st.binary(max_size=60)), max_size=4),
    st.lists(parts, min_size=3, max_size=6),
    st.lists(parts, max_size=5),
    st.sampled_from(["20150830T123600Z", "20159999T999999Z", ""]) | text,
    st.booleans(),
)
def test_whatever_arrives_only_a_refusal_is_raised(
    target: bytes,
    pairs: list[tuple[bytes, bytes]],
    credential: list[str],
    signed: list[str],
    date: str,
    in_query: bool,
) -> None:
    scope, names = "/".join(credential), ";".join(signed)
    if in_query:
        query = dict(zip(QUERY, ("AWS4-HMAC-SHA256", scope, "0" * 64, names, date), strict=True))
        of = head("GET", target, pairs)
        assert not accepted(of._replace(query=query), b"", "kinesis", None)
    else:
        value = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders={names}, Signature=00"
        lines = [*pairs, (b"authorization", value.encode()), (b"x-amz-date", date.encode())]
        assert not accepted(head("POST", target, lines), b"", "kinesis", None)
