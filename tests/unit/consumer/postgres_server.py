"""A PostgreSQL of the tests' own, in a temporary directory, reached through a socket there or, with a password, over TCP."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from free_ports import free_port

UNPRIVILEGED = "nobody"  # PostgreSQL refuses to run as root


def _binaries() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    on_path = shutil.which("initdb")
    assert found or on_path, "the tests of the PostgreSQL store need PostgreSQL: apt-get install postgresql"
    return Path(on_path).parent if on_path else found[-1].parent


@contextmanager
def postgres_server(password: str = "") -> Iterator[str]:
    """Start one; gives its URL.  With a password it listens on 127.0.0.1 too, and asks for it there."""
    binaries = _binaries()
    with tempfile.TemporaryDirectory(prefix="penstock-pg-", dir="/tmp") as folder:
        owner = pwd.getpwnam(UNPRIVILEGED if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name)
        os.chown(folder, owner.pw_uid, owner.pw_gid)
        data = Path(folder) / "data"
        as_owner = {"user": owner.pw_uid, "group": owner.pw_gid, "env": {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}}

        def run(*command: str) -> None:
            subprocess.run(command, check=True, capture_output=True, cwd=folder, timeout=60, **as_owner)  # type: ignore[call-overload]

        run(str(binaries / "initdb"), "-D", str(data), "-U", "tester", "-A", "trust", "--no-sync")
        options = f"-c listen_addresses='' -c unix_socket_directories='{folder}' -c fsync=off"
        url, port = f"postgresql://tester@/postgres?host={folder}", 5432
        if password:
            (data / "pg_hba.conf").write_text("local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n")
            port = free_port()
            options = options.replace("listen_addresses=''", f"listen_addresses=127.0.0.1 -c port={port}")
            url = f"postgresql://tester:{password}@127.0.0.1:{port}/postgres"
        run(str(binaries / "pg_ctl"), "-D", str(data), "-w", "-l", f"{folder}/log", "-o", options, "start")
        try:
            if password:
                with psycopg.connect(f"postgresql://tester@/postgres?host={folder}&port={port}") as connection:
                    connection.execute(f"ALTER USER tester PASSWORD '{password}'".encode())
            yield url
        finally:
            run(str(binaries / "pg_ctl"), "-D", str(data), "-w", "-m", "immediate", "stop")
