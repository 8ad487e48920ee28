"""Laws of processing: whatever a record holds, no step raises for it, and none is lost."""

import asyncio
import gzip
import json
from typing import Any

from conversion_world import OPENX, Tables, configured, converter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from processing_world import World, entries, opened, processor

VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "A", "b", "é", '"']), inner, max_size=3)
    ),
    max_leaves=8,
)
TEXTS = VALUES.map(lambda value: json.dumps(value).encode())
CUT = st.tuples(TEXTS, st.integers(0, 40)).map(lambda pair: pair[0][: pair[1]])
PLAIN = st.one_of(TEXTS, CUT, st.binary(max_size=40), st.lists(TEXTS, max_size=3).map(b"".join))
RECORDS = st.lists(PLAIN | PLAIN.map(gzip.compress), min_size=1, max_size=12)
QUERY = processor("MetadataExtraction", MetadataExtractionQuery="{a: .a, b: (.b // 1)}", JsonParsingEngine="JQ-1.6")
STEPS = {
    "Decompression": processor("Decompression", CompressionFormat="GZIP"),
    "CloudWatchLogProcessing": processor("CloudWatchLogProcessing", DataMessageExtraction="true"),
    "RecordDeAggregation": processor("RecordDeAggregation", SubRecordType="JSON"),
    "MetadataExtraction": QUERY,
    "AppendDelimiterToRecord": processor("AppendDelimiterToRecord"),
}
TABLE = {"a": "int", "b": "string", "c": "array<struct<a:decimal(4,2),b:timestamp>>", "é": "map<string,double>"}


@settings(max_examples=40, suppress_health_check=list(HealthCheck))
@given(st.lists(RECORDS, min_size=1, max_size=5), st.sets(st.sampled_from(sorted(STEPS)), min_size=1))
def test_steps_when_records_hold_anything_then_each_is_kept_or_fails(
    batches: list[list[bytes]], names: set[str]
) -> None:
    needs = {"Decompression"} if "CloudWatchLogProcessing" in names else set[str]()

    async def run() -> None:
        async with opened() as world:
            steps = world.steps(*(STEPS[name] for name in names | needs))
            for batch in batches:
                await world.through(steps, *entries(*batch))  # which looks that none is lost

    asyncio.run(run())


@settings(max_examples=80, suppress_health_check=list(HealthCheck))
@given(
    st.lists(RECORDS, min_size=1, max_size=4),
    st.sampled_from([OPENX, {"HiveJsonSerDe": {"TimestampFormats": ["millis"]}}]),
)
def test_conversion_when_records_hold_anything_then_each_is_a_row_or_fails(
    batches: list[list[bytes]], deserializer: dict[str, Any]
) -> None:
    async def run() -> None:
        async with opened() as world:
            await _convert(world, batches, deserializer)

    asyncio.run(run())


async def _convert(world: World, batches: list[list[bytes]], deserializer: dict[str, Any]) -> None:
    made = converter(world, Tables(TABLE), configured(deserializer))
    for batch in batches:
        done = await made.convert(entries(*batch))
        assert done.converted + len(done.failed) == len(batch)
