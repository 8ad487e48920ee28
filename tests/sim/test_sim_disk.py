"""The simulated disk keeps what was synced, and may lose everything else, in every way that a machine may."""

from collections.abc import Callable, Coroutine
from typing import Any, Final

import pytest

from penstock.core.ports import DiskFull
from penstock.host.sim.chance import Chance
from penstock.host.sim.disk import Crashed, Kind, SimDisk, SimFile
from penstock.host.sim.image import Image
from penstock.host.sim.loop import Halted, SimLoop

SECTOR: Final = 512
CRASHES: Final = 200


class Machine:
    """An image, and a disk that is opened on it."""

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self.image = Image(SECTOR)
        self.loop = SimLoop()
        self.disk = SimDisk(self.image, Chance(seed, "disk"))
        self.disk.on_crash = self.loop.halt

    def do(self, work: Callable[[SimDisk], Coroutine[Any, Any, None]]) -> None:
        """Work with the disk."""
        self.loop.run(work(self.disk))

    def crash(self) -> dict[str, bytes]:
        """Lose power; answer what is found."""
        self.image.crash(Chance(self.seed, "crash"))
        return {path: bytes(self.image.find(path).live) for path in self.image.files()}


async def made(disk: SimDisk, path: str, content: bytes) -> SimFile:
    """A durable file."""
    file = await disk.create(path)
    await file.commit(0, content)
    await disk.sync_folder("")
    return file


def after_crashes(work: Callable[[SimDisk], Coroutine[Any, Any, None]]) -> list[dict[str, bytes]]:
    """What many machines find that lost power behind some work."""
    found = []
    for seed in range(CRASHES):
        machine = Machine(seed)
        machine.do(work)
        found.append(machine.crash())
    return found


OLD: Final = b"a" * SECTOR * 2
NEW: Final = b"b" * SECTOR * 2


def test_commit_when_the_power_is_lost_then_it_is_there() -> None:
    async def work(disk: SimDisk) -> None:
        await made(disk, "f", OLD)

    assert after_crashes(work) == [{"f": OLD}] * CRASHES


def test_write_when_the_power_is_lost_then_each_sector_is_old_or_new() -> None:
    async def work(disk: SimDisk) -> None:
        file = await made(disk, "f", OLD)
        await file.write(0, NEW)
        assert await file.read(0, len(NEW)) == NEW

    halves = {(image["f"][:SECTOR][:1], image["f"][SECTOR:][:1]) for image in after_crashes(work)}
    assert halves == {(b"a", b"a"), (b"a", b"b"), (b"b", b"a"), (b"b", b"b")}


def test_write_when_it_makes_the_file_longer_then_the_length_may_be_lost() -> None:
    async def work(disk: SimDisk) -> None:
        file = await made(disk, "f", b"")
        await file.write(0, NEW)

    contents = {image["f"] for image in after_crashes(work)}
    assert {b"", NEW, bytes(len(NEW))} <= contents
    assert {len(content) for content in contents} == {0, len(NEW)}


def test_create_when_the_folder_is_not_synced_then_the_file_may_be_lost() -> None:
    async def work(disk: SimDisk) -> None:
        file = await disk.create("f")
        await file.commit(0, OLD)

    found = after_crashes(work)
    assert {} in found
    assert {"f": OLD} in found


def test_rename_when_the_folder_is_not_synced_then_the_file_has_one_of_its_names() -> None:
    async def work(disk: SimDisk) -> None:
        await made(disk, "f", OLD)
        await disk.rename("f", "g")
        await disk.rename("g", "h")

    found = after_crashes(work)
    assert all(len(image) == 1 for image in found)
    assert {next(iter(image)) for image in found} == {"f", "g", "h"}


def test_rename_when_it_replaces_a_file_then_one_of_the_two_is_there() -> None:
    async def work(disk: SimDisk) -> None:
        await made(disk, "f", OLD)
        await made(disk, "g", NEW)
        await disk.rename("g", "f")

    found = after_crashes(work)
    assert {image["f"] for image in found} == {OLD, NEW}


