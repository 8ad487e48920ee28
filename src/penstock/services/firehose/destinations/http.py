"""HTTP endpoints: Firehose's own protocol, spoken to whoever takes it.

Theory.  A parcel is one POST with all its records in one JSON document; the endpoint answers with a small JSON document that repeats the
request's id.  Whatever is not exactly a success is tried again, but for 413: a request that is too large stays so.
Rules of this file:
  1. Only status 200 is success, and only in the contract's form: JSON, its length told, not packed, the same requestId.
  2. The access key goes into its header as it is, and nowhere else; an endpoint that echoes it finds it blanked out in our logs.
  3. The id of a request is the parcel's: endpoints drop repetitions by it.  The back-off that the contract names is the engine's.
Source: "Understand HTTP endpoint delivery request and response specifications"; "Troubleshooting HTTP endpoints" (codes).
"""

import zlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
import pybase64

from penstock.core.network import Answer, Call, CallFailed, Reason
from penstock.services.firehose.destinations.api import Again, Delivered, Hints, Outcome, Parcel, Refused
from penstock.services.firehose.destinations.credentials import NoSecret, members
from penstock.services.firehose.destinations.shapes import HttpEndpoint
from penstock.services.firehose.destinations.told import concealed, failures, given_up, is_header, quoted, source_id
from penstock.services.firehose.entries import Entry, Failure
from penstock.services.firehose.site import Site

KIND: Final = "http-endpoint-failed"
PROTOCOL: Final = "1.0"
AGENT: Final = "Amazon Kinesis Data Firehose Agent/1.0"
RECORDS_MAX: Final = 10_000
BODY_MAX_BYTES: Final = 64 * 1024 * 1024  # before compression
RECORD_FRAME_BYTES: Final = 16  # `{"data":""},` and padding of base64
PARCEL_MAX_BYTES: Final = (BODY_MAX_BYTES - RECORDS_MAX * RECORD_FRAME_BYTES - 4096) // 4 * 3
ANSWER_MAX_BYTES: Final = 1024 * 1024
ANSWER_WAIT_MS: Final = 180_000
PACK_BESIDE_BYTES: Final = 64 * 1024  # larger bodies are packed in a thread
_MIB: Final = 1024 * 1024
_SUCCESS: Final = 200
_TOO_LARGE: Final = 413
_CODES: Final[Mapping[Reason, str]] = {
    "timeout": "HttpEndpoint.RequestTimeout",
    "too_large": "HttpEndpoint.ResponseTooLarge",
    "unreachable": "HttpEndpoint.ConnectionFailed",
    "tls": "HttpEndpoint.SSLHandshakeFailure",
    "cut": "HttpEndpoint.ConnectionReset",
    "garbage": "HttpEndpoint.InvalidResponseFromDestination",
}
FAULTY: Final = "HttpEndpoint.DestinationException"
MALFORMED: Final = "HttpEndpoint.InvalidResponseFromDestination"


class _Reply(msgspec.Struct):
    """What an endpoint answers."""

    request_id: str = msgspec.field(name="requestId")
    timestamp: int | float


