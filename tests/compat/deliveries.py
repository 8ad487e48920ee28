"""Delivery streams as the tests with real clients use them: made, fed, and what is in their bucket."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from penstock.testing import PenstockServer

ROLE: Final = "arn:aws:iam::123456789012:role/firehose"
BUCKET: Final = "arn:aws:s3:::lake"
DESTINATION: Final = "destinationId-000000000001"
WAIT_S: Final = 60  # longest that anything here may take
pause: Final = threading.Event().wait  # never set: only its timeout ends it


class Lake:
    """The bucket `lake` of a server, as files."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / "lake"

    def keys(self) -> list[str]:
        """Its objects' keys, sorted."""
        files = (path for path in self.folder.rglob("*") if path.is_file())
        return sorted(str(path.relative_to(self.folder)) for path in files)

    def bodies(self) -> dict[str, bytes]:
        """Its objects."""
        return {key: (self.folder / key).read_bytes() for key in self.keys()}

    def wait(self, done: Callable[[dict[str, bytes]], bool] = bool) -> dict[str, bytes]:
        """Its objects, as soon as they are what is waited for."""
        until_s = time.monotonic() + WAIT_S
        while not done(found := self.bodies()):
            assert time.monotonic() < until_s, f"not delivered: {sorted(found)}"
            pause(0.01)
        return found


def to_lake(**more: Any) -> dict[str, Any]:
    """An extended S3 destination that delivers a minute after the first record."""
    hints = {"SizeInMBs": 5, "IntervalInSeconds": 60}
    return {"RoleARN": ROLE, "BucketARN": BUCKET, "BufferingHints": hints, **more}


def create(server: PenstockServer, name: str = "orders", **more: Any) -> Any:
    """A client, and with it a delivery stream."""
    firehose = server.client("firehose")
    firehose.create_delivery_stream(DeliveryStreamName=name, ExtendedS3DestinationConfiguration=to_lake(**more))
    return firehose


def rows(*data: bytes) -> list[dict[str, bytes]]:
    """The records of a batch."""
    return [{"Data": one} for one in data]


def settle(server: PenstockServer, name: str = "orders", seconds: float = 61) -> None:
    """Let all that was put be read into buffers, and their intervals pass."""
    wait_read(server, name)
    server.clock.advance(seconds=seconds)


def wait_read(server: PenstockServer, name: str = "orders") -> None:
    """Return when all that was put was read."""
    until_s = time.monotonic() + WAIT_S
    while not is_read(told := status(server, name)):
        assert time.monotonic() < until_s, told
        pause(0.01)


def is_read(told: Mapping[str, Any]) -> bool:
    """Whether a delivery stream is at work and has read all there is."""
    progress = told["progress"]
    return (
        progress is not None
        and bool(progress["lanes"])
        and not any(lane["unread_records"] for lane in progress["lanes"])
    )


def status(server: PenstockServer, name: str = "orders") -> Mapping[str, Any]:
    """What `penstock firehose status` is told."""
    from urllib.request import urlopen

    import msgspec

    with urlopen(f"{server.endpoint_url}/_penstock/firehose?name={name}", timeout=WAIT_S) as answer:
        [told] = msgspec.json.decode(answer.read())["delivery_streams"]
    result: Mapping[str, Any] = told
    return result


def lines(bodies: Mapping[str, bytes]) -> Iterator[bytes]:
    """The lines of all objects."""
    for body in bodies.values():
        yield from body.splitlines()
