"""Splunk: records as events, by the HTTP event collector, believed only when the indexers have acknowledged them.

Theory.  A parcel is one request on a channel; its answer has an ackId.  The channel is then asked, at growing intervals, whether that id
is acknowledged: only then are the events on disk over there.  The time of asking is not counted against the retry duration.
Rules of this file:
  1. Without an acknowledgement nothing is delivered: a token that has none turned on is an error, not a reason to believe status 200.
  2. Events stand in one body, one after the other; a record that is no JSON cannot be told apart in there, and fails before it is sent.
  3. An event that the collector names as invalid fails; the rest of its parcel is sent again.
  4. The cookies of a balancer go back to it, so that the questions reach the indexer that has the events.
Source: Splunk, "About HTTP Event Collector indexer acknowledgment", "Troubleshoot HTTP Event Collector" (codes); developer guide,
"Splunk data delivery errors".
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple
from urllib.parse import urlsplit, urlunsplit

import msgspec

from penstock.core.ids import UUID_BYTES, uuid_text
from penstock.core.network import Answer, Call, CallFailed, Reason
from penstock.services.firehose.destinations.api import Again, Delivered, Hints, Mixed, Outcome, Parcel, Refused
from penstock.services.firehose.destinations.credentials import NoSecret, members
from penstock.services.firehose.destinations.shapes import Splunk
from penstock.services.firehose.destinations.told import given_up, is_header, quoted, source_id, with_failures
from penstock.services.firehose.entries import Entry, Failure
from penstock.services.firehose.site import Site

KIND: Final = "splunk-failed"
CONCURRENCY: Final = 8  # acknowledgements take long: others are sent meanwhile
ANSWER_WAIT_MS: Final = 60_000
ANSWER_MAX_BYTES: Final = 1024 * 1024
ACK_WAIT_MS: Final = 10_000
ACK_POLLS_MS: Final = (1000, 2000, 4000, 8000, 10_000)  # between questions; the last one repeats
_MIB: Final = 1024 * 1024
_SUCCESS: Final = 200
_BLANKS: Final = re.compile(r"[ \t\r\n]*")
_COLLECTOR: Final = "/services/collector"
_CODES: Final[Mapping[Reason, str]] = {
    "timeout": "Splunk.ConnectionTimeout",
    "unreachable": "Splunk.ConnectionTimeout",
    "tls": "Splunk.SSLHandshake",
    "cut": "Splunk.ConnectionClosed",
    "too_large": "Splunk.ServerError",
    "garbage": "Splunk.ServerError",
}
_TOLD: Final[Mapping[int, str]] = {  # by the collector's own code
    1: "Splunk.DisabledToken", 2: "Splunk.InvalidToken", 3: "Splunk.InvalidToken", 4: "Splunk.InvalidToken",
    5: "Splunk.InvalidDataFormat", 6: "Splunk.InvalidDataFormat", 7: "Splunk.InvalidIndex", 9: "Splunk.IndexerBusy",
    12: "Splunk.InvalidDataFormat", 13: "Splunk.InvalidDataFormat", 14: "Splunk.DisabledAck", 15: "Splunk.InvalidDataFormat",
}  # fmt: skip
_BY_STATUS: Final = {404: "Splunk.URLNotFound", 413: "Splunk.ServerError.ContentTooLarge"}
_INVALID: Final = "Splunk.InvalidDataFormat"
_NOT_EVENTS: Final = "The record is not one or more JSON objects."
_NO_ACK: Final = "The collector took the data without an ackId: indexer acknowledgement is off for this token."


class _Reply(msgspec.Struct):
    """What the collector answers."""

    code: int = -1
    text: str = ""
    ack_id: int | None = msgspec.field(name="ackId", default=None)
    invalid_event: int | None = msgspec.field(name="invalid-event-number", default=None)


class _Acks(msgspec.Struct):
    acks: dict[str, bool]


class _Sent(NamedTuple):
    """A request that was taken."""

    ack_id: int
    token: str
    cookie: str


class _Asked(NamedTuple):
    """What the questions for an acknowledgement came to."""

    acknowledged: bool
    waited_ms: int
    problem: str  # of the last one, if it failed


class SplunkDestination:
    """One collector, on a channel of its own."""

    name = "Splunk"

    def __init__(self, shape: Splunk, site: Site) -> None:
        self._shape = shape
        self._site = site
        self._events = shape.hec_endpoint_type == "Event"
        self._channel = uuid_text(site.entropy.bytes(UUID_BYTES))
        self._collector = collector_url(shape.hec_endpoint)

    @property
    def hints(self) -> Hints:
        """As configured."""
        hints = self._shape.buffering_hints
        return Hints(hints.size_in_mbs * _MIB, hints.interval_in_seconds * 1000, CONCURRENCY)

    @property
    def retry_ms(self) -> int:
        """As configured; waiting for acknowledgements is not counted."""
        return self._shape.retry_options.duration_in_seconds * 1000

    async def deliver(self, parcel: Parcel) -> Outcome:
        """One request, and the questions for its acknowledgement."""
        good, counts, failed = self._told_apart(parcel)
        if not good:
            return Refused(failed)
        outcome = await self._attempt(parcel, good, counts)
        return with_failures(outcome, failed)

    async def give_up(self, parcel: Parcel, again: Again) -> Sequence[Failure]:
        """Their error objects."""
        return given_up(KIND, parcel, again, _facts)

    async def close(self) -> None:
        """Connections are the network's."""

    def _told_apart(self, parcel: Parcel) -> tuple[list[Entry], list[int], list[Failure]]:
        """The entries that can be sent, with how many events each has, and those that cannot."""
        if not self._events:
            return list(parcel.entries), [1] * len(parcel.entries), []
        good, counts, failed = [], [], []
        for entry in parcel.entries:
            count = events_in(entry.data)
            if count == 0:
                failed.append(Failure(entry, KIND, _INVALID, _NOT_EVENTS, parcel.attempts + 1, facts=_facts(entry)))
            else:
                good.append(entry)
                counts.append(count)
        return good, counts, failed

    async def _attempt(self, parcel: Parcel, entries: list[Entry], counts: list[int]) -> Outcome:
        # UNVERIFIED: what AWS puts between raw records
        body = b"\n".join([entry.data.removesuffix(b"\n") for entry in entries])
        try:
            token = await self._token()
        except NoSecret as error:
            return Again(_TOLD[4], str(error), entries)
        try:
            answer = await self._call("event" if self._events else "raw", body, token, "", ANSWER_WAIT_MS)
        except CallFailed as error:
            return Again(_CODES[error.reason], str(error), entries)
        reply = _read(answer.body)
        if answer.status != _SUCCESS or reply is None or reply.code != 0:
            return self._refused(parcel, entries, counts, answer, reply, token)
        if reply.ack_id is None:
            return Again(_TOLD[14], _NO_ACK, entries)
        asked = await self._acknowledged(_Sent(reply.ack_id, token, answer.cookie))
        if asked.acknowledged:
            return Delivered(len(body), len(entries), ack_ms=asked.waited_ms)
        waited_s = self._shape.hec_acknowledgment_timeout_in_seconds
        said = f"The collector did not acknowledge the data within {waited_s} s{asked.problem}"
        return Again("Splunk.AckTimeout", said, entries, uncounted_ms=asked.waited_ms)

    def _refused(
        self, parcel: Parcel, entries: list[Entry], counts: list[int], answer: Answer, reply: _Reply | None, token: str
    ) -> Outcome:
        code = _TOLD.get(reply.code, "") if reply is not None else ""
        code = code or _BY_STATUS.get(answer.status, "Splunk.ServerError")
        said = f"The collector answered {answer.status}: {quoted(answer.body, (token,))}"
        at = _place(counts, reply.invalid_event) if reply is not None and self._events and code == _INVALID else None
        if at is None:
            return Again(code, said, entries)
        failure = Failure(entries[at], KIND, code, said, parcel.attempts + 1, facts=_facts(entries[at]))
        rest = entries[:at] + entries[at + 1 :]
        if not rest:
            return Refused([failure])
        return Mixed(Delivered(0, 0, 0), Again(code, said, rest, wait_ms=0), [failure])

    async def _acknowledged(self, sent: _Sent) -> _Asked:
        """Whether the events are acknowledged before the time for it is over."""
        limit_ms = self._shape.hec_acknowledgment_timeout_in_seconds * 1000
        waited_ms, number, problem = 0, 0, ""
        body = msgspec.json.encode({"acks": [sent.ack_id]})
        while waited_ms < limit_ms:
            pause_ms = min(ACK_POLLS_MS[min(number, len(ACK_POLLS_MS) - 1)], limit_ms - waited_ms)
            await self._site.clock.sleep(pause_ms)
            waited_ms, number = waited_ms + pause_ms, number + 1
            try:
                answer = await self._call("ack", body, sent.token, sent.cookie, ACK_WAIT_MS)
            except CallFailed as error:
                waited_ms += ACK_WAIT_MS if error.reason == "timeout" else 0
                problem = f": {error}"
                continue
            if answer.status == _SUCCESS and _is_acknowledged(answer.body, sent.ack_id):
                return _Asked(acknowledged=True, waited_ms=waited_ms, problem="")
            problem = "" if answer.status == _SUCCESS else f": {answer.status}: {quoted(answer.body, (sent.token,))}"
        return _Asked(acknowledged=False, waited_ms=waited_ms, problem=problem)

    async def _call(self, door: str, body: bytes, token: str, cookie: str, wait_ms: int) -> Answer:
        headers = {
            "Authorization": f"Splunk {token}",
            "X-Splunk-Request-Channel": self._channel,
            "Content-Type": "text/plain; charset=utf-8" if door == "raw" else "application/json",
        }
        if cookie:
            headers["Cookie"] = cookie
        assert self._site.network is not None
        url = f"{self._collector}/{door}?channel={self._channel}"
        return await self._site.network.call(
            Call(url, headers, body, wait_ms=wait_ms, answer_max_bytes=ANSWER_MAX_BYTES)
        )

    async def _token(self) -> str:
        secret = await members(self._shape.secrets_manager_configuration, self._site, ("hec_token",))
        token = secret["hec_token"] if secret is not None else self._shape.hec_token or ""
        if not is_header(token):
            raise NoSecret("the token is not printable ASCII")
        return token


