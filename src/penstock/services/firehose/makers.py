"""Makers: what turns a configuration into steps, a converter and a destination; composition.py names the real ones."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from penstock.services.firehose.destinations.api import Destination
from penstock.services.firehose.destinations.s3 import S3Destination
from penstock.services.firehose.destinations.shapes import DestinationKind
from penstock.services.firehose.processing.api import Converter, Step
from penstock.services.firehose.processing.measures import Measures
from penstock.services.firehose.shapes import S3, DataFormatConversionConfiguration, ExtendedS3, Shape
from penstock.services.firehose.site import Site


class MakeSteps(Protocol):
    """Makes the steps of a destination's processing.  Raises INVALID for what cannot be used."""

    def __call__(self, shape: Shape, site: Site, measures: Measures) -> Sequence[Step]: ...  # noqa: D102


class MakeConverter(Protocol):
    """Makes the converter of an S3 destination.  Raises INVALID for what cannot be used."""

    def __call__(  # noqa: D102
        self, configuration: DataFormatConversionConfiguration, site: Site, measures: Measures
    ) -> Converter | None: ...


class MakeDestination(Protocol):
    """Makes a destination that is not S3.  Raises INVALID for what cannot be used."""

    def __call__(self, kind: DestinationKind, shape: Shape, site: Site) -> Destination: ...  # noqa: D102


class Makers(NamedTuple):
    """What there is."""

    steps: MakeSteps
    converter: MakeConverter
    destination: MakeDestination

    def make(self, kind: DestinationKind, shape: Shape, site: Site, measures: Measures) -> Destination:
        """A destination of any kind."""
        if not isinstance(shape, S3):
            return self.destination(kind, shape, site)
        return S3Destination(shape, site, self.converter_of(shape, site, measures))

    def converter_of(self, shape: Shape, site: Site, measures: Measures) -> Converter | None:
        """The format conversion of a destination, if it has one."""
        if not isinstance(shape, ExtendedS3) or not shape.data_format_conversion_configuration.enabled:
            return None
        return self.converter(shape.data_format_conversion_configuration, site, measures)
