"""Bodies in signed chunks: AWS's own examples, however they are cut, and everything that is not quite one of them."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from signed_calls import call, outcome

from penstock.core.errors import ServiceError
from penstock.wire.chunks import CHUNK_MAX_BYTES, Chunks, chunks_of
from penstock.wire.mac import signing_key
from penstock.wire.signature import PAYLOAD_MARKS, Seed, Verified

# Source: Amazon S3 API reference, "Signature calculations: transferring payload in multiple chunks" and "including trailing headers"
KEY = signing_key("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "20130524", "us-east-1", "s3")
PLAIN_SEED = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"
TRAILED_SEED = "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e"
DATA = b"a" * 66_560
PLAIN = (
    b"10000;chunk-signature=ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648\r\n"
    + DATA[:65_536]
    + b"\r\n"
    b"400;chunk-signature=0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497\r\n"
    + DATA[65_536:]
    + b"\r\n"
    b"0;chunk-signature=b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9\r\n\r\n"
)
TRAILED = (
    b"10000;chunk-signature=b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2\r\n"
    + DATA[:65_536]
    + b"\r\n"
    b"400;chunk-signature=1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7\r\n"
    + DATA[65_536:]
    + b"\r\n"
    b"0;chunk-signature=2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992\r\n"
    b"x-amz-checksum-crc32c:sOO8/Q==\r\n"
    b"x-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n"
)
UNSIGNED = b"5\r\nhello\r\n6\r\n world\r\n0\r\nx-amz-checksum-crc32:DUoRhQ==\r\n\r\n"


def seed(signature: str) -> Seed:
    return Seed(KEY, "20130524T000000Z", "20130524/us-east-1/s3/aws4_request", signature)


def plain() -> Chunks:
    return Chunks(seed(PLAIN_SEED), trailers=False)


def trailed() -> Chunks:
    return Chunks(seed(TRAILED_SEED), trailers=True)


def unsigned() -> Chunks:
    return Chunks(None, trailers=True)


def given_out(chunks: Chunks, pieces: list[bytes]) -> int:
    """How much is given out before the refusal that there must be."""
    size = 0
    try:
        for piece in pieces:
            size += len(chunks.feed(piece))
        chunks.close()
    except ServiceError:
        return size
    raise AssertionError("accepted")


FORMS: list[tuple[Callable[[], Chunks], bytes, bytes, dict[str, str]]] = [
    (plain, PLAIN, DATA, {}),
    (trailed, TRAILED, DATA, {"x-amz-checksum-crc32c": "sOO8/Q=="}),
    (unsigned, UNSIGNED, b"hello world", {"x-amz-checksum-crc32": "DUoRhQ=="}),
]


@pytest.mark.parametrize("cut", [1, 7, 1000, 65_536, 100_000])
@pytest.mark.parametrize(("new", "sent", "data", "trailers"), FORMS)
def test_feed_when_the_body_is_right_gives_the_payload_however_it_is_cut(
    new: Callable[[], Chunks], sent: bytes, data: bytes, trailers: dict[str, str], cut: int
) -> None:
    chunks = new()
    assert b"".join(chunks.feed(sent[at : at + cut]) for at in range(0, len(sent), cut)) == data
    chunks.close()
    assert chunks.trailers == trailers


@pytest.mark.parametrize(("new", "sent"), [form[:2] for form in FORMS[:2]])
def test_feed_when_any_signed_byte_is_another_gives_out_nothing_of_its_chunk(
    new: Callable[[], Chunks], sent: bytes
) -> None:
    interesting = [*range(90), *range(60_000, 60_010), *range(65_600, 65_800), *range(66_600, len(sent))]
    for at in interesting:
        pieces = [sent[:at], bytes([sent[at] ^ 1]), sent[at + 1 :]]
        assert given_out(new(), pieces) == 65_536 * (at >= sent.index(b"\r\n400;")) + 1024 * (
            at >= sent.index(b"\r\n0;")
        ), at


@pytest.mark.parametrize(("new", "sent"), [form[:2] for form in FORMS])
def test_close_when_the_body_ends_early_refuses(new: Callable[[], Chunks], sent: bytes) -> None:
    for end in [*range(200), *range(len(sent) - 200, len(sent))]:
        if end >= len(sent):
            continue
        chunks = new()
        chunks.feed(sent[:end])
        with pytest.raises(ServiceError, match="ends early"):
            chunks.close()


@pytest.mark.parametrize(
    ("new", "sent", "problem"),
    [
        (plain, b"5\r\nhello", "size or signature"),
        (unsigned, b"5;chunk-signature=" + b"0" * 64 + b"\r\n", "size or signature"),
        (unsigned, b"-5\r\n", "size or signature"),
        (unsigned, b"0x5\r\n", "size or signature"),
        (unsigned, b"\r\n", "size or signature"),
        (unsigned, b"f" * 13 + b"\r\n", "size or signature"),
        (unsigned, b"5\nhello", "CRLF"),
        (unsigned, b"5\r\nhelloworld\r\n", "longer than it says"),
        (unsigned, b"5" * 2000, "too long"),
        (unsigned, b"0\r\n" + b"a:b\r\n" * 3000, "trailing headers are too long"),
        (unsigned, b"0\r\nnone\r\n\r\n", "out of place"),
        (unsigned, b"0\r\n:x\r\n\r\n", "out of place"),
        (unsigned, UNSIGNED + b"x", "follows its end"),
        (plain, PLAIN[:-2] + b"a:b\r\n\r\n", "out of place"),
        (plain, b"%x;chunk-signature=%b\r\n" % (CHUNK_MAX_BYTES + 1, b"0" * 64), "larger than"),
        (trailed, TRAILED[:-2] + b"b:c\r\n\r\n", "out of place"),
    ],
)
def test_feed_when_it_is_no_series_of_chunks_says_why_and_never_goes_on(
    new: Callable[[], Chunks], sent: bytes, problem: str
) -> None:
    chunks = new()
    with pytest.raises(ServiceError, match=problem) as caught:
        chunks.feed(sent)
    assert (caught.value.code, caught.value.status) == ("IncompleteSignatureException", 400)
    with pytest.raises(ServiceError):
        chunks.feed(b"0\r\n\r\n")
    assert not chunks.ended


@pytest.mark.parametrize("signature", [b"", b"0" * 64, "é".encode(), b"x" * 900])
def test_feed_when_the_trailers_are_signed_wrongly_refuses(signature: bytes) -> None:
    chunks = trailed()
    end = TRAILED.index(b"x-amz-trailer-signature:")
    with pytest.raises(ServiceError, match="does not match"):
        chunks.feed(TRAILED[:end] + b"x-amz-trailer-signature:" + signature + b"\r\n\r\n")


@given(st.binary(max_size=300), st.sampled_from([plain, trailed, unsigned]), st.integers(0, 300))
def test_feed_when_bytes_are_random_raises_nothing_but_refusals(
    junk: bytes, new: Callable[[], Chunks], kept: int
) -> None:
    chunks = new()
    try:
        chunks.feed(TRAILED[:kept])
        chunks.feed(junk)
        chunks.close()
    except ServiceError:
        assert not chunks.ended


@pytest.mark.parametrize("mark", sorted(PAYLOAD_MARKS))
def test_chunks_of_when_the_body_is_announced_in_chunks_reads_them(mark: str) -> None:
    verified = outcome(call(payload=mark, x_amz_content_sha256=mark), b"")
    assert isinstance(verified, Verified)
    chunks = chunks_of(verified)
    assert (chunks is None) == (mark == "UNSIGNED-PAYLOAD")
    if chunks is not None and mark == "STREAMING-UNSIGNED-PAYLOAD-TRAILER":
        assert chunks.feed(UNSIGNED) == b"hello world"
    elif chunks is not None:
        with pytest.raises(ServiceError):
            chunks.feed(UNSIGNED)


def test_chunks_of_when_the_body_is_plain_is_none() -> None:
    verified = outcome(call())
    assert isinstance(verified, Verified)
    assert chunks_of(verified) is None
