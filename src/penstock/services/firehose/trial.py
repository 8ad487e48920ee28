"""The trial of a configuration: what it needs is made once, before the configuration is kept."""

from penstock.services.firehose.configuration import Accepted
from penstock.services.firehose.processing.extraction import Extraction
from penstock.services.firehose.processing.measures import NoMeasures
from penstock.services.firehose.service import Firehose
from penstock.services.firehose.state import DeliveryStream


async def try_out(firehose: Firehose, stream: DeliveryStream, accepted: Accepted) -> None:
    """Make what the destination needs, and let it go.  Raises INVALID for what cannot be made."""
    site = firehose.site_of(stream)
    for step in firehose.makers.steps(accepted.shape, site, NoMeasures()):
        if isinstance(step, Extraction):
            await step.check()
    firehose.makers.make(accepted.kind, accepted.shape, site, NoMeasures())
    converter = firehose.makers.converter_of(accepted.shape, site, NoMeasures())
    if converter is not None:
        await converter.check()
