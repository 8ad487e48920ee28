"""What a queue gets of a message that is published: the message as it is, or SNS's JSON around it.

The members that tell of a signature are there because readers expect them.  Nothing is signed: who verifies, is right to refuse.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, NamedTuple

import msgspec
import pybase64

_UNSIGNED: Final = pybase64.b64encode_as_string(b"not signed by Penstock")
_CERTIFICATE: Final = "https://sns.{region}.amazonaws.com/SimpleNotificationService-{zeros}.pem"

TypedValue = tuple[str, str | bytes]  # a data type, and a value of it


class Notice(NamedTuple):
    """A message that is published."""

    id: str
    topic: str  # an ARN
    message: str
    subject: str | None
    attributes: Mapping[str, TypedValue]
    at_ms: int


def wrapped(notice: Notice, region: str, subscription: str) -> str:
    """The JSON document around a message."""
    moment = datetime.fromtimestamp(notice.at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    document: dict[str, object] = {"Type": "Notification", "MessageId": notice.id, "TopicArn": notice.topic}
    if notice.subject is not None:
        document["Subject"] = notice.subject
    document |= {
        "Message": notice.message,
        "Timestamp": moment,
        "SignatureVersion": "1",
        "Signature": _UNSIGNED,
        "SigningCertURL": _CERTIFICATE.format(region=region, zeros="0" * 32),
        "UnsubscribeURL": f"https://sns.{region}.amazonaws.com/?Action=Unsubscribe&SubscriptionArn={subscription}",
    }
    if notice.attributes:
        document["MessageAttributes"] = {
            name: {"Type": kind, "Value": _text(value)} for name, (kind, value) in notice.attributes.items()
        }
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode()


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else pybase64.b64encode_as_string(value)
