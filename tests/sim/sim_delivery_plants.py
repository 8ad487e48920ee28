"""Planted bugs of delivery: each takes one rule out of it, and the simulation must notice."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final
from unittest.mock import patch

from penstock.services.firehose import buffers
from penstock.services.firehose.buffers import Piece
from penstock.services.firehose.delivery import Delivery
from penstock.services.firehose.holds import Hold, Ledger
from penstock.services.firehose.runner import Runner


@contextmanager
def checkpoint_when_read() -> Iterator[None]:
    """What was read counts as accounted for."""
    real = Ledger.open

    def opened(ledger: "Ledger[Any]", end: Any) -> Hold:
        hold = real(ledger, end)
        hold.retain()
        hold.drop()
        ledger.accounted = end
        ledger._moved()
        return hold

    with patch.object(Ledger, "open", opened):
        yield


@contextmanager
def checkpoint_at_the_last_run() -> Iterator[None]:
    """A run that is done moves the checkpoint, whatever lies before it."""

    def finish(ledger: "Ledger[Any]", run: Any) -> None:
        ledger.accounted = run.end
        ledger._runs.remove(run)
        ledger._moved()

    with patch.object(Ledger, "_finish", finish):
        yield


@contextmanager
def failures_dropped() -> Iterator[None]:
    """What failed for good goes nowhere."""
    with patch.object(Runner, "_add_failures", lambda *_: None):
        yield


@contextmanager
def failures_not_held() -> Iterator[None]:
    """A parcel is accounted for before its failures are written."""
    real = Runner._add_failures

    def added(runner: Runner, failures: Any, hold: Hold, oldest_ms: int) -> None:
        real(runner, failures, Hold(lambda: None), oldest_ms)

    with patch.object(Runner, "_add_failures", added):
        yield


@contextmanager
def whole_parcel_again() -> Iterator[None]:
    """What is tried again is all of the parcel, not what is left of it."""
    real = Delivery._settle

    def settle(delivery: Delivery, parcel: Any, outcome: Any) -> Any:
        again, failures = real(delivery, parcel, outcome)
        if again is None:
            return again, failures
        from msgspec.structs import replace

        return replace(again, entries=parcel.entries), failures

    with patch.object(Delivery, "_settle", settle):
        yield


@contextmanager
def cut_pieces_share_a_count() -> Iterator[None]:
    """A piece that is cut in two is held once."""
    real = buffers._cut

    def cut(piece: "Piece[Any]", start: int, stop: int) -> "Piece[Any]":
        if start > 0 and piece.hold._count > 1:
            piece.hold._count -= 1
        return real(piece, start, stop)

    with patch.object(buffers, "_cut", cut):
        yield


DELIVERY_PLANTS: Final[dict[str, Callable[[], Any]]] = {
    plant.__name__: plant
    for plant in (
        checkpoint_when_read,
        checkpoint_at_the_last_run,
        failures_dropped,
        failures_not_held,
        whole_parcel_again,
        cut_pieces_share_a_count,
    )
}
