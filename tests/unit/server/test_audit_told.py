"""Messages of refusals as the audit log tells them: without the values that they quote, at no more cost than their length."""

from time import thread_time

import pytest

from penstock.core.errors import Error
from penstock.server.audit import HIDDEN, _told

SLOW_S = 10  # of processor time; a search that begins anew at each quote took a minute


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("nothing is quoted", "nothing is quoted"),
        ("Value 'a' at 'b' is bad", f"Value '{HIDDEN}' at 'b' is bad"),
        ("Value 'a' at 'x' at 'b' is bad", f"Value '{HIDDEN}' at 'b' is bad"),
        ("'a' can not be converted to a Blob\nand more", f"'{HIDDEN}' can not be converted to a Blob"),
        ("the key 'a' is not there", "the key 'a' is not there"),
        ("half a character: \ud800", "half a character: ?"),
        ("", ""),
    ],
)
def test_message_when_it_quotes_a_value_is_told_without_it(message: str, told: str) -> None:
    assert _told(message) == told


def test_message_when_it_is_all_quotes_is_told_at_once() -> None:
    refusal = Error.AUTH_PAIR_MALFORMED(pair="'" * 60_000, authorization="'" * 60_000)
    started_s = thread_time()
    _told(refusal.message or "")
    assert thread_time() - started_s < SLOW_S
