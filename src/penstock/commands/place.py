"""Where the server is, a client of it, and what to say when it cannot be used.

Theory.  A server is found as people expect: the one they name, else the one whose data directory they name, else what the environment
names for every AWS SDK, else the one that runs on ./penstock-data, else the default port.  `--endpoint aws` is AWS itself.
Rule of this file: the client makes each call once; whoever calls decides what may be repeated.
"""

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar, cast
from urllib.parse import urlsplit

import botocore.session
import click
import msgspec
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.httpsession import URLLib3Session

from penstock.clients.calls import CALL_ERRORS, NOBODY_THERE, Fate, Patience, error_code, error_text, fate_of
from penstock.core.settings import ENV_PREFIX

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient

AWS: Final = "aws"  # as an endpoint: Amazon's own
ENDPOINT_DEFAULT: Final = "http://127.0.0.1:4566"
ENDPOINT_FILE: Final = "endpoint.json"  # in the data directory of a running server
DATA_DIR_DEFAULT: Final = "./penstock-data"
REGION_DEFAULT: Final = "us-east-1"
ENDPOINT_VARIABLES: Final = ("AWS_ENDPOINT_URL_KINESIS", "AWS_ENDPOINT_URL")  # as the SDKs read them
CONNECT_MAX_S: Final = 5
READ_MAX_S: Final = 20
NAMES_SHOWN: Final = 10

pause: Final = threading.Event().wait  # never set: only its timeout ends it

Answer = TypeVar("Answer")


class CommandError(click.ClickException):
    """A verb cannot begin; the text is the one line to show."""


@dataclass(frozen=True, slots=True)
class Where:
    """The options that every verb takes; None: not said."""

    endpoint: str | None = None
    data_dir: str | None = None
    region: str | None = None
    account: str | None = None  # 12 digits


class Place(NamedTuple):
    """The server that was meant."""

    endpoint: str  # a URL, or AWS
    region: str | None  # where the server's own file tells one


class _EndpointFile(msgspec.Struct):
    http: str
    region: str


def find(where: Where, environment: "os._Environ[str] | dict[str, str]") -> Place:
    """The server that options and environment mean.  Raises CommandError where a data directory has none."""
    if where.endpoint is not None:
        return Place(where.endpoint, None)
    if where.data_dir is not None:
        found = _running_on(Path(where.data_dir))
        if found is None:
            raise CommandError(
                f"no server runs on {where.data_dir}: there is no {ENDPOINT_FILE};"
                f" start one with `penstock serve --data-dir {where.data_dir}`, or say --endpoint URL"
            )
        return found
    for name in ENDPOINT_VARIABLES:
        if environment.get(name):
            return Place(environment[name], None)
    data_dir = environment.get(ENV_PREFIX + "DATA_DIR", DATA_DIR_DEFAULT)
    return _running_on(Path(data_dir)) or Place(ENDPOINT_DEFAULT, None)


def _running_on(data_dir: Path) -> Place | None:
    try:
        file = msgspec.json.decode((data_dir / ENDPOINT_FILE).read_bytes(), type=_EndpointFile)
    except (OSError, msgspec.MsgspecError):
        return None
    return Place(file.http, file.region)


