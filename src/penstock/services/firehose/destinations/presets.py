"""Vendors that take Firehose's HTTP protocol: what the console fills in when one of them is chosen.

Theory.  A preset is no other protocol, only a URL and a buffer.  The API does not name the vendor, but its URL does; where a
configuration leaves the buffer out, the vendor's advice is used instead of the API's default.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple
from urllib.parse import urlsplit


class Preset(NamedTuple):
    """One vendor."""

    hosts: tuple[str, ...]  # the ends of its host names
    size_in_mbs: int
    interval_in_seconds: int
    access_key: str  # what it is there


PRESETS: Final[Mapping[str, Preset]] = {
    "Datadog": Preset((".datadoghq.com", ".datadoghq.eu", ".ddog-gov.com"), 4, 60, "an API key"),
    "New Relic": Preset((".newrelic.com", ".nr-data.net"), 1, 60, "a license key for ingestion"),
    "Sumo Logic": Preset((".sumologic.com", ".sumologic.net"), 1, 60, "none: the URL holds the token"),
    # UNVERIFIED: the sizes and intervals of those below; the vendors' pages were not at hand
    "Dynatrace": Preset((".dynatrace.com",), 5, 60, "an API token"),
    "Coralogix": Preset(
        (".coralogix.com", ".coralogix.us", ".coralogix.in", ".coralogixsg.com"), 1, 60, "a Send-Your-Data key"
    ),
    "Elastic": Preset((".elastic-cloud.com", ".elastic.co", ".elastic.cloud"), 1, 60, "an API key"),
    "LogicMonitor": Preset((".logicmonitor.com",), 1, 60, "a bearer token"),
    "MongoDB Cloud": Preset((".mongodb.com", ".mongodb-api.com"), 5, 300, "an API key"),
}


def preset_of(url: str) -> Preset | None:
    """The vendor that a URL belongs to."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return None
    return next((preset for preset in PRESETS.values() if host.endswith(preset.hosts)), None)
