from penstock.testing import PenstockServer


def test_put_get(penstock: PenstockServer) -> None:
    import boto3

    k = boto3.client("kinesis")
    k.create_stream(StreamName="a", ShardCount=1)
    k.put_record(StreamName="a", Data=b"x", PartitionKey="k")
    it = k.get_shard_iterator(StreamName="a", ShardId="shardId-000000000000", ShardIteratorType="TRIM_HORIZON")[
        "ShardIterator"
    ]
    assert [r["Data"] for r in k.get_records(ShardIterator=it)["Records"]] == [b"x"]
    penstock.clock.advance(hours=24)
    it = k.get_shard_iterator(StreamName="a", ShardId="shardId-000000000000", ShardIteratorType="TRIM_HORIZON")[
        "ShardIterator"
    ]
    assert k.get_records(ShardIterator=it)["Records"] == []
