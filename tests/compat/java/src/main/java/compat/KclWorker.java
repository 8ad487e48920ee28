package compat;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.List;
import software.amazon.awssdk.services.cloudwatch.CloudWatchAsyncClient;
import software.amazon.awssdk.services.dynamodb.DynamoDbAsyncClient;
import software.amazon.awssdk.services.kinesis.KinesisAsyncClient;
import software.amazon.kinesis.common.ConfigsBuilder;
import software.amazon.kinesis.common.InitialPositionInStream;
import software.amazon.kinesis.common.InitialPositionInStreamExtended;
import software.amazon.kinesis.common.KinesisClientUtil;
import software.amazon.kinesis.coordinator.Scheduler;
import software.amazon.kinesis.exceptions.InvalidStateException;
import software.amazon.kinesis.exceptions.ShutdownException;
import software.amazon.kinesis.leases.LeaseManagementConfig;
import software.amazon.kinesis.lifecycle.events.InitializationInput;
import software.amazon.kinesis.lifecycle.events.LeaseLostInput;
import software.amazon.kinesis.lifecycle.events.ProcessRecordsInput;
import software.amazon.kinesis.lifecycle.events.ShardEndedInput;
import software.amazon.kinesis.lifecycle.events.ShutdownRequestedInput;
import software.amazon.kinesis.processor.RecordProcessorCheckpointer;
import software.amazon.kinesis.processor.ShardRecordProcessor;
import software.amazon.kinesis.processor.SingleStreamTracker;
import software.amazon.kinesis.retrieval.KinesisClientRecord;
import software.amazon.kinesis.retrieval.RetrievalConfig;
import software.amazon.kinesis.retrieval.fanout.FanOutConfig;
import software.amazon.kinesis.retrieval.polling.PollingConfig;

/**
 * One KCL worker. Takes the application's name, the stream's, the worker's, and {@code polling} or {@code fanout}; runs until it is killed,
 * or in good order until its standard input ends.
 *
 * <p>It tells the first word of each record's data: what follows is padding. Leases and the leader's lock fail over in seconds, so that a
 * test need not wait for minutes; everything else is as it comes.
 */
public final class KclWorker {
    private static final long FAILOVER_MS = 3_000;

    private KclWorker() {}

    public static void main(String[] args) throws Exception {
        String application = args[0];
        String stream = args[1];
        KinesisAsyncClient kinesis = KinesisClientUtil.createKinesisAsyncClient(KinesisAsyncClient.builder());
        InitialPositionInStreamExtended begin =
                InitialPositionInStreamExtended.newInitialPosition(InitialPositionInStream.TRIM_HORIZON);
        ConfigsBuilder builder = new ConfigsBuilder(new SingleStreamTracker(stream, begin), application, kinesis,
                DynamoDbAsyncClient.create(), CloudWatchAsyncClient.create(), args[2], Processor::new);
        RetrievalConfig retrieval = builder.retrievalConfig().retrievalSpecificConfig(args[3].equals("polling")
                ? new PollingConfig(stream, kinesis).idleTimeBetweenReadsInMillis(250)
                : new FanOutConfig(kinesis).streamName(stream).applicationName(application));
        LeaseManagementConfig leases = builder.leaseManagementConfig()
                .failoverTimeMillis(FAILOVER_MS)
                .leasesRecoveryAuditorExecutionFrequencyMillis(10_000)
                .dynamoDbLockBasedLeaderLeaseDurationInMillis(12_000)
                .dynamoDbLockBasedLeaderHeartbeatPeriodInMillis(3_000);
        Scheduler scheduler = new Scheduler(builder.checkpointConfig(),
                builder.coordinatorConfig().parentShardPollIntervalMillis(1_000), leases, builder.lifecycleConfig(),
                builder.metricsConfig(), builder.processorConfig(), retrieval);
        Thread running = new Thread(scheduler, "scheduler");
        running.start();
        System.in.transferTo(java.io.OutputStream.nullOutputStream());
        Lines.tell("stopped", "gracefully", scheduler.startGracefulShutdown().get());
        System.exit(0);
    }

    /** Tells of one shard, and checkpoints each batch. */
    private static final class Processor implements ShardRecordProcessor {
        private String shardId;

        @Override
        public void initialize(InitializationInput input) {
            shardId = input.shardId();
            Lines.tell("initialized", "shard", shardId, "from", input.extendedSequenceNumber().toString());
        }

        @Override
        public void processRecords(ProcessRecordsInput input) {
            if (input.records().isEmpty()) {
                return;
            }
            List<String> words = input.records().stream().map(KinesisClientRecord::data).map(Processor::word).toList();
            Lines.tell("batch", "shard", shardId, "at_ns", System.nanoTime(), "data", words);
            checkpoint(input.checkpointer());
        }

        private static String word(ByteBuffer data) {
            String text = StandardCharsets.US_ASCII.decode(data.duplicate()).toString();
            int end = text.indexOf(' ');
            return end < 0 ? text : text.substring(0, end);
        }

        private static void checkpoint(RecordProcessorCheckpointer checkpointer) {
            try {
                checkpointer.checkpoint();
            } catch (ShutdownException | InvalidStateException error) {
                Lines.tell("checkpointRefused", "why", error.toString());
            }
        }

        @Override
        public void leaseLost(LeaseLostInput input) {
            Lines.tell("leaseLost", "shard", shardId);
        }

        @Override
        public void shardEnded(ShardEndedInput input) {
            Lines.tell("shardEnded", "shard", shardId);
            checkpoint(input.checkpointer());
        }

        @Override
        public void shutdownRequested(ShutdownRequestedInput input) {
            Lines.tell("shutdownRequested", "shard", shardId);
            checkpoint(input.checkpointer());
        }
    }
}
