"""Tokens and stored state: what goes in comes out, and nothing else opens."""

import base64

from hypothesis import given
from hypothesis import strategies as st

from penstock.core.context import Caller
from penstock.core.ids import AccountId, Millis, Region, StreamName, StreamUid
from penstock.core.limits import ITERATOR_MAX_CHARS
from penstock.services.streams.iterator import ShardIterator, open_iterator, seal
from penstock.services.streams.state import Shard, Stream, decode_shard, decode_stream, encode
from penstock.services.streams.tokens import KEY_BYTES, NONCE_BYTES, Sealer

CALLER = Caller(AccountId("123456789012"), Region("eu-west-1"), "test", "kinesis:GetRecords")
SEALER = Sealer(bytes(KEY_BYTES))
nonces = st.binary(min_size=NONCE_BYTES, max_size=NONCE_BYTES)
moments = st.integers(0, 253_402_300_799_999).map(Millis)  # until the year 9999
iterators = st.builds(
    ShardIterator,
    stream=st.from_regex(r"\A[a-zA-Z0-9_.-]{1,128}\Z").map(StreamName),
    uid=st.from_regex(r"\A[a-z0-9]{20}-[a-z0-9]{3}\Z").map(StreamUid),
    shard_no=st.integers(0, 2**31 - 1),
    incarnation=st.integers(0, 2**15 - 1),
    offset=st.integers(0, 2**48 - 1),
    issued_ms=moments,
)


@given(iterators, nonces)
def test_iterator_when_sealed_then_it_opens_as_it_was_and_is_short_enough(
    iterator: ShardIterator, nonce: bytes
) -> None:
    text = seal(SEALER, nonce, CALLER, iterator)
    assert len(text) <= ITERATOR_MAX_CHARS
    assert open_iterator(SEALER, CALLER, text, iterator.issued_ms) == iterator


@given(iterators, nonces, st.data())
def test_token_when_its_bytes_are_changed_in_any_way_then_it_does_not_open(
    iterator: ShardIterator, nonce: bytes, data: st.DataObject
) -> None:
    raw = base64.b64decode(SEALER.seal(iterator, nonce, "me"))
    place = data.draw(st.integers(0, len(raw) - 1))
    changed = raw[:place] + data.draw(st.binary(max_size=4)) + raw[place + data.draw(st.integers(0, 4)) :]
    opened = SEALER.open(base64.b64encode(changed).decode(), "me", ShardIterator)
    assert opened == (iterator if changed == raw else None)


@given(st.text(max_size=600))
def test_token_when_the_text_is_any_then_it_is_refused_without_a_fuss(text: str) -> None:
    assert SEALER.open(text, "me", ShardIterator) is None


streams = st.builds(
    Stream,
    created_ms=moments,
    tags=st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3),
    retention_hours=st.integers(24, 8760),
    max_record_kib=st.integers(1024, 10240),
)
numbers = st.integers(0, 2**31 - 1)
hash_keys = st.integers(0, 2**128 - 1).map(str)
shards = st.builds(
    Shard,
    no=numbers,
    hash_start=hash_keys,
    hash_end=hash_keys,
    created_ms=moments,
    created_s=st.integers(0, 2**36 - 1),
    parent_no=st.none() | numbers,
    adjacent_parent_no=st.none() | numbers,
    closed_ms=st.none() | moments,
)


@given(streams)
def test_state_when_a_stream_is_any_then_it_reads_back(stream: Stream) -> None:
    assert decode_stream(encode(stream)) == stream


@given(shards)
def test_state_when_a_shard_is_any_then_it_reads_back(shard: Shard) -> None:
    assert decode_shard(encode(shard)) == shard
