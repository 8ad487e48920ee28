"""The outbox holds to one record of a key at a time."""

import json

from penstock.demo.machine import Reading
from penstock.demo.outbox import REQUEST_MAX_RECORDS, Outbox, Outgoing, write_record


def record(key: str, number: int) -> Outgoing:
    return Outgoing(key, number, b"{}")


def test_batch_holds_each_key_once_and_its_oldest_record() -> None:
    outbox = Outbox()
    for key, number in (("a", 1), ("a", 2), ("b", 1), ("a", 3)):
        outbox.add(record(key, number))

    assert outbox.batch() == [record("a", 1), record("b", 1)]
    assert len(outbox) == 4


def test_batch_after_a_refusal_offers_the_same_record_again() -> None:
    outbox = Outbox()
    for key, number in (("a", 1), ("a", 2), ("b", 1), ("b", 2)):
        outbox.add(record(key, number))
    first, second = outbox.batch()
    outbox.taken(second)  # and `first` was refused

    assert outbox.batch() == [first, record("b", 2)]


def test_batch_of_more_keys_than_a_request_holds_goes_round_them() -> None:
    outbox = Outbox()
    for number in (1, 2):
        for key in range(REQUEST_MAX_RECORDS + 1):
            outbox.add(record(str(key), number))
    batch = outbox.batch()
    for sent in batch:
        outbox.taken(sent)

    assert len(batch) == REQUEST_MAX_RECORDS
    assert outbox.batch()[0] == record(str(REQUEST_MAX_RECORDS), 1)


def test_outbox_whose_records_were_all_taken_is_empty() -> None:
    outbox = Outbox()
    outbox.add(record("a", 1))
    outbox.taken(outbox.batch()[0])

    assert (len(outbox), outbox.batch()) == (0, [])


def test_write_record_carries_key_count_and_the_reading() -> None:
    outgoing = write_record(Reading("cpu:0", {"percent": 12.5}), 7, 1_700_000_000_000)

    assert outgoing.key == "cpu:0"
    assert json.loads(outgoing.data) == {"key": "cpu:0", "count": 7, "at_ms": 1_700_000_000_000, "percent": 12.5}
