"""SqliteMeta when its process dies: whatever was acknowledged is there afterwards, whole."""

import asyncio
import subprocess
import sys
from pathlib import Path

from penstock.engines.api import Write
from penstock.engines.local.meta import SqliteMeta

WRITER = """
import asyncio, pathlib, sys
from penstock.engines.api import Write
from penstock.engines.local.meta import SqliteMeta

async def run(path, number):
    meta = await SqliteMeta.open(path)
    held = await meta.get("last")
    version = held.version if held is not None else 0
    while True:
        value = b"%d" % number
        await meta.commit([Write(f"number/{number}", value * 300, 0), Write("last", value, version)])
        print(number, flush=True)
        version, number = version + 1, number + 1

asyncio.run(run(pathlib.Path(sys.argv[1]), int(sys.argv[2])))
"""
ROUNDS = (
    1,
    2,
    60,
    13,
    900,
    400,
    3,
)  # acknowledged commits after which the writer is killed; the fifth passes a checkpoint


def write_and_kill(path: Path, first: int, count: int) -> int:
    """Let a process commit first, first + 1, ... and kill it when it has said so `count` times; answer the last it spoke of."""
    command = [sys.executable, "-c", WRITER, str(path), str(first)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        said = [next(writer.stdout) for _ in range(count)]
        writer.kill()
        said += writer.stdout.readlines()
    assert said[-1].endswith("\n")
    return int(said[-1])


async def survived(path: Path, acknowledged: int) -> int:
    """Hold a store to what was acknowledged; answer the last number that it holds."""
    meta = await SqliteMeta.open(path)
    try:
        assert await meta.check() == []
        held = await meta.get("last")
        assert held is not None
        last = int(held.value)
        assert last in (acknowledged, acknowledged + 1), "at most the commit under way is there besides"
        assert held.version == last + 1
        numbers = {key: value.value for key, value in await meta.scan("number/")}
        assert numbers == {f"number/{number}": b"%d" % number * 300 for number in range(last + 1)}
        return last
    finally:
        await meta.close()


def test_commit_when_the_process_is_killed_then_what_was_acknowledged_is_there(tmp_path: Path) -> None:
    last = -1
    for count in ROUNDS:
        acknowledged = write_and_kill(tmp_path / "meta", last + 1, count)
        last = asyncio.run(survived(tmp_path / "meta", acknowledged))
    assert last + 1 >= sum(ROUNDS)


def test_open_when_the_process_was_killed_then_the_versions_go_on(tmp_path: Path) -> None:
    acknowledged = write_and_kill(tmp_path / "meta", 0, 5)

    async def run() -> None:
        meta = await SqliteMeta.open(tmp_path / "meta")
        await meta.commit([Write("new", b"", 0)])
        held = await meta.get("new")
        assert held is not None
        assert held.version > acknowledged + 1
        await meta.close()

    asyncio.run(run())
