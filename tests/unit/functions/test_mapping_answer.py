"""What answers mean, rule by rule; and whatever comes, one of three outcomes."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.services.functions.mapping.answer import Done, Failed, FailedFrom, read_answer
from penstock.services.functions.mapping.rows import Rows, number_of

BASE = 2 << 184
ROWS = Rows([3, 4, 6], [b"k"] * 3, [b"d"] * 3, [5000, 6000, 7000])
NUMBERS = [str(number_of(BASE, place, at)) for place, at in zip(ROWS.places, ROWS.arrivals_ms, strict=True)]


def outcome(payload: bytes, *, reports: bool = True, windowed: bool = False) -> Any:
    return read_answer(payload, ROWS, BASE, reports=reports, windowed=windowed)


@pytest.mark.parametrize(
    "payload",
    [b"", b"null", b"{}", b'""', b'{"batchItemFailures": []}', b'{"batchItemFailures": null}', b"[]", b'{"other": 1}'],
)
def test_report_when_nothing_is_named_then_all_is_done(payload: bytes) -> None:
    assert outcome(payload) == Done()


@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
def test_report_when_records_are_named_then_the_lowest_counts(order: tuple[int, ...]) -> None:
    items = [{"itemIdentifier": NUMBERS[at]} for at in order]
    assert outcome(json.dumps({"batchItemFailures": items}).encode()) == FailedFrom(1)


@pytest.mark.parametrize(
    "items",
    [
        [{"itemIdentifier": ""}], [{"itemIdentifier": None}], [{"item": NUMBERS[0]}], [{"itemIdentifier": "123"}],
        [{"itemIdentifier": 123}], [{"itemIdentifier": str(int(NUMBERS[0]) + 1)}], [{"itemIdentifier": NUMBERS[0] + "0"}],
        [{"itemIdentifier": "9" * 5000}], [{"itemIdentifier": "²"}], [{"itemIdentifier": "-1"}], [None], ["x"], "x", {}, 7,
        [{"itemIdentifier": NUMBERS[1]}, {"itemIdentifier": "x"}],
        [{"itemIdentifier": str(number_of(BASE, 5, 6000))}],
    ],
)  # fmt: skip
def test_report_when_it_names_what_is_not_in_the_batch_then_all_has_failed(items: Any) -> None:
    assert isinstance(outcome(json.dumps({"batchItemFailures": items}).encode()), Failed)


@pytest.mark.parametrize("payload", [b"{", b"\xff", b"nope", b"[" * 5000])
def test_report_when_it_is_no_json_then_all_has_failed(payload: bytes) -> None:
    assert isinstance(outcome(payload), Failed)


def test_answer_when_nobody_asked_for_reports_then_it_is_not_looked_at() -> None:
    assert outcome(b'{"batchItemFailures": [1', reports=False) == Done()


def test_window_when_the_answer_has_a_state_then_it_is_kept_and_else_it_has_failed() -> None:
    assert outcome(b'{"state": {"a": 1}}', reports=False, windowed=True) == Done(b'{"a": 1}')
    assert isinstance(outcome(b"{}", reports=False, windowed=True), Failed)
    assert isinstance(outcome(b"null", reports=False, windowed=True), Failed)


@given(st.binary(max_size=60) | st.text(max_size=30).map(lambda text: json.dumps({"batchItemFailures": text}).encode()))
def test_answer_when_it_is_anything_then_there_is_an_outcome(payload: bytes) -> None:
    assert isinstance(outcome(payload, windowed=True), Done | Failed | FailedFrom)
