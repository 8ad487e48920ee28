"""Sealed tokens and shard iterators: what opens, what does not, and until when."""

import base64
import string

import msgspec
import pytest

from penstock.core.context import Caller
from penstock.core.errors import ServiceError
from penstock.core.ids import AccountId, Millis, Region, StreamName, StreamUid
from penstock.core.limits import ITERATOR_MAX_CHARS
from penstock.services.streams.iterator import ShardIterator, open_iterator, seal
from penstock.services.streams.tokens import KEY_BYTES, NONCE_BYTES, Sealer

KEY = bytes(range(KEY_BYTES))
NONCE = bytes(range(NONCE_BYTES))
SEALER = Sealer(KEY)
CALLER = Caller(AccountId("123456789012"), Region("eu-west-1"), "test", "kinesis:GetRecords")
ISSUED_MS = 1_795_193_162_123  # Fri Nov 20 16:46:02 UTC 2026
ITERATOR = ShardIterator(StreamName("orders"), StreamUid("a" * 20 + "-" + "bbb"), 7, 1, 2**40, Millis(ISSUED_MS))


class Content(msgspec.Struct, frozen=True, array_like=True):
    """What the tests seal."""

    text: str
    number: int


TOKEN = SEALER.seal(Content("hello", 2**63), NONCE, "kind/me")


def test_open_when_nothing_was_changed_then_the_content_comes_back() -> None:
    assert SEALER.open(TOKEN, "kind/me", Content) == Content("hello", 2**63)


@pytest.mark.parametrize("bound", ["kind/you", "other/me", "kind/me ", "", "Kind/me"])
def test_open_when_bound_to_something_else_then_it_is_refused(bound: str) -> None:
    assert SEALER.open(TOKEN, bound, Content) is None


def test_open_when_sealed_with_another_key_then_it_is_refused() -> None:
    assert Sealer(bytes(KEY_BYTES)).open(TOKEN, "kind/me", Content) is None


def test_open_when_the_content_is_of_another_kind_then_it_is_refused() -> None:
    for content in (Content("x", 1), ITERATOR):
        token = SEALER.seal(content, NONCE, "kind/me")
        other = ShardIterator if isinstance(content, Content) else Content
        assert SEALER.open(token, "kind/me", other) is None


