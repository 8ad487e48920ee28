"""OpenSearch, Elasticsearch and OpenSearch Serverless: records as documents, by `_bulk`.

Theory.  A parcel is cut into bulk requests of at most REQUEST_BYTES, one after the other.  The answer tells of each document: those that
were refused for what they are go to the error prefix, those that met a busy cluster are tried again, and the rest is there.  A document
has its record's id, so that a repetition replaces it.
Rules of this file:
  1. A status of 200 says nothing: only an item does.  An answer that does not have an item for each document says nothing either.
  2. A request that is too large is halved; one document that is too large is refused.
  3. User, password and signature go into headers and nowhere else.
Source: OpenSearch, "Bulk"; developer guide, "Data delivery failure handling" (members of error objects); UNVERIFIED: the codes.
"""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple
from urllib.parse import unquote, urlsplit

from penstock.core.destination_errors import DestinationError
from penstock.core.network import Call, CallFailed, Reason
from penstock.services.firehose.destinations.api import Again, Delivered, Hints, Mixed, Outcome, Parcel, Refused
from penstock.services.firehose.destinations.documents import Naming, Verdict, lines_of, verdicts
from penstock.services.firehose.destinations.rules import without_user
from penstock.services.firehose.destinations.shapes import OpenSearch, OpenSearchServerless
from penstock.services.firehose.destinations.told import concealed, given_up, quoted
from penstock.services.firehose.entries import Entry, Failure
from penstock.services.firehose.site import Site
from penstock.wire.signing import sign

KIND: Final = "AmazonOpenSearchService-failed"
REQUEST_BYTES: Final = 10 * 1024 * 1024  # what the smallest domains of AWS take
ANSWER_MAX_BYTES: Final = 64 * 1024 * 1024
ANSWER_WAIT_MS: Final = 60_000
PREPARE_BESIDE_BYTES: Final = 64 * 1024
_MIB: Final = 1024 * 1024
_ASKED: Final = (
    "filter_path=errors%2Citems.%2A.status%2Citems.%2A.error"  # all that is read of an answer; escaped as it is signed
)
_CODES: Final[Mapping[Reason, str]] = {
    "timeout": "OS.RequestTimeout",
    "too_large": "OS.ServiceException",
    "unreachable": "OS.ConnectionFailed",
    "tls": "OS.ConnectionFailed",
    "cut": "OS.ConnectionFailed",
    "garbage": "OS.ServiceException",
}
_DENIED: Final = frozenset({401, 403})
_SUCCESS: Final = 200
_TOO_LARGE: Final = 413
MALFORMED: Final = "OS.MalformedData"
_NOT_JSON: Final = "The record is not a JSON object in UTF-8."


class Place(NamedTuple):
    """Whom requests go to."""

    url: str  # without user and password
    basic: str  # the header of a user and password; empty where there are none
    signed_for: str  # "es", "aoss"; empty where requests are not signed
    prefix: str  # of the members of error objects
    secrets: tuple[str, ...]  # what must not be quoted


class _Line(NamedTuple):
    entry: Entry
    text: bytes


class _Tally:
    """What became of a parcel, so far."""

    def __init__(self) -> None:
        self.sent_bytes = 0
        self.records = 0
        self.requests = 0
        self.failures: list[Failure] = []
        self.again: list[Entry] = []
        self.reason = ("", "")  # of what is tried again: the first code and message

    def retry(self, entries: Sequence[Entry], code: str, message: str) -> None:
        """These are to be tried again."""
        self.reason = self.reason if self.again else (code, message)
        self.again += entries

    def outcome(self) -> Outcome:
        """All of it."""
        again = Again(*self.reason, self.again) if self.again else None
        delivered = Delivered(self.sent_bytes, self.records, self.requests)
        if again is None and not self.failures:
            return delivered
        if self.records == 0 and again is None:
            return Refused(self.failures)
        if self.records == 0 and again is not None and not self.failures:
            return again
        return Mixed(delivered, again, self.failures)


