"""The settings table: one declaration gives a knob's command-line option, environment variable, penstock.toml key and help.

Theory.  A field of `Settings` is one knob; its metadata says what values it takes and what it is for.  A value comes from the
first place that has one: the command line, `PENSTOCK_<NAME>`, `penstock.toml`, the default.
Rules of this file:
  1. Pure: the caller reads the environment and the file.
  2. Every bad value is one line that names the place it came from, the value, and what would be accepted.
"""

import dataclasses
import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from penstock.core.knobs import Knob, choice, file, flag, integer, knob, seconds, shown, size
from penstock.core.lakehouse import catalog_properties
from penstock.core.limits import (
    BODIES_MAX_BYTES,
    CONNECTIONS_MAX,
    DOCUMENT_DEPTH_MAX,
    HEAD_MAX_BYTES,
    HEADERS_MAX,
    HTTP2_STREAMS_MAX,
    KIB,
    METRIC_SERIES_MAX,
    MIB,
    ON_DEMAND_STREAMS_MAX,
    REQUEST_BODY_MAX_BYTES,
    SHARDS_MAX,
)

ENV_PREFIX: Final = "PENSTOCK_"
TOML_FILE: Final = "penstock.toml"
PORT_MAX: Final = 65535
BODIES_PER_ROOM: Final = 4  # the largest bodies that must find room together


class SettingError(Exception):
    """A setting that cannot be used; its text is the one line to show."""


def _parse_account(text: str) -> str:
    if not re.fullmatch(r"[0-9]{12}", text):
        raise ValueError
    return text


def _parse_host(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9.:-]+", text):
        raise ValueError
    return text


def _parse_text(text: str) -> str:
    if not text or "\0" in text:
        raise ValueError
    return text


def _parse_path(text: str) -> str:
    if "\0" in text:
        raise ValueError
    return text


def _parse_endpoint(text: str) -> str:
    if text and not re.fullmatch(r"https?://[A-Za-z0-9.:\[\]-]+/?", text):
        raise ValueError
    return text


def _parse_buckets(text: str) -> str:
    if text and not re.fullmatch(r"s3:|file:///[^\0]*", text):
        raise ValueError
    return text


def _parse_search_endpoint(text: str) -> str:
    if text and not re.fullmatch(r"https?://[!-~]+", text):
        raise ValueError
    return text


def _parse_catalog(text: str) -> str:
    catalog_properties(text, "")
    return text


def _parse_functions(text: str) -> str:
    mode, url = functions_mode(text)
    if mode not in ("", "process", "sandbox", "off", "endpoint") or bool(url) != (mode == "endpoint"):
        raise ValueError
    return text


def functions_mode(text: str) -> tuple[str, str]:
    """What a value of `functions` says: the mode, and the URL of an endpoint.  Raises ValueError."""
    mode, _, url = text.replace("endpoint:", "endpoint ", 1).partition(" ")
    return mode, _parse_endpoint(url.strip())


def _parse_issuers(text: str) -> str:
    issuer_sources(text)
    return text


def issuer_sources(text: str) -> dict[str, str]:
    """Where the keys of each issuer are, of a value of oidc_issuer.  Raises ValueError."""
    found: dict[str, str] = {}
    for row in text.split(",") if text else ():
        issuer, equals, source = row.strip().partition("=")
        if not re.fullmatch(r"https://[!-~]+", issuer) or not equals or not source or "\0" in source:
            raise ValueError
        if source.startswith("http://") and not is_loopback(urlsplit(source).hostname or ""):
            raise ValueError  # whoever sits between could choose the keys
        found[issuer] = source
    return found


def _parse_region(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9-]{1,32}", text):
        raise ValueError
    return text


