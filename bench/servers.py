"""The servers under measurement: how each is installed, started, called and ended.

Theory.  A server is a row: a name, its part, a pinned version, how it is installed, how it is launched on a free port of 127.0.0.1.
Peers go to bench/.peers/, each in a folder of its own, at the pinned version; what cannot be installed or started is told with its reason.
Rules of this file:
  1. Every process begun here is ended here, by its pid, whatever happens in between; sessions are their own, so that Ctrl-C reaches
     only the benchmark, which then ends them.
  2. Each server runs as its makers ship it, but for its port, its address, and limits and delays that a benchmark cannot use.
"""

import compileall
import http.client
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import psutil
from botocore.credentials import Credentials

from bench import payload, signing
from bench.load import HOST
from bench.payload import JSON, Wire
from bench.processes import tree

ROOT: Final = Path(__file__).parent.parent
PEERS: Final = Path(__file__).parent / ".peers"
LOOPBACK_JS: Final = Path(__file__).parent / "loopback.cjs"
LOOPBACK_C: Final = Path(__file__).parent / "loopback.c"
LOOPBACK_SO: Final = PEERS / "loopback" / "loopback.so"
INSTALL_LIMIT_S: Final = 300
BUILD_LIMIT_S: Final = 1800  # of a peer that is compiled
US: Final = "penstock"  # durable, and verifying signatures
OPEN: Final = "penstock-open"  # durable, verifying nothing
MEMORY: Final = "penstock-memory"  # what peers do: in memory, verifying nothing
TLS: Final = "penstock-tls"
START_LIMIT_S: Final = 60
STOP_LIMIT_S: Final = 10
CALL_LIMIT_S: Final = 60
SHARD_LIMIT: Final = 100  # what peers are told to allow
_POLL_S: Final = 0.002
_FAILURE_CHARS: Final = 400  # of what is said of a failure
_WORDS_CHARS: Final = 200  # of a server's log
_SECRET: Final = re.compile("secret|aws_|credential", re.IGNORECASE)
_ANSI: Final = re.compile(r"\x1b\[[0-9;]*m")
_HIDDEN: Final = (
    "PENSTOCK_",
    "AWS_",
    "MOTO_",
    "KINESIS_MOCK_",
    "FERROKINESIS_",
    "MINISTACK_",
    "NODE_OPTIONS",
)  # variables that would change a server


class Unavailable(Exception):
    """A server that cannot be installed or started; the text says why."""


class Part(Enum):
    """What a server stands for in a comparison."""

    US = "us"
    VARIANT = "variant"  # our own, with less to do
    TLS = "tls"
    PEER = "peer"
    NULL = "null"  # answers without doing anything


class Launch(NamedTuple):
    """A command line, and what it adds to the environment."""

    argv: list[str]
    env: dict[str, str]


@dataclass(frozen=True, slots=True)
class Server:
    """One server under measurement."""

    name: str
    part: Part
    version: str
    how: str  # it is run, for the report
    launch: Callable[[Path, int], Launch]  # with an empty folder and a free port
    install: Callable[[], None] = field(default=lambda: None)
    endpoint_file: str | None = None  # where it tells its port, if it chooses one
    credentials_file: str | None = None  # where it tells the key that requests must be signed with, if it verifies them
    probe: Callable[[int], object] | None = None  # asks one that is no Kinesis whether it answers


class RefusedCall(Exception):
    """A call that was not answered 200."""


class Running:
    """A server that answers."""

    def __init__(
        self,
        server: Server,
        process: subprocess.Popen[bytes],
        port: int,
        ready_s: float,
        log: Path,
        credentials: Credentials | None,
        tls_port: int | None,
    ) -> None:
        self.server = server
        self.tls_port = tls_port
        self.credentials = credentials  # None: nothing is verified
        self._log = log
        self.pid = process.pid
        self.port = port
        self.ready_s = ready_s  # from the start of the process to the end of the first good answer

    @property
    def url(self) -> str:
        """The endpoint."""
        return f"http://{HOST}:{self.port}"

    def last_words(self) -> str:
        """The end of what the server has printed."""
        return _last_words(self._log)

    def call(self, operation: str, document: dict[str, Any], wire: Wire = JSON) -> dict[str, Any]:
        """Call an operation on a connection of its own.  Raises RefusedCall, OSError."""
        with self.client() as client:
            return client.call(operation, document, wire)

    def client(self) -> "Client":
        """A connection for several calls."""
        return Client(self.port, CALL_LIMIT_S, self.credentials)

    def http_requests(self, operation: str, documents: Iterable[dict[str, Any]], wire: Wire = JSON) -> list[bytes]:
        """Whole requests, signed now if the server verifies signatures; they are good for 5 minutes then."""
        if self.credentials is None:
            return [payload.http_request(self.port, operation, document, wire) for document in documents]
        signer = signing.Signer(self.credentials)
        return [signer.http_request(self.port, operation, document, wire) for document in documents]

    def create_stream(self, name: str, shards: int) -> None:
        """Create a stream and return when it is active.  Raises RefusedCall."""
        self.call("CreateStream", {"StreamName": name, "ShardCount": shards})
        for _ in range(1000):
            with suppress(RefusedCall):
                summary = self.call("DescribeStreamSummary", {"StreamName": name})["StreamDescriptionSummary"]
                if summary["StreamStatus"] == "ACTIVE":
                    return
            pause(0.01)
        raise RefusedCall(f"stream {name} never became active")


