"""Laws of what the agent does with lines: nothing raises, nothing is lost, JSON is JSON."""

import json
import re
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from penstock.agent.buffers import Batch, Buffer, Ledger, Place, Window
from penstock.agent.expression import compile_expression
from penstock.agent.lines import Cutter, Gatherer, Records
from penstock.agent.logformats import LOG_FORMATS
from penstock.agent.pattern import BadPattern, read_pattern
from penstock.agent.processing import Chain, converters
from penstock.agent.requests import OPERATIONS, BadAnswer, error_text, read_answer, write_request
from penstock.host.clock import SystemClock

LINES = st.binary(max_size=200) | st.text(max_size=80).map(str.encode)
LOGS = st.sampled_from(
    [
        b'1.2.3.4 - - [07/Mar/2004:16:10:02 -0800] "GET / HTTP/1.1" 200 6291 "a" "b"',
        b'h i j [x] "\xff\x00" - -',
        b"Mar 12 12:00:08 server2 rcd[308]: m\xc3\x28",
        b"[t] [m:s] [pid 1] \xf0\x28",
    ]
)
OPTIONS: list[dict[str, Any]] = [
    {"optionName": "SINGLELINE"},
    {"optionName": "CSVTOJSON", "customFieldNames": ["a", "b"], "delimiter": "|"},
    {"optionName": "CSVTOJSON", "customFieldNames": ["a"], "jsonFormat": "PRETTYPRINT"},
    {"optionName": "ADDMETADATA", "metadata": {"m": ["\u2028", 1]}, "timestamp": "true"},
    *({"optionName": "LOGTOJSON", "logFormat": name} for name in LOG_FORMATS),
]
FILE = st.lists(st.sampled_from([b"\n", b"\r\n", b"[a", b"bb", b"x" * 30, b"\xff", b""]), max_size=40).map(b"".join)


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[begin:end] for begin, end in pairwise(places)]


@given(LINES | LOGS, st.lists(st.sampled_from(OPTIONS), min_size=1, max_size=4))
def test_processing_when_given_any_line_then_it_answers_json_or_passes_it_over(
    line: bytes, options: list[dict[str, Any]]
) -> None:
    made = Chain(converters(options, SystemClock()), 1 << 20, b"\n").apply(Records([line + b"\n"], [1]))
    for data in made.datas:
        assert data.endswith(b"\n")
        if options[-1]["optionName"] != "SINGLELINE":
            assert isinstance(json.loads(data), dict)


@given(FILE, st.lists(st.integers(0, 999), max_size=8), st.integers(3, 60))
def test_cutter_when_a_file_comes_in_any_pieces_then_lines_and_offsets_are_the_same(
    data: bytes, cuts: list[int], max_bytes: int
) -> None:
    whole, split = Cutter(0, max_bytes, b"~"), Cutter(0, max_bytes, b"~")
    expected = whole.feed(data)
    made = [split.feed(piece) for piece in pieces(data, cuts)]
    assert [line for records in made for line in records.datas] == expected.datas
    assert [end for records in made for end in records.ends] == expected.ends
    assert expected.ends == [found.end() for found in re.finditer(rb"\n", data)]
    assert all(len(line) <= max_bytes for line in expected.datas)
    assert split.safe == (expected.ends[-1] if expected.ends else 0)


@given(FILE, st.lists(st.integers(0, 999), max_size=8))
def test_gatherer_when_it_is_restarted_at_a_safe_place_then_the_same_records_come(data: bytes, cuts: list[int]) -> None:
    start = compile_expression(r"\[")

    def read(begin: int, chunks: list[bytes]) -> tuple[list[tuple[bytes, int]], int]:
        cutter, gatherer = Cutter(begin, 1000, b"~"), Gatherer(begin, start, 1000, b"~")
        found = [gatherer.feed(cutter.feed(chunk)) for chunk in chunks]
        held = gatherer.begin
        records = [pair for made in found for pair in zip(made.datas, made.ends, strict=True)]
        return records, cutter.safe if held is None else held

    expected, _ = read(0, [data])
    got: list[tuple[bytes, int]] = []
    place = 0
    for end in sorted({cut % (len(data) + 1) for cut in cuts} | {len(data)}):
        if end <= place:
            continue
        records, place = read(place, [data[place:end]])
        got += records
    assert got == expected
    assert b"".join(record for record, _ in expected) == data[: expected[-1][1] if expected else 0]


