"""`penstock kcl`: runs a program that was written for KCL's MultiLangDaemon, without Java."""

import logging
import os
import shlex
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from penstock.clients.aws import Connection, Service
from penstock.clients.metric_sinks import CloudWatch
from penstock.commands.paper import complain
from penstock.commands.place import CommandError
from penstock.consumer.consumer import Consumer, open_store
from penstock.consumer.multilang.child import maker
from penstock.consumer.multilang.properties import BadProperties, Settings, parse, settings_of
from penstock.consumer.store import StoreRefused, StoreUnavailable
from penstock.host.clock import SystemClock


@dataclass(frozen=True, slots=True)
class Options:
    """The options of `penstock kcl`."""

    properties: str
    endpoint: str | None = None
    dynamodb_endpoint: str | None = None
    store: str = "dynamodb"
    verbose: bool = False


def run(options: Options) -> int:
    """Work until told to stop; the exit code.  Raises CommandError."""
    logging.basicConfig(
        level=logging.INFO if options.verbose else logging.WARNING, format="%(asctime)s %(message)s", stream=sys.stderr
    )
    logging.getLogger("penstock").setLevel(logging.INFO)
    settings = _settings(options.properties)
    command = shlex.split(settings.executable)
    if shutil.which(command[0]) is None:
        raise CommandError(f"executableName: there is no program {command[0]}")
    consumer = consumer_of(settings, command, options)
    try:
        consumer.run()
    except (StoreRefused, StoreUnavailable) as error:
        return complain(f"no leases can be kept: {error}")
    return 0


def consumer_of(settings: Settings, command: list[str], options: Options) -> Consumer:
    """The consumer that the settings mean."""
    kinesis = options.endpoint or settings.kinesis_endpoint
    dynamodb = options.dynamodb_endpoint or settings.dynamodb_endpoint or options.endpoint
    cloudwatch = Service("cloudwatch", connection_to(settings.cloudwatch_endpoint or options.endpoint, settings.region))
    table = settings.table or settings.application
    return Consumer(
        stream=settings.stream,
        application=settings.application,
        make_processor=maker(command, settings.patience_s),
        connection=connection_to(kinesis, settings.region),
        store=open_store(options.store, table, connection_to(dynamodb, settings.region)),
        begin=settings.begin,
        worker_id=settings.worker_id,
        rhythm=settings.rhythm,
        fan_out=(settings.consumer_name or settings.application) if settings.fan_out else None,
        pace=settings.pace,
        metrics=CloudWatch(cloudwatch, settings.application, SystemClock()) if settings.metrics else None,
    )


def connection_to(endpoint: str | None, region: str | None) -> Connection:
    """A connection; to a server that is not Amazon's, with any credentials if the environment has none."""
    host = urlsplit(endpoint or os.environ.get("AWS_ENDPOINT_URL") or "").hostname
    ours = host is not None and not host.endswith((".amazonaws.com", ".amazonaws.com.cn"))
    if ours and not any(name in os.environ for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE")):
        return Connection(endpoint=endpoint, region=region, access_key_id="test", secret_access_key="test")  # noqa: S106
    return Connection(endpoint=endpoint, region=region)


def _settings(path: str) -> Settings:
    try:
        settings = settings_of(parse(Path(path).read_text(encoding="utf-8", errors="replace")))
    except OSError as error:
        raise CommandError(f"--properties: {path} cannot be read: {error.strerror}") from None
    except BadProperties as error:
        raise CommandError(f"{path}: {error}") from None
    if settings.unknown:
        complain(f"{path}: not known, and passed over: {', '.join(settings.unknown)}")
    return settings