@dataclass(frozen=True, slots=True)
class Settings:
    """Every knob of the server.  The defaults are those of a developer's machine."""

    host: str = knob(
        "127.0.0.1",
        "Address to listen on. Anything but loopback needs --insecure.",
        _parse_host,
        "an address",
        "ADDRESS",
    )
    port: int = integer(4566, 0, PORT_MAX, "Port for HTTP/1.1 and cleartext HTTP/2; 0 takes any free one.", "PORT")
    tls_port: int = integer(4567, 0, PORT_MAX, "Port for TLS; 0 takes any free one.", "PORT")
    no_tls: bool = flag("Do not listen for TLS at all.")
    tls_cert: str = file("Certificate chain in PEM, instead of one from the local authority; needs --tls-key.")
    tls_key: str = file("Private key of --tls-cert, in PEM without a passphrase.")
    tls_client_ca: str = file("Authorities in PEM; clients over TLS must show a certificate that one of them signed.")
    data_dir: str = knob(
        "./penstock-data", "Directory for data, certificates and endpoint.json.", _parse_text, "a directory", "DIR"
    )
    engine: Literal["memory", "local"] = choice(
        "memory",
        "local",
        default="local",
        doc="Where records live. local: on disk, durable before they are acknowledged; memory: nothing survives a restart.",
    )
    journal_file: int = size("32M", 1 << 20, 1 << 30, "Size of one journal file; full ones are settled into segments.")
    segment: int = size(
        "1G",
        1 << 20,
        1 << 30,
        "Largest size of one segment; what a journal file holds of a stream is cut into as many.",
    )
    cache: int = size("64M", 0, 1 << 40, "Memory for records that were written or read last.")
    commit_wait_ms: int = integer(0, 0, 1000, "How long a commit waits for more records to join it.", "MS")
    max_disk: int = size("0", 0, 1 << 60, "Refuse writes when the engine's files hold more; 0: as much as the disk.")
    buckets: str = knob(
        "",
        "Where users' objects are, such as what Firehose delivers: file:///DIR or s3:; empty: buckets in the data directory.",
        _parse_buckets,
        "file:///DIR or s3:",
        "file:///DIR|s3:",
    )
    s3_endpoint: str = knob(
        "",
        "What --buckets s3: speaks with, if not AWS; region and credentials come from AWS's environment variables or the machine's role.",
        _parse_endpoint,
        "an http or https URL",
        "URL",
    )
    lease_memory: int = size(
        "256M", 1 << 20, 1 << 40, "What the items of all lease tables may take; writes that add to more are refused."
    )
    limits: Literal["aws", "off"] = choice(
        "aws", "off", default="off", doc="aws: enforce AWS's quotas of shards and of control-plane calls; off: do not."
    )
    shard_write: int = size(
        "0", 0, 1 << 40, "Bytes a second that each shard takes, whatever --limits says; 0: as it says."
    )
    shard_write_records: int = integer(
        0, 0, 10**9, "Records a second that each shard takes, whatever --limits says; 0: as it says."
    )
    shard_read: int = size(
        "0", 0, 1 << 40, "Bytes a second that GetRecords gives of each shard, whatever --limits says; 0: as it says."
    )
    shard_read_calls: int = integer(
        0, 0, 10**9, "GetRecords calls a second on each shard, whatever --limits says; 0: as it says."
    )
    account_shards: int = integer(SHARDS_MAX, 1, 10**6, "Open shards that an account may have in a region.")
    account_on_demand_streams: int = integer(
        ON_DEMAND_STREAMS_MAX, 0, 10**6, "Streams in ON_DEMAND mode that an account may have in a region."
    )
    metric_series: int = integer(
        METRIC_SERIES_MAX,
        1,
        10**6,
        "CloudWatch metrics that are kept; those without data for 3 hours make room for new ones.",
    )
    auth: Literal["open", "enforced"] = choice(
        "open", "enforced", doc="open: any well-formed credentials; a 12-digit access key id names the account."
    )
    account_id: str = knob(
        "123456789012", "Account of access keys that do not name one.", _parse_account, "12 digits", "ID"
    )
    master_key_file: str = knob(
        "",
        "File of the key that seals secrets, made when it is needed; empty: master.key in the data directory.",
        _parse_path,
        "a file",
        "FILE",
    )
    kms_endpoint: str = knob(
        "",
        "An external KMS whose keys streams are encrypted with, AWS's or a compatible one; empty: the server's own.",
        _parse_endpoint,
        "an http or https URL",
        "URL",
    )
    oidc_issuer: str = knob(
        "",
        "OpenID Connect issuers whose tokens AssumeRoleWithWebIdentity takes, and where their keys (JWKS) are; several with commas.",
        _parse_issuers,
        "an issuer's https URL, =, and a file or URL of its keys",
        "URL=KEYS",
    )
    oidc_audience: str = knob(
        "sts.amazonaws.com", "Audiences of such tokens; several with commas.", _parse_text, "a text", "TEXT"
    )
    delivery_ca: str = file(
        "Authorities in PEM that destinations of delivery streams are trusted by, beside the system's."
    )
    iceberg_catalog: str = knob(
        "",
        "Catalog of the Iceberg tables that are delivered to; empty: one of SQLite, iceberg.db in the data directory.",
        _parse_catalog,
        "sql+URI of a database, rest+URL or glue+URL",
        "KIND+URL",
    )
    search_endpoint: str = knob(
        "",
        "Where OpenSearch domains are that delivery streams name by ARN; may hold user:password@.",
        _parse_search_endpoint,
        "an http or https URL",
        "URL",
    )
    search_signing: Literal["off", "aws"] = choice(
        "off",
        "aws",
        doc="aws: sign deliveries to OpenSearch with AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN.",
    )
    functions: str = knob(
        "",
        "How Lambda functions run, and what they are kept from; empty: process with --auth open, off with --auth enforced.",
        _parse_functions,
        "process, sandbox, off, or endpoint and an http or https URL",
        "process|sandbox|off|endpoint:URL",
    )
    function_concurrency: int = integer(
        1000, 1, 100_000, "Invocations of functions that an account may have under way in a region."
    )
    region: str = knob(
        "us-east-1", "Region shown in the start-up hints; requests name their own.", _parse_region, "a region", "REGION"
    )
    transition_ms: int = integer(0, 0, 600_000, "How long CREATING, UPDATING and DELETING last.", "MS")
    testing: bool = flag("Serve /_penstock/reset, /clock and /faults (and /moto-api/reset).")
    insecure: bool = flag("Allow an address beyond loopback although requests are not verified.")
    audit_log: str = file(
        "Append a line of JSON for each control-plane call and each refused identity, as CloudTrail's."
    )
    audit_data: bool = flag("Write data-plane calls to the audit log too.")
    workers: int = integer(
        0,
        0,
        64,
        "Processes that speak HTTP and TLS with clients, beside the one that owns the data; 0: all in one process.",
    )
    max_connections: int = integer(CONNECTIONS_MAX, 1, 1_000_000, "Connections at once; one more is answered 503.")
    max_head: int = size(shown(HEAD_MAX_BYTES), 4 * KIB, MIB, "A request's line and headers.")
    max_headers: int = integer(HEADERS_MAX, 20, 1000, "Headers of one request, over HTTP/1.1.")
    max_body: int = size(
        shown(REQUEST_BODY_MAX_BYTES), REQUEST_BODY_MAX_BYTES, 256 * MIB, "A request's body, packed or unpacked."
    )
    max_bodies: int = size(
        shown(BODIES_MAX_BYTES),
        4 * REQUEST_BODY_MAX_BYTES,
        1 << 40,
        "Bodies over 64K that are read or answered at once.",
    )
    max_depth: int = integer(DOCUMENT_DEPTH_MAX, 16, 400, "How deep JSON and CBOR may nest.")
    max_http2_streams: int = integer(HTTP2_STREAMS_MAX, 1, 10_000, "Streams at once of one HTTP/2 connection.")
    client_head_s: int = seconds(30, "Seconds from the first byte of a request's head to its last.")
    client_body_s: int = seconds(30, "Seconds for a request's body, and another for each --client-body-rate that came.")
    client_body_rate: int = size("16K", 1, 1 << 30, "Bytes of a body that earn a second more.")
    client_idle_s: int = seconds(120, "Seconds that a connection may wait between requests.")
    client_stall_s: int = seconds(360, "Seconds that a client may take no byte of its answer.")
    client_handshake_s: int = seconds(10, "Seconds for the handshake of TLS.")
    http2_idle_s: int = seconds(600, "Seconds without a byte on an HTTP/2 connection with no request under way.")
    stop_ms: int = integer(1200, 0, 600_000, "How long requests under way may take when the server stops.", "MS")
    log_level: Literal["debug", "info", "warning", "error"] = choice(
        "debug", "info", "warning", "error", default="info", doc="Least severe level that is logged."
    )


