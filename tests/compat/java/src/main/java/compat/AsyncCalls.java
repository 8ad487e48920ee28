package compat;

import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.stream.IntStream;
import software.amazon.awssdk.core.SdkBytes;
import software.amazon.awssdk.services.kinesis.KinesisAsyncClient;
import software.amazon.awssdk.services.kinesis.model.PutRecordResponse;
import software.amazon.awssdk.services.kinesis.model.ShardIteratorType;

/** The asynchronous client as it comes: CBOR over HTTP/2, many calls at once. Takes the name of a stream, which it makes. */
public final class AsyncCalls {
    private static final int PUTS = 400;

    private AsyncCalls() {}

    public static void main(String[] args) {
        String stream = args[0];
        try (KinesisAsyncClient kinesis = KinesisAsyncClient.create()) {
            kinesis.createStream(call -> call.streamName(stream).shardCount(1)).join();
            kinesis.waiter().waitUntilStreamExists(call -> call.streamName(stream)).join();
            List<CompletableFuture<PutRecordResponse>> puts =
                    IntStream.range(0, PUTS).mapToObj(number -> put(kinesis, stream, number)).toList();
            puts.forEach(answer -> Lines.tell("put", "sequence", answer.join().sequenceNumber()));
            read(kinesis, stream);
        }
    }

    private static CompletableFuture<PutRecordResponse> put(KinesisAsyncClient kinesis, String stream, int number) {
        SdkBytes data = SdkBytes.fromUtf8String("" + number);
        return kinesis.putRecord(call -> call.streamName(stream).partitionKey("key").data(data));
    }

    private static void read(KinesisAsyncClient kinesis, String stream) {
        String shard = kinesis.listShards(call -> call.streamName(stream)).join().shards().get(0).shardId();
        String iterator = kinesis.getShardIterator(call -> call.streamName(stream)
                .shardId(shard)
                .shardIteratorType(ShardIteratorType.TRIM_HORIZON)).join().shardIterator();
        kinesis.getRecords(call -> call.shardIterator(iterator)).join().records()
                .forEach(record -> Lines.tell("record", "data", record.data().asUtf8String(),
                        "sequence", record.sequenceNumber()));
    }
}
