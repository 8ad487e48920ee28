"""Which native part is used."""

import logging
import sys
from types import SimpleNamespace

import pytest

from penstock.wire import native


@pytest.mark.parametrize("interface", [{}, {"INTERFACE": native.INTERFACE + 1}])
def test_native_when_it_is_of_another_release_then_it_is_left_alone_and_said(
    interface: dict[str, int], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "penstock_native", SimpleNamespace(**interface))
    with caplog.at_level(logging.WARNING):
        assert native._find() is None
    assert "make native" in caplog.text


def test_native_when_it_is_of_this_release_then_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    part = SimpleNamespace(INTERFACE=native.INTERFACE)
    monkeypatch.setitem(sys.modules, "penstock_native", part)
    assert native._find() is part
