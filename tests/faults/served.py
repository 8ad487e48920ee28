"""A server of one's own: the real command, on free ports, killed at the end."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import boto3
from botocore.config import Config

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient


class Server(NamedTuple):
    """A server process."""

    process: "subprocess.Popen[bytes]"
    url: str
    tls_url: str | None  # with `tls` only
    ca: str | None  # the authority's certificate, a file in PEM

    def client(self) -> "KinesisClient":
        config = Config(retries={"total_max_attempts": 1}, connect_timeout=60, read_timeout=60)
        client: KinesisClient = boto3.client(
            "kinesis", endpoint_url=self.url, region_name="us-east-1", config=config,
            aws_access_key_id="test", aws_secret_access_key="test",
        )  # fmt: skip
        return client


@contextmanager
def server(
    directory: Path, *options: str, tls: bool = False, environment: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """A server that is killed at the end, if not before; what it logs is in a file beside its directory."""
    told = directory / "endpoint.json"
    told.unlink(missing_ok=True)
    command = [sys.executable, "-m", "penstock", "serve", "--port", "0", "--data-dir", str(directory)]
    command += ["--tls-port", "0"] if tls else ["--no-tls"]
    command += options or ("--transition-ms", "0", "--journal-file", str(2 << 20))
    log = directory.with_name(directory.name + ".stderr")
    with log.open("ab") as errors:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, cwd=directory.parent, env=environment
        )
    try:
        assert process.stdout is not None
        while b"is ready" not in (said := process.stdout.readline()):
            assert said or process.poll() is None, log.read_text()
        endpoint = json.loads(told.read_text())
        yield Server(process, endpoint["http"], endpoint["https"], endpoint["ca"])
    finally:
        process.kill()
        process.communicate()