def collector_url(endpoint: str) -> str:
    """Where the collector's doors are: endpoints are given with and without their path."""
    parts = urlsplit(endpoint)
    path = parts.path.partition(_COLLECTOR)[0].rstrip("/")
    return urlunsplit((parts.scheme, parts.netloc, path + _COLLECTOR, "", ""))


def events_in(data: bytes) -> int:
    """How many JSON objects a record consists of; 0 if of anything else."""
    try:
        text = data.decode().strip()
        decoder, at, count = json.JSONDecoder(), 0, 0
        while at < len(text):
            value, at = decoder.raw_decode(text, at)
            if not isinstance(value, dict):
                return 0
            count += 1
            blanks = _BLANKS.match(text, at)
            at = blanks.end() if blanks is not None else at
    except (ValueError, RecursionError):
        return 0
    return count


def _place(counts: Sequence[int], event: int | None) -> int | None:
    """Which entry has the event of this number."""
    if event is None or event < 0:
        return None
    for at, count in enumerate(counts):
        if event < count:
            return at
        event -= count
    return None


def _read(body: bytes) -> _Reply | None:
    try:
        return msgspec.json.decode(body, type=_Reply)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _is_acknowledged(body: bytes, ack_id: int) -> bool:
    try:
        return msgspec.json.decode(body, type=_Acks).acks.get(str(ack_id), False)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False


def _facts(entry: Entry) -> Mapping[str, object]:
    return {"EventId": source_id(entry)}
