"""State: what is kept of streams and shards reads back as it was written, by today's code and by tomorrow's."""

import msgspec
import pytest
from streams_world import make_shards, make_stream

from penstock.core.ids import Millis
from penstock.services.streams.state import Shard, Stream, decode_shard, decode_stream, encode

STREAM = make_stream(
    tags={"k": "v", "\u00e9": ""},
    retention_hours=8760,
    max_record_kib=10240,
    mode="ON_DEMAND",
    distribution="AUTO",
    mode_changed_ms=(Millis(1), Millis(2)),
    warm_throughput_mibps=10,
    shard_level_metrics=("IncomingBytes", "OutgoingBytes"),
    key_id="alias/aws/kinesis",
    encrypted_ms=(Millis(3),),
    decrypted_ms=(Millis(4), Millis(5)),
    policy='{"Statement": []}',
)
SHARD = msgspec.structs.replace(make_shards(STREAM, 3)[2], parent_no=0, adjacent_parent_no=1, closed_ms=Millis(5))


def test_encode_when_every_field_is_set_then_it_reads_back() -> None:
    assert decode_stream(encode(STREAM)) == STREAM
    assert decode_shard(encode(SHARD)) == SHARD


def test_decode_when_a_later_field_is_missing_then_it_has_its_default() -> None:
    """What the first release wrote: only fields without a default."""
    stream, shard = make_stream(), make_shards(STREAM, 1)[0]
    old_stream = {
        name: getattr(stream, name) for name in ("account", "region", "name", "uid", "created_ms", "status", "mode")
    }
    old_shard = {
        name: getattr(shard, name) for name in ("uid", "no", "hash_start", "hash_end", "created_ms", "created_s")
    }
    assert decode_stream(msgspec.msgpack.encode(old_stream)) == stream
    assert decode_shard(msgspec.msgpack.encode(old_shard)) == shard


@pytest.mark.parametrize(("state", "decode"), [(STREAM, decode_stream), (SHARD, decode_shard)])
def test_decode_when_a_newer_release_wrote_more_fields_then_they_are_passed_over(
    state: Stream | Shard, decode: object
) -> None:
    assert callable(decode)
    document = {**msgspec.structs.asdict(state), "of_the_future": [1]}
    assert decode(msgspec.msgpack.encode(document)) == state


def test_hash_range_when_read_back_then_it_is_of_128_bits() -> None:
    shard = decode_shard(encode(make_shards(STREAM, 3)[2]))
    assert shard.hash_range == (226854911280625642308916404954512140970, 2**128 - 1)


def test_key_when_shards_are_many_then_the_order_of_keys_is_that_of_numbers() -> None:
    keys = [shard.key for shard in make_shards(STREAM, 120)]
    assert keys == sorted(keys)
    assert len(set(keys)) == 120


def test_key_when_names_begin_alike_then_streams_differ() -> None:
    keys = {make_stream(name).key for name in ("a", "a.b", "a-b", "A", "aa")}
    assert len(keys) == 5
