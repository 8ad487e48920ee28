"""Canonical requests: the one text that client and server make of a request, whatever its way on the wire did to it.

Theory.  Method, path, query, the signed headers and a hash of the body, one below the other.  Each has a spelling of its own: paths are
normalised and encoded once more than they came (S3's are not), queries are decoded, encoded and sorted, blanks in headers are folded.
Rules of this file:
  1. Pure, and total: whatever bytes come, there is an answer or None; nothing raises.
  2. Linear in the size of the head (sorting aside): a list of signed headers that would multiply it has no canonical form.

Source: AWS's guide to signed requests and its test suite; botocore's signer agrees, and a property test holds the two together.
"""

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Final, NamedTuple, Protocol
from urllib.parse import quote_from_bytes, unquote_to_bytes

from penstock.wire.native import NATIVE
from penstock.wire.nativeparts import SignedNames

LISTED_MAX: Final = 1000  # ours; no front takes a head with so many headers
LIST_KEPT_MAX_CHARS: Final = 1024
LISTS_KEPT_MAX: Final = 256
_UNRESERVED: Final = "-._~"

RawHeaders = Sequence[tuple[bytes, bytes]]  # lower-case names, in order of arrival


class SignedHead(Protocol):
    """What must be known of a request's head."""

    @property
    def method(self) -> str:
        """As it came."""
        ...

    @property
    def target(self) -> bytes:
        """Path and query exactly as they stood on the wire; of an absolute target, from the path on."""
        ...

    @property
    def query(self) -> Mapping[str, str]:
        """Decoded fields of the query."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """By lower-case name; of repeated ones the last."""
        ...

    @property
    def raw_headers(self) -> RawHeaders:
        """All of them, hop-by-hop ones too, with lower-case names, in order of arrival."""
        ...


class SignedHeaders(NamedTuple):
    """A list of signed headers, prepared."""

    with_host: bool  # or too long to look
    names: tuple[bytes, ...]  # sorted; empty where the list can match no request
    template: bytes  # the header part of a canonical request, a blank for each value
    pick: Callable[[dict[bytes, bytes]], object] | None  # their values
    native: SignedNames | None = None


def read_signed_headers(text: str) -> SignedHeaders:
    """Prepare the list `a;b;c`."""
    if len(text) <= LIST_KEPT_MAX_CHARS:
        return _read_signed_headers(text)
    return _read_signed_headers.__wrapped__(text)


@lru_cache(maxsize=LISTS_KEPT_MAX)
def _read_signed_headers(text: str) -> SignedHeaders:
    if text.count(";") >= LISTED_MAX:
        return SignedHeaders(True, (), b"", None)
    listed = text.split(";")
    # the host is looked for in any case (source: dynalite's notes)
    # UNVERIFIED: a list in any other case than lower, or with a name twice, or with one that did not come, is a wrong signature
    with_host = any(name.lower() in ("host", ":authority") for name in listed)
    names = tuple(sorted(name.encode("latin-1", "replace") for name in listed))
    if len(set(names)) != len(names):
        return SignedHeaders(with_host, (), b"", None)
    spelled = [name.replace(b"%", b"%%") for name in names]
    template = b"".join(b"%b:%%b\n" % name for name in spelled) + b"\n" + b";".join(spelled) + b"\n"
    native = None if NATIVE is None else NATIVE.SignedNames(names)
    return SignedHeaders(with_host, names, template, itemgetter(*names), native)


def header_part(signed: SignedHeaders, raw_headers: RawHeaders) -> bytes | None:
    """The signed headers and their names; None where one is missing.

    A header that came several times is joined in the order of arrival.  HTTP/2's `:authority` and `host` stand in for each other.
    Cost: 1.5 us for 6 of 12 headers.
    """
    if signed.pick is None:
        return None
    values = dict(raw_headers)
    if len(values) != len(raw_headers):
        values = _joined(raw_headers)
    try:
        part: bytes = signed.template % signed.pick(values)
    except KeyError:
        authority = values.get(b"host") or values.get(b":authority")
        if authority is None or not values.keys() | {b"host", b":authority"} >= set(signed.names):
            return None
        values = {b"host": authority, b":authority": authority} | values
        part = signed.template % signed.pick(values)
    if b"\t" in part or (b" " in part and (b"  " in part or b": " in part or b" \n" in part)):
        folded = tuple(b" ".join(values[name].split()) for name in signed.names)
        return signed.template % folded
    return part


def _joined(raw_headers: RawHeaders) -> dict[bytes, bytes]:
    lists: dict[bytes, list[bytes]] = {}
    for name, value in raw_headers:
        lists.setdefault(name, []).append(b" ".join(value.split()))
    return {name: b",".join(values) for name, values in lists.items()}


def canonical_path(path: bytes, *, verbatim: bool = False) -> bytes:
    """A path as it is signed, from how it stood on the wire; `verbatim` as S3 has it: neither normalised nor encoded twice."""
    if path in (b"/", b""):
        return b"/"
    plain = unquote_to_bytes(path) if verbatim else _normalised(path)
    return quote_from_bytes(plain, "/" + _UNRESERVED).encode()


def _normalised(path: bytes) -> bytes:
    kept: list[bytes] = []
    for segment in path.split(b"/"):
        if segment == b"..":
            del kept[-1:]
        elif segment not in (b"", b"."):
            kept.append(segment)
    return b"/" + b"/".join(kept) + (b"/" if kept and path.endswith(b"/") else b"")


def canonical_query(query: bytes, without: Container[str] = ()) -> bytes:
    """A query as it is signed, from how it stood on the wire, leaving out the fields named in `without`."""
    if not query:
        return b""
    pairs = sorted(_encoded_pairs(query))
    return "&".join(f"{name}={value}" for name, value in pairs if name not in without).encode()


def _encoded_pairs(query: bytes) -> Iterable[tuple[str, str]]:
    for field in query.replace(b"+", b"%20").split(b"&"):  # botocore sends a blank as + and signs %20
        if field:
            name, _, value = field.partition(b"=")
            yield _encoded(name), _encoded(value)


def _encoded(text: bytes) -> str:
    return quote_from_bytes(unquote_to_bytes(text), _UNRESERVED)
