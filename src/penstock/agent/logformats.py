"""The log formats of LOGTOJSON: the fields of each and the pattern that finds them.

Source: AWS, "Pre-process data with agents": names and order of the fields of each format, and what a line looks like.
UNVERIFIED: the patterns are ours; how lines are read that differ a little from AWS's examples may differ.
"""

from typing import Final, NamedTuple


class LogFormat(NamedTuple):
    """A format's default pattern, which has a group for each field."""

    pattern: str
    fields: tuple[str, ...]


_COMMON: Final = r'(\S+) (\S+) (.+?) \[([^\]]+)\] "(.*?)" (\d{3}|-) (\d+|-)'
_COMMON_FIELDS: Final = ("host", "ident", "authuser", "datetime", "request", "response", "bytes")
_SYSLOG: Final = r"(?:<\d{1,3}>)?%s (\S+) ([^\[:\s]+)(?:\[(\d+)\])?: (.*)"
_SYSLOG_FIELDS: Final = ("timestamp", "hostname", "program", "processid", "message")
_QUOTED: Final = r'"((?:[^"\\]|\\.)*)"'

LOG_FORMATS: Final = {
    "COMMONAPACHELOG": LogFormat(f"(?s){_COMMON}", _COMMON_FIELDS),
    "COMBINEDAPACHELOG": LogFormat(f"(?s){_COMMON} {_QUOTED} {_QUOTED}", (*_COMMON_FIELDS, "referrer", "agent")),
    "APACHEERRORLOG": LogFormat(
        r"(?s)\[([^\]]+)\] \[([^:\]]*):([^\]]+)\] \[pid (\d+)(?::tid (\d+))?\](?: \[client:? ([^\]]+)\])? (.*)",
        ("timestamp", "module", "severity", "processid", "threadid", "client", "message"),
    ),
    "SYSLOG": LogFormat(
        "(?s)" + _SYSLOG % r"([A-Z][a-z]{2} +\d{1,2} \d{2}:\d{2}:\d{2}(?:\.\d+)?)",
        _SYSLOG_FIELDS,
    ),
    "RFC3339SYSLOG": LogFormat(
        "(?s)" + _SYSLOG % r"(\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:[Zz]|[+-]\d{2}:?\d{2}))",
        _SYSLOG_FIELDS,
    ),
}
