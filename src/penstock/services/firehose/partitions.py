"""Partitions: which buffer each record belongs to under dynamic partitioning.

Rules of this file: pure; a record without a value for each key of the prefix goes to the error prefix, and so does one that would open a
partition more than may be active.
Source: developer guide, "Dynamic partitioning".
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from penstock.core.limits import ACTIVE_PARTITIONS_MAX
from penstock.services.firehose.entries import Entry, Failure, PartitionKey
from penstock.services.firehose.errorobjects import PROCESSING as FAILED
from penstock.services.firehose.prefix import QUERY

# UNVERIFIED: both codes and texts
NO_VALUE: Final = "DynamicPartitioning.MetadataExtractionFailed"
TOO_MANY: Final = "DynamicPartitioning.ActivePartitionsLimitExceeded"


def sorted_out(
    entries: Sequence[Entry], names: Sequence[str], is_active: Callable[[PartitionKey], bool], room: int
) -> tuple[dict[PartitionKey, list[Entry]], list[Failure]]:
    """Entries by partition, of which `room` may be new, and those that belong to none.  `names` are "namespace:key"."""
    groups: dict[PartitionKey, list[Entry]] = {}
    failed: list[Failure] = []
    split = [(name, *name.split(":", 1)) for name in names]
    for entry in entries:
        key = _key(entry, split)
        if isinstance(key, str):
            failed.append(Failure(entry, FAILED, NO_VALUE, f"The partition key {key} has no value in this record."))
            continue
        group = groups.get(key)
        if group is not None:
            group.append(entry)
        elif is_active(key):
            groups[key] = [entry]
        elif room > 0:
            room -= 1
            groups[key] = [entry]
        else:
            text = f"More than {ACTIVE_PARTITIONS_MAX} partitions would be active."
            failed.append(Failure(entry, FAILED, TOO_MANY, text))
    return groups, failed


def _key(entry: Entry, names: Sequence[tuple[str, ...]]) -> PartitionKey | str:
    """The key of a record's partition, or the name of what it lacks."""
    found = []
    for whole, namespace, name in names:
        held: Mapping[str, str] = entry.partition_keys if namespace == QUERY else entry.lambda_keys
        value = held.get(name)
        if not value:
            return name
        found.append((whole, value))
    return tuple(found)
