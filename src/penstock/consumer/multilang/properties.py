"""The properties file of KCL's MultiLangDaemon.

Rules of this file:
  1. Pure: texts in, values out.
  2. A key of KCL's that means nothing here is passed over in silence; one that is nobody's is told, in one line.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from msgspec import Struct

from penstock.consumer.polling import Pace
from penstock.consumer.position import AT_TIMESTAMP, LATEST, BadPosition, Begin
from penstock.consumer.taking import Rhythm


class BadProperties(Exception):
    """A file that no consumer can be made of; the text says what is wrong with which key."""


class Settings(Struct, frozen=True):
    """What a file says."""

    executable: str
    stream: str  # name or ARN
    application: str
    begin: Begin = Begin(LATEST)
    region: str | None = None
    kinesis_endpoint: str | None = None
    dynamodb_endpoint: str | None = None
    cloudwatch_endpoint: str | None = None
    metrics: bool = True  # whether KCL's metrics go to CloudWatch
    table: str | None = None  # None: the application's name
    worker_id: str | None = None
    fan_out: bool = True
    consumer_name: str | None = None  # of fan-out; None: the application's name
    rhythm: Rhythm = Rhythm()
    pace: Pace = Pace(idle_ms=1500)
    patience_s: float | None = None  # for a child to answer
    unknown: tuple[str, ...] = ()


# Keys that KCL has and that nothing here depends on: threads, caches, credentials and metrics of the JVM, CPU-based balancing.
SILENT: Final = frozenset(
    """
    awscredentialsprovider awscredentialsproviderdynamodb awscredentialsprovidercloudwatch processinglanguage
    shardsyncintervalmillis callprocessrecordsevenforemptyrecordlist parentshardpollintervalmillis cleanupleasesuponshardcompletion
    taskbackofftimemillis metricsbuffertimemillis metricsmaxqueuesize metricsenableddimensions
    validatesequencenumberbeforecheckpointing maxactivethreads billingmode initialleasetablereadcapacity
    initialleasetablewritecapacity maxleasestostealatonetime maxleaserenewalthreads ignoreunexpectedchildshards
    skipshardsyncatworkerinitializationifleasesexist shardprioritization logwarningfortaskaftermillis useragent
    timeoutinmillis retrygetrecordsinseconds maxgetrecordsthreadpool listshardsbackofftimeinmillis maxlistshardsretryattempts
    datafetchingstrategy subscribetoshardretries clientversionconfig leaseassignmentintervalmillis dampeningpercentage
    rebalancethresholdpercentage allowthroughputovershoot disableworkermetrics maxthroughputperhostkbps
    isgracefulleasehandoffenabled workermetricsreporterfreqinmillis nooflastworkermetricstats
    reclaimleasesfromdeadworkers leasesrecoveryauditorexecutionfrequencymillis
    leasesrecoveryauditorinconsistencyconfidencethreshold maxcachebytesize
    """.lower().split()
)


def parse(text: str) -> dict[str, str]:
    """Keys and values of Java's properties format."""
    found = {}
    for line in _logical_lines(text):
        match = re.match(r"((?:\\.|[^\\\s=:])*)\s*[=:]?\s*(.*)", line, re.DOTALL)
        if match is not None and match[1]:
            found[_unescaped(match[1])] = _unescaped(match[2]).strip()
    return found


def _logical_lines(text: str) -> Iterator[str]:
    held = ""
    for natural in text.splitlines():
        line = natural.lstrip()
        if not held and (not line or line[0] in "#!"):
            continue
        if (len(line) - len(line.rstrip("\\"))) % 2:
            held += line[:-1]
            continue
        yield held + line
        held = ""
    if held:
        yield held


def _unescaped(text: str) -> str:
    def meant(match: re.Match[str]) -> str:
        if match[1].startswith("u") and len(match[1]) == 5:
            return chr(int(match[1][1:], 16))
        return {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}.get(match[1][0], match[1][0])

    return re.sub(r"\\(u[0-9a-fA-F]{4}|.)", meant, text, flags=re.DOTALL)


