"""Delimiting: each record ends with a delimiter, so that an object of many can be read line by line."""

from collections.abc import Sequence

import msgspec

from penstock.services.firehose.entries import Entry
from penstock.services.firehose.processing.api import Processed


class Delimiting:
    """Appends a delimiter.  UNVERIFIED: that it is appended to records that end with one, too."""

    def __init__(self, delimiter: bytes) -> None:
        self._delimiter = delimiter

    async def process(self, entries: Sequence[Entry]) -> Processed:
        """Append it to each record of a batch."""
        return Processed(
            [msgspec.structs.replace(entry, data=entry.data + self._delimiter) for entry in entries], [], 0
        )
