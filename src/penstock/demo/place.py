"""Where the demo takes place: a server, a client of it, and a stream for the time being."""

import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import boto3
import click
import msgspec
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from penstock.app import ENDPOINT_FILE, Endpoint
from penstock.clients.calls import CALL_ERRORS, NOBODY_THERE, THROTTLING_CODES, error_code, error_text
from penstock.demo.options import DemoError
from penstock.host.clock import monotonic_s
from penstock.host.entropy import SystemEntropy

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient

START_MAX_S: Final = 30.0
ACTIVE_MAX_S: Final = 60.0
STOP_MAX_S: Final = 5.0
POLL_S: Final = 0.05
REGION_DEFAULT: Final = "us-east-1"

_pause: Final = threading.Event().wait  # never set: only its timeout ends it


@contextmanager
def own_server(buckets: Path) -> Iterator[str]:
    """A server of our own in a child process, its data in a temporary directory but for its buckets; gives its endpoint.

    Raises DemoError with what the server complained of, if it does not start.
    """
    with tempfile.TemporaryDirectory(prefix="penstock-demo-") as directory:
        log = Path(directory) / "log"
        arguments = ["--host", "127.0.0.1", "--port", "0", "--no-tls", "--data-dir", directory]
        arguments += ["--buckets", buckets.absolute().as_uri()]
        with log.open("wb") as sink:
            child = subprocess.Popen(  # noqa: S603
                [sys.executable, "-m", "penstock.demo.server", *arguments],
                stdin=subprocess.PIPE,  # its end is ours
                stdout=subprocess.DEVNULL,
                stderr=sink,
                start_new_session=True,  # the terminal's Ctrl-C is for us; the server has to outlive the feeding
            )
        try:
            yield _await_endpoint(child, Path(directory) / ENDPOINT_FILE, log)
        finally:
            assert child.stdin is not None
            child.stdin.close()
            try:
                child.wait(STOP_MAX_S)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


def _await_endpoint(child: "subprocess.Popen[bytes]", file: Path, log: Path) -> str:
    until_s = monotonic_s() + START_MAX_S
    while monotonic_s() < until_s:
        if child.poll() is not None:
            lines = log.read_text(errors="replace").split("\n")
            last = next((line for line in reversed(lines) if line), f"exit code {child.returncode}")
            raise DemoError(f"no server could be started: {last.removeprefix('penstock: ')}")
        try:
            return msgspec.json.decode(file.read_bytes(), type=Endpoint).http
        except FileNotFoundError:  # not there yet
            _pause(POLL_S)
    raise DemoError(f"no server could be started: it was not ready within {START_MAX_S:.0f} s")


def connect(endpoint: str, connections: int, *, ours: bool) -> "KinesisClient":
    """A client for so many threads, which makes each call once only: whoever calls decides what may be repeated.

    Credentials are the environment's AWS_ACCESS_KEY_ID and its companions, or else `test`; for `our` server always `test`.
    """
    environment = {} if ours else os.environ
    config = Config(
        connect_timeout=5,
        read_timeout=20,
        max_pool_connections=connections,
        retries={"total_max_attempts": 1},
        proxies={} if ours else None,
    )
    try:
        session = boto3.Session()
        return session.client(
            "kinesis",
            endpoint_url=endpoint,
            region_name=session.region_name or REGION_DEFAULT,
            aws_access_key_id=environment.get("AWS_ACCESS_KEY_ID", "test"),
            aws_secret_access_key=environment.get("AWS_SECRET_ACCESS_KEY", "test"),
            aws_session_token=environment.get("AWS_SESSION_TOKEN"),
            config=config,
        )
    except (BotoCoreError, ValueError) as error:  # ValueError: what the endpoint says is no URL
        raise DemoError(str(error)) from None


def new_name() -> str:
    """A name for a stream that nobody else has."""
    return f"penstock-demo-{SystemEntropy().bytes(4).hex()}"


@contextmanager
def own_stream(client: "KinesisClient", name: str, shards: int) -> Iterator[list[str]]:
    """Make a stream; give its shards' ids, and delete it afterwards.

    Raises DemoError if there is no such server, or the stream exists, or cannot be made.
    """
    try:
        client.create_stream(StreamName=name, ShardCount=shards)
    except CALL_ERRORS as error:
        raise DemoError(_why_no_stream(client, name, error)) from None
    try:
        yield _await_active(client, name)
    finally:
        try:
            client.delete_stream(StreamName=name, EnforceConsumerDeletion=True)
        except CALL_ERRORS as error:
            if error_code(error) != "ResourceNotFoundException":
                click.echo(f"penstock: stream {name} was not deleted: {error_text(error)}", err=True)


def _why_no_stream(client: "KinesisClient", name: str, error: Exception) -> str:
    endpoint = client.meta.endpoint_url
    if isinstance(error, NOBODY_THERE):
        return (
            f"no server answers at {endpoint}; start one with `penstock serve`, or give no endpoint (unset AWS_ENDPOINT_URL) "
            "and the demo starts its own"
        )
    if error_code(error) == "ResourceInUseException":
        return f"stream {name} exists already; the demo makes, and deletes, one of its own: choose another --stream"
    if error_code(error).isalpha():
        return f"cannot create stream {name}: {error_text(error)}"
    status = error.response["ResponseMetadata"]["HTTPStatusCode"] if isinstance(error, ClientError) else None
    answer = (
        " ".join(str(error).split())[:200] if status is None else f"HTTP status {status} and no error that it knows"
    )
    return f"{endpoint} does not answer as Kinesis does: {answer}"


def _await_active(client: "KinesisClient", name: str) -> list[str]:
    """The ids of a stream's shards, once it is ACTIVE."""
    until_s = monotonic_s() + ACTIVE_MAX_S
    while monotonic_s() < until_s:
        try:
            summary = client.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]
            if summary["StreamStatus"] == "ACTIVE":
                return [shard["ShardId"] for shard in client.list_shards(StreamName=name)["Shards"]]
        except CALL_ERRORS as error:
            if error_code(error) not in THROTTLING_CODES:
                raise DemoError(f"cannot create stream {name}: {error_text(error)}") from None
        _pause(POLL_S)
    raise DemoError(f"stream {name} was not active within {ACTIVE_MAX_S:.0f} s")
