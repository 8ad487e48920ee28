package compat;

import java.util.List;
import java.util.stream.IntStream;
import software.amazon.awssdk.core.SdkBytes;
import software.amazon.awssdk.services.kinesis.KinesisClient;
import software.amazon.awssdk.services.kinesis.model.GetRecordsResponse;
import software.amazon.awssdk.services.kinesis.model.KinesisException;
import software.amazon.awssdk.services.kinesis.model.PutRecordsRequestEntry;
import software.amazon.awssdk.services.kinesis.model.PutRecordsResponse;
import software.amazon.awssdk.services.kinesis.model.Record;
import software.amazon.awssdk.services.kinesis.model.Shard;
import software.amazon.awssdk.services.kinesis.model.ShardIteratorType;

/** The blocking client as it comes: CBOR over HTTP/1.1. Takes the name of a stream, which it makes. */
public final class SyncCalls {
    private SyncCalls() {}

    public static void main(String[] args) {
        String stream = args[0];
        try (KinesisClient kinesis = KinesisClient.create()) {
            kinesis.createStream(call -> call.streamName(stream).shardCount(2));
            kinesis.waiter().waitUntilStreamExists(call -> call.streamName(stream));
            put(kinesis, stream);
            read(kinesis, stream);
            refuse(kinesis);
        }
    }

    private static void put(KinesisClient kinesis, String stream) {
        var one = kinesis.putRecord(call -> call.streamName(stream).partitionKey("key").data(SdkBytes.fromUtf8String("0")));
        Lines.tell("put", "sequence", one.sequenceNumber(), "shard", one.shardId());
        List<PutRecordsRequestEntry> entries = IntStream.range(1, 501).mapToObj(SyncCalls::entry).toList();
        PutRecordsResponse many = kinesis.putRecords(call -> call.streamName(stream).records(entries));
        Lines.tell("putMany", "failed", many.failedRecordCount(), "answers", many.records().size());
    }

    private static PutRecordsRequestEntry entry(int number) {
        String key = number % 2 == 0 ? "even" : "odd";
        return PutRecordsRequestEntry.builder().partitionKey(key).data(SdkBytes.fromUtf8String("" + number)).build();
    }

    private static void read(KinesisClient kinesis, String stream) {
        for (Shard shard : kinesis.listShards(call -> call.streamName(stream)).shards()) {
            String iterator = kinesis.getShardIterator(call -> call.streamName(stream)
                    .shardId(shard.shardId())
                    .shardIteratorType(ShardIteratorType.TRIM_HORIZON)).shardIterator();
            GetRecordsResponse page = page(kinesis, iterator);
            while (!page.records().isEmpty()) {
                for (Record record : page.records()) {
                    tell(shard, record);
                }
                page = page(kinesis, page.nextShardIterator());
            }
            Lines.tell("tip", "shard", shard.shardId(), "behind", page.millisBehindLatest());
        }
    }

    private static GetRecordsResponse page(KinesisClient kinesis, String iterator) {
        return kinesis.getRecords(call -> call.shardIterator(iterator).limit(100));
    }

    private static void tell(Shard shard, Record record) {
        Lines.tell("record", "shard", shard.shardId(), "data", record.data().asUtf8String(), "key", record.partitionKey(),
                "sequence", record.sequenceNumber(), "arrived", record.approximateArrivalTimestamp().toEpochMilli());
    }

    private static void refuse(KinesisClient kinesis) {
        try {
            kinesis.describeStreamSummary(call -> call.streamName("missing"));
        } catch (KinesisException error) {
            Lines.tell("refused", "type", error.getClass().getSimpleName(), "code", error.awsErrorDetails().errorCode(),
                    "message", error.awsErrorDetails().errorMessage(), "status", error.statusCode(),
                    "request", error.requestId());
        }
    }
}
