"""The server's own pages: what strangers get to see of them."""

import asyncio

import pytest

from penstock.server.exchange import Answer
from penstock.server.pages import HEALTH, Pages, json_answer
from penstock.wire.route import Head, Peer


async def page(_body: bytes) -> Answer:
    """A page."""
    return json_answer({"page": True})


async def services(_head: Head, _body: bytes) -> Answer:
    """What is behind the pages."""
    return json_answer({"service": True})


def status(address: str | None, path: str, *, private: bool) -> int:
    """The status that somebody at an address gets."""
    pages = Pages({("GET", HEALTH): page, ("GET", "/metrics"): page}, {}, services, private=private)
    peer = None if address is None else Peer(address)
    return asyncio.run(pages.handle(Head("GET", path, {}, {}, (), peer), b"")).status


@pytest.mark.parametrize("address", ["10.1.2.3", "2001:db8::1", None])
def test_page_when_a_stranger_asks_then_only_health_is_told(address: str | None) -> None:
    assert status(address, "/metrics", private=True) == 403
    assert status(address, HEALTH, private=True) == 200
    assert status(address, "/", private=True) == 200  # the services have a door of their own
    assert status(address, "/metrics", private=False) == 200


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_page_when_it_is_asked_on_this_machine_then_it_is_told(address: str) -> None:
    assert status(address, "/metrics", private=True) == 200
