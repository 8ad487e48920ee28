"""How many shards a load needs, and what AWS would ask for them.

Theory.  A shard takes 1,000 KB and 1,000 records a second, and gives 2,000 KB a second to all who share its reads; a fan-out consumer has
its own 2,000 KB, twice what the shard can take in, so it never asks for more shards.  Prices are per hour, per unit and per GB.
Rules of this file:
  1. Pure.  A load is steady: peaks decide the shards, means decide the bill, and whoever calls says which it gives.
  2. AWS's units: a shard's KB and MB are decimal; a PUT unit's KB and a bill's GB are powers of two; a month has 730 hours.
Source: developer guide, "Determine the initial size"; the price page named in prices.toml.
"""

from math import ceil
from typing import Final, NamedTuple

import msgspec

SHARD_WRITE_KB_PER_S: Final = 1000
SHARD_WRITE_RECORDS_PER_S: Final = 1000
SHARD_READ_KB_PER_S: Final = 2000
KB: Final = 1000
MB: Final = 1000 * KB
BILL_KB: Final = 1024
BILL_GB: Final = 1024**3
PUT_UNIT_BYTES: Final = 25 * BILL_KB
MONTH_HOURS: Final = 730
MONTH_S: Final = MONTH_HOURS * 3600
FREE_RETENTION_HOURS: Final = 24
EXTENDED_RETENTION_HOURS: Final = 168


class Load(NamedTuple):
    """What a stream has to carry."""

    write_bytes_per_s: float
    records_per_s: float  # above 0 where write_bytes_per_s is
    read_bytes_per_s: float  # by all consumers that share the shards' reads, together
    consumers: int = 0  # with enhanced fan-out; each reads everything
    retention_hours: int = FREE_RETENTION_HOURS

    @property
    def record_bytes(self) -> float:
        """A record's size in the mean."""
        return self.write_bytes_per_s / self.records_per_s if self.records_per_s else 0.0


class Need(NamedTuple):
    """Shards, by what asks for them; at least one in all."""

    for_writes: int
    for_records: int
    for_reads: int

    @property
    def shards(self) -> int:
        """The greatest of them."""
        return max(self.for_writes, self.for_records, self.for_reads, 1)

    @property
    def reason(self) -> str:
        """What asks for the most."""
        return max(
            (self.for_writes, "bytes written"), (self.for_records, "records written"), (self.for_reads, "shared reads"),
            key=lambda row: row[0],
        )[1]  # fmt: skip


def shards_needed(load: Load) -> Need:
    """The shards that a load needs."""
    return Need(
        ceil(_exact(load.write_bytes_per_s / KB / SHARD_WRITE_KB_PER_S)),
        ceil(_exact(load.records_per_s / SHARD_WRITE_RECORDS_PER_S)),
        ceil(_exact(load.read_bytes_per_s / KB / SHARD_READ_KB_PER_S)),
    )


def _exact(number: float) -> float:
    """A quotient without the last digits that floating point adds, which would ask for one shard more."""
    return round(number, 9)


class Provisioned(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Prices of the provisioned mode."""

    shard_hour: float
    put_units_million: float
    fan_out_shard_hour: float
    fan_out_gb: float
    extended_retention_shard_hour: float
    long_retention_gb_month: float


class OnDemand(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Prices of the on-demand mode."""

    stream_hour: float
    in_gb: float
    out_gb: float
    fan_out_gb: float
    extended_retention_gb_month: float
    long_retention_gb_month: float


class Prices(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The price file."""

    region: str
    currency: str
    as_of: str
    source: str
    provisioned: Provisioned
    on_demand: OnDemand


class Item(NamedTuple):
    """A row of a bill, for a month."""

    name: str
    amount: float
    unit: str
    price: float  # of one unit

    @property
    def cost(self) -> float:
        """For a month."""
        return self.amount * self.price


def provisioned(load: Load, shards: int, prices: Provisioned) -> list[Item]:
    """A month of so many shards; rows that cost nothing are left out."""
    units = load.records_per_s * max(1, ceil(_exact(load.record_bytes / PUT_UNIT_BYTES)))
    shard_hours = float(shards * MONTH_HOURS)
    extended = shard_hours if load.retention_hours > FREE_RETENTION_HOURS else 0.0
    return _billed(
        Item("shard hours", shard_hours, "shard-hours", prices.shard_hour),
        Item("PUT payload units", units * MONTH_S / 1e6, "million", prices.put_units_million),
        Item("fan-out consumers", shard_hours * load.consumers, "consumer-shard-hours", prices.fan_out_shard_hour),
        Item("fan-out data", _gb(load.write_bytes_per_s) * load.consumers, "GB", prices.fan_out_gb),
        Item("retention above 24 h", extended, "shard-hours", prices.extended_retention_shard_hour),
        Item("retention above 7 days", _kept_long_gb(load), "GB-months", prices.long_retention_gb_month),
    )


def on_demand(load: Load, prices: OnDemand) -> list[Item]:
    """A month of one on-demand stream; rows that cost nothing are left out."""
    counted_per_s = load.records_per_s * ceil(_exact(load.record_bytes / BILL_KB)) * BILL_KB
    extended_h = min(load.retention_hours, EXTENDED_RETENTION_HOURS) - FREE_RETENTION_HOURS
    return _billed(
        Item("stream hours", float(MONTH_HOURS), "hours", prices.stream_hour),
        Item("data in", _gb(counted_per_s), "GB", prices.in_gb),
        Item("data out", _gb(load.read_bytes_per_s), "GB", prices.out_gb),
        Item("fan-out data", _gb(load.write_bytes_per_s) * load.consumers, "GB", prices.fan_out_gb),
        Item("retention above 24 h", _kept_gb(load, extended_h), "GB-months", prices.extended_retention_gb_month),
        Item("retention above 7 days", _kept_long_gb(load), "GB-months", prices.long_retention_gb_month),
    )


def total(items: list[Item]) -> float:
    """What a month costs."""
    return sum(item.cost for item in items)


def _billed(*items: Item) -> list[Item]:
    return [item for item in items if item.amount]


def _gb(bytes_per_s: float) -> float:
    """A month's bytes, in the GB of a bill."""
    return bytes_per_s * MONTH_S / BILL_GB


def _kept_gb(load: Load, hours: int) -> float:
    """What lies in so many hours of a steady stream."""
    return load.write_bytes_per_s * 3600 * hours / BILL_GB


def _kept_long_gb(load: Load) -> float:
    return _kept_gb(load, max(0, load.retention_hours - EXTENDED_RETENTION_HOURS))
