"""Processes on a leash: what they inherit, and that nothing of them is left."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from penstock.host.clock import SystemClock
from penstock.host.wards import Order, Ward, Wards
from penstock.host.workplace import survey_machine

NOBODY = 1_900_000_001


def with_wards(test: Callable[[Wards, list[bytes]], Awaitable[None]], folder: Path) -> None:
    async def run() -> None:
        wards, written = Wards(lambda: str(folder / "work")), list[bytes]()
        try:
            async with asyncio.timeout(60):
                await test(wards, written)
        finally:
            await wards.close()

    asyncio.run(run())


def python(program: str, **others: object) -> Order:
    chosen = {"environment": {}, "directory": "/", **others}
    return Order(command=[sys.executable, "-S", "-c", program], **chosen)  # type: ignore[arg-type]


async def all_of(ward: Ward, written: list[bytes]) -> str:
    await ward.gone
    ward.output.drain()
    return b"".join(written).decode()


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_ward_when_started_has_its_environment_and_no_descriptor_of_ours(tmp_path: Path) -> None:
    async def test(wards: Wards, written: list[bytes]) -> None:
        kept = (tmp_path / "kept").open("w")
        os.set_inheritable(kept.fileno(), True)
        program = "import os; print(os.environ.get('A'), 'HOME' in os.environ, os.getcwd(), sorted(os.listdir('/proc/self/fd')), os.getsid(0) == os.getpid())"
        ward = wards.start(python(program, environment={"A": "b"}, directory=str(tmp_path)), written.append)
        assert await ward.ended == 0
        assert await all_of(ward, written) == f"b False {tmp_path} ['0', '1', '2', '3'] True\n", "3 is listdir's own"
        kept.close()

    with_wards(test, tmp_path)


def test_ward_when_it_ends_tells_its_status(tmp_path: Path) -> None:
    async def test(wards: Wards, written: list[bytes]) -> None:
        assert await wards.start(python("raise SystemExit(7)"), written.append).ended == 7
        assert await wards.start(python("import os; os.kill(os.getpid(), 9)"), written.append).ended == -9
        assert await wards.start(Order(["/nowhere"], {}, "/"), written.append).ended == 125

    with_wards(test, tmp_path)


def test_ward_when_let_go_is_killed_with_who_ignores_signals_and_has_daemonised(tmp_path: Path) -> None:
    program = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        print(os.getpid(), flush=True)
        time.sleep(1000)
    os._exit(0)
time.sleep(1000)
"""

    async def test(wards: Wards, written: list[bytes]) -> None:
        ward = wards.start(python(program), written.append)
        while not written:
            await SystemClock().sleep(5)
        daemon = int(written[0])
        assert running(daemon)
        assert running(ward.pid)
        ward.let_go()
        await ward.gone
        assert not running(daemon)
        assert not running(ward.pid)

    with_wards(test, tmp_path)


def test_ward_when_its_first_process_ends_leaves_no_other(tmp_path: Path) -> None:
    async def test(wards: Wards, written: list[bytes]) -> None:
        ward = wards.start(
            python(
                "import os, time\nif os.fork() == 0:\n    print(os.getpid(), flush=True); time.sleep(1000)\nos._exit(3)"
            ),
            written.append,
        )
        assert await ward.ended == 3
        text = await all_of(ward, written)
        assert not text or not running(int(text))

    with_wards(test, tmp_path)


def test_ward_when_it_forks_without_end_is_killed(tmp_path: Path) -> None:
    program = "import os, time\nfor _ in range(40):\n    if os.fork() == 0:\n        while True:\n            if os.fork(): os._exit(0)\ntime.sleep(1000)"

    async def test(wards: Wards, written: list[bytes]) -> None:
        uid = NOBODY if os.getuid() == 0 else None
        machine = survey_machine()
        order = python(program, uid=uid, owner=uid, paths=machine.paths if uid else (), limits={"NPROC": 200})
        ward = wards.start(order, written.append)
        await ward.started
        await SystemClock().sleep(200)
        ward.let_go()
        await ward.gone
        assert uid is None or processes_of(uid) == []

    with_wards(test, tmp_path)


def processes_of(uid: int) -> list[str]:
    return [path.name for path in Path("/proc").iterdir() if path.name.isdigit() and uid_of(path) == uid]


def uid_of(path: Path) -> int | None:
    try:
        return path.stat().st_uid
    except OSError:
        return None


def test_limits_when_given_hold(tmp_path: Path) -> None:
    async def test(wards: Wards, written: list[bytes]) -> None:
        program = (
            "import resource as r; print([r.getrlimit(n)[0] for n in (r.RLIMIT_DATA, r.RLIMIT_NOFILE, r.RLIMIT_CORE)])"
        )
        ward = wards.start(python(program, limits={"DATA": 1 << 28, "NOFILE": 64, "CORE": 0}), written.append)
        assert await all_of(ward, written) == f"{[1 << 28, 64, 0]}\n"

    with_wards(test, tmp_path)


def test_temporary_folder_when_the_ward_is_gone_is_deleted(tmp_path: Path) -> None:
    folder = tmp_path / "temporary"

    async def test(wards: Wards, written: list[bytes]) -> None:
        program = "import os, sys; os.makedirs(sys.argv[1] + '/a/b'); print(oct(os.stat(sys.argv[1]).st_mode))"
        order = Order([sys.executable, "-c", program, str(folder)], {}, "/", temporary=str(folder))
        assert await all_of(wards.start(order, written.append), written) == "0o40700\n"
        assert not folder.exists()

    with_wards(test, tmp_path)


def test_keeper_when_killed_is_started_again(tmp_path: Path) -> None:
    async def test(wards: Wards, written: list[bytes]) -> None:
        first = wards.start(python("import time; time.sleep(1000)"), written.append)
        await first.started
        assert wards.keeper_pid is not None
        os.kill(wards.keeper_pid, signal.SIGKILL)
        while running(wards.keeper_pid):
            await SystemClock().sleep(5)
        assert await wards.start(python("print(5)"), written.append).ended == 0
        first.let_go()
        await first.gone

    with_wards(test, tmp_path)


SERVER = """
import asyncio, sys
from penstock.host.wards import Order, Wards
async def main():
    wards = Wards(lambda: sys.argv[1])
    program = "import os, time, signal; signal.signal(15, signal.SIG_IGN); os.fork(); print(os.getpid(), flush=True); time.sleep(1000)"
    ward = wards.start(Order([sys.executable, "-S", "-c", program], {}, "/"), lambda piece: print(piece.decode(), end="", flush=True))
    await ward.gone
asyncio.run(main())
"""


def test_wards_when_the_server_is_killed_die_and_its_folder_is_deleted(tmp_path: Path) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    server = subprocess.Popen([sys.executable, "-c", SERVER, str(folder)], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    pids = [int(server.stdout.readline()) for _ in range(2)]
    assert all(running(pid) for pid in pids)
    server.kill()
    server.wait()
    server.stdout.close()

    async def until_gone() -> None:
        async with asyncio.timeout(60):
            while any(running(pid) for pid in pids) or folder.exists():
                await SystemClock().sleep(5)

    asyncio.run(until_gone())
