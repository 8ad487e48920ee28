"""Records of 10 MiB in CBOR, as the Java SDKs send them."""

from http_calls import Wire

from penstock.testing import PenstockServer

SHARD = "shardId-000000000000"
LARGEST = 10 * 2**20 - 1  # with a key of one byte


def pattern(seed: int) -> bytes:
    """As many bytes as a record may have, which differ from place to place and from seed to seed."""
    block = bytes((seed + 7 * place) % 251 for place in range(251))
    return (block * (LARGEST // 251 + 1))[:LARGEST]


def test_records_of_10_mib_when_put_and_read_in_cbor_come_back_whole(penstock: PenstockServer) -> None:
    one, other = pattern(1), pattern(2)
    with Wire(penstock) as wire:
        wire.call_cbor("CreateStream", {"StreamName": "a", "ShardCount": 1, "MaxRecordSizeInKiB": 10_240})
        assert wire.call_cbor("PutRecord", {"StreamName": "a", "Data": one, "PartitionKey": "k"}).status == 200
        many = wire.call_cbor("PutRecords", {"StreamName": "a", "Records": [{"Data": other, "PartitionKey": "k"}]})
        assert (many.status, many.document["FailedRecordCount"]) == (200, 0)
        asked = {"StreamName": "a", "ShardId": SHARD, "ShardIteratorType": "TRIM_HORIZON"}
        iterator = wire.call_cbor("GetShardIterator", asked).document["ShardIterator"]
        found = []
        for _ in range(2):
            page = wire.call_cbor("GetRecords", {"ShardIterator": iterator}).document
            assert len(page["Records"]) == 1, "a page of GetRecords holds 10 MiB"
            found.append(page["Records"][0]["Data"])
            iterator = page["NextShardIterator"]
    assert found == [one, other]


def test_a_record_of_a_byte_too_many_when_put_in_cbor_is_refused(penstock: PenstockServer) -> None:
    with Wire(penstock) as wire:
        wire.call_cbor("CreateStream", {"StreamName": "a", "ShardCount": 1, "MaxRecordSizeInKiB": 10_240})
        row = {"Data": pattern(1), "PartitionKey": "kk"}
        told = "Record size of 10485761 bytes (data and partition key) exceeds the limit of 10485760 bytes of stream a."
        for operation, body in (("PutRecord", row), ("PutRecords", {"Records": [row]})):
            answer = wire.call_cbor(operation, {"StreamName": "a", **body})
            assert answer.refusal == (400, "InvalidArgumentException", told)