def test_remove_when_the_folder_is_synced_then_the_file_is_gone() -> None:
    async def work(disk: SimDisk) -> None:
        await made(disk, "f", OLD)
        await disk.remove("f")
        await disk.remove("f")
        await disk.sync_folder("")

    assert after_crashes(work) == [{}] * CRASHES


def test_create_when_the_file_exists_then_it_is_emptied_and_its_old_content_may_come_back() -> None:
    async def work(disk: SimDisk) -> None:
        await made(disk, "f", OLD)
        await disk.create("f", SECTOR)

    contents = {image["f"] for image in after_crashes(work)}
    assert OLD in contents
    assert bytes(SECTOR) in contents


def test_sync_when_it_fails_then_a_later_sync_does_not_save_what_it_lost() -> None:
    async def work(disk: SimDisk) -> None:
        file = await made(disk, "f", OLD)
        await file.write(0, NEW)
        disk.faults.fail(Kind.SYNC, 1)
        with pytest.raises(OSError, match="simulated"):
            await file.sync()
        await file.sync()

    contents = {image["f"] for image in after_crashes(work)}
    assert contents == {OLD, NEW}


def test_sync_when_it_failed_and_the_data_is_written_again_then_it_is_there() -> None:
    async def work(disk: SimDisk) -> None:
        file = await made(disk, "f", OLD)
        disk.faults.fail(Kind.SYNC, 1)
        with pytest.raises(OSError, match="simulated"):
            await file.commit(0, NEW)
        await file.commit(0, NEW)

    assert after_crashes(work) == [{"f": NEW}] * CRASHES


def test_fail_when_the_nth_operation_comes_then_that_one_alone_fails() -> None:
    async def work(disk: SimDisk) -> None:
        file = await made(disk, "f", OLD)
        disk.faults.fail(Kind.READ, 3)
        outcomes = []
        for _ in range(5):
            try:
                outcomes.append(await file.read(0, 1))
            except OSError:
                outcomes.append(b"-")
        assert outcomes == [b"a", b"a", b"-", b"a", b"a"]

    Machine().do(work)


def test_write_when_the_quota_is_reached_then_the_disk_is_full_until_it_is_lifted() -> None:
    async def work(disk: SimDisk) -> None:
        file = await made(disk, "f", OLD)
        disk.faults.quota_bytes = len(OLD) + 10
        assert await disk.free_bytes() == 10
        await file.write(0, NEW)  # nothing grows
        with pytest.raises(DiskFull):
            await file.write(len(OLD), NEW)
        assert file.size_bytes == len(OLD) + 10  # a short write
        with pytest.raises(DiskFull):
            await disk.create("g", 20)
        assert await disk.names("") == ["f"]
        disk.faults.quota_bytes = None
        await file.write(len(OLD), NEW)

    Machine().do(work)


def test_close_when_a_file_is_used_afterwards_then_it_is_noted() -> None:
    async def work(disk: SimDisk) -> None:
        file = await made(disk, "f", OLD)
        await file.close()
        assert disk.open_files == 0
        for misuse in (file.close(), file.read(0, 1)):
            with pytest.raises(OSError, match="closed"):
                await misuse
        assert len(disk.faults.misuse) == 2

    Machine().do(work)


def test_crash_in_when_the_point_comes_then_the_operation_never_returns_and_the_disk_is_dead() -> None:
    machine = Machine()
    reached = []

    async def work(disk: SimDisk) -> None:
        file = await made(disk, "f", OLD)
        disk.crash_in(1, Kind.SYNC)
        await file.write(0, NEW)
        reached.append("written")
        await file.sync()
        reached.append("synced")

    with pytest.raises((Halted, Crashed)):
        machine.do(work)
    machine.loop.drop_everything()
    assert reached == ["written"]
    assert machine.disk.dead


def test_folders_when_made_then_they_are_durable_at_once() -> None:
    async def work(disk: SimDisk) -> None:
        await disk.make_folder("a/b")
        await disk.create("a/b/f")
        await disk.sync_folder("a/b")
        assert await disk.names("a") == ["b"]
        with pytest.raises(FileNotFoundError):
            await disk.create("c/f")
        with pytest.raises(FileNotFoundError):
            await disk.open("a/f")

    assert after_crashes(work) == [{"a/b/f": b""}] * CRASHES
