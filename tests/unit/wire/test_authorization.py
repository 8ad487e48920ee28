"""Claims: how dates and credentials are read, and that nothing long is kept of what strangers send."""

import pytest

from penstock.core.errors import ServiceError
from penstock.wire import authorization, canonical
from penstock.wire.authorization import Instant, read_claim, read_instant, read_scope, written


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("20150830T123600Z", Instant("20150830T123600Z", 1_440_938_160)),
        ("Sun, 30 Aug 2015 12:36:00 GMT", Instant("20150830T123600Z", 1_440_938_160)),
        ("Sun, 30 Aug 2015 12:36:00 -0000", Instant("20150830T123600Z", 1_440_938_160)),
        ("19700101T000000Z", Instant("19700101T000000Z", 0)),
        ("19691231T235959Z", Instant("19691231T235959Z", -1)),
        ("99991231T235959Z", Instant("99991231T235959Z", 253_402_300_799)),
    ],
)
def test_read_instant_when_the_date_is_good_reads_it(text: str, instant: Instant) -> None:
    assert read_instant(text) == instant
    assert written(instant.at_s) == instant.text


@pytest.mark.parametrize(
    "text",
    [
        "201",
        "20150830",
        "20150830T1236Z",
        "2015-08-30T12:36:00Z",
        "20150830T123600",
        "20150830T123600+00",
        " 20150830T123600Z",
        "20150230T123600Z",
        "20150830T243600Z",
        "20150830T123660Z",
        "00000830T123600Z",
        "٢٠١٥٠٨٣٠T123600Z",
        "Sun, 30 Foo 2015 12:36:00 GMT",
        "Sun, 31 Feb 2015 12:36:00 GMT",
        "Sunday, 30-Aug-15 12:36:00 GMT",
        "x" * 60_000,
        "\0",
    ],
)
def test_read_instant_when_the_date_is_bad_quotes_it(text: str) -> None:
    with pytest.raises(ServiceError) as caught:
        read_instant(text)
    assert (caught.value.code, caught.value.message) == (
        "IncompleteSignatureException",
        f"Date must be in ISO-8601 'basic format'. Got '{text}'. See http://en.wikipedia.org/wiki/ISO_8601",
    )


def test_read_scope_when_slashes_end_it_ignores_them() -> None:
    assert read_scope("k/d/r/s/t//") == read_scope("k/d/r/s/t") == ("k", "d", "r", "s", "t", "d/r/s/t")


def test_read_claim_when_the_header_is_spelled_oddly_reads_the_same() -> None:
    headers = {"x-amz-date": "20150830T123600Z"}
    usual = "AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=host, Signature=00"
    odd = " AWS4-HMAC-SHA256   Signature=00,SignedHeaders=host ,\tCredential=a/b,"
    assert read_claim(headers | {"authorization": usual}, {}) == read_claim(headers | {"authorization": odd}, {})


def test_nothing_long_is_kept() -> None:
    caches = (authorization._read_scope, authorization._read_instant, canonical._read_signed_headers)
    before = [cache.cache_info().currsize for cache in caches]
    for number in range(5):
        long = str(number) * 60_000
        read_scope(f"{long}/a/b/c/d")
        canonical.read_signed_headers(long)
        with pytest.raises(ServiceError):
            read_instant(long)
    assert [cache.cache_info().currsize for cache in caches] == before
