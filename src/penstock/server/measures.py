"""The settings that bound clients, as the front takes them."""

from penstock.core.settings import Settings
from penstock.server.traffic import Bounds, Patience


def bounds_of(settings: Settings) -> Bounds:
    """How much clients may send, and how many they may be."""
    return Bounds(
        connections_max=settings.max_connections,
        head_max_bytes=settings.max_head,
        headers_max=settings.max_headers,
        body_max_bytes=settings.max_body,
        bodies_max_bytes=settings.max_bodies,
        streams_max=settings.max_http2_streams,
    )


def patience_of(settings: Settings) -> Patience:
    """How long they may take."""
    return Patience(
        idle_s=settings.client_idle_s,
        head_s=settings.client_head_s,
        body_s=settings.client_body_s,
        body_bytes_per_s=settings.client_body_rate,
        stall_s=settings.client_stall_s,
        http2_idle_s=settings.http2_idle_s,
        handshake_s=settings.client_handshake_s,
        stop_s=settings.stop_ms / 1000,
    )