class HttpEndpointDestination:
    """One endpoint."""

    name = "HttpEndpoint"

    def __init__(self, shape: HttpEndpoint, site: Site, wait_ms: int = ANSWER_WAIT_MS) -> None:
        self._shape = shape
        self._site = site
        self._wait_ms = wait_ms
        self._attributes = _attributes(shape)

    @property
    def hints(self) -> Hints:
        """The configured buffer, as far as its request stays within 64 MiB."""
        hints = self._shape.buffering_hints
        size = min(hints.size_in_mbs * _MIB, PARCEL_MAX_BYTES)
        return Hints(size, hints.interval_in_seconds * 1000, records_max=RECORDS_MAX)

    @property
    def retry_ms(self) -> int:
        """As configured."""
        return self._shape.retry_options.duration_in_seconds * 1000

    async def deliver(self, parcel: Parcel) -> Outcome:
        """One request."""
        try:
            key = await self._access_key()
        except NoSecret as error:
            return Again("HttpEndpoint.SecretUnavailable", str(error), parcel.entries)  # UNVERIFIED: the code
        body = await self._body(parcel)
        call = Call(
            self._shape.endpoint_configuration.url,
            self._headers(parcel, key),
            body,
            wait_ms=self._wait_ms,
            answer_max_bytes=ANSWER_MAX_BYTES,
        )
        assert self._site.network is not None
        try:
            answer = await self._site.network.call(call)
        except CallFailed as error:
            return Again(_CODES[error.reason], str(error), parcel.entries)
        return self._outcome(parcel, answer, len(body), key)

    async def give_up(self, parcel: Parcel, again: Again) -> Sequence[Failure]:
        """Their error objects."""
        return given_up(KIND, parcel, again, _facts)

    async def close(self) -> None:
        """Connections are the network's."""

    async def _access_key(self) -> str:
        secret = await members(self._shape.secrets_manager_configuration, self._site, ("api_key",))
        key = secret["api_key"] if secret is not None else self._shape.endpoint_configuration.access_key or ""
        if not is_header(key):
            raise NoSecret("the access key is not printable ASCII")
        return key

    def _headers(self, parcel: Parcel, key: str) -> dict[str, str]:
        headers = {
            "Content-Type": "application/json",
            "X-Amz-Firehose-Protocol-Version": PROTOCOL,
            "X-Amz-Firehose-Request-Id": parcel.id,
            "X-Amz-Firehose-Source-Arn": self._site.arn,
            "User-Agent": AGENT,
        }
        if key:
            headers["X-Amz-Firehose-Access-Key"] = key
        if self._attributes:
            headers["X-Amz-Firehose-Common-Attributes"] = self._attributes
        if self._packs:
            headers["Content-Encoding"] = "gzip"
        return headers

    @property
    def _packs(self) -> bool:
        return self._shape.request_configuration.content_encoding == "GZIP"

    async def _body(self, parcel: Parcel) -> bytes:
        """The request's document, packed if it is configured so."""
        now_ms = self._site.clock.now_ms()

        def make() -> bytes:
            body = document(parcel.id, now_ms, [entry.data for entry in parcel.entries])
            return _packed(body) if self._packs else body

        large = sum(len(entry.data) for entry in parcel.entries) > PACK_BESIDE_BYTES
        return await self._site.threads.run(make) if large else make()

    def _outcome(self, parcel: Parcel, answer: Answer, sent_bytes: int, key: str) -> Outcome:
        said = concealed(
            f"The following response was received from the endpoint destination. {answer.status}: {quoted(answer.body, (key,))}"
        )
        if answer.status == _TOO_LARGE:
            return Refused(failures(parcel.entries, KIND, FAULTY, said, parcel.attempts + 1, _facts), kept=False)
        if answer.status != _SUCCESS:
            return Again(FAULTY, said, parcel.entries)
        if problem := _problem(answer, parcel.id):
            return Again(MALFORMED, f"The endpoint's response is no success: {problem}", parcel.entries)
        return Delivered(sent_bytes, len(parcel.entries))


def document(request_id: str, timestamp_ms: int, records: Sequence[bytes]) -> bytes:
    """The body of a request.  Cost: base64 and one join."""
    encoded = b'"},{"data":"'.join(map(pybase64.b64encode, records))
    return b'{"requestId":"%b","timestamp":%d,"records":[{"data":"%b"}]}' % (request_id.encode(), timestamp_ms, encoded)


def _problem(answer: Answer, request_id: str) -> str | None:
    """What of an answer with status 200 breaks the contract."""
    headers = answer.headers
    if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        return "its Content-Type is not application/json"
    if "content-length" not in headers:
        return "it has no Content-Length"
    if headers.get("content-encoding", "identity").lower() != "identity":
        return "it has a Content-Encoding"
    try:
        reply = msgspec.json.decode(answer.body, type=_Reply)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return "it is not a JSON object with requestId and timestamp"
    return None if reply.request_id == request_id else "its requestId is another one"


def _attributes(shape: HttpEndpoint) -> str:
    """The header of common attributes, in ASCII; empty where there are none."""
    named = {one.attribute_name: one.attribute_value for one in shape.request_configuration.common_attributes}
    return ascii_json({"commonAttributes": named}) if named else ""


def ascii_json(value: Any) -> str:
    """JSON that may stand in a header: what is beyond ASCII is escaped."""
    text = msgspec.json.encode(value).decode()
    return "".join(char if char <= "~" else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    units = char.encode("utf-16-be")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


def _packed(body: bytes) -> bytes:
    packer = zlib.compressobj(level=6, wbits=31)  # gzip, without a name and a time
    return packer.compress(body) + packer.flush()


def _facts(entry: Entry) -> Mapping[str, object]:
    number = entry.origin.subsequence_number if entry.origin is not None else 0
    return {"subsequenceNumber": number, "dataId": source_id(entry)}
