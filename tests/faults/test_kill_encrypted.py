"""kill -9 of a server with an encrypted stream: what was acknowledged is read back, and nothing of it is readable on the disk."""

from pathlib import Path

from served import server

from penstock.host.entropy import SystemEntropy

SHARD = "shardId-000000000000"


def test_sealed_records_that_were_acknowledged_are_read_back_after_a_kill(tmp_path: Path) -> None:
    secret = SystemEntropy().bytes(32)
    directory = tmp_path / "data"
    directory.mkdir()
    told: list[bytes] = []
    for life in range(3):
        with server(directory) as running:
            client = running.client()
            if not life:
                client.create_stream(StreamName="s", ShardCount=1)
                client.start_stream_encryption(StreamName="s", EncryptionType="KMS", KeyId="alias/aws/kinesis")
            for number in range(5):
                data = [secret + b"%d %d %d" % (life, number, place) + b"x" * 5000 for place in range(100)]
                answer = client.put_records(
                    StreamName="s", Records=[{"Data": blob, "PartitionKey": "secret-key"} for blob in data]
                )
                assert answer["FailedRecordCount"] == 0
                told += data
            running.process.kill()
            running.process.wait()
        for path in directory.rglob("*"):
            if path.is_file():
                content = path.read_bytes()
                assert secret not in content, path
                assert b"secret-key" not in content, path
    with server(directory) as running:
        client = running.client()
        start = client.get_shard_iterator(StreamName="s", ShardId=SHARD, ShardIteratorType="TRIM_HORIZON")
        iterator, found = start["ShardIterator"], list[bytes]()
        while len(found) < len(told):
            page = client.get_records(ShardIterator=iterator)
            assert page["Records"]
            found += [record["Data"] for record in page["Records"]]
            iterator = page["NextShardIterator"]
    assert found == told
