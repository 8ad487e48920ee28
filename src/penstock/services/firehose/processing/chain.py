"""The chain: the steps that a destination's configuration asks for, in the order in which AWS takes them.

UNVERIFIED: the order; the developer guide tells it in parts.
"""

from typing import Final

import pybase64

from penstock.core.limits import KIB, MIB
from penstock.core.ports import Queries, Threads
from penstock.services.firehose.destinations.shapes import Snowflake, Splunk
from penstock.services.firehose.processing.api import Step
from penstock.services.firehose.processing.deaggregation import DeAggregation, delimited, json_objects
from penstock.services.firehose.processing.decompression import Decompression
from penstock.services.firehose.processing.delimiting import Delimiting
from penstock.services.firehose.processing.extraction import Extraction
from penstock.services.firehose.processing.logmessages import LogMessages
from penstock.services.firehose.processing.measures import Measures, NoMeasures
from penstock.services.firehose.processing.parameters import delimiter_of, read_processors
from penstock.services.firehose.processing.transformation import CONCURRENCY, Lambda, Transformation
from penstock.services.firehose.shapes import ProcessingConfiguration, Shape
from penstock.services.firehose.site import Site
from penstock.services.functions.invoking import Invoker

SMALL_BUFFER_BYTES: Final = 256 * KIB  # of invocations, for Splunk and Snowflake, where nobody says
SPLUNK_CONCURRENCY: Final = 10


def make_steps(
    shape: Shape, site: Site, invoker: Invoker, queries: Queries, measures: Measures | None = None
) -> list[Step]:
    """The steps of a destination.  Raises what parameters.py raises."""
    configuration = getattr(shape, "processing_configuration", ProcessingConfiguration())
    if not configuration.enabled:
        return []
    found = read_processors(configuration.processors)
    told, steps = measures or NoMeasures(), list[Step]()
    if "Decompression" in found:
        steps.append(Decompression(site.threads))
    if (
        "CloudWatchLogProcessing" in found
        and found["CloudWatchLogProcessing"]["DataMessageExtraction"].lower() == "true"
    ):
        steps.append(LogMessages(site.threads))
    if "Lambda" in found:
        given = next(one for one in configuration.processors if one.type == "Lambda")
        sized = given.get("BufferSizeInMBs") is not None
        steps.append(Transformation(_function(found["Lambda"], shape, sized=sized), site, invoker, told))
    if "RecordDeAggregation" in found:
        steps.append(_deaggregation(found["RecordDeAggregation"], site.threads))
    if "MetadataExtraction" in found:
        query = found["MetadataExtraction"]["MetadataExtractionQuery"]
        steps.append(Extraction(query, queries, site.clock, told))
    if "AppendDelimiterToRecord" in found:
        steps.append(Delimiting(delimiter_of(found["AppendDelimiterToRecord"]["Delimiter"])))
    return steps


def _function(parameters: dict[str, str], shape: Shape, *, sized: bool) -> Lambda:
    small = isinstance(shape, Splunk | Snowflake) and not sized
    return Lambda(
        arn=parameters["LambdaArn"],
        retries=int(parameters["NumberOfRetries"]),
        buffer_bytes=SMALL_BUFFER_BYTES if small else round(float(parameters["BufferSizeInMBs"]) * MIB),
        concurrency=SPLUNK_CONCURRENCY if isinstance(shape, Splunk) else CONCURRENCY,
    )


def _deaggregation(parameters: dict[str, str], threads: Threads) -> DeAggregation:
    if parameters["SubRecordType"] == "JSON":
        return DeAggregation(json_objects, threads)
    return DeAggregation(delimited(pybase64.b64decode(parameters["Delimiter"], validate=True)), threads)