class SearchDestination:
    """One cluster."""

    def __init__(self, name: str, shape: OpenSearch | OpenSearchServerless, place: Place, site: Site) -> None:
        self.name = name
        self._shape = shape
        self._place = place
        self._site = site
        self._naming = _naming(shape)

    @property
    def hints(self) -> Hints:
        """As configured."""
        hints = self._shape.buffering_hints
        return Hints(hints.size_in_mbs * _MIB, hints.interval_in_seconds * 1000)

    @property
    def retry_ms(self) -> int:
        """As configured."""
        return self._shape.retry_options.duration_in_seconds * 1000

    async def deliver(self, parcel: Parcel) -> Outcome:
        """As many bulk requests as it takes; after one that was not answered, no further one is made."""
        tally = _Tally()
        waiting = _cut(await self._prepare(parcel, tally))[::-1]
        while waiting:
            lines = waiting.pop()
            problem = await self._send(lines, parcel.attempts, tally)
            if problem == _TOO_LARGE:
                waiting += [lines[len(lines) // 2 :], lines[: len(lines) // 2]]
            elif problem:
                rest = [line.entry for lines in reversed(waiting) for line in lines]
                tally.retry(rest, *tally.reason)
                break
        return tally.outcome()

    async def give_up(self, parcel: Parcel, again: Again) -> Sequence[Failure]:
        """Their error objects."""
        return given_up(KIND, parcel, again, self._facts)

    async def close(self) -> None:
        """Connections are the network's."""

    async def _prepare(self, parcel: Parcel, tally: _Tally) -> list[_Line]:
        """The lines of all records; those that are no documents have failed."""

        def read() -> list[bytes | None]:
            return [lines_of(entry, self._naming) for entry in parcel.entries]

        large = sum(len(entry.data) for entry in parcel.entries) > PREPARE_BESIDE_BYTES
        texts = await self._site.threads.run(read) if large else read()
        lines = []
        for entry, text in zip(parcel.entries, texts, strict=True):
            if text is None:
                tally.failures.append(self._failure(entry, MALFORMED, _NOT_JSON, parcel.attempts))
            else:
                lines.append(_Line(entry, text))
        return lines

    async def _send(self, lines: Sequence[_Line], attempts: int, tally: _Tally) -> int:
        """One request.  Answers 0, _TOO_LARGE where it must be halved, or anything else where the cluster does not take requests."""
        body = b"".join([line.text for line in lines])
        entries = [line.entry for line in lines]
        assert self._site.network is not None
        try:
            answer = await self._site.network.call(self._call(body))
        except CallFailed as error:
            tally.retry(entries, _CODES[error.reason], str(error))
            return -1
        if answer.status == _TOO_LARGE and len(lines) > 1:
            return _TOO_LARGE
        if answer.status == _TOO_LARGE:
            said = "The document is larger than the cluster takes."
            tally.failures.append(self._failure(entries[0], str(_TOO_LARGE), said, attempts))
            return 0
        if answer.status != _SUCCESS:
            code = "OS.AccessDenied" if answer.status in _DENIED else "OS.ServiceException"
            tally.retry(
                entries, code, f"The cluster answered {answer.status}: {quoted(answer.body, self._place.secrets)}"
            )
            return answer.status
        found = verdicts(answer.body, len(lines))
        if found is None:
            tally.retry(
                entries, "OS.ServiceException", "The cluster's answer does not tell what became of the documents."
            )
            return -1
        tally.requests += 1
        self._judge(lines, found, attempts, tally)
        return 0

    def _judge(self, lines: Sequence[_Line], found: Sequence[Verdict], attempts: int, tally: _Tally) -> None:
        for line, verdict in zip(lines, found, strict=True):
            said = concealed(verdict.error, self._place.secrets) or "The cluster gives no reason."
            if verdict.delivered:
                tally.records += 1
                tally.sent_bytes += len(line.text)
            elif verdict.again:
                tally.retry([line.entry], str(verdict.status), said)
            else:
                tally.failures.append(self._failure(line.entry, str(verdict.status), said, attempts))

    def _call(self, body: bytes) -> Call:
        url = f"{self._place.url.rstrip('/')}/_bulk?{_ASKED}"
        headers = {"Content-Type": "application/x-ndjson"}
        credentials = self._site.places.credentials
        if self._place.basic:
            headers["Authorization"] = self._place.basic
        elif self._place.signed_for and credentials is not None:
            now_ms = self._site.clock.now_ms()
            region, service = self._site.region, self._place.signed_for
            headers = sign(credentials, url, headers, body, region=region, service=service, now_ms=now_ms)
        return Call(url, headers, body, wait_ms=ANSWER_WAIT_MS, answer_max_bytes=ANSWER_MAX_BYTES)

    def _failure(self, entry: Entry, code: str, message: str, attempts: int) -> Failure:
        return Failure(entry, KIND, code, message, attempts + 1, facts=self._facts(entry))

    def _facts(self, entry: Entry) -> Mapping[str, object]:
        prefix = self._place.prefix
        facts = {
            f"{prefix}DocumentId": self._naming.id_of(entry),
            f"{prefix}IndexName": self._naming.index_of(entry),
        }
        return facts if prefix == "os" else {**facts, f"{prefix}TypeName": self._naming.type or ""}


def make_search(shape: OpenSearch, site: Site) -> SearchDestination:
    """A cluster of OpenSearch or Elasticsearch."""
    endpoint = shape.cluster_endpoint or site.places.search_endpoint
    if not endpoint:
        raise DestinationError.NO_DOMAIN(arn=shape.domain_arn, member="ClusterEndpoint")
    return SearchDestination("AmazonOpenSearchService", shape, _place(endpoint, "es", "es"), site)


def make_serverless(shape: OpenSearchServerless, site: Site) -> SearchDestination:
    """A collection of OpenSearch Serverless."""
    assert shape.collection_endpoint is not None
    return SearchDestination("AmazonOpenSearchServerless", shape, _place(shape.collection_endpoint, "aoss", "os"), site)


def _naming(shape: OpenSearch | OpenSearchServerless) -> Naming:
    if isinstance(shape, OpenSearchServerless):
        return Naming(
            shape.index_name, "NoRotation", None, with_ids=False
        )  # UNVERIFIED: collections of time series take no ids
    options = shape.document_id_options
    with_ids = options is None or options.default_document_id_format == "FIREHOSE_DEFAULT"
    return Naming(shape.index_name, shape.index_rotation_period, shape.type_name or None, with_ids)


def _place(endpoint: str, service: str, prefix: str) -> Place:
    user = urlsplit(endpoint)
    basic, secrets = "", tuple[str, ...]()
    if user.username is not None:
        password = unquote(user.password or "")
        packed = b64encode(f"{unquote(user.username)}:{password}".encode()).decode()
        basic, secrets = f"Basic {packed}", (packed, password)
    return Place(without_user(endpoint), basic, service, prefix, secrets)


def _cut(lines: list[_Line]) -> list[list[_Line]]:
    """Requests of at most REQUEST_BYTES, or of one document."""
    requests: list[list[_Line]] = []
    size = REQUEST_BYTES
    for line in lines:
        if size + len(line.text) > REQUEST_BYTES:
            requests.append([])
            size = 0
        requests[-1].append(line)
        size += len(line.text)
    return requests
