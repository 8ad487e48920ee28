"""A signature that the native part believes, Python believes; and what SDKs sign, it believes."""

import hmac
from hashlib import sha256

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.core.errors import ServiceError
from penstock.wire import signature
from penstock.wire.authorization import read_instant
from penstock.wire.canonical import SignedHeaders, read_signed_headers
from penstock.wire.mac import signing_key
from penstock.wire.native import NATIVE
from penstock.wire.route import Head
from penstock.wire.signature import Expectation, Secret, verify

assert NATIVE is not None
NOW_MS = 1_767_225_600_000
SECRET = "s" * 40
EXPECTED = Expectation("kinesis")

VALUES = st.sampled_from(["1", "a b", "a  b", " a", "a ", "a\tb", "", "x:y", "%20", "\u00e9"])


def signed(body: bytes, extra: list[tuple[str, str]]) -> Head:
    """A request as botocore signs it."""
    request = AWSRequest("POST", "http://localhost/", data=body)
    for name, value in extra:
        request.headers[name] = value
    request.headers["X-Amz-Target"] = "Kinesis_20131202.PutRecord"
    SigV4Auth(Credentials("AKID", SECRET), "kinesis", "us-east-1").add_auth(request)
    raw = [(b"host", b"localhost")]
    raw += [(name.lower().encode(), value.encode("latin-1", "replace")) for name, value in request.headers.items()]
    return head_of(raw)


def head_of(raw: list[tuple[bytes, bytes]]) -> Head:
    return Head("POST", "/", {}, {name.decode(): value.decode("latin-1") for name, value in raw}, tuple(raw))


def outcome(head: Head, body: bytes, now_ms: int) -> str:
    try:
        return repr(verify(head, body, now_ms, EXPECTED, lambda _: Secret(SECRET)))
    except ServiceError as refused:
        return f"{refused.code} {refused.message}"


def forget() -> None:
    for kept in (signature._read_usual, signature._remembered):
        kept.cache_clear()


def both(head: Head, body: bytes, now_ms: int, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """The outcome with the native part, and without it."""
    with_it = outcome(head, body, now_ms)

    def plainly(text: str) -> SignedHeaders:
        return read_signed_headers(text)._replace(native=None)

    with monkeypatch.context() as changed:
        changed.setattr(signature, "read_signed_headers", plainly)
        forget()
        without = outcome(head, body, now_ms)
    forget()
    return with_it, without


def moment(head: Head) -> int:
    return read_instant(head.headers["x-amz-date"]).at_s * 1000


def test_signature_when_an_sdk_made_it_then_it_is_believed_natively(monkeypatch: pytest.MonkeyPatch) -> None:
    head, body = signed(b'{"a":1}', [("Content-Type", "application/x-amz-json-1.1")]), b'{"a":1}'

    def never(*_: object) -> None:
        raise AssertionError("Python looked")

    monkeypatch.setattr(signature, "begin", never)
    assert "AKID" in outcome(head, body, moment(head))


@pytest.mark.parametrize("told", [True, False])
def test_signature_when_the_bodys_hash_is_known_or_not_then_it_is_the_payload(told: bool) -> None:
    body = b"of the body" * 100
    head, digest = signed(body, []), sha256(body).hexdigest()
    given = digest if told else None
    found = verify(head, body, moment(head), EXPECTED, lambda _: Secret(SECRET), given)
    assert found.payload == digest
    with pytest.raises(ServiceError):
        verify(
            head,
            body + b"x",
            moment(head),
            EXPECTED,
            lambda _: Secret(SECRET),
            sha256(b"x").hexdigest() if told else None,
        )


@settings(max_examples=400, derandomize=True)
@given(
    body=st.binary(max_size=40),
    extra=st.lists(st.tuples(st.sampled_from(["X-A", "X-B", "Content-Type"]), VALUES), max_size=4),
    spoilt=st.none() | st.tuples(st.integers(0, 20), st.binary(max_size=4)),
    swapped=st.booleans(),
)
def test_signature_when_the_request_is_as_it_was_or_not_then_both_say_the_same(
    body: bytes, extra: list[tuple[str, str]], spoilt: tuple[int, bytes] | None, swapped: bool
) -> None:
    head = signed(body, extra)
    at = moment(head)
    raw = list(head.raw_headers)
    if spoilt is not None:
        place = spoilt[0] % len(raw)
        raw[place] = (raw[place][0], spoilt[1] or raw[place][1] + b"0")
    if swapped:
        raw.append(raw[0])
    head = head_of(raw)
    with pytest.MonkeyPatch.context() as monkeypatch:
        with_it, without = both(head, body, at, monkeypatch)
    assert with_it == without


@pytest.mark.parametrize(
    "given", [b"", b"0" * 64, b"g" * 64, b"0" * 63, b"0" * 65, b"A" * 64, b"\x00" * 64], ids=lambda text: repr(text[:4])
)
def test_signature_when_it_is_no_or_another_one_then_it_is_not_believed(given: bytes) -> None:
    names = read_signed_headers("host").native
    assert names is not None
    assert NATIVE is not None
    key = NATIVE.SigningKey(b"k" * 32)
    raw = ((b"host", b"localhost"),)
    assert not names.signs(key, b"before", raw, sha256(b"").hexdigest().encode(), given)
    assert names.signs_body(key, b"before", raw, b"", given) is None


def test_signature_when_headers_are_no_pairs_of_bytes_then_it_is_left_to_python() -> None:
    names = read_signed_headers("host").native
    assert names is not None
    assert NATIVE is not None
    key = NATIVE.SigningKey(b"k" * 32)
    for raw in ((1,), ((),), (("host", "a"),), ((b"host",),), ((b"host", 1),), ([b"host", b"a"],)):
        assert not names.signs(key, b"", raw, b"", b"0" * 64)  # type: ignore[arg-type]
        assert names.signs_body(key, b"", raw, b"", b"0" * 64) is None  # type: ignore[arg-type]


def test_signature_when_names_are_many_then_it_is_left_to_python() -> None:
    many = [b"n%d" % number for number in range(100)]
    assert NATIVE is not None
    key = NATIVE.SigningKey(b"k" * 32)
    assert not NATIVE.SignedNames(many).signs(key, b"", tuple((name, b"") for name in many), b"", b"0" * 64)


@pytest.mark.parametrize("values", [["a  b"], [" a"], ["a "], ["a\tb"], ["a", "b"]], ids=repr)
def test_signature_when_made_of_headers_as_they_came_but_aws_folds_or_joins_them_then_it_is_wrong(
    values: list[str],
) -> None:
    date, scope = "20260101T000000Z", "20260101/us-east-1/kinesis/aws4_request"
    canonical = (
        f"POST\n/\n\nhost:h\nx-a:{values[-1]}\nx-amz-date:{date}\n\nhost;x-a;x-amz-date\n{sha256(b'').hexdigest()}"
    )
    text = f"AWS4-HMAC-SHA256\n{date}\n{scope}\n{sha256(canonical.encode()).hexdigest()}"
    key = signing_key(SECRET, *scope.split("/")[:3])
    made = hmac.digest(key, text.encode(), "sha256").hex()
    claim = f"AWS4-HMAC-SHA256 Credential=AKID/{scope}, SignedHeaders=host;x-a;x-amz-date, Signature={made}"
    raw = [(b"host", b"h"), *((b"x-a", value.encode()) for value in values), (b"x-amz-date", date.encode())]
    assert "InvalidSignatureException" in outcome(head_of([*raw, (b"authorization", claim.encode())]), b"", NOW_MS)