def knobs() -> dict[str, tuple[Knob, object]]:
    """Each knob by field name, with its default, in the order of declaration."""
    return {f.name: (f.metadata["knob"], f.default) for f in dataclasses.fields(Settings)}


def load(options: Mapping[str, str], environment: Mapping[str, str], toml_text: str | None) -> Settings:
    """Settle every knob from the command line's `options` (by field name), the environment and the text of penstock.toml.

    Raises SettingError with one line for the first value that cannot be used, or key that does not exist.
    """
    file = _toml_values(toml_text)
    values: dict[str, Any] = {}
    places: dict[str, str] = {}
    for name, (known, default) in knobs().items():
        option, variable = "--" + name.replace("_", "-"), ENV_PREFIX + name.upper()
        for place, source, key in (
            (option, options, name),
            (variable, environment, variable),
            (f"{TOML_FILE}: {name}", file, name),
        ):
            if key in source:
                values[name] = _parse(name, known, source[key], place)
                places[name] = place
                break
        else:
            values[name] = default
    return _checked(Settings(**values), places)


def exposure(host: str, auth: str, *, tls: bool) -> str | None:
    """Why an address must not be listened on unless the user says --insecure, as the rest of a sentence; None if it may be."""
    if is_loopback(host):
        return None
    if auth == "open":
        return f"--auth {auth} lets anyone in who reaches it; listen on 127.0.0.1, or say --insecure to accept that"
    if not tls:
        return (
            "plain HTTP shows everything to whoever is in between; leave out --no-tls, or say --insecure to accept that"
        )
    return None


