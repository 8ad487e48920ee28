package compat;

import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import software.amazon.awssdk.services.kinesis.KinesisAsyncClient;
import software.amazon.awssdk.services.kinesis.model.Consumer;
import software.amazon.awssdk.services.kinesis.model.ConsumerStatus;
import software.amazon.awssdk.services.kinesis.model.ShardIteratorType;
import software.amazon.awssdk.services.kinesis.model.StartingPosition;
import software.amazon.awssdk.services.kinesis.model.SubscribeToShardEvent;
import software.amazon.awssdk.services.kinesis.model.SubscribeToShardResponseHandler;

/**
 * Enhanced fan-out with the SDK alone: the first shard of a stream, one subscription after another, each going on where the one before
 * ended. Takes the stream's name, the consumer's, and the data of the record after which it stops.
 */
public final class Subscriber {
    private final KinesisAsyncClient kinesis;
    private final String consumerArn;
    private final String shardId;
    private final String last;
    private final CompletableFuture<Void> seenLast = new CompletableFuture<>();
    private volatile StartingPosition next = StartingPosition.builder().type(ShardIteratorType.TRIM_HORIZON).build();

    private Subscriber(KinesisAsyncClient kinesis, String consumerArn, String shardId, String last) {
        this.kinesis = kinesis;
        this.consumerArn = consumerArn;
        this.shardId = shardId;
        this.last = last;
    }

    public static void main(String[] args) throws Exception {
        String stream = args[0];
        try (KinesisAsyncClient kinesis = KinesisAsyncClient.create()) {
            String arn = kinesis.describeStreamSummary(call -> call.streamName(stream)).join()
                    .streamDescriptionSummary().streamARN();
            String shardId = kinesis.listShards(call -> call.streamName(stream)).join().shards().get(0).shardId();
            new Subscriber(kinesis, register(kinesis, arn, args[1]), shardId, args[2]).follow();
        }
        System.exit(0); // the subscription that saw the last record is still open
    }

    private static String register(KinesisAsyncClient kinesis, String streamArn, String name) throws InterruptedException {
        Consumer consumer = kinesis.registerStreamConsumer(call -> call.streamARN(streamArn).consumerName(name)).join().consumer();
        while (kinesis.describeStreamConsumer(call -> call.consumerARN(consumer.consumerARN())).join()
                .consumerDescription().consumerStatus() != ConsumerStatus.ACTIVE) {
            Thread.sleep(200);
        }
        return consumer.consumerARN();
    }

    private void follow() throws InterruptedException {
        while (!seenLast.isDone()) {
            Lines.tell("subscribing", "type", next.typeAsString());
            long beginMs = System.currentTimeMillis();
            CompletableFuture<Void> subscription = kinesis.subscribeToShard(
                    call -> call.consumerARN(consumerArn).shardId(shardId).startingPosition(next), handler());
            String how = ending(CompletableFuture.anyOf(subscription, seenLast));
            Lines.tell("ended", "how", how, "after_ms", System.currentTimeMillis() - beginMs);
        }
    }

    private static String ending(CompletableFuture<Object> subscription) throws InterruptedException {
        try {
            subscription.get();
            return "complete";
        } catch (ExecutionException error) {
            return error.getCause().toString();
        }
    }

    private SubscribeToShardResponseHandler handler() {
        return SubscribeToShardResponseHandler.builder()
                .subscriber(SubscribeToShardResponseHandler.Visitor.builder().onSubscribeToShardEvent(this::take).build())
                .build();
    }

    private void take(SubscribeToShardEvent event) {
        event.records().forEach(record -> {
            String data = record.data().asUtf8String();
            Lines.tell("record", "data", data, "sequence", record.sequenceNumber());
            if (data.equals(last)) {
                seenLast.complete(null);
            }
        });
        next = StartingPosition.builder()
                .type(ShardIteratorType.AFTER_SEQUENCE_NUMBER)
                .sequenceNumber(event.continuationSequenceNumber())
                .build();
    }
}
