"""Full disks under delivery: the destination's, the log's, and one that both are on.  Nothing acknowledged is lost, and nothing is stuck.

The disks are small ones of our own where this process may mount them; elsewhere they are counted.  Both say ENOSPC.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from deliveries import Lake, create, lines, pause, settle, status
from disks import Counted
from test_full_disk import SIZE_BYTES, mounted

from penstock.engines.local.partfile import Part
from penstock.testing import PenstockServer

LOGGING: Final = {"Enabled": True, "LogGroupName": "/aws/kinesisfirehose/orders", "LogStreamName": "S3Delivery"}
RECORD_BYTES: Final = 2000
BATCH: Final = 250
PATIENCE: Final = 1200  # turns of a twentieth of a second each
LONGEST_WAIT_S: Final = 140  # between two attempts


class Disk:
    """A folder on a disk that can be filled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fill(self) -> None:
        """Take all that is free."""
        with (self.folder / "filler").open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(4096))

    def free(self) -> None:
        """Give it back."""
        (self.folder / "filler").unlink()


class CountedDisk(Disk):
    """One that is no disk of its own: whoever writes is asked to count."""

    full = False

    def fill(self) -> None:
        self.full = True

    def free(self) -> None:
        self.full = False

    def check(self) -> None:
        if self.full:
            raise OSError(28, "No space left on device")


@contextmanager
def disks(root: Path, kind: str, *, one: bool, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Disk, Disk]]:
    """The log's, and the destination's."""
    with ExitStack() as stack:
        names = ("both",) if one else ("log", "destination")
        mounts = [stack.enter_context(mounted(root / name)) for name in names]
        real = all(mounts) and kind == "mounted"
        found = [(Disk if real else CountedDisk)(root / name) for name in names]
        for disk in found:
            if isinstance(disk, CountedDisk):
                count(disk, monkeypatch)
        yield found[0], found[-1]


