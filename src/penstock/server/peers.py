"""Who is at the other end of a connection, and by which name its bodies are counted.

Rule of this file: what a head claims is not verified here; a name only says whose queue a body waits in.
"""

import asyncio
from typing import Final

from penstock.wire.authorization import TEXT_KEPT_MAX_CHARS
from penstock.wire.route import Head, Peer

_CREDENTIAL: Final = "Credential="


def peer_of(transport: asyncio.BaseTransport) -> Peer:
    """The peer of a connection, after its handshake."""
    name = transport.get_extra_info("peername")
    address = str(name[0]) if isinstance(name, tuple) and name else ""
    if address.startswith("::ffff:"):
        address = address[len("::ffff:") :]
    tls = transport.get_extra_info("ssl_object")
    if tls is None:
        return Peer(address)
    cipher = tls.cipher()
    certificate = tls.getpeercert() or {}
    parts = [f"{key}={value}" for pairs in certificate.get("subject", ()) for key, value in pairs]
    return Peer(address, tls.version() or "", cipher[0] if cipher else "", ",".join(parts))


def room_name(head: Head) -> str:
    """Whose body it is: the access key id that the head names, or else the address it came from."""
    text = head.headers.get("authorization", "")
    at = text.find(_CREDENTIAL)
    key = text[at + len(_CREDENTIAL) :] if at >= 0 else head.query.get("X-Amz-Credential", "")
    key_id = key[:TEXT_KEPT_MAX_CHARS].partition("/")[0]
    if key_id:
        return "key " + key_id
    return "address " + (head.peer.address if head.peer is not None else "")
