// The AWS SDK for JavaScript as it comes, or with its HTTP/1.1 handler: node calls.mjs STREAM default|http1
import {
  CreateStreamCommand, DescribeStreamSummaryCommand, GetRecordsCommand, GetShardIteratorCommand, KinesisClient, ListShardsCommand,
  PutRecordCommand, PutRecordsCommand, RegisterStreamConsumerCommand, SubscribeToShardCommand, waitUntilStreamExists,
} from "@aws-sdk/client-kinesis";
import { NodeHttpHandler } from "@smithy/node-http-handler";

const [StreamName, handler] = process.argv.slice(2);
const kinesis = new KinesisClient(handler === "http1" ? { requestHandler: new NodeHttpHandler() } : {});
const text = new TextDecoder();
const tell = (event, more) => console.log(JSON.stringify({ event, ...more }));

async function put() {
  const one = await kinesis.send(new PutRecordCommand({ StreamName, PartitionKey: "key", Data: Buffer.from("0") }));
  tell("put", { sequence: one.SequenceNumber, shard: one.ShardId });
  const Records = Array.from({ length: 500 }, (_, at) => at + 1).map((number) => ({
    PartitionKey: number % 2 === 0 ? "even" : "odd",
    Data: Buffer.from(`${number}`),
  }));
  const many = await kinesis.send(new PutRecordsCommand({ StreamName, Records }));
  tell("putMany", { failed: many.FailedRecordCount, answers: many.Records.length });
  return one.ShardId;
}

async function read() {
  const counts = {};
  for (const { ShardId } of (await kinesis.send(new ListShardsCommand({ StreamName }))).Shards) {
    const place = { StreamName, ShardId, ShardIteratorType: "TRIM_HORIZON" };
    let { ShardIterator } = await kinesis.send(new GetShardIteratorCommand(place));
    counts[ShardId] = 0;
    for (;;) {
      const page = await kinesis.send(new GetRecordsCommand({ ShardIterator, Limit: 100 }));
      for (const record of page.Records) {
        counts[ShardId] += 1;
        tell("record", {
          shard: ShardId, data: text.decode(record.Data), key: record.PartitionKey, sequence: record.SequenceNumber,
          arrived: record.ApproximateArrivalTimestamp.getTime(),
        });
      }
      if (page.Records.length === 0) {
        tell("tip", { shard: ShardId, behind: page.MillisBehindLatest });
        break;
      }
      ShardIterator = page.NextShardIterator;
    }
  }
  return counts;
}

async function refuse() {
  try {
    await kinesis.send(new DescribeStreamSummaryCommand({ StreamName: "missing" }));
  } catch (error) {
    tell("refused", {
      type: error.constructor.name, code: error.name, message: error.message, status: error.$metadata.httpStatusCode,
      request: error.$metadata.requestId,
    });
  }
}

async function subscribe(ShardId, count) {
  const { StreamDescriptionSummary } = await kinesis.send(new DescribeStreamSummaryCommand({ StreamName }));
  const { Consumer } = await kinesis.send(
    new RegisterStreamConsumerCommand({ StreamARN: StreamDescriptionSummary.StreamARN, ConsumerName: "node" }));
  const { EventStream } = await kinesis.send(new SubscribeToShardCommand({
    ConsumerARN: Consumer.ConsumerARN, ShardId, StartingPosition: { Type: "TRIM_HORIZON" },
  }));
  let seen = 0;
  for await (const { SubscribeToShardEvent } of EventStream) {
    for (const record of SubscribeToShardEvent.Records) {
      tell("pushed", { data: text.decode(record.Data), sequence: record.SequenceNumber });
      seen += 1;
    }
    if (seen >= count) {
      return;
    }
  }
}

await kinesis.send(new CreateStreamCommand({ StreamName, ShardCount: 2 }));
await waitUntilStreamExists({ client: kinesis, maxWaitTime: 20 }, { StreamName });
const shard = await put();
const counts = await read();
await refuse();
await subscribe(shard, counts[shard]);
process.exit(0); // the subscription is still open
