"""Order: an append is answered only after a commit, begun later than the append was asked for, has written its bytes and synced them.

Shown twice: by a disk that remembers, and, where strace is installed, by what the kernel was asked for.
"""

import asyncio
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final, NamedTuple

from crash_writer import record
from data_directory import engine
from disks import Recorder

from penstock.engines.api import Appended, Batch, LogId
from penstock.engines.local.log import LocalLog

CLIENTS: Final = 8
APPENDS: Final = 40  # of each
LOG: Final = LogId("orders00000000000000-000/0")


class Answered(NamedTuple):
    """An append, on the recorder's count of events."""

    data: bytes
    asked: int
    answered: int


def test_an_answer_comes_after_the_sync_of_its_bytes(tmp_path: Path) -> None:
    appends: list[Answered] = []

    async def client(log: LocalLog, disk: Recorder, number: int) -> None:
        for count in range(APPENDS):
            data = record(f"client-{number}-{count}-", 50)
            asked = disk.event()
            [outcome] = await log.append([Batch(LOG, [b"key"], [data])])
            appends.append(Answered(data, asked, disk.event()))
            assert isinstance(outcome, Appended)

    async def run() -> Recorder:
        disk = Recorder(tmp_path / "data")
        async with engine(tmp_path / "data", disk) as log:
            await log.create([LOG])
            await asyncio.gather(*(client(log, disk, number) for number in range(CLIENTS)))
        disk.close()
        return disk

    disk = asyncio.run(run())
    assert len(appends) == CLIENTS * APPENDS
    for append in appends:
        [commit] = [commit for commit in disk.commits if append.data in commit.data]
        assert append.asked < commit.began < commit.ended < append.answered
    assert len(disk.commits) < len(appends), "appends share commits"


SCRIPT: Final = """
import asyncio, os, sys
from pathlib import Path
from data_directory import engine
from penstock.engines.api import Batch, LogId

async def client(log, number):
    for count in range(20):
        told = f"<client-{number}-{count}>"
        await log.append([Batch(LogId("l/0"), [b"key"], [told.encode()])])
        os.write(1, f"answered {told}\\n".encode())

async def main():
    async with engine(Path(sys.argv[1])) as log:
        await log.create([LogId("l/0")])
        await asyncio.gather(*(client(log, number) for number in range(4)))

asyncio.run(main())
"""
CALL: Final = re.compile(r"^\d+ +(?:<\.\.\. )?(\w+)(?:\((\d+)| resumed>)(.*)$")


def test_the_kernel_was_asked_to_sync_before_each_answer(tmp_path: Path) -> None:
    """Where there is no strace, the recording disk above has shown it, but for the system call itself."""
    if shutil.which("strace") is None:
        return
    output = tmp_path / "calls"
    command = [
        "strace",
        "-f",
        "-qq",
        "-s",
        "100000",
        "-v",
        "-e",
        "trace=pwritev,pwritev2,pwrite64,fdatasync,write",
        "-o",
        str(output),
    ]
    folder = Path(__file__).parent
    traced = [*command, sys.executable, "-c", SCRIPT, str(tmp_path / "data")]
    done = subprocess.run(traced, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    written: dict[str, int] = {}  # by record: which sync it needs
    syncs = answers = 0
    for text in output.read_text().splitlines():
        told, unfinished = re.findall(r"<client-\d+-\d+>", text), text.endswith("<unfinished ...>")
        if re.search(r" pwrite(v2?|64)\(", text):
            assert "journal" not in text
            written |= dict.fromkeys(told, syncs + 1)
        elif "fdatasync" in text and not unfinished:
            assert text.rstrip().endswith("= 0")
            syncs += 1
        elif " write(1, " in text:
            for record_told in told:
                assert written[record_told] <= syncs, f"{record_told} was answered before it was synced"
                answers += 1
    assert answers == 4 * 20