class Server:
    """One server as one caller sees it: its account and region."""

    client: "KinesisClient"

    def __init__(self, where: Where, connections: int = 10) -> None:
        place = find(where, os.environ)
        self.account = where.account
        try:
            session = botocore.session.Session()
            configured = os.environ.get("AWS_REGION") or session.get_config_variable("region")
            self.region = str(where.region or configured or place.region or REGION_DEFAULT)
            self._verify = session.get_config_variable("ca_bundle") or True
            self._session, self._place, self._connections = session, place, connections
            self.client = cast("KinesisClient", self.other("kinesis"))
        except (BotoCoreError, ValueError) as error:  # ValueError: what the endpoint says is no URL
            raise CommandError(str(error)) from None
        self.endpoint = self.client.meta.endpoint_url

    def other(self, service: str, patience_s: int = READ_MAX_S) -> Any:
        """A client of a service of the server's, that waits so long for an answer."""
        config = _config(self._connections, patience_s)
        return _connect(self._session, self._place.endpoint, service, self.region, self.account, config)

    def page(self, path: str) -> bytes | None:
        """One of Penstock's own pages, or None where there is no such page.  Raises what a call raises."""
        return self._send(AWSRequest("GET", self._url(path), headers={"Accept": "application/json"}))

    def post(self, path: str, document: object) -> bytes | None:
        """Ask one of Penstock's own pages to do something; as `page`."""
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        return self._send(AWSRequest("POST", self._url(path), headers=headers, data=msgspec.json.encode(document)))

    def _url(self, path: str) -> str:
        return self.endpoint.rstrip("/") + path

    def _send(self, request: AWSRequest) -> bytes | None:
        http = URLLib3Session(verify=self._verify, timeout=READ_MAX_S)
        try:
            answer = http.send(request.prepare())
        finally:
            http.close()
        return answer.content if answer.status_code == 200 else None

    def complaint(self, error: Exception, stream: str | None = None) -> CommandError:
        """What to say of a call that failed, and what to do about it."""
        if isinstance(error, NOBODY_THERE):
            return CommandError(
                f"no server answers at {self.endpoint}; start one with `penstock serve`, or say --endpoint URL"
            )
        if stream is not None and error_code(error) == "ResourceNotFoundException":
            return CommandError(self._no_such_stream(stream))
        if isinstance(error, ClientError) and error_code(error).isalpha():
            return CommandError(error_text(error))
        return CommandError(f"{self.endpoint} does not answer as Kinesis does: {' '.join(str(error).split())[:200]}")

    def _no_such_stream(self, stream: str) -> str:
        scope = f"{self.region} at {self.endpoint}"
        try:
            names = self.client.list_streams()["StreamNames"]
        except CALL_ERRORS:
            return f"there is no stream {stream} in {scope}"
        if not names:
            return (
                f"there is no stream {stream} in {scope}, nor any other;"
                f" make it: aws kinesis create-stream --stream-name {stream} --shard-count 1"
            )
        more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
        return f"there is no stream {stream} in {scope}; there is {', '.join(names[:NAMES_SHOWN])}{more}"


def _config(connections: int, patience_s: int) -> Config:
    options: dict[str, Any] = {"ignore_configured_endpoint_urls": True}  # `find` has read them; the stubs lack it
    return Config(
        connect_timeout=CONNECT_MAX_S,
        read_timeout=patience_s,
        max_pool_connections=connections,
        retries={"total_max_attempts": 1},
        **options,
    )


def _connect(
    session: botocore.session.Session, endpoint: str, service: str, region: str, account: str | None, config: Config
) -> Any:
    amazon = endpoint == AWS or (urlsplit(endpoint).hostname or "").endswith((".amazonaws.com", ".amazonaws.com.cn"))
    if amazon and account is not None:
        raise CommandError("--account names an account of Penstock's; at AWS the credentials do")
    key_id, secret, token = None, None, None  # of AWS: what botocore finds
    if not amazon:
        named = "AWS_ACCESS_KEY_ID" in os.environ and account is None
        key_id = os.environ["AWS_ACCESS_KEY_ID"] if named else account or "test"
        secret = os.environ.get("AWS_SECRET_ACCESS_KEY") or "test"
        token = os.environ.get("AWS_SESSION_TOKEN") if named else None
    return session.create_client(
        service,
        endpoint_url=None if endpoint == AWS else endpoint,
        region_name=region,
        aws_access_key_id=key_id,
        aws_secret_access_key=secret,
        aws_session_token=token,
        config=config,
    )


def patiently(call: Callable[[], Answer]) -> Answer:
    """Make a call that only reads, again and again while that may help.  Raises what it raised last."""
    patience = Patience()
    while True:
        try:
            return call()
        except CALL_ERRORS as error:
            lost = isinstance(error, NOBODY_THERE) or fate_of(error) is Fate.FAILED
            wait_s = None if lost else patience.wait_s()
            if wait_s is None:
                raise
            pause(wait_s)
