"""Keys of the objects that are delivered: `<evaluated prefix><stream>-<version>-yyyy-MM-dd-HH-mm-ss-<uuid><extension>`.

Rules of this file: pure; randomness comes as bytes.
Source: developer guide, "Amazon S3 object name format".
"""

from collections.abc import Callable
from datetime import tzinfo
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from penstock.services.firehose.prefix import RANDOM_CHARS, in_zone

UTC: Final = "UTC"
_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz0123456789"


def object_name(stream: str, version: str, at_ms: int, zone: tzinfo, uuid: str, extension: str) -> str:
    """The part of a key after its prefix."""
    # UNVERIFIED: that the time in the name is in the delivery stream's zone too
    return f"{stream}-{version}-{in_zone(at_ms, zone):%Y-%m-%d-%H-%M-%S}-{uuid}{extension}"


def random_strings(entropy: Callable[[int], bytes]) -> Callable[[], str]:
    """Makes random strings."""
    return lambda: "".join([_LETTERS[byte % len(_LETTERS)] for byte in entropy(RANDOM_CHARS)])


def zone_of(name: str) -> tzinfo:
    """The time zone of a name; UTC for none.  Raises ValueError."""
    try:
        return ZoneInfo(name or UTC)
    except (ZoneInfoNotFoundError, OSError):
        raise ValueError(f"{name} is no time zone") from None
