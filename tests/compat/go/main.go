// The AWS SDK for Go as it comes. Takes the name of a stream, which it makes.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"log"
	"os"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go"
)

type fields map[string]any

type program struct {
	ctx     context.Context
	kinesis *kinesis.Client
	stream  *string
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	settings := must(config.LoadDefaultConfig(ctx))
	run := program{ctx, kinesis.NewFromConfig(settings), aws.String(os.Args[1])}
	must(run.kinesis.CreateStream(ctx, &kinesis.CreateStreamInput{StreamName: run.stream, ShardCount: aws.Int32(2)}))
	waiter := kinesis.NewStreamExistsWaiter(run.kinesis)
	check(waiter.Wait(ctx, &kinesis.DescribeStreamInput{StreamName: run.stream}, 20*time.Second))
	shard := run.put()
	counts := run.read()
	run.refuse()
	run.subscribe(shard, counts[shard])
}

func (run program) put() string {
	one := must(run.kinesis.PutRecord(run.ctx, &kinesis.PutRecordInput{
		StreamName: run.stream, PartitionKey: aws.String("key"), Data: []byte("0"),
	}))
	tell("put", fields{"sequence": one.SequenceNumber, "shard": one.ShardId})
	entries := make([]types.PutRecordsRequestEntry, 500)
	for at := range entries {
		key := []string{"odd", "even"}[at%2]
		entries[at] = types.PutRecordsRequestEntry{PartitionKey: &key, Data: []byte(strconv.Itoa(at + 1))}
	}
	many := must(run.kinesis.PutRecords(run.ctx, &kinesis.PutRecordsInput{StreamName: run.stream, Records: entries}))
	tell("putMany", fields{"failed": many.FailedRecordCount, "answers": len(many.Records)})
	return *one.ShardId
}

func (run program) read() map[string]int {
	counts := map[string]int{}
	for _, shard := range must(run.kinesis.ListShards(run.ctx, &kinesis.ListShardsInput{StreamName: run.stream})).Shards {
		iterator := must(run.kinesis.GetShardIterator(run.ctx, &kinesis.GetShardIteratorInput{
			StreamName: run.stream, ShardId: shard.ShardId, ShardIteratorType: types.ShardIteratorTypeTrimHorizon,
		})).ShardIterator
		for {
			page := must(run.kinesis.GetRecords(run.ctx, &kinesis.GetRecordsInput{ShardIterator: iterator, Limit: aws.Int32(100)}))
			if len(page.Records) == 0 {
				tell("tip", fields{"shard": shard.ShardId, "behind": page.MillisBehindLatest})
				break
			}
			for _, record := range page.Records {
				tell("record", fields{
					"shard": shard.ShardId, "data": string(record.Data), "key": record.PartitionKey,
					"sequence": record.SequenceNumber, "arrived": record.ApproximateArrivalTimestamp.UnixMilli(),
				})
			}
			counts[*shard.ShardId] += len(page.Records)
			iterator = page.NextShardIterator
		}
	}
	return counts
}

func (run program) refuse() {
	_, err := run.kinesis.DescribeStreamSummary(run.ctx, &kinesis.DescribeStreamSummaryInput{StreamName: aws.String("missing")})
	var missing *types.ResourceNotFoundException
	var answer *awshttp.ResponseError
	var api smithy.APIError
	if errors.As(err, &missing) && errors.As(err, &answer) && errors.As(err, &api) {
		tell("refused", fields{
			"type": "ResourceNotFoundException", "code": api.ErrorCode(), "message": api.ErrorMessage(),
			"status": answer.HTTPStatusCode(), "request": answer.ServiceRequestID(),
		})
	}
}

func (run program) subscribe(shard string, count int) {
	summary := must(run.kinesis.DescribeStreamSummary(run.ctx, &kinesis.DescribeStreamSummaryInput{StreamName: run.stream}))
	consumer := must(run.kinesis.RegisterStreamConsumer(run.ctx, &kinesis.RegisterStreamConsumerInput{
		StreamARN: summary.StreamDescriptionSummary.StreamARN, ConsumerName: aws.String("go"),
	})).Consumer
	events := must(run.kinesis.SubscribeToShard(run.ctx, &kinesis.SubscribeToShardInput{
		ConsumerARN: consumer.ConsumerARN, ShardId: &shard,
		StartingPosition: &types.StartingPosition{Type: types.ShardIteratorTypeTrimHorizon},
	})).GetStream()
	defer events.Close()
	for event := range events.Events() {
		for _, record := range event.(*types.SubscribeToShardEventStreamMemberSubscribeToShardEvent).Value.Records {
			tell("pushed", fields{"data": string(record.Data), "sequence": record.SequenceNumber})
			count--
		}
		if count <= 0 {
			return
		}
	}
	log.Fatal("the subscription ended early: ", events.Err())
}

func tell(event string, more fields) {
	more["event"] = event
	check(json.NewEncoder(os.Stdout).Encode(more))
}

func must[T any](answer T, err error) T {
	check(err)
	return answer
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