def test_open_when_any_one_bit_is_flipped_then_it_is_refused() -> None:
    raw = base64.b64decode(TOKEN)
    for bit in range(8 * len(raw)):
        flipped = bytearray(raw)
        flipped[bit // 8] ^= 1 << bit % 8
        assert SEALER.open(base64.b64encode(flipped).decode(), "kind/me", Content) is None, bit


def test_open_when_any_one_character_is_replaced_then_it_is_refused() -> None:
    """But for base64 digits whose last bits encode nothing, which change no byte of the token."""
    raw = base64.b64decode(TOKEN)
    for place in range(len(TOKEN)):
        for stray in string.ascii_letters + string.digits + '+/=-_ \n"\u00e9\x00':
            changed = TOKEN[:place] + stray + TOKEN[place + 1 :]
            if stray in "-_" or not _same_bytes(changed, raw):
                assert SEALER.open(changed, "kind/me", Content) is None, (place, stray)


def _same_bytes(text: str, raw: bytes) -> bool:
    try:
        return base64.b64decode(text, validate=True) == raw
    except ValueError:
        return False


def test_open_when_truncated_or_extended_then_it_is_refused() -> None:
    for length in range(len(TOKEN)):
        assert SEALER.open(TOKEN[:length], "kind/me", Content) is None
        assert SEALER.open(TOKEN[length + 1 :], "kind/me", Content) is None
    for extra in ("A", "AAAA", "=", " ", "\n", TOKEN):
        assert SEALER.open(TOKEN + extra, "kind/me", Content) is None
        assert SEALER.open(extra + TOKEN, "kind/me", Content) is None


@pytest.mark.parametrize("text", ["", "=", "====", "AAAA", "\u00e9" * 60, "A" * 512, "\ud800" * 40, "A" * 10_001])
def test_open_when_the_text_is_no_token_then_it_is_refused(text: str) -> None:
    assert SEALER.open(text, "kind/me", Content) is None


def test_seal_when_nonces_differ_then_so_do_the_tokens() -> None:
    other = SEALER.seal(Content("hello", 2**63), bytes(NONCE_BYTES), "kind/me")
    assert other != TOKEN
    assert SEALER.open(other, "kind/me", Content) == Content("hello", 2**63)


def issued(iterator: ShardIterator = ITERATOR) -> str:
    """The text of an iterator of CALLER's."""
    return seal(SEALER, NONCE, CALLER, iterator)


def refusal(text: str, now_ms: int = ISSUED_MS, caller: Caller = CALLER) -> tuple[str, str | None]:
    """Code and message with which an iterator is refused."""
    with pytest.raises(ServiceError) as refused:
        open_iterator(SEALER, caller, text, now_ms)
    return refused.value.code, refused.value.message


INVALID = ("InvalidArgumentException", "Invalid ShardIterator.")


def test_iterator_when_opened_then_its_place_comes_back() -> None:
    opened = open_iterator(SEALER, CALLER, issued(), ISSUED_MS)
    assert opened == ITERATOR
    assert opened.position == (1, 2**40)


@pytest.mark.parametrize("quoted", ['"{}"', '"{}', '{}"'])
def test_iterator_when_sent_in_quotes_then_it_is_accepted(quoted: str) -> None:
    assert open_iterator(SEALER, CALLER, quoted.format(issued()), ISSUED_MS) == ITERATOR


@pytest.mark.parametrize("changed", [{"account": "210987654321"}, {"region": "us-east-1"}])
def test_iterator_when_of_another_account_or_region_then_it_is_invalid(changed: dict[str, str]) -> None:
    assert refusal(issued(), caller=CALLER._replace(**changed)) == INVALID  # type: ignore[arg-type]


def test_iterator_when_another_principal_of_the_account_sends_it_then_it_is_accepted() -> None:
    caller = CALLER._replace(access_key_id="other", operation="kinesis:Other")
    assert open_iterator(SEALER, caller, issued(), ISSUED_MS) == ITERATOR


def test_iterator_when_it_is_a_token_of_another_listing_then_it_is_invalid() -> None:
    token = SEALER.seal(ITERATOR, NONCE, f"ListShards/{CALLER.account}/{CALLER.region}")
    assert refusal(token) == INVALID


@pytest.mark.parametrize("text", ["", '"', '""', "AAAA", "'" + "A" * 80 + "'"])
def test_iterator_when_the_text_is_none_then_it_is_invalid(text: str) -> None:
    assert refusal(text) == INVALID


def test_iterator_when_broken_and_old_then_it_is_invalid_rather_than_expired() -> None:
    assert refusal(issued()[:-4], now_ms=ISSUED_MS + 10**9) == INVALID


def test_iterator_when_5_minutes_old_then_it_has_expired_and_not_before() -> None:
    assert open_iterator(SEALER, CALLER, issued(), ISSUED_MS + 299_999) == ITERATOR
    assert refusal(issued(), ISSUED_MS + 300_000) == (
        "ExpiredIteratorException",
        "Iterator expired. The iterator was created at time Fri Nov 20 16:46:02 UTC 2026 while right now it is"
        " Fri Nov 20 16:51:02 UTC 2026 which is further in the future than the tolerated delay of 300000 milliseconds.",
    )


def test_iterator_when_the_clock_stepped_back_then_it_is_good() -> None:
    assert open_iterator(SEALER, CALLER, issued(), ISSUED_MS - 10**9) == ITERATOR


def test_iterator_when_the_day_of_the_month_is_below_10_then_it_has_two_digits() -> None:
    _, message = refusal(issued(msgspec.structs.replace(ITERATOR, issued_ms=Millis(1_801_958_400_000))), 2 * 10**12)
    assert message is not None
    assert "at time Sun Feb 07 " in message


def test_iterator_when_the_stream_name_is_the_longest_then_it_has_at_most_512_characters() -> None:
    longest = ShardIterator(
        StreamName("n" * 128), ITERATOR.uid, 2**31 - 1, 2**15 - 1, 2**48 - 1, Millis(253_402_300_799_999)
    )
    text = issued(longest)
    assert len(text) <= ITERATOR_MAX_CHARS
    assert open_iterator(SEALER, CALLER, text, longest.issued_ms) == longest