class Client:
    """One connection, and a call after the other on it."""

    def __init__(self, port: int, limit_s: float, credentials: Credentials | None) -> None:
        self._host = f"{HOST}:{port}"
        self._connection = http.client.HTTPConnection(HOST, port, timeout=limit_s)
        self._credentials = credentials

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def raw(self, operation: str, document: dict[str, Any], wire: Wire = JSON) -> bytes:
        """The body of a good answer.  Raises RefusedCall, OSError."""
        sent = wire.body(document)
        headers = payload.headers(operation, wire)
        if self._credentials is not None:
            headers = signing.Signer(self._credentials).headers(self._host, operation, sent, wire)
        try:
            self._connection.request("POST", "/", sent, headers)
            answer = self._connection.getresponse()
            body = answer.read()
        except http.client.HTTPException as error:
            raise RefusedCall(f"{operation}: {error!r}") from None
        if answer.status != 200:
            raise RefusedCall(f"{operation}: {answer.status} {body[:300].decode(errors='replace')}")
        return body

    def call(self, operation: str, document: dict[str, Any], wire: Wire = JSON) -> dict[str, Any]:
        """The document of a good answer.  Raises RefusedCall, OSError."""
        return wire.read(self.raw(operation, document, wire))


def pause(seconds: float) -> None:
    """Do nothing for a while."""
    threading.Event().wait(seconds)


@contextmanager
def running(server: Server) -> Iterator[Running]:
    """A server that was just started; it is ended on leaving.  Raises Unavailable."""
    with tempfile.TemporaryDirectory(prefix="penstock-bench-") as folder:
        home, log = Path(folder) / "home", Path(folder) / "log"
        home.mkdir()
        port = _free_port()
        launch = server.launch(home, port)
        env = {name: value for name, value in os.environ.items() if not name.startswith(_HIDDEN)} | launch.env
        with log.open("wb") as output:
            started_s = time.perf_counter()
            process = subprocess.Popen(
                launch.argv, env=env, cwd=home, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                start_new_session=True,
            )  # fmt: skip
        try:
            yield _wait(server, process, home, port, log, started_s)
        finally:
            _end(process)