def settings_of(properties: Mapping[str, str]) -> Settings:
    """What the properties mean.  Raises BadProperties."""
    given = {key.lower(): value for key, value in properties.items() if value}
    rhythm: dict[str, int] = {}
    pace: dict[str, int] = {"idle_ms": 1500}
    chosen: dict[str, Any] = {}
    unknown = []
    for key, value in given.items():
        if key in _PLAIN:
            name, reader = _PLAIN[key]
            chosen[name] = _read(key, value, reader)
        elif key in _RHYTHM:
            rhythm[_RHYTHM[key]] = _read(key, value, _whole)
        elif key in _PACE:
            pace[_PACE[key]] = _read(key, value, _whole)
        elif key not in SILENT and not key.startswith(("awscredentialsprovider", "kinesisclient", "dynamodbclient")):
            unknown.append(key)
    chosen["stream"] = chosen.pop("arn", None) or chosen.get("stream")
    for name, key in (("executable", "executableName"), ("stream", "streamName"), ("application", "applicationName")):
        if not chosen.get(name):
            raise BadProperties(f"{key} is missing")
    originals = {key.lower(): key for key in properties}
    return Settings(
        rhythm=Rhythm(**rhythm), pace=Pace(**pace), unknown=tuple(originals[key] for key in unknown), **chosen
    )


def _read(key: str, value: str, reader: Callable[[str], Any]) -> Any:
    try:
        return reader(value)
    except (ValueError, BadPosition) as error:
        raise BadProperties(f"{key} = {value[:60]}: {error}") from None


def _whole(value: str) -> int:
    if not re.fullmatch(r"[0-9]{1,15}", value):
        raise ValueError("a whole number is wanted")
    return int(value)


def _begin(value: str) -> Begin:
    if value.upper() == AT_TIMESTAMP:
        raise ValueError("give the time with initialPositionInStreamExtended = <seconds since the epoch>")
    return Begin(value.upper())


def _begin_at(value: str) -> Begin:
    if re.fullmatch(r"[0-9]{1,12}", value):
        return Begin(AT_TIMESTAMP, int(value) * 1000)
    return Begin(AT_TIMESTAMP, round(datetime.fromisoformat(value).timestamp() * 1000))


def _mode(value: str) -> bool:
    modes = {"FANOUT": True, "DEFAULT": True, "POLLING": False}
    if value.upper() not in modes:
        raise ValueError(f"there is {', '.join(modes)}")
    return modes[value.upper()]


_PLAIN: Final[dict[str, tuple[str, Callable[[str], Any]]]] = {
    "executablename": ("executable", str),
    "streamname": ("stream", str),
    "streamarn": ("arn", str),
    "applicationname": ("application", str),
    "tablename": ("table", str),
    "leasetablename": ("table", str),
    "initialpositioninstream": ("begin", _begin),
    "initialpositioninstreamextended": ("begin", _begin_at),
    "regionname": ("region", str),
    "kinesisendpoint": ("kinesis_endpoint", str),
    "dynamodbendpoint": ("dynamodb_endpoint", str),
    "cloudwatchendpoint": ("cloudwatch_endpoint", str),
    "metricslevel": ("metrics", lambda value: value.upper() != "NONE"),
    "workerid": ("worker_id", str),
    "workeridentifier": ("worker_id", str),
    "retrievalmode": ("fan_out", _mode),
    "consumername": ("consumer_name", str),
    "fanoutconfig.consumername": ("consumer_name", str),
    "timeoutinseconds": ("patience_s", lambda value: float(_whole(value))),
}
_RHYTHM: Final = {
    "failovertimemillis": "failover_ms",
    "gracefulleasehandofftimeoutmillis": "handoff_ms",
    "shutdowngracemillis": "handoff_ms",
    "maxleasesforworker": "leases_max",
}
_PACE: Final = {"idletimebetweenreadsinmillis": "idle_ms", "maxrecords": "limit"}
