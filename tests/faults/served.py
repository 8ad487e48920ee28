"""A server of one's own: the real command, on a free port, killed at the end."""

import json
import subprocess
import sys
from collections.abc import Iterator
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

    def client(self) -> "KinesisClient":
        config = Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=20)
        client: KinesisClient = boto3.client(
            "kinesis", endpoint_url=self.url, region_name="us-east-1", config=config,
            aws_access_key_id="test", aws_secret_access_key="test",
        )  # fmt: skip
        return client


@contextmanager
def server(directory: Path) -> Iterator[Server]:
    """A server that is killed at the end, if not before."""
    told = directory / "endpoint.json"
    told.unlink(missing_ok=True)
    command = [sys.executable, "-m", "penstock", "serve", "--port", "0", "--no-tls", "--data-dir", str(directory)]
    command += ["--transition-ms", "0", "--journal-file", str(2 << 20)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=directory.parent)
    try:
        assert process.stdout is not None
        while b"is ready" not in (said := process.stdout.readline()):
            assert said or process.poll() is None, process.communicate()[1].decode()
        yield Server(process, json.loads(told.read_text())["http"])
    finally:
        process.kill()
        process.communicate()