def count(disk: CountedDisk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have what writes to a folder ask whether there is space."""
    finish, check = Part.finish, Counted._check

    def finish_if(self: Part, *pieces: bytes) -> None:
        if self.path.is_relative_to(disk.folder):
            disk.check()
        finish(self, *pieces)

    def check_if(self: Counted, more_bytes: int) -> None:
        self.taken_bytes = SIZE_BYTES if disk.full and self._folder.is_relative_to(disk.folder) else 0
        check(self, more_bytes)

    monkeypatch.setattr(Part, "finish", finish_if)
    monkeypatch.setattr(Counted, "_check", check_if)
    monkeypatch.setattr("penstock.engine.SystemDisk", lambda root: Counted(root, SIZE_BYTES))


class Producer:
    """Puts numbered lines, and knows which were acknowledged."""

    def __init__(self, server: PenstockServer) -> None:
        self.client = server.client("firehose", config=Config(retries={"total_max_attempts": 1}))
        self.acked: set[int] = set()
        self.next = 0

    def put(self) -> set[tuple[str, str]]:
        """Put a batch; what its records were refused with."""
        numbers = range(self.next, self.next + BATCH)
        self.next += BATCH
        records = [{"Data": b"%08d %s\n" % (number, b"x" * (RECORD_BYTES - 10))} for number in numbers]
        answer = self.client.put_record_batch(DeliveryStreamName="orders", Records=records)
        results = answer["RequestResponses"]
        assert answer["FailedPutCount"] == sum("ErrorCode" in result for result in results)
        self.acked |= {number for number, result in zip(numbers, results, strict=True) if "RecordId" in result}
        return {(result["ErrorCode"], result["ErrorMessage"]) for result in results if "ErrorCode" in result}

    def put_one(self) -> str | None:
        """Put a record; the code and status that it was refused with."""
        self.next += 1
        line = b"%08d %s\n" % (self.next - 1, b"x" * (RECORD_BYTES - 10))
        try:
            self.client.put_record(DeliveryStreamName="orders", Record={"Data": line})
        except ClientError as error:
            return f"{error.response['Error']['Code']} {error.response['ResponseMetadata']['HTTPStatusCode']}"
        self.acked.add(self.next - 1)
        return None


def begun(log: Disk, destination: Disk) -> PenstockServer:
    return PenstockServer(
        engine="local",
        data_dir=log.folder / "data",
        buckets=f"file://{destination.folder}/buckets",
        journal_file=2 << 20,
        segment=4 << 20,
    )


def until(done: Callable[[], object], step: Callable[[], object] = lambda: None) -> None:
    """Return when it is done."""
    for _ in range(PATIENCE):
        if done():
            return
        step()
        pause(0.05)
    raise AssertionError("it never came to pass")


def numbers(lake: Lake) -> list[int]:
    """What was delivered, as often as it was; every line is whole."""
    found = list(lines(lake.bodies()))
    assert all(len(line) == RECORD_BYTES - 1 for line in found)
    return sorted(int(line[:8]) for line in found)


def unaccounted(server: PenstockServer) -> int:
    lanes = status(server)["progress"]["lanes"]
    return sum(lane["unread_records"] + lane["unaccounted_records"] for lane in lanes)


@pytest.fixture(params=["mounted", "counted"])
def kind(request: pytest.FixtureRequest) -> Any:
    return request.param


def test_destination_when_its_disk_is_full_then_records_wait_that_is_told_and_all_are_delivered_once(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        disks(tmp_path, kind, one=False, monkeypatch=monkeypatch) as (log, destination),
        begun(log, destination) as server,
    ):
        lake = Lake(destination.folder / "buckets")
        create(server, CloudWatchLoggingOptions=LOGGING)
        producer = Producer(server)
        destination.fill()
        assert producer.put() == set(), "the log's disk has space"
        settle(server)
        until(lambda: status(server)["progress"]["errors"])
        assert producer.put() == set()
        settle(server, seconds=LONGEST_WAIT_S)
        assert numbers(lake) == []
        assert unaccounted(server) == len(producer.acked)
        told = server.client("logs").get_log_events(logGroupName=LOGGING["LogGroupName"], logStreamName="S3Delivery")
        assert all("S3.InternalError" in event["message"] for event in told["events"])
        assert any("No space left on device" in event["message"] for event in told["events"])
        until(lambda: success(server) == 0, lambda: server.clock.advance(seconds=10))
        destination.free()
        until(
            lambda: set(numbers(lake)) == producer.acked and not unaccounted(server),
            lambda: server.clock.advance(seconds=10),
        )
        assert numbers(lake) == sorted(producer.acked), "each is there once"


def success(server: PenstockServer) -> float | None:
    """The lowest DeliveryToS3.Success; None if it is not told yet."""
    told = server.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/Firehose",
        MetricName="DeliveryToS3.Success",
        Dimensions=[{"Name": "DeliveryStreamName", "Value": "orders"}],
        StartTime=server.clock.now_ms / 1000 - 7200,
        EndTime=server.clock.now_ms / 1000 + 60,
        Period=60,
        Statistics=["Minimum"],
    )
    return min((point["Minimum"] for point in told["Datapoints"]), default=None)


@pytest.mark.parametrize("one", [False, True], ids=["log", "both"])
def test_log_when_its_disk_is_full_then_puts_are_refused_as_on_aws_and_what_was_taken_is_delivered(
    one: bool, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with disks(tmp_path, kind, one=one, monkeypatch=monkeypatch) as (log, destination):
        lake = Lake(destination.folder / "buckets")
        with begun(log, destination) as server:
            create(server)
            producer = Producer(server)
            assert producer.put() == set()
            log.fill()
            refused = set[tuple[str, str]]()
            until(lambda: refused, lambda: refused.update(producer.put()))
            assert {code for code, _ in refused} <= {"InternalFailure", "ServiceUnavailableException"}
            until(lambda: producer.put_one() in ("InternalFailure 500", "ServiceUnavailableException 503"))
            settle(server)
            if one:
                until(lambda: status(server)["progress"]["errors"])
            else:
                until(lambda: set(numbers(lake)) >= producer.acked, lambda: server.clock.advance(seconds=1))
            log.free()
            until(lambda: not producer.put(), lambda: server.clock.advance(seconds=1))
            until(
                lambda: set(numbers(lake)) >= producer.acked and not unaccounted(server),
                lambda: server.clock.advance(seconds=10),
            )
            assert set(numbers(lake)) == producer.acked, "nothing that was refused is there"
        with begun(log, destination) as server:
            before = numbers(lake)
            until(lambda: status(server)["progress"])
            assert unaccounted(server) == 0
            assert Producer(server).put() == set()
            settle(server)
            until(lambda: len(numbers(lake)) == len(before) + BATCH)


def test_server_when_it_is_stopped_while_its_disk_is_full_then_it_stops_in_order_and_delivers_after_the_next_start(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with disks(tmp_path, kind, one=True, monkeypatch=monkeypatch) as (log, destination):
        lake = Lake(destination.folder / "buckets")
        with begun(log, destination) as server:
            create(server, CloudWatchLoggingOptions=LOGGING)
            producer = Producer(server)
            assert producer.put() == set()
            log.fill()
            until(producer.put)
            settle(server)
            until(lambda: status(server)["progress"]["errors"])
        assert numbers(lake) == []
        log.free()
        with begun(log, destination) as server:
            until(lambda: set(numbers(lake)) == producer.acked, lambda: server.clock.advance(seconds=10))
