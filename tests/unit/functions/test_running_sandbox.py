"""Functions in a sandbox: what they see of this machine, and what they do not."""

import asyncio
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from functions_world import MakeLauncher, World, document, is_running, world

from penstock.core.errors import ServiceError
from penstock.host.wards import Wards
from penstock.host.workplace import Machine, Workplace, survey_machine
from penstock.services.functions.running.launching import Launcher, Seen, Uids
from penstock.services.functions.running.sandbox import SandboxLauncher

PROGRAM = """
import os, socket, subprocess, urllib.request
def attempt(what):
    try:
        return repr(what())
    except Exception as problem:
        return type(problem).__name__
def handler(event, context):
    return eval(event, {"os": os, "socket": socket, "subprocess": subprocess, "urllib": urllib, "attempt": attempt})
"""


def sandboxes(
    endpoint: str = "http://127.0.0.1:1", change: Callable[[Machine], Machine] = lambda machine: machine
) -> MakeLauncher:
    def make(wards: Wards, place: Workplace, uids: Uids, seen: Seen) -> Launcher:
        return SandboxLauncher(wards, change(survey_machine()), uids, lambda: endpoint)

    return make


def evaluated(folder: Path, expression: str, endpoint: str = "http://127.0.0.1:1", **others: Any) -> Any:
    """What an expression is inside a sandbox."""

    async def run() -> Any:
        async with world(folder, sandboxes(endpoint)) as made:
            made.python("f", PROGRAM, timeout_s=20, **others)
            return document(await made.invoke("f", expression))

    return asyncio.run(run())


def test_function_when_sandboxed_runs_from_where_lambda_puts_it(tmp_path: Path) -> None:
    seen = evaluated(
        tmp_path,
        "[os.getcwd(), os.environ['LAMBDA_TASK_ROOT'], os.listdir('.'), os.environ['AWS_LAMBDA_RUNTIME_API'], os.environ['AWS_ENDPOINT_URL'], os.environ['TMPDIR']]",
    )
    assert seen == ["/var/task", "/var/task", ["app.py"], "127.0.0.1:9001", "http://127.0.0.1:4566", "/tmp"]


