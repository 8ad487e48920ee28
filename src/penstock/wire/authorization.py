"""Authorization: what a request claims about its signature, read before any of it is believed.

Theory.  A signature comes in the Authorization header or in the query string (presigned), never in both.  Either way it names an
algorithm, a credential `<key id>/<date>/<region>/<service>/aws4_request`, the headers that are signed and a date.
Rules of this file:
  1. Pure; the only parser of these texts, for those who verify and for those who only want to know who calls.
  2. Refusals and their words are AWS's (source: recorded answers, and the notes of mhart/dynalite on real ones).
  3. What repeats from call to call is kept, but nothing long: strangers choose these texts.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, NamedTuple

from msgspec import Struct

from penstock.core.errors import Error

ALGORITHM: Final = "AWS4-HMAC-SHA256"
TERMINATOR: Final = "aws4_request"
TEXT_KEPT_MAX_CHARS: Final = 512
TEXTS_KEPT_MAX: Final = 1024

_HEADER_PARTS: Final = ("Credential", "Signature", "SignedHeaders")
_QUERY_PARTS: Final = ("X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature", "X-Amz-SignedHeaders", "X-Amz-Date")
_MONTHS: Final = {
    name: number
    for number, name in enumerate("Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(), start=1)  # noqa: SIM905
}
SIGNATURE_CHARS: Final = 64
# as SDKs write it, up to the signature
_usual = re.compile(r"(AWS4-HMAC-SHA256) Credential=([^,\s=]+), ?SignedHeaders=([^,\s=]+), ?Signature=")
_iso = re.compile(r"(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z", re.ASCII)
_http = re.compile(
    r"[A-Z][a-z]{2}, (\d\d?) ([A-Z][a-z]{2}) (\d{4}) (\d\d):(\d\d):(\d\d) (?:GMT|UTC|[+-]0000)", re.ASCII
)


class Claim(Struct, frozen=True):
    """A signature as it was given."""

    algorithm: str
    credential: str
    signed_headers: str
    signature: str
    date: str  # as it stood in X-Amz-Date or Date
    presigned: bool


class Scope(NamedTuple):
    """A credential, taken apart.  Only the number of its parts is checked."""

    access_key_id: str
    date: str
    region: str
    service: str
    terminator: str
    text: str  # all but the key id, as it is signed


class Instant(NamedTuple):
    """When a request says that it was signed."""

    text: str  # YYYYMMDDTHHMMSSZ, as it is signed
    at_s: int


def usual_credential(headers: Mapping[str, str], query: Mapping[str, str]) -> str | None:
    """The credential of a claim that is spelled as SDKs do, the short way; None for any other."""
    if query or not headers.get("x-amz-date"):
        return None
    usual = _read_usual(headers.get("authorization", ""))
    return usual[1] if usual is not None else None


def _read_usual(authorization: str) -> tuple[str, str, str] | None:
    """Algorithm, credential and signed headers of a header that SDKs could have written; None for any other.

    But for the signature it is the same all day.  Cost: 0.3 us where it is known; reading it takes 1.5.
    """
    if len(authorization) > TEXT_KEPT_MAX_CHARS or not authorization[-SIGNATURE_CHARS:].isalnum():
        return None
    return usual_parts(authorization[:-SIGNATURE_CHARS])


@lru_cache(maxsize=TEXTS_KEPT_MAX)
def usual_parts(text: str) -> tuple[str, str, str] | None:
    """Algorithm, credential and signed headers of an Authorization header up to its signature, if SDKs could have written it."""
    usual = _usual.fullmatch(text)
    return None if usual is None else (usual[1], usual[2], usual[3])


def read_claim(headers: Mapping[str, str], query: Mapping[str, str]) -> Claim:
    """The signature that a request carries; `headers` by lower-case name.

    Raises AUTH_MISSING, AUTH_TWICE or AUTH_INCOMPLETE.  Cost: 0.8 us.
    """
    authorization = headers.get("authorization")
    if query and "X-Amz-Algorithm" in query:
        if authorization:
            raise Error.AUTH_TWICE()
        return _from_query(query)
    if not authorization:
        raise Error.AUTH_MISSING()
    usual = _read_usual(authorization)
    date = headers.get("x-amz-date") or headers.get("date")
    if usual is not None and date:
        return Claim(*usual, authorization[-SIGNATURE_CHARS:], date, False)
    return _from_header(authorization, date)


def _from_header(authorization: str, date: str | None) -> Claim:
    algorithm, *pairs = [text for text in re.split(r"[,\s]+", authorization.strip()) if text] or [""]
    parts: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise Error.AUTH_PAIR_MALFORMED(pair=pair, authorization=authorization)
        parts[name] = value
    # an empty SignedHeaders is refused later, for lack of the host (source: NetSPI/AWSSigner#3)
    given = {name for name, value in parts.items() if value or name == "SignedHeaders"}
    complaints = [f"Authorization header requires '{name}' parameter." for name in _HEADER_PARTS if name not in given]
    if not date:
        complaints.append("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
    if complaints:
        raise Error.AUTH_INCOMPLETE(text=" ".join([*complaints, f"Authorization={authorization}"]))
    assert date
    return Claim(algorithm, parts["Credential"], parts["SignedHeaders"], parts["Signature"], date, False)


def _from_query(query: Mapping[str, str]) -> Claim:
    complaints = [f"AWS query-string parameters must include '{name}'." for name in _QUERY_PARTS if not query.get(name)]
    if complaints:
        raise Error.AUTH_INCOMPLETE(text=" ".join([*complaints, "Re-examine the query-string parameters."]))
    algorithm, credential, signature, signed_headers, date = (query[name] for name in _QUERY_PARTS)
    return Claim(algorithm, credential, signed_headers, signature, date, True)


def read_scope(credential: str) -> Scope:
    """The parts of a credential; slashes at its end are ignored, as AWS does.  Raises AUTH_CREDENTIAL_PARTS."""
    return _read_scope(credential) if len(credential) <= TEXT_KEPT_MAX_CHARS else _read_scope.__wrapped__(credential)


@lru_cache(maxsize=TEXTS_KEPT_MAX)
def _read_scope(credential: str) -> Scope:
    parts = credential.rstrip("/").split("/")
    if len(parts) != 5:
        raise Error.AUTH_CREDENTIAL_PARTS(credential=credential)
    key_id, date, region, service, term = parts
    return Scope(key_id, date, region, service, term, f"{date}/{region}/{service}/{term}")


def read_instant(text: str) -> Instant:
    """When a request was signed, from ISO 8601's basic form or HTTP's.  Raises AUTH_DATE_MALFORMED."""
    instant = _read_instant(text) if len(text) <= TEXT_KEPT_MAX_CHARS else None
    if instant is None:
        raise Error.AUTH_DATE_MALFORMED(date=text)
    return instant


@lru_cache(maxsize=TEXTS_KEPT_MAX)
def _read_instant(text: str) -> Instant | None:
    iso, http = _iso.fullmatch(text), _http.fullmatch(text)
    try:
        if iso is not None:
            year, month, day, hour, minute, second = map(int, iso.groups())
        elif http is not None:
            year, month, day = int(http[3]), _MONTHS[http[2]], int(http[1])
            hour, minute, second = int(http[4]), int(http[5]), int(http[6])
        else:
            return None
        at_s = int(datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp())
    except (ValueError, KeyError):  # the 31st of February, the month Foo
        return None
    return Instant(text if iso is not None else written(at_s), at_s)


def written(at_s: int) -> str:
    """A moment as AWS writes it in signatures and in its refusals."""
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y%m%dT%H%M%SZ")
