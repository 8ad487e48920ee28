"""NextTokens of listings: sealed, good for 300 seconds, and only for the listing that they came from."""

import msgspec

from penstock.core.context import Caller
from penstock.core.errors import Error
from penstock.core.ids import Millis
from penstock.core.limits import NEXT_TOKEN_VALID_MS
from penstock.services.streams.service import Streams


class PageToken(msgspec.Struct, frozen=True, array_like=True):
    """Where the next page begins."""

    after: str  # the last item of the page before
    issued_ms: Millis
    scope: str = ""  # what else the listing was asked, in its own terms


def page_token(streams: Streams, caller: Caller, listing: str, after: str, scope: str = "") -> str:
    """The token for the page after an item."""
    token = PageToken(after, streams.clock.now_ms(), scope)
    return streams.sealer.seal(token, streams.nonce(), _bound(caller, listing))


def read_page_token(streams: Streams, caller: Caller, listing: str, text: str) -> PageToken:
    """Read a token back.  Raises NEXT_TOKEN_INVALID, or NEXT_TOKEN_EXPIRED after 300 seconds."""
    token = streams.sealer.open(text, _bound(caller, listing), PageToken)
    if token is None:
        raise Error.NEXT_TOKEN_INVALID()
    if streams.clock.now_ms() - token.issued_ms > NEXT_TOKEN_VALID_MS:
        raise Error.NEXT_TOKEN_EXPIRED(valid_s=NEXT_TOKEN_VALID_MS // 1000)
    return token


def _bound(caller: Caller, listing: str) -> str:
    return f"{listing}/{caller.account}/{caller.region}"