@given(
    st.lists(st.lists(st.integers(1, 60), max_size=30), max_size=6),
    st.integers(1, 9),
    st.integers(50, 300),
    st.randoms(use_true_random=False),
)
def test_ledger_when_batches_are_acknowledged_in_any_order_then_a_place_never_passes_what_is_not(
    chunks: list[list[int]], max_records: int, max_bytes: int, dice: Any
) -> None:
    buffer = Buffer(max_records, max_bytes, 1000, 5)
    batches: list[Batch] = []
    end = 0
    ends: dict[bytes, int] = {}
    for sizes in chunks:
        records = Records()
        for size in sizes:
            end += size
            data = b"%06d" % len(ends) + b"x" * size
            ends[data] = end
            records.add(data, end)
        batches += buffer.add(records, 1, Window(0, b""), 0)
        passed = buffer.passed(1, Place(end, b""))
        batches += [passed] if passed is not None else []
    last = buffer.take()
    batches += [last] if last is not None else []
    assert [data for batch in batches for data in batch.records] == list(ends), "each once, in order"
    assert all(len(batch.records) <= max_records for batch in batches)
    assert all(batch.bytes <= max_bytes or len(batch.records) == 1 for batch in batches)

    place = 0

    def moved(_source: int, to: Place) -> None:
        nonlocal place
        assert to.offset >= place
        place = to.offset

    ledger = Ledger(moved)
    for batch in batches:
        ledger.begin(batch)
    waiting = [batch for batch in batches if batch.records]
    dice.shuffle(waiting)
    while waiting:
        ledger.done(waiting.pop())
        missing = [ends[data] for batch in waiting for data in batch.records]
        assert not missing or place < min(missing)
    assert place == end


@given(
    st.lists(st.binary(max_size=50), min_size=1, max_size=20), st.text(max_size=20), st.sampled_from(sorted(OPERATIONS))
)
def test_request_when_it_is_written_then_it_is_the_json_that_it_should_be(
    records: list[bytes], name: str, service: str
) -> None:
    import base64

    keys = [f"{number:016x}" for number in range(len(records))]
    document = json.loads(write_request(OPERATIONS[service], name, records, keys))
    assert name in document.values()
    assert [base64.b64decode(entry["Data"], validate=True) for entry in document["Records"]] == records
    if service == "kinesis":
        assert [entry["PartitionKey"] for entry in document["Records"]] == keys


@given(st.binary(max_size=200) | st.recursive(st.none() | st.integers() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["Records", "FailedRecordCount", "ErrorCode", "__type", "message"]), inner, max_size=4)).map(lambda value: json.dumps(value).encode()))  # fmt: skip
def test_answer_when_it_is_anything_then_it_is_read_or_refused(body: bytes) -> None:
    try:
        outcome = read_answer(OPERATIONS["kinesis"], body, 2)
    except BadAnswer:
        pass
    else:
        assert all(0 <= index < 2 for index in outcome.refused)
    assert "\n" not in error_text(500, body)


@given(st.text(alphabet="/ab*?[]{},!^-\\.\0", max_size=20), st.text(alphabet="ab*-,.", min_size=1, max_size=8))
def test_pattern_when_it_is_anything_then_it_is_read_or_refused(text: str, name: str) -> None:
    try:
        pattern = read_pattern("/" + text)
    except BadPattern:
        return
    pattern.covers(name)