def _wait(
    server: Server, process: subprocess.Popen[bytes], home: Path, port: int, log: Path, started_s: float
) -> Running:
    """Ask for the streams until the first good answer."""
    while time.perf_counter() - started_s < START_LIMIT_S:
        if process.poll() is not None:
            raise Unavailable(f"ended with code {process.returncode}: {_last_words(log)}")
        with suppress(OSError, RefusedCall, msgspec.DecodeError):
            tls_port = None
            if server.endpoint_file is not None:
                told = msgspec.json.decode((home / server.endpoint_file).read_bytes())
                port = int(told["http"].rpartition(":")[2])
                tls_port = int(told["https"].rpartition(":")[2]) if told["https"] else None
            key = signing.read_credentials(home / server.credentials_file) if server.credentials_file else None
            if server.probe is not None:
                server.probe(port)
            else:
                with Client(port, START_LIMIT_S, key) as client:
                    client.call("ListStreams", {})
            return Running(server, process, port, time.perf_counter() - started_s, log, key, tls_port)
        pause(_POLL_S)
    raise Unavailable(f"no answer within {START_LIMIT_S} s: {_last_words(log)}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process and its descendants: ask, then insist."""
    family = tree(process.pid)
    for member in family:
        with suppress(psutil.NoSuchProcess):
            member.terminate()
    _, left = psutil.wait_procs(family, timeout=STOP_LIMIT_S)
    for member in left:
        with suppress(psutil.NoSuchProcess):
            member.kill()
    process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _last_words(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if not _SECRET.search(line)]
    return _shown(" / ".join(filter(None, lines))[-_WORDS_CHARS:])


def plain(text: str) -> str:
    """A text without this machine's folders, short enough for a report."""
    return _shown(text)[:_FAILURE_CHARS]


def _shown(text: str) -> str:
    named = text.replace(str(ROOT), ".").replace(str(Path.home()), "~")
    return "".join(each if each.isprintable() else " " for each in _ANSI.sub("", named))


def _install(name: str, marker: Path, commands: list[list[str]], limit_s: float = INSTALL_LIMIT_S) -> None:
    """Run what installs a peer, unless its marker is there already.  Raises Unavailable."""
    if marker.exists():
        return
    folder = PEERS / name
    folder.mkdir(parents=True, exist_ok=True)
    for argv in commands:
        if shutil.which(argv[0]) is None:
            raise Unavailable(f"{argv[0]} is not installed")
        try:
            subprocess.run(argv, cwd=folder, check=True, capture_output=True, timeout=limit_s)
        except subprocess.CalledProcessError as error:
            said = error.stderr.decode(errors="replace").strip().splitlines() or ["no message"]
            raise Unavailable(plain(f"{Path(argv[0]).name} failed: {said[-1]}")) from None
        except subprocess.TimeoutExpired:
            raise Unavailable(f"{Path(argv[0]).name} did not end within {limit_s:.0f} s") from None
    if not marker.exists():
        raise Unavailable("installed, but its program is not where it was expected")


def _npm(name: str, wanted: str, program: str) -> tuple[Path, Callable[[], None]]:
    """The program of an npm package, and what installs it at a version; a folder per version."""
    folder = f"{name}-{wanted}"
    path = PEERS / folder / "node_modules" / name / program
    options = ["--no-audit", "--no-fund", "--ignore-scripts", "--prefix", "."]
    commands = [["npm", "install", *options, f"{name}@{wanted}"]]
    return path, lambda: _install(folder, path, commands)


def penstock(source: Path, name: str, part: Part, *options: str) -> Server:
    """Our own server, AWS's throughput limits off, run from a folder of its packages."""
    program = str(Path(sys.executable).parent / "penstock")
    return Server(
        name=name,
        part=part,
        version=version("penstock"),
        how=f"penstock serve {' '.join(options)}",
        launch=lambda home, _: Launch(
            [program, "serve", *options, "--port", "0", "--data-dir", str(home)], {"PYTHONPATH": str(source)}
        ),
        endpoint_file="endpoint.json",
        credentials_file="root-credentials" if "enforced" in options else None,
    )


def ours(source: Path) -> list[Server]:
    """Our server in every way that is measured; the first is the one that counts."""
    local = ("--engine", "local")
    return [
        penstock(source, US, Part.US, "--no-tls", *local, "--auth", "enforced"),
        penstock(source, OPEN, Part.VARIANT, "--no-tls", *local),
        penstock(source, MEMORY, Part.VARIANT, "--no-tls", "--engine", "memory"),
        penstock(source, TLS, Part.TLS, *local, "--auth", "enforced"),
    ]


@contextmanager
def snapshot() -> Iterator[Path]:
    """A copy of src/, so that a run measures one state of it even while somebody edits; compiled, as pip leaves what it installs.

    Servers would compile it themselves at every start where PYTHONDONTWRITEBYTECODE is set, which takes as long as all else.
    """
    with tempfile.TemporaryDirectory(prefix="penstock-bench-") as folder:
        source = Path(shutil.copytree(ROOT / "src", Path(folder) / "src"))
        compileall.compile_dir(source, quiet=2)
        yield source


def _kinesalite() -> Server:
    path, install = _npm("kinesalite", "3.3.3", "cli.js")
    options = ["--createStreamMs", "0", "--deleteStreamMs", "0", "--shardLimit", str(SHARD_LIMIT)]
    return Server(
        name="kinesalite",
        part=Part.PEER,
        version="3.3.3",
        how=f"kinesalite {' '.join(options)}, in memory",
        launch=lambda _, port: Launch(
            ["node", "--require", str(LOOPBACK_JS), str(path), "--port", str(port), *options], {}
        ),
        install=install,
    )


def _kinesis_local() -> Server:
    path, install = _npm("kinesis-local", "0.6.2", "main.js")
    settings = {"SHARD_LIMIT": str(SHARD_LIMIT), "CREATE_STREAM_DURATION": "0s", "DELETE_STREAM_DURATION": "0s"}

    def launch(_: Path, port: int) -> Launch:
        ports = {"KINESIS_MOCK_PLAIN_PORT": str(port), "KINESIS_MOCK_TLS_PORT": str(_free_port())}
        certificate = {"KINESIS_MOCK_CERT_PATH": str(path.parent / "server.json")}
        return Launch(["node", "--require", str(LOOPBACK_JS), str(path)], settings | ports | certificate)

    return Server(
        name="kinesis-local",
        part=Part.PEER,
        version="0.6.2",
        how=f"kinesis-local (kinesis-mock for Node) with {' '.join(f'{k}={v}' for k, v in settings.items())}",
        launch=launch,
        install=install,
    )


def _pip(name: str, wanted: str, program: str, *packages: str) -> tuple[Path, Callable[[], None]]:
    """A program of Python packages, and what installs them, in an environment of its own."""
    folder = f"{name}-{wanted}"
    path = PEERS / folder / "bin" / program
    pip = str(PEERS / folder / "bin" / "pip")
    commands = [[sys.executable, "-m", "venv", "."], [pip, "install", "--quiet", *packages]]
    return path, lambda: _install(folder, path, commands)


def _moto() -> Server:
    path, install = _pip("moto", "5.2.5", "moto_server", "moto[server]==5.2.5")
    return Server(
        name="moto",
        part=Part.PEER,
        version="5.2.5",
        how="moto_server",
        launch=lambda _, port: Launch([str(path), "-H", HOST, "-p", str(port)], {}),
        install=install,
    )


def _ministack() -> Server:
    path, install = _pip(
        "ministack", "1.5.33", "ministack", "ministack==1.5.33", "cbor2"
    )  # which it reads CBOR with, if it is there
    return Server(
        name="ministack",
        part=Part.PEER,
        version="1.5.33",
        how="ministack",
        launch=lambda home, port: Launch(
            [str(path)], {"BIND_HOST": HOST, "GATEWAY_PORT": str(port), "TMPDIR": str(home)}
        ),
        install=install,
    )


def _ferrokinesis() -> Server:
    wanted = "0.7.0"
    folder = f"ferrokinesis-{wanted}"
    path = PEERS / folder / "bin" / "ferrokinesis"
    options = ["--create-stream-ms", "0", "--delete-stream-ms", "0", "--shard-limit", str(SHARD_LIMIT)]
    build = ["cargo", "install", "ferrokinesis", "--version", wanted, "--locked", "--root", "."]
    shim = ["cc", "-shared", "-fPIC", "-O2", "-o", str(LOOPBACK_SO), str(LOOPBACK_C), "-ldl"]

    def install() -> None:
        _install("loopback", LOOPBACK_SO, [shim])
        _install(folder, path, [build], BUILD_LIMIT_S)

    return Server(
        name="ferrokinesis",
        part=Part.PEER,
        version=wanted,
        how=f"ferrokinesis {' '.join(options)}",
        launch=lambda _, port: Launch([str(path), "--port", str(port), *options], {"LD_PRELOAD": str(LOOPBACK_SO)}),
        install=install,
    )


def lease_peers(probe: Callable[[int], object]) -> list[Server]:
    """The servers that leases can be kept in."""
    path, install = _npm("dynalite", "4.0.0", "cli.js")
    options = ["--createTableMs", "0", "--deleteTableMs", "0", "--updateTableMs", "0"]
    dynalite = Server(
        name="dynalite",
        part=Part.PEER,
        version="4.0.0",
        how=f"dynalite {' '.join(options)}, in memory",
        launch=lambda _, port: Launch(
            ["node", "--require", str(LOOPBACK_JS), str(path), "--port", str(port), *options], {}
        ),
        install=install,
        probe=probe,
    )
    return [_moto(), dynalite]


def peers() -> list[Server]:
    """The servers that Penstock is measured against."""
    return [_kinesalite(), _kinesis_local(), _moto(), _ministack(), _ferrokinesis()]


def baseline() -> Server:
    """The responder that shows what the load generator can do."""
    return Server(
        name="null",
        part=Part.NULL,
        version="-",
        how="a responder that reads a request and answers fixed bytes (bench/null.py)",
        launch=lambda _, port: Launch(
            [sys.executable, "-m", "bench.null", "--port", str(port)], {"PYTHONPATH": str(ROOT)}
        ),
    )
