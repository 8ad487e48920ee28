"""Bodies, and what good answers look like."""

import re

import cbor2
import msgspec
import pytest
from bench.payload import CBOR, JSON, Record, Wire, put_records


@pytest.mark.parametrize("wire", [JSON, CBOR], ids=["JSON", "CBOR"])
def test_body_when_read_back_then_is_the_document(wire: Wire) -> None:
    read = wire.read(wire.body(put_records("s", [Record("k", b"\x00\xff")])))
    data = read["Records"][0]["Data"]
    assert (msgspec.convert(data, bytes) if wire is JSON else data) == b"\x00\xff"


@pytest.mark.parametrize("failed", [0, 3])
def test_all_written_when_some_record_failed_then_does_not_match(failed: int) -> None:
    document = {"FailedRecordCount": failed, "Records": []}
    assert bool(re.search(JSON.all_written, msgspec.json.encode(document))) is (failed == 0)
    assert bool(re.search(CBOR.all_written, cbor2.dumps(document))) is (failed == 0)
