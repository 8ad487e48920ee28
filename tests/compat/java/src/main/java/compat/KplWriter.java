package compat;

import com.google.common.util.concurrent.FutureCallback;
import com.google.common.util.concurrent.Futures;
import com.google.common.util.concurrent.MoreExecutors;
import java.net.URI;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import software.amazon.kinesis.producer.KinesisProducer;
import software.amazon.kinesis.producer.KinesisProducerConfiguration;
import software.amazon.kinesis.producer.UserRecordFailedException;
import software.amazon.kinesis.producer.UserRecordResult;

/**
 * KPL at a steady rate. Takes the stream's name, records a second, seconds, and the file of the authority that the server's certificate
 * comes from. The data of a record is its number, padded to a hundred bytes; its key is one of a thousand.
 */
public final class KplWriter {
    private static final int TICKS_A_SECOND = 100;
    private static final int KEYS = 1000;
    private static final int DATA_BYTES = 100;
    private static final int OUTSTANDING_MAX = 100_000;

    private final AtomicLong good = new AtomicLong();
    private final AtomicLong bad = new AtomicLong();
    private final AtomicLong attempts = new AtomicLong();

    private KplWriter() {}

    public static void main(String[] args) {
        URI server = URI.create(System.getenv("AWS_ENDPOINT_URL"));
        KinesisProducerConfiguration settings = new KinesisProducerConfiguration()
                .setRegion(System.getenv("AWS_REGION"))
                .setKinesisEndpoint(server.getHost())
                .setKinesisPort(server.getPort())
                .setCloudwatchEndpoint(server.getHost())
                .setCloudwatchPort(server.getPort())
                .setStsEndpoint(server.getHost())
                .setStsPort(server.getPort())
                .setCaCertFile(args[3])
                .setMetricsUploadDelay(5_000)
                .setRecordTtl(120_000) // a busy machine is no reason to give a record up
                .setRateLimit(10_000); // a shard of Penstock takes what the machine takes, unless --limits aws
        KinesisProducer producer = new KinesisProducer(settings);
        new KplWriter().write(producer, args[0], Integer.parseInt(args[1]), Integer.parseInt(args[2]));
        producer.destroy();
        System.exit(0);
    }

    private void write(KinesisProducer producer, String stream, int rate, int seconds) {
        long beganNs = System.nanoTime();
        int perTick = rate / TICKS_A_SECOND;
        int number = 0;
        for (int tick = 0; tick < seconds * TICKS_A_SECOND; tick++) {
            while (producer.getOutstandingRecordsCount() > OUTSTANDING_MAX) { // as KPL's guide says: it does not bound itself
                LockSupport.parkNanos(1_000_000);
            }
            for (int at = 0; at < perTick; at++, number++) {
                Futures.addCallback(producer.addUserRecord(stream, "key-" + number % KEYS, data(number)), new Counted(),
                        MoreExecutors.directExecutor());
            }
            LockSupport.parkNanos(beganNs + (tick + 1) * 1_000_000_000L / TICKS_A_SECOND - System.nanoTime());
        }
        Lines.tell("handed", "records", number, "took_ms", (System.nanoTime() - beganNs) / 1_000_000);
        producer.flushSync();
        Lines.tell("flushed", "good", good.get(), "bad", bad.get(), "attempts", attempts.get(),
                "took_ms", (System.nanoTime() - beganNs) / 1_000_000);
        LockSupport.parkNanos(7_000_000_000L); // one upload of metrics more
    }

    private static ByteBuffer data(int number) {
        return ByteBuffer.wrap(String.format("%-" + DATA_BYTES + "d", number).getBytes(StandardCharsets.US_ASCII));
    }

    /** What became of one record. */
    private final class Counted implements FutureCallback<UserRecordResult> {
        @Override
        public void onSuccess(UserRecordResult result) {
            good.incrementAndGet();
            attempts.addAndGet(result.getAttempts().size());
        }

        @Override
        public void onFailure(Throwable error) {
            if (bad.getAndIncrement() == 0 && error instanceof UserRecordFailedException failed) {
                Lines.tell("failed", "attempts", failed.getResult().getAttempts().toString());
            }
        }
    }
}
