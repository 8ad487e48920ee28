"""Digests of messages, which clients compare: the MD5 of a body, and that of attributes.

Source: SQS developer guide, calculating the MD5 message digest for message attributes.
"""

from collections.abc import Mapping
from hashlib import md5

from penstock.services.queues.state import Value

_STRING, _BINARY = b"\x01", b"\x02"


def body_digest(body: str) -> str:
    """The MD5 of a body."""
    return md5(body.encode(), usedforsecurity=False).hexdigest()


def attributes_digest(attributes: Mapping[str, Value]) -> str | None:
    """The MD5 of attributes, in the order of their names; None if there are none."""
    if not attributes:
        return None
    digest = md5(usedforsecurity=False)
    for name in sorted(attributes):
        value = attributes[name]
        digest.update(_framed(name.encode()))
        digest.update(_framed(value.data_type.encode()))
        content = (
            _STRING + _framed(value.text.encode()) if value.text is not None else _BINARY + _framed(value.data or b"")
        )
        digest.update(content)
    return digest.hexdigest()


def _framed(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data
