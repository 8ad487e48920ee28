"""Batches and the ledger."""

from penstock.agent.backoff import Backoff
from penstock.agent.buffers import Batch, Buffer, Ledger, Place, Window, aggregated
from penstock.agent.lines import Records

WINDOW = Window(0, b"0123456789" * 100)


def records(*datas: bytes) -> Records:
    return Records(list(datas), list(range(1, len(datas) + 1)))


def test_buffer_when_a_batch_is_full_then_it_is_given_with_the_place_behind_its_last_record() -> None:
    buffer = Buffer(3, 1000, 1000, 10)
    full = buffer.add(records(b"a", b"b", b"c", b"d", b"e", b"f", b"g"), 5, WINDOW, 0)
    assert [batch.records for batch in full] == [[b"a", b"b", b"c"], [b"d", b"e", b"f"]]
    assert [batch.places for batch in full] == [{5: Place(3, b"012")}, {5: Place(6, b"012345")}]
    rest = buffer.take()
    assert rest is not None
    assert (rest.records, rest.bytes) == ([b"g"], 11)


def test_buffer_when_bytes_are_the_limit_then_keys_count_and_one_large_record_goes_alone() -> None:
    buffer = Buffer(500, 100, 1000, 10)
    full = buffer.add(records(b"x" * 40, b"y" * 40, b"z", b"L" * 300, b"m"), 1, WINDOW, 0)
    assert [[len(data) for data in batch.records] for batch in full] == [[40, 40], [1], [300]]
    assert full[0].bytes == 100
    assert buffer.take() is not None


def test_buffer_when_its_first_record_is_old_then_it_is_due_also_after_the_clock_was_set_back() -> None:
    buffer = Buffer(500, 100, 1000, 10)
    buffer.add(records(b"x"), 1, WINDOW, 5000)
    buffer.add(records(b"y"), 1, WINDOW, 5900)
    assert buffer.due(5999) is None
    assert buffer.due(6000) is not None
    buffer.add(records(b"z"), 1, WINDOW, 5000)
    assert buffer.due(4000) is not None


def test_buffer_when_a_place_is_passed_then_it_waits_for_the_records_before_it() -> None:
    buffer = Buffer(500, 100, 1000, 10)
    free = buffer.passed(1, Place(9, b""))
    assert free is not None
    assert (free.done, free.places) == (True, {1: Place(9, b"")})
    buffer.add(records(b"x"), 1, WINDOW, 0)
    assert buffer.passed(1, Place(20, b"t")) is None
    batch = buffer.take()
    assert batch is not None
    assert batch.places == {1: Place(20, b"t")}


def test_ledger_when_batches_are_done_out_of_order_then_places_move_in_order() -> None:
    moved: list[tuple[int, int]] = []
    ledger = Ledger(lambda source, place: moved.append((source, place.offset)))
    batches = [Batch(0, [b"x"], places={1: Place(offset, b"")}) for offset in (10, 20, 30)]
    for batch in batches:
        ledger.begin(batch)
    ledger.done(batches[2])
    ledger.done(batches[1])
    ledger.begin(Batch(0, places={1: Place(40, b"")}, done=True))
    assert moved == []
    assert (len(ledger), ledger.records) == (4, 1), "what was taken is not kept"
    ledger.done(batches[0])
    assert moved == [(1, 10), (1, 20), (1, 30), (1, 40)]
    assert len(ledger) == 0


def test_aggregated_when_records_fit_then_they_are_one() -> None:
    made = aggregated(records(b"aa\n", b"bb\n", b"cc\n", b"D" * 20, b"e"), 7)
    assert made.datas == [b"aa\nbb\n", b"cc\n", b"D" * 20, b"e"]
    assert made.ends == [2, 3, 4, 5]


def test_backoff_when_failures_go_on_then_waits_double_to_the_longest_and_a_success_divides_them() -> None:
    backoff = Backoff(100, 1000)
    assert backoff.wait_ms(0.5) == 0
    waits = []
    for _ in range(5):
        backoff.failed(backoff.begin())
        waits.append(backoff.wait_ms(0.5))
    assert waits == [100, 200, 400, 800, 1000]
    assert (backoff.wait_ms(0.0), backoff.wait_ms(1.0)) == (700, 1300)
    backoff.succeeded()
    assert backoff.wait_ms(0.5) == 100
    backoff.succeeded()
    assert backoff.wait_ms(0.5) == 0


def test_backoff_when_requests_fail_together_then_they_count_once() -> None:
    backoff = Backoff(100, 1000)
    begun = [backoff.begin() for _ in range(4)]
    for each in begun:
        backoff.failed(each)
    assert backoff.wait_ms(0.5) == 100