def plain_host(settings: Settings) -> str:
    """Where plain HTTP is listened for: beyond loopback only if the user said --insecure, TLS being there for the others."""
    return settings.host if is_loopback(settings.host) or settings.insecure else "127.0.0.1"


def is_loopback(host: str) -> bool:
    """Whether an address can only be reached from this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _parse(name: str, known: Knob, text: str, place: str) -> Any:
    try:
        return known.parse(text)
    except (ValueError, KeyError):
        raise SettingError(f"{place}: {text[:80]!r} must be {known.accepts}") from None


def _toml_values(text: str | None) -> dict[str, str]:
    if text is None:
        return {}
    import tomllib

    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # the parser gives up on some texts in its own ways
        raise SettingError(f"{TOML_FILE}: {error}") from None
    known = knobs()
    values: dict[str, str] = {}
    for key, value in document.items():
        name = key.replace("-", "_")
        if name not in known:
            raise SettingError(f"{TOML_FILE}: unknown key {key!r}; known are {', '.join(known)}")
        if not isinstance(value, str | int):
            raise SettingError(f"{TOML_FILE}: {key}: {str(value)[:80]!r}: {key} must be {known[name][0].accepts}")
        values[name] = str(value).lower() if isinstance(value, bool) else str(value)
    return values


def _checked(settings: Settings, places: Mapping[str, str]) -> Settings:
    """Refuse combinations that would expose the machine or cannot start; `places` tells where a value came from."""
    if not settings.insecure and (why := exposure(settings.host, settings.auth, tls=not settings.no_tls)):
        raise SettingError(f"{places['host']}: {settings.host} is reachable from other machines, and {why}")
    if bool(settings.tls_cert) != bool(settings.tls_key):
        given = "tls_cert" if settings.tls_cert else "tls_key"
        raise SettingError(f"{places[given]}: --tls-cert and --tls-key go together")
    for name in ("tls_cert", "tls_client_ca"):
        if settings.no_tls and name in places:
            raise SettingError(f"{places[name]}: there is no TLS with --no-tls")
    if settings.s3_endpoint and settings.buckets != "s3:":
        raise SettingError(f"{places['s3_endpoint']}: needs --buckets s3:")
    if settings.audit_data and not settings.audit_log:
        raise SettingError(f"{places['audit_data']}: there is no audit log without --audit-log")
    if settings.max_bodies < BODIES_PER_ROOM * settings.max_body:
        raise SettingError(
            f"{places.get('max_bodies', places.get('max_body'))}: --max-bodies must be at least {BODIES_PER_ROOM} times --max-body"
        )
    if not settings.no_tls and settings.port == settings.tls_port != 0:
        raise SettingError(f"--port and --tls-port are both {settings.port}; choose two, or say --no-tls")
    return settings
