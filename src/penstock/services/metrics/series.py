"""Series: what data belongs together, and what is kept of it.

Theory.  A metric is a namespace, a name and a set of dimensions, within an account and region; data of different units under one metric
is kept apart, as one series each.  A series' id is a digest of all that, so it needs no table of numbers.
Rule of this file: every field of a record is part of the data directory's format: add with a default, never rename.
"""

from hashlib import blake2b
from typing import Final, NamedTuple

import msgspec

from penstock.core.ids import AccountId, Region
from penstock.services.metrics.aggregate import Aggregate

ROOT: Final = "metrics/"  # every key of this service begins with it
SERIES: Final = ROOT + "series/"  # and the id of a series
HOURS: Final = ROOT + "hour/"  # and an hour since the epoch, and the id of a series
HORIZON: Final = ROOT + "horizon"  # every hour before this one was deleted
ID_BYTES: Final = 12


class Place(NamedTuple):
    """Where metrics are apart from those of other places."""

    account: AccountId
    region: Region


class Metric(NamedTuple):
    """What a metric is told from others by, within a place."""

    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...] = ()  # sorted

    @classmethod
    def of(cls, namespace: str, name: str, dimensions: dict[str, str]) -> "Metric":
        """The metric of these dimensions, in whatever order."""
        return cls(namespace, name, tuple(sorted(dimensions.items())))


class SeriesRecord(msgspec.Struct, frozen=True, array_like=True):
    """A series as it is stored."""

    account: AccountId
    region: Region
    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...]
    unit: str
    hour: int  # of its newest data, since the epoch

    @property
    def place(self) -> Place:
        """Its account and region."""
        return Place(self.account, self.region)

    @property
    def metric(self) -> Metric:
        """Its metric."""
        return Metric(self.namespace, self.name, self.dimensions)


Chunk = dict[int, Aggregate]  # the data of one series in one hour, by minute of the hour

_record_decoder = msgspec.msgpack.Decoder(SeriesRecord)
_chunk_decoder = msgspec.msgpack.Decoder(Chunk)
encode = msgspec.msgpack.encode


def decode_series(value: bytes) -> SeriesRecord:
    """Read a series back."""
    return _record_decoder.decode(value)


def decode_chunk(value: bytes) -> Chunk:
    """Read an hour's data back."""
    return _chunk_decoder.decode(value)


def series_id(place: Place, metric: Metric, unit: str) -> str:
    """The id of a series."""
    return blake2b(msgspec.msgpack.encode((place, metric, unit)), digest_size=ID_BYTES).hexdigest()


def hour_key(hour: int, series: str = "") -> str:
    """The key of an hour of a series, or the prefix of all that hour's."""
    return f"{HOURS}{hour:08d}/{series}"