def test_files_of_ours_when_everybody_may_read_them_are_not_there(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    secret = tmp_path / "secret"
    secret.write_text("s")
    secret.chmod(0o644)
    paths = [str(secret), str(tmp_path), __file__, "/etc/passwd", "/etc/hostname", "/home", "/var/log", "/sys"]
    assert evaluated(tmp_path, f"[path for path in {paths!r} if os.path.exists(path)]") == []


def test_file_system_when_written_to_refuses_but_for_tmp(tmp_path: Path) -> None:
    expression = "[attempt(lambda path=path: open(path + '/x', 'w').write('1')) for path in ('/var/task', '/usr', '/', '/opt', '/etc', os.path.dirname(os.__file__), '/tmp', '/dev/shm')]"
    written = evaluated(tmp_path, expression)
    assert all(each in ("OSError", "PermissionError") for each in written[:6]), written
    assert written[6] == "1"


def test_network_when_used_reaches_nothing_of_this_machine(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as ours:
        port = ours.getsockname()[1]
        there = [("127.0.0.1", port), ("10.0.0.1", 80), ("192.0.2.1", 443)]
        expression = f"[attempt(lambda where=where: socket.create_connection(where, 2)) for where in {there!r}]"
        assert evaluated(tmp_path, expression) == ["ConnectionRefusedError", "OSError", "OSError"]


def test_endpoint_when_called_is_the_server(tmp_path: Path) -> None:
    async def run() -> None:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            asked = await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.0 200 OK\r\n\r\n" + asked.split(b" ")[1] + b"x" * 300_000)
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        endpoint = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with server, world(tmp_path, sandboxes(endpoint)) as made:
            made.python("f", PROGRAM, timeout_s=20)
            for _ in range(2):
                got = document(
                    await made.invoke(
                        "f", "urllib.request.urlopen(os.environ['AWS_ENDPOINT_URL'] + '/here').read().decode()"
                    )
                )
                assert got == "/here" + "x" * 300_000

    asyncio.run(run())


def test_endpoint_when_nobody_listens_hangs_up(tmp_path: Path) -> None:
    assert (
        evaluated(tmp_path, "attempt(lambda: urllib.request.urlopen(os.environ['AWS_ENDPOINT_URL']).read())") != "b''"
    )


def test_processes_of_this_machine_when_looked_for_are_not_there_and_rights_are_gone(tmp_path: Path) -> None:
    expression = "[len([each for each in os.listdir('/proc') if each.isdigit()]), attempt(lambda: os.kill(1, 9)), [line.split()[1] for line in open('/proc/self/status') if line.startswith(('CapEff', 'CapPrm', 'CapAmb', 'NoNewPrivs'))], os.getuid()]"
    count, killed, rights, uid = evaluated(tmp_path, expression)
    assert count <= 4
    assert killed == "PermissionError" or os.getuid() != 0
    assert rights == ["0" * 16, "0" * 16, "0" * 16, "1"]
    assert uid == os.getuid() or uid >= 1 << 30


def test_libraries_when_a_function_asks_to_have_them_loaded_are_not_loaded_by_who_makes_the_sandbox(
    tmp_path: Path,
) -> None:
    environment = {"LD_PRELOAD": "/var/task/evil.so", "PYTHONSTARTUP": "/x", "PYTHONHOME_": "/y", "MINE": "1"}
    assert (
        evaluated(tmp_path, "os.environ['MINE'] + os.environ['LD_PRELOAD']", environment=environment)
        == "1/var/task/evil.so"
    )


def test_sandbox_when_its_function_daemonises_or_the_runner_ends_leaves_nothing(tmp_path: Path) -> None:
    async def run() -> None:
        async with world(tmp_path, sandboxes()) as made:
            made.python(
                "f",
                "import os, time\ndef handler(e, c):\n    if os.fork() == 0:\n        os.setsid()\n        time.sleep(1000)\n    return 1\n",
            )
            assert document(await made.invoke("f")) == 1
            pids = children_of_keeper(made)
            assert len(pids) >= 4, "warden, bubblewrap, its init, the function, and what it forked"
            made.runner.end()
            await made.until(lambda: not any(is_running(pid) for pid in pids))

    asyncio.run(run())


def children_of_keeper(made: World) -> list[int]:
    from penstock.host.keeper import descendants

    assert made.wards.keeper_pid is not None
    return descendants(made.wards.keeper_pid)


def test_sandbox_when_memory_is_reported_counts_the_function(tmp_path: Path) -> None:
    async def run() -> None:
        async with world(tmp_path, sandboxes()) as made:
            made.python("f", "def handler(e, c): return len(bytearray(60 << 20))\n")
            await made.invoke("f")
            used = int(made.log.text.partition("Max Memory Used: ")[2].split()[0])
            assert used > 60

    asyncio.run(run())


def test_sandbox_when_it_cannot_be_made_is_refused_in_words(tmp_path: Path) -> None:
    broken = tmp_path / "bwrap"
    broken.write_text("#!/bin/sh\necho 'bwrap: setting up uid map: Permission denied' >&2\nexit 1\n")
    broken.chmod(0o755)

    async def run(make: MakeLauncher, words: str) -> None:
        async with world(tmp_path, make) as made:
            made.python("f", PROGRAM)
            for _ in range(2):
                with pytest.raises(ServiceError, match=words) as refused:
                    await made.invoke("f", "1")
                assert refused.value.code == "InvalidRuntimeException"
            assert made.runner.slots == 0

    missing = sandboxes(change=lambda machine: machine._replace(bubblewrap=None))
    asyncio.run(run(missing, "apt-get install bubblewrap"))
    cannot = sandboxes(change=lambda machine: machine._replace(bubblewrap=str(broken)))
    asyncio.run(run(cannot, "bubblewrap can make no sandbox here: bwrap: setting up uid map: Permission denied"))


def test_bootstrap_when_sandboxed_runs(tmp_path: Path) -> None:
    async def run() -> None:
        async with world(tmp_path, sandboxes()) as made:
            program = "import http.client, os\nc = http.client.HTTPConnection(os.environ['AWS_LAMBDA_RUNTIME_API'])\nb = '/2018-06-01/runtime/invocation/'\nwhile True:\n    c.request('GET', b + 'next'); a = c.getresponse(); e = a.read()\n    c.request('POST', b + a.getheader('Lambda-Runtime-Aws-Request-Id') + '/response', e); c.getresponse().read()\n"
            made.bootstrap("f", program)
            assert document(await made.invoke("f", [1, 2])) == [1, 2]

    asyncio.run(run())
