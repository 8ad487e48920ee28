"""Events: their text, and how many records one can hold."""

import base64
import json

from hypothesis import given
from hypothesis import strategies as st

from penstock.engines.column import DATA_WIDTH, KEY_WIDTH, Column
from penstock.services.functions.mapping.event import ENVELOPE_MAX_BYTES, Source, WindowCall, Wording
from penstock.services.functions.mapping.rows import Rows, number_of
from penstock.services.streams import sequence

BASE = sequence.base(sequence.ShardOrigin(3, 1_700_000_000))
STREAM = "arn:aws:kinesis:us-east-1:123456789012:stream/orders"
ROLE = "arn:aws:iam::123456789012:role/work"
WORDING = Wording(Source(STREAM, "us-east-1", ROLE, 3, BASE))


def rows_of(records: list[tuple[str, bytes]]) -> Rows:
    keys = Column.of([key.encode() for key, _ in records], KEY_WIDTH)
    data = Column.of([value for _, value in records], DATA_WIDTH)
    return Rows(range(7, 7 + len(records)), keys, data, [1_700_000_123_456 + at for at in range(len(records))])


def test_event_when_a_batch_is_given_then_it_is_worded_as_on_aws() -> None:
    event = json.loads(WORDING.payload(rows_of([('k"1', b"one")]), None))
    number = str(number_of(BASE, 7, 1_700_000_123_456))
    assert event == {
        "Records": [
            {
                "kinesis": {
                    "kinesisSchemaVersion": "1.0",
                    "partitionKey": 'k"1',
                    "sequenceNumber": number,
                    "data": base64.b64encode(b"one").decode(),
                    "approximateArrivalTimestamp": 1700000123.456,
                },
                "eventSource": "aws:kinesis",
                "eventVersion": "1.0",
                "eventID": f"shardId-000000000003:{number}",
                "eventName": "aws:kinesis:record",
                "invokeIdentityArn": ROLE,
                "awsRegion": "us-east-1",
                "eventSourceARN": STREAM,
            }
        ]
    }


def test_event_when_there_is_a_window_then_it_is_told() -> None:
    window = WindowCall(1_700_000_100_000, 1_700_000_160_000, b'{"n":[1]}', final=True)
    event = json.loads(WORDING.payload(rows_of([]), window))
    assert event == {
        "Records": [],
        "window": {"start": "2023-11-14T22:15:00Z", "end": "2023-11-14T22:16:00Z"},
        "state": {"n": [1]},
        "shardId": "shardId-000000000003",
        "eventSourceARN": STREAM,
        "isFinalInvokeForWindow": True,
        "isWindowTerminatedEarly": False,
    }


@given(
    st.lists(st.tuples(st.text(min_size=1, max_size=20), st.binary(max_size=200)), min_size=1, max_size=12),
    st.integers(200, 6000),
)
def test_payload_when_no_more_rows_are_taken_than_fit_then_it_keeps_its_budget(
    records: list[tuple[str, bytes]], room_bytes: int
) -> None:
    rows, budget = rows_of(records), room_bytes + ENVELOPE_MAX_BYTES
    count = WORDING.fitting(rows, budget)
    assert count >= 1
    if count > 1:
        assert len(WORDING.payload(rows.cut(0, count), None)) <= budget
    if (
        count < rows.records
    ):  # it is not stingy: one more might have been too much, but for the envelope and a few bytes
        more = len(WORDING.payload(rows.cut(0, count + 1), None))
        assert more > room_bytes - 16 * (count + 1)
