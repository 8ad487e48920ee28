"""Parameters of processors: what is refused when a delivery stream is made."""

from typing import Any

import pytest
from processing_world import FUNCTION, World, play, processor

from penstock.core.errors import ServiceError
from penstock.services.firehose.processing.extraction import Extraction

QUERY = {"MetadataExtractionQuery": "{a: .a}", "JsonParsingEngine": "JQ-1.6"}
BAD: dict[str, tuple[list[dict[str, Any]], str]] = {
    "no function": ([processor("Lambda")], "LambdaArn must be specified"),
    "no ARN": ([processor("Lambda", LambdaArn="f")], "the ARN of a function"),
    "retries": ([processor("Lambda", LambdaArn=FUNCTION, NumberOfRetries="301")], "from 0 to 300"),
    "retries in words": ([processor("Lambda", LambdaArn=FUNCTION, NumberOfRetries="1.5")], "from 0 to 300"),
    "buffer": ([processor("Lambda", LambdaArn=FUNCTION, BufferSizeInMBs="0.1")], "from 0.2 to 3"),
    "large buffer": ([processor("Lambda", LambdaArn=FUNCTION, BufferSizeInMBs="3.1")], "from 0.2 to 3"),
    "no number": ([processor("Lambda", LambdaArn=FUNCTION, BufferSizeInMBs="NaN")], "from 0.2 to 3"),
    "interval": ([processor("Lambda", LambdaArn=FUNCTION, BufferIntervalInSeconds="901")], "from 0 to 900"),
    "foreign parameter": ([processor("Lambda", LambdaArn=FUNCTION, Delimiter="x")], "Delimiter is not valid"),
    "two functions": ([processor("Lambda", LambdaArn=FUNCTION)] * 2, "Only one processor"),
    "no query": ([processor("MetadataExtraction", JsonParsingEngine="JQ-1.6")], "MetadataExtractionQuery must"),
    "no engine": ([processor("MetadataExtraction", MetadataExtractionQuery="{}")], "JsonParsingEngine must"),
    "engine": ([processor("MetadataExtraction", **{**QUERY, "JsonParsingEngine": "JQ-1.7"})], "must be JQ-1.6"),
    "syntax": ([processor("MetadataExtraction", **{**QUERY, "MetadataExtractionQuery": "{a:"})], "syntax error"),
    "memory": (
        [processor("MetadataExtraction", **{**QUERY, "MetadataExtractionQuery": '{a: ("x" * 1000000000)}'})],
        "too much memory, before it has seen a record",
    ),
    "module": (
        [processor("MetadataExtraction", **{**QUERY, "MetadataExtractionQuery": '# x\nimport "a" as $a; .'})],
        "cannot use modules",
    ),
    "sub-records": ([processor("RecordDeAggregation", SubRecordType="XML")], "JSON or DELIMITED"),
    "no delimiter": ([processor("RecordDeAggregation", SubRecordType="DELIMITED")], "Delimiter must be specified"),
    "delimiter": ([processor("RecordDeAggregation", SubRecordType="DELIMITED", Delimiter="#")], "base64"),
    "compression": ([processor("Decompression", CompressionFormat="ZIP")], "must be GZIP"),
    "messages": ([processor("CloudWatchLogProcessing", DataMessageExtraction="true")], "type Decompression"),
}


async def tried(world: World, processors: list[dict[str, Any]]) -> None:
    """Make the steps, and try what of them must be tried."""
    for step in world.steps(*processors):
        if isinstance(step, Extraction):
            await step.check()


@pytest.mark.parametrize("case", BAD)
def test_processors_when_they_cannot_be_then_they_are_refused_with_the_reason(case: str) -> None:
    async def scenario(world: World) -> None:
        processors, text = BAD[case]
        with pytest.raises(ServiceError) as caught:
            await tried(world, processors)
        assert caught.value.code == "InvalidArgumentException"
        assert text in (caught.value.message or "")

    play(scenario)
