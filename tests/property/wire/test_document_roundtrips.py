"""Round trips: what is rendered, encoded, decoded and coerced is what it was."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shapes import INPUTS, OUTPUTS, values

from penstock.core.errors import ServiceError
from penstock.wire import cbor, json
from penstock.wire.document import coerce, render

SHAPES = {shape.name: shape for shape in [*INPUTS.values(), *OUTPUTS.values()]}


@pytest.mark.parametrize("protocol", [json, cbor], ids=["json", "cbor"])
@settings(max_examples=150, derandomize=True)
@given(data=st.data())
def test_document_when_it_goes_through_a_protocol_comes_back_the_same(protocol: Any, data: st.DataObject) -> None:
    shape = SHAPES[data.draw(st.sampled_from(sorted(SHAPES)))]
    value = data.draw(values(shape))
    body: bytes = protocol.encode_document(render(shape, value, protocol.SCALARS))
    assert coerce(shape, protocol.decode_document(body), protocol.SCALARS) == value


@settings(max_examples=300, derandomize=True)
@given(st.binary(max_size=200))
def test_base64_when_any_bytes_go_both_ways_are_the_same(data: bytes) -> None:
    text = json.encode_base64(data)
    assert json.decode_base64(text) == data
    assert len(text) % 4 == 0


@settings(max_examples=500, derandomize=True)
@given(st.text("ABCwxz019+/=-_ \né", max_size=12) | st.text(max_size=12))
def test_base64_when_any_text_is_read_is_the_one_text_of_its_bytes_or_refused(text: str) -> None:
    try:
        data = json.decode_base64(text)
    except ServiceError:
        return
    assert json.encode_base64(data) == text


@settings(max_examples=300, derandomize=True)
@given(st.integers(-(10**15), 10**15))
def test_timestamp_when_any_millisecond_goes_through_json_is_exact(ms: int) -> None:
    document = json.decode_document(json.encode_document({"a": json.SCALARS.timestamp_out(ms)}))
    assert json.SCALARS.timestamp_in(document["a"]) == ms
